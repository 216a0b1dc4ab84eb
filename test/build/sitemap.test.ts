import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { writeSitemap } from '../../lib/build/sitemap.js'
import { buildOnce, html, open, page, rowOf } from '../helpers/site-build.js'

const isr = { baseUrl: 'https://example.com' }

function site (app: FastifyInstance): void {
  page(app, '/', () => html('home'), { sitemap: { changefreq: 'daily', priority: 0.75, lastmod: '2025-01-02' } })
  page(app, '/plain', () => html('plain'))
  page(app, '/hidden', () => html('hidden'), { sitemap: false })
  page(app, '/a&b\'', () => html('amp'))
  page(app, '/old', () => html('gone'), { statuses: { 410: 60 } })
  app.get('/gone', { config: { prerender: { statuses: { 410: 60 } } } }, async (request, reply) => reply.code(410).type('text/html').send('gone'))
  app.get('/feed.xml', { config: { prerender: true } }, async (request, reply) => reply.type('application/rss+xml').send('<rss/>'))
  app.get('/data.json', { config: { prerender: { vary: { dnt: { values: ['0', '1'], select: dnt => dnt ?? '0' } } } } }, async () => ({}))
  page(app, '/many', () => html('one page, many variants'), { hosts: ['example.com', 'b.example'], vary: { 'accept-language': { values: ['en', 'de'], select: () => 'en' } } })
  page(app, '/elsewhere', () => html('of another host'), { hosts: ['b.example'] })
}

const locations = (xml: string): string[] => [...xml.matchAll(/<loc>(.*?)<\/loc>/g)].map(match => match[1] ?? '')

test('a sitemap lists the pages that a search engine should know', async t => {
  const dir = t.testdir()
  const report = await buildOnce(t, dir, site, {}, { isr })
  t.same(report.sitemap, { file: 'sitemap.xml', urls: 5 })
  const xml = readFileSync(path.join(dir, 'sitemap.xml'), 'utf8')
  t.same(locations(xml), ['https://example.com/', 'https://example.com/a&#38;b&#39;', 'https://example.com/many', 'https://example.com/old', 'https://example.com/plain'])
  t.match(xml, '<url><loc>https://example.com/</loc><lastmod>2025-01-02T00:00:00.000Z</lastmod><changefreq>daily</changefreq><priority>0.75</priority></url>')
  t.match(xml, `<url><loc>https://example.com/plain</loc><lastmod>${rowOf(dir, '/plain').renderedAt}</lastmod></url>`)
  t.match(xml, /^<\?xml version="1.0" encoding="UTF-8"\?>\n<urlset xmlns="http:\/\/www.sitemaps.org\/schemas\/sitemap\/0.9">/)
})

test('without a base URL there is none, and the report says why', async t => {
  const dir = t.testdir()
  const report = await buildOnce(t, dir, site)
  t.match(report.sitemap, { file: null, urls: 0, reason: /baseUrl/ })
  t.ok(report.warnings.some(warning => warning.includes('baseUrl')))
  t.equal(existsSync(path.join(dir, 'sitemap.xml')), false)
  t.equal(report.ok, true)

  const { app } = await open(t, dir, site)
  await t.rejects(app.isr.prerender({ sitemap: true }), { code: 'FST_ISR_ERR_SITEMAP_BASE_URL' })
  const given = await app.isr.prerender({ sitemap: true, baseUrl: 'https://other.example' })
  t.match(given.sitemap, { file: 'sitemap.xml' })
  t.match(readFileSync(path.join(dir, 'sitemap.xml'), 'utf8'), 'https://other.example/plain')
})

test('the base URL of a build is what its renders see', async t => {
  const dir = t.testdir()
  const declare = (app: FastifyInstance): void => {
    app.get('/', { config: { prerender: true } }, async request => `${request.protocol}://${request.host}`)
    app.get('/moved', { config: { prerender: { statuses: { 301: 60 } } } }, async (request, reply) => reply.redirect('https://other.example/', 301))
  }
  const report = await buildOnce(t, dir, declare, { baseUrl: 'https://other.example' })
  t.equal(report.ok, true)
  t.ok(readFileSync(path.join(dir, rowOf(dir, '/').file), 'latin1').includes('https://other.example'))
})

test('of 120 000 URLs', async t => {
  const dir = t.testdir()
  const urls = Array.from({ length: 120_000 }, (_, index) => ({ path: `/p/${index}`, lastmod: '2025-01-01T00:00:00.000Z', hints: {} }))
  const write = async (count: number): Promise<number> => await writeSitemap(dir, 'https://example.com', urls.slice(0, count))
  const read = (name: string): string => readFileSync(path.join(dir, name), 'utf8')
  const exist = (): number[] => [1, 2, 3].filter(part => existsSync(path.join(dir, `sitemap-${part}.xml`)))
  t.equal(await write(120_000), 120_000)
  t.same(exist(), [1, 2, 3])
  t.match(read('sitemap.xml'), '<sitemapindex')
  t.same(locations(read('sitemap.xml')), [1, 2, 3].map(part => `https://example.com/sitemap-${part}.xml`))
  const listed = [1, 2, 3].map(part => locations(read(`sitemap-${part}.xml`)))
  t.same(listed.map(part => part.length), [50_000, 50_000, 20_000])
  t.equal(new Set(listed.flat()).size, 120_000)

  writeFileSync(path.join(dir, 'sitemap-x.xml'), 'of somebody else')
  t.equal(await write(60_000), 60_000)
  t.same(exist(), [1, 2])
  t.equal(await write(50_000), 50_000)
  t.same(exist(), [])
  t.equal(locations(read('sitemap.xml')).length, 50_000)
  await write(10)
  t.same(exist(), [])
  t.equal(read('sitemap-x.xml'), 'of somebody else')
})

test('the option serves it, beside the routes of the app', async t => {
  const dir = t.testdir()
  const declare = (app: FastifyInstance): void => {
    site(app)
    app.get('/:file', async request => `file ${(request.params as { file: string }).file}`)
    app.get('/:file/sub', async () => 'sub')
  }
  const { app, body } = await open(t, dir, declare, { isr: { ...isr, sitemap: true } })
  t.equal((await app.inject('/sitemap.xml')).statusCode, 404, 'none is there yet')
  await app.isr.prerender()
  const answer = await app.inject('/sitemap.xml')
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['content-type'], /^application\/xml/)
  t.equal(answer.headers['cache-control'], 'public, max-age=0, must-revalidate')
  t.equal(answer.body, readFileSync(path.join(dir, 'sitemap.xml'), 'utf8'))
  t.equal((await app.inject({ method: 'HEAD', url: '/sitemap.xml' })).statusCode, 200)
  writeFileSync(path.join(dir, 'sitemap-2.xml'), '<part/>')
  t.equal(await body('/sitemap-2.xml'), '<part/>')
  t.equal((await app.inject('/sitemap-3.xml')).statusCode, 404)
  for (const other of ['sitemap', 'sitemap.xml.gz', 'xsitemap.xml', 'sitemap-.xml', 'robots.txt']) t.equal(await body(`/${other}`), `file ${other}`)
  t.equal(await body('/sitemap.xml/sub'), 'sub')
  t.equal(await body('/plain'), html('plain'))
})

test('a route of the app with that name wins', async t => {
  const dir = t.testdir()
  const live = await open(t, dir, app => {
    site(app)
    app.get('/sitemap.xml', async () => 'its own')
  }, { isr: { ...isr, sitemap: true } })
  await live.app.isr.prerender()
  t.equal(await live.body('/sitemap.xml'), 'its own')
  await live.app.close()

  const report = await buildOnce(t, dir, app => {
    site(app)
    app.get('/sitemap.xml', { config: { prerender: true } }, async (request, reply) => reply.type('application/xml').send('<prerendered/>'))
    app.get('/sitemap-1.xml', { config: { prerender: true } }, async (request, reply) => reply.type('application/xml').send('<part/>'))
  }, {}, { isr: { ...isr, sitemap: true } })
  t.match(report.sitemap, { file: null, reason: /a page of its own/ })
  t.equal(readFileSync(path.join(dir, 'sitemap.xml'), 'utf8'), '<prerendered/>')
  t.equal(readFileSync(path.join(dir, 'sitemap-1.xml'), 'utf8'), '<part/>')
})

test('without the option there is no such route', async t => {
  const { app } = await open(t, t.testdir(), site, { isr })
  await app.isr.prerender()
  t.equal((await app.inject('/sitemap.xml')).statusCode, 404)
})
