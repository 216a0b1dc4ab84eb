import { existsSync } from 'node:fs'
import { mkdir, rm, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { compileString } from 'sass'
import sharp from 'sharp'
import { test } from 'tap'
import { digestOf } from '../../../lib/site/assets/asset-path.js'
import { buildAssets } from '../../../lib/site/assets/build.js'
import { imageSize } from '../../../lib/site/assets/image-size/index.js'
import type { ImageVariant, Manifest, ManifestMeta } from '../../../lib/site/assets/manifest.js'
import { assetSite, filesBelow, photo, plain, screenshot, type AssetSite } from '../../helpers/asset-site.js'

const build = async ({ source, out, cacheDir }: AssetSite, options: Partial<Parameters<typeof buildAssets>[0]> = {}) =>
  await buildAssets({ source, out, cacheDir, ...options })

const fileOf = (url: string): string => decodeURIComponent(url).replace('/static/', '')

const longCss = (colour: string): string => Array.from({ length: 99 }, (_, n) => `.c${n} { width: ${n}px; color: ${colour} }`).join('\n')

test('every file gets a name that tells its content, and the manifest says which', async t => {
  const site = await assetSite(t, { 'css/app.css': 'a { color: red }', 'js/app.js': 'console.log(1)', 'img/a.png': await plain(20, 10), 'doc/a.pdf': '%PDF', LICENSE: 'MIT' })
  await build(site)
  const manifest = await site.builtJson<Manifest>('assets.json')
  t.same(Object.keys(manifest), ['/static/LICENSE', '/static/css/app.css', '/static/doc/a.pdf', '/static/img/a.png', '/static/js/app.js'])
  t.match(manifest['/static/css/app.css'], /^\/static\/css\/app\.[0-9a-f]{16}\.css$/)
  t.match(manifest['/static/LICENSE'], /^\/static\/LICENSE\.[0-9a-f]{16}$/)
  const built = await site.built()
  for (const url of Object.values(manifest)) {
    const bytes = built.get(fileOf(url)) ?? Buffer.alloc(0)
    t.ok(url.includes(digestOf(bytes)), url)
  }
})

test('style sheets refer to digested names, by absolute paths as well as relative ones', async t => {
  const site = await assetSite(t, {
    'css/app.css': '@import "./_reset.css"; @import "/static/css/_fonts.css"; .a { background: url(/static/img/a.png) } .b { background: url("../img/a.png") } .c { mask: url(/static/img/i.svg#star) } .d { filter: url(#blur); background: url(data:image/gif;base64,R0lGODlhAQABAAAAACw=) } .e { background: url(https://example.com/x.png) } .f { background: url(/media/photo) }',
    'css/_reset.css': '* { margin: 0 }',
    'css/_fonts.css': '@font-face { font-family: F; src: url(/static/font/f.woff2?#iefix) }',
    'font/f.woff2': 'font',
    'img/a.png': await plain(20, 10),
    'img/i.svg': '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
  })
  const { assets } = await build(site)
  const css = (await site.built()).get(fileOf(assets['/static/css/app.css'] ?? ''))?.toString() ?? ''
  t.equal(css.split(`url(${assets['/static/img/a.png']})`).length, 3, css)
  t.ok(css.includes(`url(${assets['/static/img/i.svg']}#star)`), css)
  t.ok(css.includes(`url(${assets['/static/font/f.woff2']}?#iefix)`), css)
  for (const kept of ['url(#blur)', 'url(data:image/gif', 'url(https://example.com/x.png)', 'url(/media/photo)', 'margin:0']) t.ok(css.includes(kept), kept)
  t.notOk('/static/css/_reset.css' in assets)
})

test('scripts are bundled with what they import, and get URLs of images', async t => {
  const site = await assetSite(t, {
    'js/app.ts': 'import { n } from "./_n.js"; import logo from "../img/a.png"; import { two } from "/static/js/two.js"; const x: number = n; console.log(x, logo, two)',
    'js/_n.ts': 'export const n: number = 41 + 1',
    'js/two.js': 'export const two = "zwei"',
    'js/lib.mjs': 'export default 1',
    'js/types.d.ts': 'export type A = 1',
    'img/a.png': await plain(20, 10)
  })
  const { assets } = await build(site)
  t.same(Object.keys(assets).filter(name => name.includes('/js/')).sort(), ['/static/js/app.js', '/static/js/lib.mjs', '/static/js/two.js'])
  const script = (await site.built()).get(fileOf(assets['/static/js/app.js'] ?? ''))?.toString() ?? ''
  t.match(script, /42/)
  t.match(script, /zwei/)
  t.ok(script.includes(`"${assets['/static/img/a.png']}"`), script)
})

test('a change of an image changes the name of the style sheet that shows it', async t => {
  const site = await assetSite(t, { 'app.css': 'a { background: url(a.png) }', 'a.png': await plain(20, 10) })
  const before = await build(site)
  await site.write({ 'a.png': await plain(20, 10, 'png', '#c00') })
  const after = await build(site)
  t.not(after.assets['/static/a.png'], before.assets['/static/a.png'])
  t.not(after.assets['/static/app.css'], before.assets['/static/app.css'])
})

test('a photo gets variants for all narrower widths, as JPEG and as WebP', async t => {
  const site = await assetSite(t, { 'img/p.jpg': await photo(700, 400) })
  await build(site)
  const meta = (await site.builtJson<ManifestMeta>('assets_meta.json'))['/static/img/p.jpg']
  t.match(meta, { width: 700, height: 400 })
  t.same(meta?.variants.fallback.map(one => one.width), [360, 480, 640, 700])
  t.same(meta?.variants.webp?.map(one => one.width), [360, 480, 640, 700])
  t.notOk(meta?.variants.avif)
  const built = await site.built()
  for (const [format, variants] of Object.entries(meta?.variants ?? {}) as [string, ImageVariant[]][]) {
    for (const { path, width, bytes } of variants) {
      const file = built.get(fileOf(path))
      t.match(imageSize(file ?? Buffer.alloc(0)), { width, type: format === 'webp' ? 'webp' : 'jpeg' }, path)
      t.equal(file?.length, bytes)
    }
  }
  t.ok((meta?.variants.webp?.at(-1)?.bytes ?? Infinity) < (meta?.variants.fallback.at(-1)?.bytes ?? 0))
})

test('variants of a screenshot that weigh more than wider ones are left out', async t => {
  const site = await assetSite(t, { 'shot.png': await screenshot(800, 400) })
  const { files } = await build(site)
  const { fallback, webp } = (await site.builtJson<ManifestMeta>('assets_meta.json'))['/static/shot.png']?.variants ?? { fallback: [] }
  t.ok(fallback.length + (webp?.length ?? 0) < 12, 'some of 6 widths in 2 formats are gone')
  for (const list of [fallback, webp ?? []]) t.same(list.map(one => one.bytes), list.map(one => one.bytes).toSorted((a, b) => a - b))
  t.equal(files, fallback.length + (webp?.length ?? 0), 'and are not written either')
})

test('widths and formats are options, and an image is never enlarged', async t => {
  const site = await assetSite(t, { 'p.jpg': await photo(200, 100), 'q.jpg': await photo(90, 50) })
  await build(site, { widths: [150, 100, 100], formats: ['webp', 'avif'] })
  const meta = await site.builtJson<ManifestMeta>('assets_meta.json')
  t.same(meta['/static/p.jpg']?.variants.fallback.map(one => one.width), [100, 150, 200])
  t.same(meta['/static/p.jpg']?.variants.avif?.map(one => one.width), [100, 150, 200])
  t.same(meta['/static/q.jpg']?.variants.fallback.map(one => one.width), [90])
})

test('a photo that lies on its side is upright in its size and its variants', async t => {
  const sideways = await sharp(await photo(400, 300)).withMetadata({ orientation: 6 }).jpeg().toBuffer()
  const site = await assetSite(t, { 'p.jpg': sideways })
  await build(site, { widths: [150] })
  const meta = (await site.builtJson<ManifestMeta>('assets_meta.json'))['/static/p.jpg']
  t.match(meta, { width: 300, height: 400 })
  const narrow = (await site.built()).get(fileOf(meta?.variants.fallback[0]?.path ?? ''))
  t.match(imageSize(narrow ?? Buffer.alloc(0)), { width: 150, height: 200 })
})

test('films, GIFs, WebP and SVG stay what they are, and have a size', async t => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 350"/>'
  const site = await assetSite(t, { 'a.gif': await plain(700, 350, 'gif'), 'b.webp': await plain(700, 350, 'webp'), 'c.avif': await plain(700, 350, 'avif'), 'd.svg': svg })
  await build(site)
  for (const [name, meta] of Object.entries(await site.builtJson<ManifestMeta>('assets_meta.json'))) {
    t.match(meta, { width: 700, height: 350 }, name)
    t.same(Object.values(meta.variants).flat().map(one => one.path), [meta.path], name)
  }
})

test('images that differ in their extension alone have variants of their own', async t => {
  const site = await assetSite(t, { 'a.png': await photo(200, 100, 'png'), 'a.jpg': await photo(210, 90) })
  await build(site, { widths: [100] })
  const meta = await site.builtJson<ManifestMeta>('assets_meta.json')
  const built = await site.built()
  const heights = (name: string): number[] => Object.values(meta[name]?.variants ?? {}).flat().map(one => Math.round(one.width * 100 / (imageSize(built.get(fileOf(one.path)) ?? Buffer.alloc(0))?.height ?? 0)))
  t.ok(heights('/static/a.png').every(ratio => ratio === 200))
  t.ok(heights('/static/a.jpg').every(ratio => ratio > 225))
})

test('names may contain whatever a file system allows', async t => {
  const names = ['my photo.png', 'what?.png', 'a#b.png', '100%.png', 'a%20b.png', 'grün-日本.png', "it's (1).png", 'a,b.png', 'e\u0301.png']
  const site = await assetSite(t, {
    ...Object.fromEntries(await Promise.all(names.map(async (name, index) => [name, await plain(10 + index, 10)]))),
    'app.css': names.filter(name => !/[#?%]/.test(name)).map((name, index) => `.a${index} { background: url("${name}") }`).join('\n') + '.x { background: url(what%3F.png) } .y { background: url("100%.png") }'
  })
  const { assets } = await build(site)
  const built = await site.built()
  for (const name of names) {
    const url = assets[`/static/${name.normalize()}`] ?? ''
    t.match(url, /^[\w/.~!'()*%,-]+$/, name)
    t.ok(built.has(fileOf(url)), url)
  }
})

test('text is there in compressed forms, where they are smaller', async t => {
  const site = await assetSite(t, { 'a.json': JSON.stringify(Array(500).fill('text')), 'b.txt': 'short', 'c.bin': 'x'.repeat(5000), 'd.css': longCss('red') })
  const { assets } = await build(site)
  const built = await site.built()
  for (const name of ['/static/a.json', '/static/d.css']) {
    const file = fileOf(assets[name] ?? '')
    t.same(brotliDecompressSync(built.get(`${file}.br`) ?? ''), built.get(file))
    t.same(gunzipSync(built.get(`${file}.gz`) ?? ''), built.get(file))
  }
  t.equal([...built.keys()].filter(name => /\.(br|gz)$/.test(name)).length, 4)
})

test('equal sources give equal bytes, in any folder and without what is known from before', async t => {
  const files = { 'css/app.css': 'a { background: url(../b.png) }', 'b.png': await photo(150, 80, 'png'), 'c.jpg': await photo(400, 200), 'd.js': 'import x from "./b.png"; console.log(x)', 'e.svg': `<svg width="3" height="3">${'<g/>'.repeat(300)}</svg>` }
  const one = await assetSite(t, files)
  const two = await assetSite({ testdir: () => `${one.folder}/elsewhere` }, files)
  await build(one)
  await build(two)
  t.same(await two.built(), await one.built())
})

test('a second build of the same does no slow step and writes no file', async t => {
  const site = await assetSite(t, { 'app.css': longCss('red'), 'p.jpg': await photo(400, 200) })
  const first = await build(site)
  t.match(first, { reused: 0, written: first.files })
  t.match(await build(site), { made: 0, reused: first.made, written: 0, removed: 0 })
  await site.write({ 'q.png': await plain(20, 20) })
  const third = await build(site)
  t.match(third, { reused: first.made, written: third.files - first.files })
})

test('a result of a slow step that is damaged is made again', async t => {
  const site = await assetSite(t, { 'p.jpg': await photo(400, 200) })
  await build(site)
  const before = await site.built()
  for (const [name, bytes] of await filesBelow(site.cacheDir)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    await writeFile(path.join(site.cacheDir, name), bytes)
  }
  t.match(await build(site), { reused: 0, written: 0 })
  t.same(await site.built(), before)
})

test('files of the last build stay for a while, and then go', async t => {
  const site = await assetSite(t, { 'app.css': longCss('red'), 'sub/gone.txt': 'x' })
  const before = await build(site)
  await site.write({ 'app.css': 'a { color: blue }' })
  await rm(path.join(site.source, 'sub'), { recursive: true })
  const old = fileOf(before.assets['/static/app.css'] ?? '')
  t.match(await build(site), { removed: 0 })
  t.ok((await site.built()).has(old))

  const longAgo = new Date(Date.now() - 8 * 24 * 3600_000)
  for (const name of (await site.built()).keys()) await utimes(path.join(site.out, name), longAgo, longAgo)
  t.match(await build(site), { written: 0, removed: 4 }, 'the style sheet, its two compressed forms and the text')
  const { assets } = await build(site)
  t.same([...(await site.built()).keys()], ['assets.json', 'assets_meta.json', fileOf(assets['/static/app.css'] ?? '')].sort())
  t.notOk(existsSync(path.join(site.out, 'sub')))
})

test('a build removes nothing that is not its own', async t => {
  const site = await assetSite(t, { 'a.txt': 'a' })
  await mkdir(site.out, { recursive: true })
  const foreign = ['index.html', 'mine.0123456789abcdef.txt', 'mine.css.br', '.env']
  const longAgo = new Date(0)
  for (const name of foreign) {
    await writeFile(path.join(site.out, name), 'mine')
    await utimes(path.join(site.out, name), longAgo, longAgo)
  }
  t.match(await build(site, { keep: 0 }), { removed: 0 })
  for (const name of foreign) t.equal((await site.built()).get(name)?.toString(), 'mine', name)
})

test('some names may stay as they are, and go when their file is gone', async t => {
  const site = await assetSite(t, { 'js/sw.js': 'console.log(1)', 'robots.txt': 'x'.repeat(999) })
  const { assets } = await build(site, { undigested: ['js/sw.js', 'robots.txt'] })
  t.same(assets, { '/static/js/sw.js': '/static/js/sw.js', '/static/robots.txt': '/static/robots.txt' })
  t.same([...(await site.built()).keys()], ['assets.json', 'assets_meta.json', 'js/sw.js', 'robots.txt'])
  await site.write({ 'robots.txt': 'y' })
  await build(site, { undigested: ['robots.txt'] })
  const built = await site.built()
  t.equal(built.get('robots.txt')?.toString(), 'y')
  t.notOk(built.has('js/sw.js'))
  await t.rejects(build(site, { undigested: ['robot.txt'] }), { code: 'FST_ISR_ERR_INVALID_OPTION', message: /'robot\.txt', which there is not/ })
})

test('a file whose name ends like one of them is not taken for it', async t => {
  const site = await assetSite(t, { 'js/sw.js': 'console.log(1)' })
  await build(site, { undigested: ['js/sw.js'] })
  await writeFile(path.join(site.out, 'sw.js'), 'mine')
  t.match(await build(site, { undigested: ['js/sw.js'] }), { removed: 0 })
  t.equal((await site.built()).get('sw.js')?.toString(), 'mine')
})

test('an image with a side that no WebP can have keeps its own format', async t => {
  const site = await assetSite(t, { 'tall.png': await plain(400, 16_384), 'wide.jpg': await plain(17_000, 4, 'jpeg') })
  await build(site, { formats: ['webp', 'avif'] })
  for (const { variants } of Object.values(await site.builtJson<ManifestMeta>('assets_meta.json'))) t.same(Object.keys(variants), ['fallback'])
})

test('css.transform makes CSS of Sass before references are looked up', async t => {
  const site = await assetSite(t, {
    'css/app.scss': '@use "colours"; .a { .b { color: colours.$red; background: url(../img/a.png) } }',
    'css/_colours.scss': '$red: #c00;',
    'img/a.png': await plain(20, 10)
  })
  const seen: string[] = []
  const { assets } = await build(site, {
    css: {
      transform: (source, file) => {
        seen.push(path.relative(site.source, file))
        return compileString(source, { loadPaths: [path.dirname(file)] }).css
      }
    }
  })
  t.same(seen, ['css/app.scss'])
  const css = (await site.built()).get(fileOf(assets['/static/css/app.css'] ?? ''))?.toString() ?? ''
  t.equal(css, `.a .b{color:#c00;background:url(${assets['/static/img/a.png']})}\n`)
})

test('another prefix is one for names and URLs', async t => {
  const site = await assetSite(t, { 'a.css': 'a { background: url(/docs/assets/b.png) }', 'b.png': await plain(9, 9) })
  const { assets } = await build(site, { prefix: '/docs/assets/' })
  t.match(assets, { '/docs/assets/b.png': /^\/docs\/assets\/b\.[0-9a-f]{16}\.png$/ })
})

test('a folder without assets gives a build without any, and needs no tool', async t => {
  const site = await assetSite(t, { '.DS_Store': 'x', '.git/config': 'x' })
  t.match(await build(site), { files: 0, assets: {} })
  t.same(await site.builtJson('assets.json'), {})
})

test('so does no folder', async t => {
  const site = await assetSite(t, { 'a.txt': 'a' })
  await build(site)
  await rm(site.source, { recursive: true })
  t.match(await build(site, { keep: 0 }), { files: 0, assets: {} })
  t.same(await site.builtJson('assets.json'), {})
})
