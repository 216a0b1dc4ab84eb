// Defects 11 to 17 of the blog engine that came before; the first ten are in predecessor-defects.test.ts.
import { mkdirSync, readdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import fastifyBasicAuth from '@fastify/basic-auth'
import t, { type Test } from 'tap'
import { sameOrigin } from '../../example-app/same-origin.js'
import { buildAssets } from '../../lib/site/assets/build.js'
import type { SiteOptions } from '../../lib/site/index.js'
import { assetSite, plain, type Files } from '../helpers/asset-site.js'
import { ERROR, TestClock } from '../helpers/app.js'
import { openStream } from '../helpers/event-stream.js'
import { eventually, startSite, type FileSite } from '../helpers/site.js'

const POSTS = { dir: 'content/blog', url: ({ slug }: { slug: string }): string => `/blog/${slug}`, schema: { title: 'text', date: 'date', tags: 'list', weight: 'number' } } as const
const IMMUTABLE = /immutable/
const PAGES = { 'pages/index.html': 'home' }

const text = async ({ raw }: FileSite, target: string): Promise<string> => (await raw(target)).body.toString()

/** A site whose assets are built. */
async function withAssets (t: Test, assets: Files, pages: Record<string, string> = PAGES): Promise<FileSite & { url: (path: string) => string, rebuild: (keep?: number) => Promise<void>, names: () => string[], writeAssets: (files: Files) => Promise<void>, source: string, out: string }> {
  const { source, out, cacheDir, write: writeAssets } = await assetSite(t, assets)
  const rebuild = async (keep = 604_800): Promise<void> => { await buildAssets({ source, out, cacheDir, keep }) }
  await rebuild()
  const site = await startSite(t, pages, { site: { static: { dir: out } } })
  return { ...site, source, out, rebuild, writeAssets, url: path => site.app.site.asset(path), names: () => readdirSync(out, { recursive: true }).map(String) }
}

t.test('11. assets', async (t) => {
  t.test('only names that tell their content are immutable, and the lists of files are nobody\'s', async (t) => {
    const site = await withAssets(t, { 'css/app.css': 'a { color: red }', 'robots.pdf': '%PDF' })
    t.match((await site.raw(site.url('/static/css/app.css'))).headers['cache-control'], IMMUTABLE)
    for (const target of ['/static/css/app.css', '/static/robots.pdf', '/static/assets.json', '/static/assets_meta.json', '/static/%61ssets.json']) {
      const { status, headers } = await site.raw(target)
      t.equal(status, 404, target)
      t.notMatch(headers['cache-control'] ?? '', IMMUTABLE, target)
    }
    // It looks like a digest, but no build has made it.
    writeFileSync(path.join(site.out, 'img.0123456789abcdef.svg'), '<svg/>')
    t.match(await site.raw('/static/img.0123456789abcdef.svg'), { status: 200, headers: { 'cache-control': 'public, max-age=0, must-revalidate' } })
  })

  t.test('url() of style sheets and imports of scripts lead to digested names', async (t) => {
    const site = await withAssets(t, {
      'css/app.css': '@import "./_more.css"; a { background: url(../img/a.png) }',
      'css/_more.css': '@font-face { font-family: f; src: url(/static/f.woff2) }',
      'js/app.js': 'import { n } from "./n.js"; import logo from "../img/a.png"; console.log(n, logo)',
      'js/n.js': 'export const n = "imported"',
      'img/a.png': await plain(9, 9),
      'f.woff2': 'font'
    })
    const css = await text(site, site.url('/static/css/app.css'))
    for (const name of ['/static/img/a.png', '/static/f.woff2']) {
      t.ok(css.includes(site.url(name)), name)
      t.equal((await site.raw(site.url(name))).status, 200)
    }
    const script = await text(site, site.url('/static/js/app.js'))
    t.match(script, 'imported')
    t.ok(script.includes(site.url('/static/img/a.png')))
    t.notMatch(script, /n\.js/)
  })

  t.test('fonts, JSON, PDF and text can be referred to', async (t) => {
    const names = ['f.woff2', 'data.json', 'paper.pdf', 'notes.txt']
    const site = await withAssets(t, Object.fromEntries(names.map(name => [name, `of ${name}`])), { 'pages/index.html': names.map(name => `<a href="{{+ /static/${name}}}"></a>`).join('') })
    const links = [...(await text(site, '/')).matchAll(/href="([^"]+)"/g)].map(([, link = '']) => link)
    t.same(await Promise.all(links.map(async link => await text(site, link))), names.map(name => `of ${name}`))
    for (const link of links) t.match(link, /\.[0-9a-f]{16}\.\w+$/)
  })

  t.test('old hashes and files that are removed do not pile up', async (t) => {
    const site = await withAssets(t, { 'a.css': 'a { color: red }', 'gone.txt': 'gone' })
    const old = path.basename(site.url('/static/a.css'))
    await site.writeAssets({ 'a.css': 'a { color: blue }' })
    unlinkSync(path.join(site.source, 'gone.txt'))
    await site.rebuild()
    t.ok(site.names().includes(old), 'pages in caches elsewhere still refer to it')
    await site.rebuild(0)
    t.same(site.names().filter(name => /gone/.test(name) || name.includes(old)), [])
  })

  t.test('a.png and a.jpg do not collide', async (t) => {
    const site = await withAssets(t, { 'a.png': await plain(500, 20, 'png', '#f00'), 'a.jpg': await plain(500, 20, 'jpeg', '#00f') }, {
      'pages/index.html': '<% img src="/static/a.png" alt="red" %/><% img src="/static/a.jpg" alt="blue" %/>'
    })
    const [red = '', blue = ''] = (await text(site, '/')).split(/(?<=<\/picture>)/)
    const urls = (markup: string): string[] => [...markup.matchAll(/\/static\/[^ ",]+/g)].map(([url]) => url)
    t.ok(urls(red).length > 1)
    t.same(urls(red).filter(url => urls(blue).includes(url)), [])
    for (const url of [...urls(red), ...urls(blue)]) t.equal((await site.raw(url)).status, 200, url)
  })
})

t.test('12. pages and assets are compressed beforehand; HTML has a validator', async (t) => {
  const long = '<p>long</p>'.repeat(500)
  const site = await withAssets(t, { 'a.css': Array.from({ length: 300 }, (_, nth) => `.a${nth} { color: red }`).join('') }, { 'pages/index.html': long })
  for (const target of ['/', '/', site.url('/static/a.css')]) await site.raw(target)
  for (const [encoding, decode] of [['br', brotliDecompressSync], ['gzip', gunzipSync]] as const) {
    const page = await site.raw('/', [`Accept-Encoding: ${encoding}`])
    t.match(page.headers, { 'content-encoding': encoding, vary: /accept-encoding/i, 'cache-status': /hit/ })
    t.equal(decode(page.body).toString(), long)
    t.equal((await site.raw(site.url('/static/a.css'), [`Accept-Encoding: ${encoding}`])).headers['content-encoding'], encoding)
    const again = await site.raw('/', [`Accept-Encoding: ${encoding}`, `If-None-Match: ${page.headers['etag']}`])
    t.match([again.status, again.body.length], [304, 0])
  }
})

t.test('13. live reload', async (t) => {
  t.test('there is none in production, under any name', async (t) => {
    const site = await startSite(t, { 'pages/index.html': 'home<% generated_livereload_script.html %/>' })
    t.equal(await text(site, '/'), 'home')
    for (const target of ['/live-reload', '/__dev/events', '/__dev/client.js', '/__dev/']) {
      for (let nth = 0; nth < 3; nth++) t.equal((await site.raw(target)).status, 404, target)
    }
    t.same(site.logs.filter(({ level }) => level >= ERROR), [])
  })

  t.test('a file that is saved in several steps is one event, and paths that only look alike are none', async (t) => {
    const site = await startSite(t, { 'pages/index.html': '<% header.html %/><link rel="stylesheet" href="{{+ /static/app.css}}">', 'partials/header.html': 'old', 'assets/app.css': 'a {}' }, { isr: { enabled: false }, site: { dev: true, static: {} } })
    await text(site, '/')
    const stream = await openStream(t, `http://127.0.0.1:${site.port}/__dev/events?page=/&state=new`, { host: `localhost:${site.port}` })
    const { id, event } = await stream.next()
    t.equal(event, 'hello')
    const header = path.join(site.root, 'partials/header.html')
    // As vim saves: the old file becomes a backup, a new one is written, the backup goes.
    renameSync(header, `${header}~`)
    writeFileSync(header, 'n')
    writeFileSync(header, 'new')
    unlinkSync(`${header}~`)
    t.match(await stream.next(), { event: 'reload' })
    for (const folder of ['partials-old', 'my/partials']) {
      mkdirSync(path.join(site.root, folder), { recursive: true })
      writeFileSync(path.join(site.root, folder, 'header.html'), 'of another folder')
    }
    site.write('assets/app.css', 'b {}')
    t.match(await stream.next(), { event: 'css' }, 'no second reload, and none for the others')
    t.equal(await text(site, '/'), 'new<link rel="stylesheet" href="/static/app.css">')

    // Browsers that find another server reload: its events have another name.
    const restarted = await startSite(t, { 'pages/index.html': 'home' }, { isr: { enabled: false }, site: { dev: true } })
    const other = await openStream(t, `http://127.0.0.1:${restarted.port}/__dev/events?page=/&since=${id}&state=kept`, { host: `localhost:${restarted.port}` })
    t.not((await other.next()).id.split('.')[0], id.split('.')[0])
  })
})

t.test('14. assets are known at the first request; what is not there is not assumed', async (t) => {
  t.test('the first requests after the start get digested names', async (t) => {
    const { source, out, cacheDir } = await assetSite(t, { 'a.css': 'a {}', 'a.png': await plain(500, 20) })
    await buildAssets({ source, out, cacheDir })
    const site = await startSite(t, { 'pages/index.html': '<link href="{{+ /static/a.css}}"><% img src="/static/a.png" alt="" %/>' }, { site: { static: { dir: out } } })
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await text(site, '/')))
    for (const answer of answers) t.match(answer, /href="\/static\/a\.[0-9a-f]{16}\.css".*src="\/static\/a\.[0-9a-f]{16}\.png" alt="" width="500" height="20"/)
  })

  t.test('in development an image is sent in no form that nobody has made', async (t) => {
    const site = await startSite(t, { 'pages/index.html': '<% img src="/static/a.png" alt="" %/>', 'assets/x.txt': 'x' }, { isr: { enabled: false }, site: { dev: true, static: {} } })
    writeFileSync(path.join(site.root, 'assets/a.png'), await plain(500, 20))
    const markup = await text(site, '/')
    t.notMatch(markup, /webp|srcset/)
    t.match(markup, 'width="500" height="20"')
    t.equal((await site.raw('/static/a.png')).status, 200)
  })
})

t.test('15. errors have file, line and lines around it in the log, and nothing of it for the visitor; no item is dropped in silence', async (t) => {
  const site = await startSite(t, {
    'pages/index.html': '<h1>Posts</h1>\n<% each of="posts" as="post" %>\n<li>{{= post.title | loud}}</li>\n<%/ each %>',
    'content/blog/good.md': '---\ntitle: good\n---\n',
    'content/blog/bad.md': '---\ntitle: bad\n---\n',
    'content/blog/worse.md': '---\ntitle: worse\ndate: soon\n---\n'
  }, { site: { collections: { posts: POSTS }, filters: { loud (value) { if (value === 'bad') throw new Error('too loud'); return value } } } })
  t.ok(site.logs.some(({ level, msg }) => level >= ERROR && /content\/blog\/worse\.md:3/.test(msg)), 'an item that can not be read')
  const { status, body } = await site.raw('/')
  t.equal(status, 500)
  t.notMatch(body.toString(), /loud|pages\/|good/)
  t.match(site.logs.find(({ msg }) => msg.includes('could not be rendered')), { level: ERROR, file: 'pages/index.html', line: 3, frame: /> 3 \| <li>/, msg: /too loud/ })
})

t.test('16. content', async (t) => {
  const site = async (files: Record<string, string>, options: Partial<SiteOptions> = {}, clock = new TestClock()): Promise<FileSite> =>
    await startSite(t, { ...PAGES, ...files }, { clock, site: { baseUrl: 'https://example.com', collections: { posts: POSTS }, feed: { collection: 'posts', title: 'News' }, ...options } })

  t.test('front matter: CRLF, lists, quotes, several lines, types', async () => {
    const { app } = await site({
      'content/blog/a.md': '---\r\ntitle: "A: \\"quoted\\""\r\ndate: 2022-01-02\r\ntags: [x, "y, z"]\r\nweight: 7\r\nowner:\r\n  - one\r\n  - two\r\nsummary: |\r\n  First\r\n  second\r\nurgent: true\r\n---\r\nText\r\n'
    })
    t.match(app.site.collection('posts').bySlug('a'), {
      title: 'A: "quoted"', date: new Date('2022-01-02'), tags: ['x', 'y, z'], weight: 7, owner: ['one', 'two'], summary: /^First\nsecond\n?$/, urgent: true
    })
  })

  t.test('a feed, tags, and pages of lists', async () => {
    const all = await site(Object.fromEntries(Array.from({ length: 5 }, (_, nth) => [`content/blog/p${nth}.md`, `---\ntitle: P${nth}\ndate: 2022-01-0${nth + 1}\ntags: [t${nth % 2}]\n---\n`])))
    const posts = all.app.site.collection('posts')
    t.same([...(await text(all, '/feed.xml')).matchAll(/<title>(P\d)<\/title>/g)].map(([, title]) => title), ['P4', 'P3', 'P2', 'P1', 'P0'])
    t.same(posts.tags(), ['t0', 't1'])
    t.same(posts.tag('t1').map(({ title }) => title), ['P3', 'P1'])
    t.match(posts.page(2, 2), { items: [{ title: 'P2' }, { title: 'P1' }], pages: 3, total: 5 })
  })

  t.test('drafts stay hidden, and a post of the future appears when its time has come', async () => {
    const clock = new TestClock()
    const tomorrow = new Date(clock.now + 86_400_000).toISOString()
    const { app, raw } = await site({ 'pages/index.html': '<% each of="posts" as="post" %>{{= post.title }} <%/ each %>', 'content/blog/draft.md': '---\ntitle: Draft\ndraft: true\n---\n', 'content/blog/soon.md': `---\ntitle: Soon\ndate: ${tomorrow}\n---\n` }, {}, clock)
    t.same(app.site.collection('posts').urls(), [])
    for (const target of ['/', '/feed.xml', '/sitemap.xml']) t.notMatch((await raw(target)).body.toString(), /Draft|draft|Soon|soon/, target)
    clock.forward(86_401)
    await eventually(async () => (await raw('/')).body.toString() === 'Soon ')
    await eventually(async () => (await raw('/feed.xml')).body.toString().includes('Soon'))
  })
})

t.test('17. a refresh is done for nobody but who has the password, and not because another site says so', async (t) => {
  const site = await startSite(t, { 'pages/index.html': 'old' }, {
    site: { check: { every: 0 } },
    async declare (app) {
      await app.register(fastifyBasicAuth, { validate: async (_name, password) => { if (password !== 'secret') throw new Error('no') }, authenticate: true })
      app.post('/admin/refresh', { onRequest: [app.basicAuth, sameOrigin] }, async () => await app.site.admin.refresh())
    }
  })
  await site.app.isr.refresh({ path: '/' })
  const post = async (...headers: string[]): Promise<number> => (await site.raw('/admin/refresh', ['Content-Length: 0', ...headers], 'POST')).status
  const auth = `Authorization: Basic ${Buffer.from('admin:secret').toString('base64')}`
  site.write('pages/index.html', 'new')
  t.equal(await post(), 401)
  t.equal(await post('Sec-Fetch-Site: same-origin'), 401)
  for (const site of ['cross-site', 'same-site']) t.equal(await post(auth, `Sec-Fetch-Site: ${site}`), 403, site)
  // Browsers say no more than this where there is no TLS.
  for (const origin of ['https://evil.example', 'http://visitor.example:81', 'null', 'http://visitor.example.evil.example']) t.equal(await post(auth, `Origin: ${origin}`), 403, origin)
  t.equal(await text(site, '/'), 'old')
  t.equal(await post(auth, 'Origin: http://visitor.example'), 200)
  t.equal(await text(site, '/'), 'new')
  for (const headers of [['Sec-Fetch-Site: same-origin'], []]) t.equal(await post(auth, ...headers), 200)
})
