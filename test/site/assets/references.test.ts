import { test } from 'tap'
import { buildAssets } from '../../../lib/site/assets/build.js'
import { assetSite, plain } from '../../helpers/asset-site.js'

const png = await plain(20, 10)

test('new URL(…, import.meta.url) leads to the digested name, from whichever module says it', async t => {
  const site = await assetSite(t, {
    'js/app.js': 'import { logo } from "./parts/_logo.js"; console.log(logo, new URL("../img/a%20b.png?x#y", import.meta.url), new URL("https://example.com/x.png", import.meta.url), new URL("/api", import.meta.url))',
    'js/parts/_logo.ts': "export const logo: string = new URL( '../../img/a b.png' , import.meta.url ).href",
    'img/a b.png': png
  })
  const { source, out, cacheDir } = site
  const { assets } = await buildAssets({ source, out, cacheDir })
  const url = assets['/static/img/a b.png'] ?? ''
  const script = [...await site.built()].find(([name]) => name.startsWith('js/app.'))?.[1].toString() ?? ''
  t.ok(script.includes(`new URL("${url}",import.meta.url)`), script)
  t.ok(script.includes(`new URL("${url}?x#y",import.meta.url)`), script)
  for (const kept of ['new URL("https://example.com/x.png",import.meta.url)', 'new URL("/api",import.meta.url)']) t.ok(script.includes(kept), script)
})

test('a worker is named by a URL that lasts, and the build says so', async t => {
  const { source, out, cacheDir, built } = await assetSite(t, { 'js/app.js': 'const n = 1\nnew Worker(new URL("./worker.js", import.meta.url))', 'js/worker.ts': 'postMessage(1)' })
  await t.rejects(buildAssets({ source, out, cacheDir }), { code: 'FST_ISR_ERR_SITE_BUNDLE', message: /^js\/app\.js:2:20: '\.\/worker\.js' is a script.*'undigested'/ })
  await buildAssets({ source, out, cacheDir, undigested: ['js/worker.js'] })
  const script = [...await built()].find(([name]) => name.startsWith('js/app.'))?.[1].toString() ?? ''
  t.match(script, 'new URL("/static/js/worker.js",import.meta.url)')
})

test('what new URL() names has to be there', async t => {
  const { source, out, cacheDir } = await assetSite(t, { 'js/app.js': 'console.log(new URL("../img/gone.png", import.meta.url))' })
  await t.rejects(buildAssets({ source, out, cacheDir }), { code: 'FST_ISR_ERR_SITE_BUNDLE', message: /^js\/app\.js:1:21: there is no asset '\.\.\/img\/gone\.png'/ })
})

test('Sass without a transform is refused with the option that is missing', async t => {
  const { source, out, cacheDir } = await assetSite(t, { 'css/app.scss': '$a: red; b { color: $a }' })
  await t.rejects(buildAssets({ source, out, cacheDir }), { code: 'FST_ISR_ERR_SITE_BUNDLE', message: /css\/app\.scss.*set the option 'css\.transform'/ })
})

test('a string in image-set() is refused, for nothing would look it up', async t => {
  const { source, out, cacheDir, write } = await assetSite(t, { 'css/app.css': 'a { background: image-set("../img/a.png" 1x, url(../img/a.png) 2x) }', 'img/a.png': png })
  await t.rejects(buildAssets({ source, out, cacheDir }), { code: 'FST_ISR_ERR_SITE_BUNDLE', message: /^css\/app\.css: image-set\(\) names '\.\.\/img\/a\.png'.*url\('\.\.\/img\/a\.png'\)/ })
  await write({ 'css/app.css': 'a { background: image-set(url("../img/a.png") type("image/png") 1x, "https://example.com/x.png" 2x) } b::after { content: "image-set(x)" }' })
  await buildAssets({ source, out, cacheDir })
})
