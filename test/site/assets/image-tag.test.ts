import fc from 'fast-check'
import { parseFragment } from 'parse5'
import { test } from 'tap'
import { imageTag } from '../../../lib/site/assets/image-tag.js'
import type { ImageMeta } from '../../../lib/site/assets/manifest.js'
import { holds } from '../../helpers/property.js'

const variant = (width: number, extension: string) => ({ width, path: `/static/img/a.w${width}.00.${extension}`, bytes: width })
const full = { width: 1200, path: '/static/img/a.00.png', bytes: 1200 }
const bare: ImageMeta = { path: '/static/img/a.00.png', width: 1200, height: 800, variants: { fallback: [full] } }
const rich: ImageMeta = { ...bare, variants: { fallback: [variant(360, 'png'), full], webp: [variant(360, 'webp'), variant(1200, 'webp')] } }

test('an image without variants is a plain <img> with its size', t => {
  t.equal(imageTag({ src: '/static/img/a.png', alt: 'A' }, bare),
    '<img src="/static/img/a.00.png" alt="A" width="1200" height="800" decoding="async" />')
  t.end()
})

test('an image with variants and WebP is a <picture>', t => {
  t.equal(imageTag({ src: '/static/img/a.png', alt: 'A', class: 'hero', loading: 'lazy', sizes: '(min-width: 60em) 50vw, 100vw', decoding: 'sync' }, rich),
    '<picture><source type="image/webp" srcset="/static/img/a.w360.00.webp 360w, /static/img/a.w1200.00.webp 1200w" sizes="(min-width: 60em) 50vw, 100vw" />' +
    '<img src="/static/img/a.00.png" alt="A" width="1200" height="800" class="hero" loading="lazy" srcset="/static/img/a.w360.00.png 360w, /static/img/a.00.png 1200w" sizes="(min-width: 60em) 50vw, 100vw" decoding="sync" /></picture>')
  t.end()
})

test('without sizes an image is taken to be as wide as the window', t => {
  t.match(imageTag({ src: 'x', alt: '' }, rich), /<source [^>]* sizes="100vw" \/><img [^>]* sizes="100vw" /)
  t.end()
})

test('a format with one file needs no widths, and AVIF comes before WebP', t => {
  const meta: ImageMeta = { ...bare, variants: { fallback: [full], webp: [variant(1200, 'webp')], avif: [variant(1200, 'avif')] } }
  t.equal(imageTag({ src: 'x', alt: '' }, meta),
    '<picture><source type="image/avif" srcset="/static/img/a.w1200.00.avif" /><source type="image/webp" srcset="/static/img/a.w1200.00.webp" />' +
    '<img src="/static/img/a.00.png" alt="" width="1200" height="800" decoding="async" /></picture>')
  t.end()
})

test('an image with priority is fetched at once', t => {
  t.match(imageTag({ src: 'x', alt: '', loading: 'lazy', priority: '' }, bare), / height="800" fetchpriority="high" decoding="async" \/>$/)
  t.match(imageTag({ src: 'x', alt: '', loading: 'lazy', priority: 'false' }, bare), / height="800" loading="lazy" decoding="async" \/>$/)
  t.end()
})

test('no value of an attribute changes what else is in the page', t => {
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('" onerror="x', "'><script>", '&quot;', '--><b>', '`', '<%'))
  holds(t, fc.property(value, value, value, value, (alt, className, sizes, loading) => {
    const fragment = parseFragment(imageTag({ src: 'x', alt, class: className, sizes, loading }, rich)) as unknown as Node
    const picture = fragment.childNodes[0]
    const [source, img] = picture?.childNodes ?? []
    const value = img?.attrs?.find(one => one.name === 'alt')?.value
    return fragment.childNodes.length === 1 && picture?.childNodes.length === 2 && source?.childNodes.length === 0 &&
      img?.attrs?.every(({ name }) => /^(?:src|alt|width|height|class|loading|srcset|sizes|decoding)$/.test(name)) === true &&
      value === alt.replace(/\r\n?/g, '\n').replaceAll('\0', '\ufffd')
  }), { numRuns: 2000 })
  t.end()
})

interface Node { childNodes: Node[], attrs?: { name: string, value: string }[] }
