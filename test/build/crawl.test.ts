import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { linksOf } from '../../lib/build/crawl.js'
import { buildOnce, html, open, outcomes, page, readManifestOf } from '../helpers/site-build.js'

const links = (body: string, page = '/blog/', origin = 'https://example.com'): string[] => [...linksOf(body, page, origin)]

test('links of a page', async t => {
  t.same(links('<a href="/a">'), ['/a'])
  t.same(links("<A class=x HREF='/a'>"), ['/a'])
  t.same(links('<a href=/a>'), ['/a'])
  t.same(links('<a\n  href = "/a"\n>'), ['/a'])
  t.same(links('<a data-href="/no" href="/a">'), ['/a'])
  t.same(links('<a href="first"><a href="../up"><a href="./here"><a href="">'), ['/blog/first', '/up', '/blog/here', '/blog/'])
  t.same(links('<a href="/a?page=2#top"><a href="#top"><a href="?x=1">'), ['/a', '/blog/'], 'query and hash are no part of a path')
  t.same(links('<a href="https://example.com/abs"><a href="//example.com/scheme"><a href="HTTPS://EXAMPLE.com:443/port">'), ['/abs', '/scheme', '/port'])
  t.same(links('<a href="https://other.example/x"><a href="http://example.com/x"><a href="https://example.com:8443/x"><a href="mailto:a@b.c"><a href="javascript:alert(1)"><a href="tel:1"><a href="http://[">'), [])
  t.same(links('<a href="/a&amp;b"><a href="/&#99;&#x64;"><a href="&sol;x">'), ['/a&b', '/cd', '/blog/&sol;x'].slice(0, 2))
  t.same(links('<a href="/caf\u00e9"><a href="/caf%C3%A9"><a href="/a b">'), ['/caf%C3%A9', '/a%20b'], 'one spelling')
  t.same(links('<a href="/x/../y"><a href="/%2e%2e/z">'), ['/y', '/z'])
  t.same(links('<!-- <a href="/no"> --><script>"<a href=/no>"</script><style><a href=/no></style><template><a href="/no"></template><a href="/yes">'), ['/yes'])
  t.same(links('<link href="/no"><area href="/no"><abbr href="/no"><img src="/no">'), [])
  t.same(links('<a name="x"><a>'), [])
  // Of this process alone, however busy the machine is.
  const before = process.cpuUsage()
  links('<a '.repeat(20_000))
  links('<!--'.repeat(20_000))
  links(`<a ${' '.repeat(50_000)}>`)
  links('<script '.repeat(20_000))
  t.ok(process.cpuUsage(before).user < 3_000_000, 'no page makes it slow')
})

test('a crawl finds what no list names', async t => {
  const dir = t.testdir()
  let live = 0
  const renders: string[] = []
  const declare = (app: FastifyInstance): void => {
    app.addHook('onRequest', async request => { renders.push(request.url) })
    page(app, '/', () => html('<a href="/docs/one">1</a><a href="docs/two?utm=x#y">2</a><a href="https://example.com/about">3</a><a href="/">self</a>'), { sitemap: { priority: 1 } })
    page(app, '/about', () => html('<a href="/">home</a><a href="/live">live</a><a href="/post">post</a><a href="/docs/one/">other spelling</a>'))
    page(app, '/docs/:page', ({ page }) => html(page === 'one' ? '<a href="./three">3</a><a href="/live?delete=all">' : '<a href="one">1</a>'))
    page(app, '/orphan/:id', () => html('x'))
    app.get('/live', async () => { live++ })
    app.get('/docs/:page/', async () => { live++ })
    app.post('/post', async () => { live++ })
    app.get('/post', async () => { live++ })
    app.get('/data.json', { config: { prerender: true } }, async () => ({ html: '<a href="/docs/four">' }))
  }
  const report = await buildOnce(t, dir, declare, { crawl: true, baseUrl: 'https://example.com' })
  t.same(report.problems, [])
  t.equal(report.ok, true)
  t.same(report.pages.map(row => row.key), ['/', '/about', '/data.json', '/docs/one', '/docs/three', '/docs/two'])
  t.equal(live, 0, 'no live route was run')
  t.same(renders.sort(), ['/', '/about', '/data.json', '/docs/one', '/docs/three', '/docs/two'], 'each page was rendered once')
  t.same(report.warnings.filter(warning => warning.includes('nothing was rendered')), ["route /orphan/:id: nothing was rendered, for it has neither 'paths' nor 'onDemand' and no page links to it"])
  const { app } = await open(t, dir, declare)
  t.match((await app.inject('/docs/three')).headers['cache-status'], /hit/)
  await app.close()

  const without = await buildOnce(t, dir, declare)
  t.same(without.pages.map(row => row.key), ['/', '/about', '/data.json'])
})

test('a broken link names the page that has it', async t => {
  const dir = t.testdir()
  const report = await buildOnce(t, dir, app => {
    page(app, '/', () => html('<a href="/nowhere">x</a><a href="/docs/broken">y</a><a href="/docs/missing">z</a><a href="/constrained">c</a><a href="/section/">s</a><a href="/files/x.pdf">f</a>'))
    page(app, '/second', () => html('<a href="/nowhere">again</a>'))
    app.get('/docs/:page', { config: { prerender: true } }, async (request, reply) => {
      if ((request.params as { page: string }).page === 'broken') throw new Error('broken')
      return reply.code(404).send('missing')
    })
    app.get('/constrained', { constraints: { host: 'only.example' } }, async () => 'x')
    app.register(async app => { app.get('/', async () => 'section') }, { prefix: '/section' })
    app.get('/files/*', async () => 'file')
  }, { crawl: true, concurrency: 1 })
  t.equal(report.ok, false)
  t.same(report.problems, [{ path: '/nowhere', message: 'broken link: no route answers it (linked from /)' }])
  t.match(report.pages.find(row => row.key === '/docs/broken'), { outcome: 'failed', error: /status 500 \(linked from \/\)/ })
  t.match(report.pages.find(row => row.key === '/docs/missing'), { outcome: 'failed', error: "it can't be stored: status-404 (linked from /)" })
})

test('constraints of the app\'s own do not make a link broken', async t => {
  const strategy = {
    name: 'tenant',
    storage: () => {
      const handlers = new Map<string, unknown>()
      return { get: (key: string) => handlers.get(key) ?? null, set: (key: string, value: unknown) => { handlers.set(key, value) } }
    },
    deriveConstraint: (request: { headers: Record<string, string | undefined> }) => request.headers['x-tenant'],
    validate: () => true
  }
  const report = await buildOnce(t, t.testdir(), app => {
    page(app, '/', () => html('<a href="/tenant">t</a>'))
    app.get('/tenant', { constraints: { tenant: 'a' } }, async () => 'x')
  }, { crawl: true }, { fastify: { routerOptions: { constraints: { tenant: strategy } } } as never })
  t.same(report.problems, [])
})

test('a crawl that is faster than a list reports no duplicate; a list with one is reported', async t => {
  const report = await buildOnce(t, t.testdir(), app => {
    page(app, '/', () => html('<a href="/p/a"><a href="/p/b">'))
    page(app, '/p/:slug', ({ slug }) => html(`${slug}`), {
      async * paths () {
        // Long enough for the first page to be rendered and its links to be followed.
        await new Promise(resolve => setTimeout(resolve, 200))
        yield * ['/p/a', '/p/b', '/p/b']
      }
    })
  }, { crawl: true })
  t.same(report.problems, [{ route: '/p/:slug', path: '/p/b', message: 'paths: listed twice' }])
  t.same(report.pages.map(row => row.key), ['/', '/p/a', '/p/b'])
})

test('the links of a page that fails now are followed as they were', async t => {
  const dir = t.testdir()
  let isBroken = false
  const declare = (app: FastifyInstance): void => {
    page(app, '/', () => {
      if (isBroken) throw new Error('down')
      return html('<a href="/docs/a">')
    })
    page(app, '/docs/:page', ({ page }) => html(page === 'a' ? '<a href="b">' : 'end'))
  }
  await buildOnce(t, dir, declare, { crawl: true })
  isBroken = true
  const report = await buildOnce(t, dir, declare, { crawl: true })
  t.same(outcomes(report.pages), { '/': 'kept', '/docs/a': 'unchanged', '/docs/b': 'unchanged' })
  t.same(readManifestOf(dir).pages.map(row => row.key), ['/', '/docs/a', '/docs/b'])
})

test('loops and sites without end', async t => {
  const report = await buildOnce(t, t.testdir(), app => {
    page(app, '/n/:n', ({ n }) => html(`<a href="/n/${(Number(n) + 1) % 300}"><a href="/n/${Number(n) + 1}/"><a href="/n/0">`), { paths: [{ n: 0 }] })
  }, { crawl: true, concurrency: 3 })
  t.equal(report.pages.length, 300)
})
