import { symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance } from 'fastify'
import { compileString } from 'sass'
import { test, type Test } from 'tap'
import { Assets } from '../../../lib/site/assets/assets.js'
import { buildAssets } from '../../../lib/site/assets/build.js'
import { serveAssets, serveSources } from '../../../lib/site/assets/serve.js'
import { assetSite, plain, type Files } from '../../helpers/asset-site.js'
import { openPage } from '../../helpers/chromium.js'

const IMMUTABLE = 'public, max-age=31536000, immutable'
const REVALIDATED = 'public, max-age=0, must-revalidate'
const SCRIPT = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>document.documentElement.setAttribute("data-ran", "1")</script><rect width="9" height="9"/></svg>'

async function served (t: Test, files: Files, undigested: string[] = []): Promise<{ app: FastifyInstance, assets: Assets, out: string }> {
  const { source, out, cacheDir } = await assetSite(t, files)
  await buildAssets({ source, out, cacheDir, undigested })
  const assets = await Assets.load(out)
  const app = Fastify()
  await serveAssets(app, { assets, dir: out })
  t.teardown(() => app.close())
  return { app, assets, out }
}

async function developed (t: Test, files: Files): Promise<{ app: FastifyInstance, source: string }> {
  const { source } = await assetSite(t, files)
  const app = Fastify()
  await serveSources(app, { dir: source, css: { transform: (text, file) => file.endsWith('.scss') ? compileString(text).css : text } })
  t.teardown(() => app.close())
  return { app, source }
}

test('digested names are kept for a year, others are asked for again', async t => {
  const { app, assets, out } = await served(t, { 'a.txt': 'a', 'sw.js': 'console.log(1)', 'p.png': await plain(400, 20) }, ['sw.js'])
  await writeFile(path.join(out, 'old.0123456789abcdef.txt'), 'of an earlier build, or not')
  const get = async (url: string) => (await app.inject(url)).headers['cache-control']
  t.equal(await get(assets.resolve('/static/a.txt')), IMMUTABLE)
  const variants = Object.values(assets.meta('/static/p.png')?.variants ?? {}).flat()
  t.ok(variants.length > 1)
  for (const { path } of variants) t.equal(await get(path), IMMUTABLE, path)
  t.equal(await get('/static/sw.js'), REVALIDATED)
  t.equal(await get('/static/old.0123456789abcdef.txt'), REVALIDATED)
  const { statusCode } = await app.inject('/static/a.txt')
  t.equal(statusCode, 404, 'production has no other name for it')
})

test('what has not changed is not sent again, and ranges are', async t => {
  const { app, assets } = await served(t, { 'a.txt': '0123456789' })
  const url = assets.resolve('/static/a.txt')
  const { etag } = (await app.inject(url)).headers
  t.equal((await app.inject({ url, headers: { 'if-none-match': String(etag) } })).statusCode, 304)
  t.match(await app.inject({ url, headers: { range: 'bytes=2-4' } }), { statusCode: 206, body: '234' })
  t.match(await app.inject({ url, method: 'HEAD' }), { statusCode: 200, body: '' })
})

test('text is sent in the form that a browser takes', async t => {
  const { app, assets } = await served(t, { 'a.css': Array.from({ length: 300 }, (_, n) => `.a${n}{color:red}`).join('') })
  const url = assets.resolve('/static/a.css')
  for (const encoding of ['br', 'gzip']) {
    const reply = await app.inject({ url, headers: { 'accept-encoding': encoding } })
    t.match(reply.headers, { 'content-encoding': encoding, vary: /accept-encoding/i, 'cache-control': IMMUTABLE, 'content-type': /^text\/css/ })
  }
  t.notOk('content-encoding' in (await app.inject(url)).headers)
})

test('lists of files, files with dots and files outside are nobody\'s', async t => {
  const { app, out } = await served(t, { 'a.txt': 'a' })
  await writeFile(path.join(out, '.env'), 'secret')
  await writeFile(path.join(out, '../outside.txt'), 'secret')
  for (const url of ['/static/assets.json', '/static/assets_meta.json', '/static//assets.json', '/static/%61ssets.json', '/static/.env', '/static/%2eenv', '/static/../outside.txt', '/static/%2e%2e/outside.txt', '/static/..%2foutside.txt', '/static/', '/static/%', '/static/%00', '/static/a.txt%00.png']) {
    const { statusCode, body } = await app.inject(url)
    t.ok(statusCode >= 400 && statusCode < 500, `${url} ${statusCode}`)
    t.notMatch(body, /secret|a\.[0-9a-f]{16}/)
  }
})

test('names with blanks, question marks, hashes and percent signs are found under their URLs', async t => {
  const names = ['my photo.txt', 'what?.txt', 'a#b.txt', '100%.txt', 'a%20b.txt', 'grün-日本.txt', "it's (1).txt", 'a+b.txt', 'a;b&c=d.txt']
  const { app, assets } = await served(t, Object.fromEntries(names.map(name => [name, name])))
  for (const name of names) {
    const url = assets.resolve(`/static/${name}`)
    t.match(await app.inject(url), { statusCode: 200, body: name, headers: { 'cache-control': IMMUTABLE } }, url)
  }
})

test('an app may serve other files with @fastify/static of its own', async t => {
  const { source, out, cacheDir } = await assetSite(t, { 'a.txt': 'a' })
  await buildAssets({ source, out, cacheDir })
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyStatic, { root: source, prefix: '/files/' })
  await serveAssets(app, { assets: await Assets.load(out), dir: out })
  t.equal((await app.inject('/files/a.txt')).body, 'a')
})

test('an SVG that is opened by its URL runs no script, in a real browser', async t => {
  const { app, assets } = await served(t, { 'a.svg': SCRIPT })
  app.get('/unguarded.svg', async (request, reply) => await reply.type('image/svg+xml').send(SCRIPT))
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const { page } = await openPage(t)
  const hasRun = async (url: string): Promise<boolean> => {
    await page.goto(origin + url)
    // Asked of the document, not by a script in it: the policy would stop that, too.
    return await page.locator('[data-ran]').count() > 0
  }
  t.ok(await hasRun('/unguarded.svg'), 'it would')
  t.notOk(await hasRun(assets.resolve('/static/a.svg')))
})

test('a page shows all forms of its images, in a real browser', async t => {
  const { app, assets } = await served(t, { 'my photo.png': await plain(500, 250), 'i.svg': SCRIPT })
  app.get('/', async (request, reply) => await reply.type('text/html').send(`<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${assets.image({ src: '/static/my photo.png', alt: 'A', sizes: '300px' })}${assets.image({ src: '/static/i.svg', alt: 'B' })}`))
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const { page, errors } = await openPage(t)
  await page.goto(origin, { waitUntil: 'load' })
  const images = await page.evaluate(() => [...document.images].map(image => ({ isLoaded: image.complete && image.naturalWidth > 0, src: image.currentSrc, width: image.width })))
  t.same(images.map(image => image.isLoaded), [true, true])
  t.match(images[0], { src: /my%20photo\.(?:w360\.)?[0-9a-f]{16}\.(?:webp|png)$/, width: 500 })
  t.same(errors, [])
})

test('in development files are served under their own names, and revalidated', async t => {
  const { app, source } = await developed(t, { 'img/a.png': await plain(20, 10), 'doc/a b.txt': 'text' })
  t.match(await app.inject('/static/doc/a%20b.txt'), { statusCode: 200, body: 'text', headers: { 'cache-control': REVALIDATED } })
  await writeFile(path.join(source, 'doc/a b.txt'), 'changed')
  t.equal((await app.inject('/static/doc/a%20b.txt')).body, 'changed')
  t.match((await app.inject('/static/img/a.png')).headers, { 'content-type': 'image/png', 'x-content-type-options': 'nosniff' })
})

test('in development style sheets and scripts are made when they are asked for', async t => {
  const { app, source } = await developed(t, {
    'css/app.scss': '.a { .b { background: url(../img/a.png) } }',
    'css/_part.css': 'b{}',
    'css/plain.css': '@import "/static/css/_part.css";',
    'js/app.ts': 'const n: number = 1; console.log(n)',
    'img/a.png': await plain(20, 10)
  })
  const css = await app.inject('/static/css/app.css?v=1')
  t.match(css, { statusCode: 200, headers: { 'content-type': /^text\/css/, 'cache-control': REVALIDATED } })
  t.match(css.body, /\.a \.b \{\s+background: url\(\/static\/img\/a\.png\);/)
  t.match(await app.inject('/static/js/app.js'), { statusCode: 200, headers: { 'content-type': /^text\/javascript/ }, body: /const n = 1|n = 1/ })
  t.match((await app.inject('/static/css/plain.css')).body, /b \{/)
  t.equal((await app.inject('/static/css/_part.css')).statusCode, 404)
  await writeFile(path.join(source, 'css/plain.css'), 'a { background: url(gone.png) }')
  t.match(await app.inject('/static/css/plain.css'), { statusCode: 500, body: /plain\.css:1:\d+: there is no asset 'gone\.png'/ })
})

test('in development nothing outside of the folder is served, whatever links say', async t => {
  const { app, source } = await developed(t, { 'a.txt': 'a', '.env': 'secret' })
  await writeFile(path.join(source, '../outside.txt'), 'secret')
  await symlink('../outside.txt', path.join(source, 'link.txt'))
  await symlink('a.txt', path.join(source, 'inside.txt'))
  await symlink('..', path.join(source, 'up'))
  for (const url of ['/static/link.txt', '/static/up/outside.txt', '/static/.env', '/static/..%2foutside.txt', '/static/%2e%2e/outside.txt']) {
    const { statusCode, body } = await app.inject(url)
    t.ok(statusCode >= 400 && statusCode < 500, `${url} ${statusCode}`)
    t.notMatch(body, /secret/)
  }
  t.equal((await app.inject('/static/inside.txt')).body, 'a')
})
