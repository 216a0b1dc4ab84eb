import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import { ExportNames, exportName, isExportName } from '../../lib/build/export.js'
import { buildOnce, exportOf, html, open, page, readManifestOf } from '../helpers/site-build.js'

const LONG = 'long '.repeat(1000)

function site (app: FastifyInstance): void {
  page(app, '/', () => html('home' + LONG))
  page(app, '/about', () => html('about' + LONG))
  page(app, '/docs/', () => html('docs' + LONG))
  page(app, '/old.html', () => html('old' + LONG))
  page(app, '/blog/:slug', ({ slug }) => html(`post ${slug}${LONG}`), { paths: [{ slug: 'first' }, { slug: 'v1.2.3' }] })
  app.get('/feed.xml', { config: { prerender: true } }, async (request, reply) => {
    reply.type('application/rss+xml')
    return `<rss>${LONG}</rss>`
  })
  app.get('/api/posts', { config: { prerender: true } }, async () => ({ posts: LONG }))
  app.get('/robots.txt', { config: { prerender: true } }, async () => 'User-agent: *')
}

const EXPORTED: Record<'directory' | 'file', Record<string, string>> = {
  directory: {
    '/': 'index.html',
    '/about': 'about/index.html',
    '/docs/': 'docs/index.html',
    '/old.html': 'old.html',
    '/blog/first': 'blog/first/index.html',
    '/blog/v1.2.3': 'blog/v1.2.3/index.html',
    '/feed.xml': 'feed.xml',
    '/api/posts': 'api/posts',
    '/robots.txt': 'robots.txt'
  },
  file: {
    '/': 'index.html',
    '/about': 'about.html',
    '/docs/': 'docs/index.html',
    '/old.html': 'old.html',
    '/blog/first': 'blog/first.html',
    '/blog/v1.2.3': 'blog/v1.2.3.html',
    '/feed.xml': 'feed.xml',
    '/api/posts': 'api/posts',
    '/robots.txt': 'robots.txt'
  }
}

for (const urlStyle of ['directory', 'file'] as const) {
  test(`build, restart, serve; any web server serves the same from the export (${urlStyle})`, async t => {
    const dir = t.testdir()
    const report = await buildOnce(t, dir, site, {}, { isr: { urlStyle } })
    t.equal(report.ok, true)
    t.same(Object.fromEntries(readManifestOf(dir).pages.map(row => [row.key, row.export])), EXPORTED[urlStyle])

    let renders = 0
    const { app } = await open(t, dir, app => {
      app.addHook('onRequest', async request => { if (request.isrRender !== null) renders++ })
      site(app)
    }, { isr: { urlStyle } })
    const plain = Fastify()
    t.teardown(() => plain.close())
    await plain.register(fastifyStatic, { root: dir, preCompressed: true, redirect: true, extensions: ['html'], dotfiles: 'deny' })

    for (const [key, file] of Object.entries(EXPORTED[urlStyle])) {
      const own = await app.inject(key)
      t.equal(own.statusCode, 200, key)
      t.match(own.headers['cache-status'], /hit/, key)
      t.ok(readFileSync(path.join(dir, file), 'utf8') === own.body, file)

      // @fastify/static takes a name with a dot for one that has its extension already.
      let answer = await plain.inject(urlStyle === 'file' && key === '/blog/v1.2.3' ? `${key}.html` : key)
      if (answer.statusCode === 301 || answer.statusCode === 302) answer = await plain.inject(String(answer.headers.location))
      t.ok(answer.body === own.body, `${key} from a plain web server`)
    }
    t.equal(renders, 0, 'every page was read from the build')

    const about = EXPORTED[urlStyle]['/about'] ?? ''
    const body = readFileSync(path.join(dir, about))
    t.equal(zlib.brotliDecompressSync(readFileSync(path.join(dir, `${about}.br`))).equals(body), true)
    t.equal(zlib.gunzipSync(readFileSync(path.join(dir, `${about}.gz`))).equals(body), true)
    for (const encoding of ['br', 'gzip'] as const) {
      const answer = await plain.inject({ url: urlStyle === 'file' ? '/about.html' : '/about/', headers: { 'accept-encoding': encoding } })
      t.equal(answer.headers['content-encoding'], encoding)
      const decode = encoding === 'br' ? zlib.brotliDecompressSync : zlib.gunzipSync
      t.equal(decode(answer.rawPayload).equals(body), true)
    }
    t.equal(existsSync(path.join(dir, 'robots.txt.br')), false, 'a small file has no encodings')
    t.equal((await plain.inject('/.isr/manifest.json')).statusCode >= 400, true)
  })
}

test('what is not exported is named with its reason, and served all the same', async t => {
  const dir = t.testdir()
  const slugs = ['caf\u00e9', 'a b', 'con', 'COM1', 'aux.txt', '.hidden', 'dot.', 'it\'s', '..x']
  const declare = (app: FastifyInstance): void => {
    page(app, '/p/:slug', ({ slug }) => html(`p ${slug}`), { paths: slugs.map(slug => ({ slug })) })
    page(app, `/${'x'.repeat(201)}`, () => html('long'))
    page(app, '/A', () => html('upper'))
    page(app, '/a', () => html('lower'))
    page(app, '/b', () => html('b'))
    page(app, '/b/', () => html('b/'))
    app.get('/data', { config: { prerender: true } }, async () => 'file')
    app.get('/data/below', { config: { prerender: true } }, async () => 'in folder')
    app.get('/list.gz', { config: { prerender: true } }, async () => 'not the encoding of /list')
    app.get('/list', { config: { prerender: true } }, async () => 'l'.repeat(3000))
    app.get('/json/', { config: { prerender: true } }, async () => ({ json: true }))
    app.get('/gone', { config: { prerender: { statuses: { 410: 60 } } } }, async (request, reply) => reply.code(410).send('gone'))
    page(app, '/q', () => html('q'), { query: ['page'], hosts: ['localhost', 'b.example'] })
    page(app, '/v', () => html('v'), { vary: { 'accept-language': { values: ['en', 'de'], select: (header: string | undefined) => header ?? 'en' } } })
    app.get('/packed', { config: { prerender: true } }, async (request, reply) => reply.type('text/html').header('content-encoding', 'gzip').send(zlib.gzipSync(html('packed'))))
  }
  const report = await buildOnce(t, dir, declare)
  t.equal(report.ok, true, JSON.stringify([report.problems, report.pages.filter(row => row.error)]))
  const { pages } = readManifestOf(dir)
  const reasons = Object.fromEntries(pages.filter(row => row.export === null).map(row => [row.key, row.exportSkipped]))
  for (const slug of slugs) t.match(reasons[`/p/${encodeURIComponent(slug).replaceAll('%27', "'")}`], /not a portable file name/, slug)
  t.match(reasons, {
    [`/${'x'.repeat(201)}`]: /too long/,
    '/a': /clashes with that of \/A/,
    '/b/': /clashes with that of \/b/,
    '/data/below': /clashes with that of \/data/,
    '/list.gz': /clashes with that of \/list/,
    '/json/': /slash and it is no HTML/,
    '/gone': /status is 410/,
    '/q host=localhost': /more than a path/,
    '/q host=b.example': /more than a path/,
    '/v accept-language=en': /more than a path/,
    '/v accept-language=de': /more than a path/,
    '/packed': /encodes it as gzip/
  })
  t.same(await exportOf(dir), ['A/index.html', 'b/index.html', 'data', 'list', 'list.br', 'list.gz'])

  const { app } = await open(t, dir, declare)
  for (const { key, path: url, status } of pages) {
    const host = / host=(\S+)/.exec(key)?.[1]
    const language = / accept-language=(\S+)/.exec(key)?.[1]
    const answer = await app.inject({ url, headers: { 'accept-encoding': 'gzip', ...(host === undefined ? {} : { host }), ...(language === undefined ? {} : { 'accept-language': language }) } })
    t.equal(answer.statusCode, status, key)
    t.match(answer.headers['cache-status'], /hit/, key)
  }
})

test('names', async t => {
  const html = 'text/html; charset=utf-8'
  const name = (key: string, contentType = html, urlStyle: 'directory' | 'file' = 'directory', more = {}): string => {
    const result = exportName({ key, path: key, status: 200, contentType, encoding: 'identity', ...more }, urlStyle)
    return 'file' in result ? result.file : `skipped: ${result.skipped}`
  }
  t.equal(name('/'), 'index.html')
  t.equal(name('/', html, 'file'), 'index.html')
  t.equal(name('/feed.xml', 'application/xml'), 'feed.xml')
  t.equal(name('/data.json', 'application/json', 'file'), 'data.json')
  t.equal(name('/v1.0', html, 'file'), 'v1.0.html')
  t.equal(name('/page.htm'), 'page.htm')
  t.match(name('/', 'application/json'), /skipped/)
  for (const bad of ['/../x', '/.isr/manifest.json', '/.', '/a//b', '/a\\b', '/%2e%2e/x', '/nul', '/a/NUL.html', '/a:b', '/a*b', '/a\0b', '/-', '/a./b']) {
    t.match(name(bad), bad === '/-' ? /^-\/index.html$/ : /skipped/, JSON.stringify(bad))
  }
  t.match(name('/' + Array.from({ length: 12 }, () => 'y'.repeat(100)).join('/')), /too long/)
  for (const bad of ['../x', '/etc/passwd', '.isr/manifest.json', 'a/../../b', '', 'a//b', 'a\\b', 'C:/x', 'a\0']) t.equal(isExportName(bad), false, JSON.stringify(bad))

  const names = new ExportNames()
  t.equal(names.claim('a/b/index.html', '/a/b'), null)
  t.equal(names.claim('A/B/index.html', '/A/B'), '/a/b')
  t.equal(names.claim('a/b', '/a/b.'), '/a/b', 'a file where a folder is')
  t.equal(names.claim('a/b/index.html/x', '/x'), '/a/b', 'a folder where a file is')
  t.equal(names.claim('a/b/index.html.br', '/y'), '/a/b', 'the encoding of another')
  t.equal(names.claim('z.gz', '/z.gz'), null)
  t.equal(names.claim('z', '/z'), '/z.gz', 'whose own encoding is another')
  t.equal(names.claim('a/c/index.html', '/a/c'), null)
})
