import t from 'tap'
import Fastify from 'fastify'
import isr from '../../../lib/index.js'
import site from '../../../lib/site/index.js'
import { startSite } from '../../helpers/site.js'

const FILES = {
  'pages/index.html': '<h1>Home</h1>',
  'pages/about.html': '<h1>About</h1>',
  'pages/docs/index.html': '<h1>Docs</h1>',
  'pages/docs/über uns.html': '<h1>Über uns</h1>',
  'pages/admin/design-system.html': '<h1>Secret design</h1>',
  'pages/404.html': '<h1>Not here</h1>',
  'partials/header.html': 'SOURCE OF A PARTIAL'
}

t.test('a file is a page under its path, in the cache, with all that belongs to it', async (t) => {
  const { raw } = await startSite(t, FILES)
  for (const [path, heading] of [['/', 'Home'], ['/about', 'About'], ['/docs', 'Docs']] as const) {
    const first = await raw(path)
    t.equal(first.status, 200)
    t.equal(first.headers['content-type'], 'text/html; charset=utf-8')
    t.match(first.body.toString(), `<h1>${heading}</h1>`)
  }
  const head = await raw('/about', [], 'HEAD')
  t.equal(head.status, 200)
  t.equal(head.body.length, 0)
})

t.test('a page is stored when it is listed, and then served from memory with validators', async (t) => {
  const { app, raw } = await startSite(t, FILES)
  await app.isr.prerender({ dir: t.testdir({}) })
  t.equal((await raw('/about')).status, 200)
  await app.isr.refresh({ path: '/about' })
  const hit = await raw('/about')
  t.match(hit.headers['cache-status'], /fastify-isr; hit/)
  t.ok(hit.headers['etag'])
  t.equal((await raw('/about', [`If-None-Match: ${hit.headers['etag']}`])).status, 304)
})

t.test('neither a folder above nor a second spelling leads anywhere', async (t) => {
  const { raw } = await startSite(t, FILES)
  for (const target of ['/../partials/header', '/../partials/header.html', '/x/../admin/design-system', '/./about', '/x/../about', '/%2e%2e/partials/header', '/..%2fpartials%2fheader', '/about%00', '/docs//index', '//about', '/about/../about', '/partials/header', '/pages/about', '/.%2e/about', '/about%2F', '/admin%2fdesign-system', '/..\\partials\\header']) {
    const { status, body } = await raw(target)
    t.ok([400, 404].includes(status), `${target} → ${status}`)
    t.notMatch(body.toString(), /SOURCE|Secret|<h1>About/)
  }
})

t.test('index, 404, 500 and names with an ending are no second addresses', async (t) => {
  const { raw } = await startSite(t, { ...FILES, 'pages/500.html': '<h1>Broken</h1>' })
  for (const target of ['/index', '/docs/index', '/index.html', '/about.html', '/404', '/500', '/404.html']) {
    const { status, body } = await raw(target)
    t.equal(status, 404, target)
    t.match(body.toString(), '<h1>Not here</h1>')
  }
})

t.test('a slash at the end and another encoding lead to the page, and never elsewhere', async (t) => {
  const { raw } = await startSite(t, FILES)
  for (const [target, location] of [
    ['/about/', '/about'],
    ['/docs/?a=1&b=2', '/docs?a=1&b=2'],
    ['/%61bout', '/about'],
    ['/docs/%c3%bcber%20uns', '/docs/%C3%BCber%20uns']
  ] as const) {
    const answer = await raw(target)
    t.equal(answer.status, 301, target)
    t.equal(answer.headers['location'], location)
  }
  t.equal((await raw('/docs/%C3%BCber%20uns')).status, 200)
  for (const target of ['//evil.example/', '/\\evil.example/', '/none/', '//about/']) t.equal((await raw(target)).status, 404, target)
})

t.test('other methods of a page are not allowed, and say which are', async (t) => {
  const { raw } = await startSite(t, FILES)
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    const answer = await raw('/about', ['Content-Length: 0'], method)
    t.equal(answer.status, 405, method)
    t.equal(answer.headers['allow'], 'GET, HEAD')
    t.equal((await raw('/none', ['Content-Length: 0'], method)).status, 404)
  }
})

t.test('what there is not answers with the 404 page of the site, is not stored, and reply.callNotFound() leads there', async (t) => {
  const { app, raw } = await startSite(t, FILES, {
    declare (app) { app.get('/products/:id', async (_request, reply) => { reply.callNotFound(); return reply }) }
  })
  for (const target of ['/none', '/none/', '/products/7']) {
    const { status, body, headers } = await raw(target)
    t.equal(status, 404)
    t.equal(headers['content-type'], 'text/html; charset=utf-8')
    t.match(body.toString(), '<h1>Not here</h1>')
  }
  t.same((await app.isr.entries()).entries, [])
})

t.test('without a 404 page of its own the site has a plain one; notFound: false leaves it to the app', async (t) => {
  const plain = await startSite(t, { 'pages/index.html': 'home' })
  t.match((await plain.raw('/none')).body.toString(), '<h1>Page not found</h1>')
  const markdown = await startSite(t, { 'pages/index.html': 'home', 'pages/404.md': '# Nothing here' })
  t.match((await markdown.raw('/none')).body.toString(), 'Nothing here</h1>')
  const own = await startSite(t, { 'pages/index.html': 'home' }, {
    site: { notFound: false },
    declare (app) { app.setNotFoundHandler(async (_request, reply) => await reply.code(404).send('mine')) }
  })
  t.equal((await own.raw('/none')).body.toString(), 'mine')
})

t.test('a path of its own in front matter is the only one, and old paths lead there', async (t) => {
  const { raw } = await startSite(t, {
    'pages/long-name.html': '---\npath: /short\nredirect_from: [/old, /older]\n---\n<h1>Short</h1>'
  }, { site: { redirects: { '/elsewhere': 'https://example.com/there' } } })
  t.match((await raw('/short')).body.toString(), '<h1>Short</h1>')
  t.equal((await raw('/long-name')).status, 404)
  for (const [from, to] of [['/old', '/short'], ['/older', '/short'], ['/elsewhere', 'https://example.com/there']] as const) {
    const answer = await raw(from)
    t.equal(answer.status, 301)
    t.equal(answer.headers['location'], to)
  }
})

t.test('an old path leads to the new one also where a route of the app would have had a page, and has none', async (t) => {
  const { raw } = await startSite(t, { 'pages/index.html': 'home', 'pages/new.html': '---\nredirect_from: /blog/older\n---\nnew' }, {
    site: { redirects: { '/blog/old': '/blog/new', '/blog/new': '/elsewhere' } },
    declare (app) {
      app.get('/blog/:slug', { config: { prerender: { onDemand: true } } }, async (request, reply) => {
        if ((request.params as { slug: string }).slug === 'new') return 'the new post'
        reply.callNotFound()
        return reply
      })
    }
  })
  for (const [from, to] of [['/blog/old?a=1', '/blog/new'], ['/blog/older?a=1', '/new?a=1'], ['/blog/old/', '/blog/new']] as const) {
    const { status, headers } = await raw(from)
    t.equal(status, 301, from)
    t.equal(headers['location'], to)
  }
  t.equal((await raw('/blog/new')).body.toString(), 'the new post')
  t.equal((await raw('/blog/none')).status, 404)
})

t.test('a prefix moves all pages and leaves the rest to the app', async (t) => {
  const { raw } = await startSite(t, FILES, {
    site: { prefix: '/site' },
    declare (app) { app.get('/about', async () => 'of the app') }
  })
  t.match((await raw('/site/about')).body.toString(), '<h1>About</h1>')
  t.equal((await raw('/about')).body.toString(), 'of the app')
  t.equal((await raw('/docs')).status, 404)
})

t.test('routes of the app go before files', async (t) => {
  const { raw } = await startSite(t, FILES, { declare (app) { app.get('/about', async () => 'of the app') } })
  t.equal((await raw('/about')).body.toString(), 'of the app')
})

t.test('a folder that is missing, and a core that is, stop the start and say what to do', async (t) => {
  const root = t.testdir({ pages: {} })
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => { await Fastify().register(site, { root }) }, { code: 'FST_ISR_ERR_SITE_CORE' })
  await app.register(isr, { disk: false })
  await t.rejects(async () => { await app.register(site, { root }) }, { code: 'FST_ISR_ERR_SITE_FOLDER', message: `looked for ${root}/partials` })
})

t.test('a redirect may lead to a name in any script', async (t) => {
  const { raw } = await startSite(t, { ...FILES, 'pages/日本.html': '<h1>日本</h1>' }, { site: { redirects: { '/jp': '/日本', '/part': '/日本#ende', '/ext': 'https://example.com/日本?q=ü', '/blank': '/docs/über uns', '/folder': '/app/' } } })
  for (const [from, to] of [
    ['/jp?a=1', '/%E6%97%A5%E6%9C%AC?a=1'],
    ['/part', '/%E6%97%A5%E6%9C%AC#ende'],
    ['/ext', 'https://example.com/%E6%97%A5%E6%9C%AC?q=%C3%BC'],
    ['/blank', '/docs/%C3%BCber%20uns'],
    ['/folder', '/app/']
  ] as const) t.match(await raw(from), { status: 301, headers: { location: to } }, from)
})

t.test('what is not there may be there a moment later: nobody keeps the answer without asking', async (t) => {
  const { raw } = await startSite(t, FILES, { declare: app => { app.get('/own', async (_request, reply) => { reply.header('cache-control', 'max-age=9').callNotFound(); return reply }) } })
  t.match(await raw('/nothing'), { status: 404, headers: { 'cache-control': 'public, max-age=0, must-revalidate' } })
  t.match(await raw('/own'), { status: 404, headers: { 'cache-control': 'max-age=9' } })
})
