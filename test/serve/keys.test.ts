import { AsyncLocalStorage } from 'node:async_hooks'
import t from 'tap'
import type { RoutePolicy } from '../../lib/index.js'
import { cacheStatus, counted, rawGet, settle, start, until, WARN, type Counted, type Site, type SiteOptions } from '../helpers/app.js'

type Handler = Parameters<typeof counted>[0]

async function site (t: Parameters<typeof start>[0], pattern: string, policy: RoutePolicy, answer?: Handler, options: SiteOptions = {}): Promise<Site & { page: Counted, keys (): Promise<string[]> }> {
  const page = counted(answer)
  const started = await start(t, (app) => { app.get(pattern, { config: { prerender: policy } }, page) }, options)
  return { ...started, page, keys: async () => (await started.app.isr.entries()).entries.map(entry => entry.key) }
}

const echoQuery: Handler = (_n, request) => JSON.stringify(Object.fromEntries(Object.entries(request.query as object)))

t.test('allow-listed query parameters are part of the key, all others are hidden from the handler', async (t) => {
  const { get, keys, page } = await site(t, '/list', { onDemand: true, query: ['page', 'sort'] }, echoQuery)
  t.equal((await get('/list?page=2&utm_source=x&sort=up')).body, '{"page":"2","sort":"up"}')
  const same = ['/list?sort=up&page=2', '/list?page=2&sort=up', '/list?x=1&sort=up&page=2&__proto__=1', '/list?p%61ge=2&sort=%75p']
  for (const url of same) t.equal(cacheStatus(await get(url)), 'hit', url)
  t.equal((await get('/list')).body, '{}')
  t.equal((await get('/list?page=')).body, '{"page":""}')
  t.equal((await get('/list?page')).body, '{"page":""}', 'as Fastify reads it')
  t.equal((await get('/list?page=a+b')).body, '{"page":"a b"}')
  t.equal((await get('/list?page=a%20b')).headers['cache-status'], 'fastify-isr; hit')
  t.equal((await get('/list?page=a%26sort%3Dup')).body, '{"page":"a&sort=up"}')
  t.equal((await get('/list?page=%C3%A4')).body, '{"page":"ä"}')
  t.equal((await get("/list?page=it's")).body, '{"page":"it\'s"}', 'a sign that URL parsers spell in two ways')
  t.same(await keys(), ['/list', '/list?page=', '/list?page=%C3%A4', '/list?page=2&sort=up', '/list?page=a%20b', '/list?page=a%26sort%3Dup', "/list?page=it's"])
  t.equal(page.live, 0)
})

t.test('a query that is ambiguous or too long is answered live', async (t) => {
  const { app, page, listen } = await site(t, '/list', { onDemand: true, query: ['page'] }, echoQuery)
  const port = await listen()
  for (const query of ['page=1&page=2', 'page=1&p%61ge=2', `page=${'x'.repeat(257)}`, `page=1&${'x'.repeat(5000)}`]) {
    t.equal(cacheStatus(await rawGet(port, `/list?${query}`)), 'fwd=bypass; detail=query', query.slice(0, 30))
  }
  t.equal(page.renders, 0)
  t.equal(app.isr.stats().memory.entries, 0)
})

t.test('without onDemand query variants are answered live', async (t) => {
  const { get } = await site(t, '/list', { query: ['page'] }, echoQuery)
  t.equal(cacheStatus(await get('/list')), 'fwd=uri-miss; stored')
  const variant = await get('/list?page=2')
  t.equal(cacheStatus(variant), 'fwd=bypass; detail=query')
  t.equal(variant.body, '{"page":"2"}')
})

t.test('hosts are part of the key, and others are answered live', async (t) => {
  const { get, keys } = await site(t, '/page', { hosts: ['a.example', 'b.example', '[::1]'] }, (_n, request) => `${request.host} ${request.isrRender === null ? 'live' : 'render'}`)
  for (const [host, body] of [['a.example', 'a.example render'], ['A.Example:8080', 'a.example render'], ['b.example', 'b.example render'], ['[::1]:80', '[::1] render'], ['evil.example', 'evil.example live'], ['a.example.evil', 'a.example.evil live']] as const) {
    t.equal((await get('/page', { host })).body, body)
  }
  t.same(await keys(), ['/page host=%5B%3A%3A1%5D', '/page host=a.example', '/page host=b.example'])
})

t.test('X-Forwarded-Host counts where the app trusts its proxy, and only for listed hosts', async (t) => {
  const answer: Handler = (_n, request) => `${request.host} ${request.protocol} ${request.ip}`
  const trusting = await site(t, '/page', { hosts: ['a.example'] }, answer, { fastify: { trustProxy: true }, isr: { baseUrl: 'https://base.example' } })
  const forwarded = { host: 'inner', 'x-forwarded-host': 'a.example', 'x-forwarded-proto': 'ftp', 'x-forwarded-for': '1.2.3.4' }
  t.equal((await trusting.get('/page', forwarded)).body, 'a.example https 0.0.0.0')
  t.equal((await trusting.get('/page', { ...forwarded, 'x-forwarded-host': 'evil.example' })).body, 'evil.example ftp 1.2.3.4', 'live')
  t.same(await trusting.keys(), ['/page host=a.example'])
  const distrusting = await site(t, '/page', { hosts: ['a.example'] }, answer)
  t.match((await distrusting.get('/page', forwarded)).body, /^inner /)
  t.same(await distrusting.keys(), [])
})

t.test('vary reduces a header to a class, which the render gets and which is part of the key', async (t) => {
  const select = (header: string | undefined): string => {
    if (header === 'trip') throw new Error('tripped')
    return header?.startsWith('de') === true ? 'de' : header ?? ''
  }
  const { get, keys } = await site(t, '/page', { vary: { 'Accept-Language': { values: ['en', 'de'], select } } }, (_n, request, reply) => reply.header('vary', 'Accept-Language').send(String(request.headers['accept-language'])))
  for (const [header, body] of [['de-AT', 'de'], ['fr', 'en'], ['en', 'en'], ['trip', 'en'], ['constructor', 'en']] as const) {
    const answer = await get('/page', { 'accept-language': header })
    t.equal(answer.body, body)
    t.equal(answer.headers.vary, 'accept-language')
    t.equal((await get('/page', { 'accept-language': header, 'if-none-match': '*' })).headers.vary, 'accept-language')
  }
  t.equal((await get('/page')).body, 'en')
  t.same(await keys(), ['/page accept-language=de', '/page accept-language=en'])
})

t.test('bypass by cookie, header, function and Authorization, global and of the route', async (t) => {
  const page = counted((_n, request) => request.isrRender === null ? 'live' : 'page')
  const site = await start(t, (app) => {
    app.get('/page', { config: { prerender: { bypass: request => request.headers['x-a'] === 'fail' ? fail() : request.headers['x-a'] === '1' } } }, page)
    app.get('/other', { config: { prerender: true } }, page)
  }, { isr: { bypass: { cookies: ['sid'], headers: ['X-Preview'] } } })
  function fail (): never { throw new Error('no idea') }
  await site.get('/page')
  await site.get('/other')
  const cases: [headers: Record<string, string>, detail: string | null][] = [
    [{ cookie: 'sid=1' }, 'cookie'], [{ cookie: 'a=1;  sid=' }, 'cookie'], [{ cookie: 'sid' }, 'cookie'], [{ cookie: 'xsid=1; sidx=2; a=sid' }, null],
    [{ 'x-preview': '' }, 'header'], [{ authorization: '' }, 'authorization'], [{ authorization: 'Bearer x' }, 'authorization'],
    [{ 'x-a': '1' }, 'function'], [{ 'x-a': 'fail' }, 'function'], [{ 'x-a': '0' }, null]
  ]
  for (const [headers, detail] of cases) {
    const answer = await site.get('/page', headers)
    t.equal(cacheStatus(answer), detail === null ? 'hit' : `fwd=bypass; detail=${detail}`, JSON.stringify(headers))
    t.equal(answer.body, detail === null ? 'page' : 'live')
    t.equal(answer.headers['cache-control'], detail === null ? 'public, max-age=0, must-revalidate' : 'private, no-cache')
  }
  t.equal(cacheStatus(await site.get('/other', { 'x-a': '1' })), 'hit', 'the function is of one route')
  t.equal(site.logs.filter(line => line.msg.startsWith('a bypass function threw')).length, 1)
  t.equal(page.renders, 2)
})

t.test('a bypassed answer keeps its own Cache-Control', async (t) => {
  const { get } = await site(t, '/page', {}, (_n, _q, reply) => reply.header('cache-control', 'max-age=5').send('x'))
  t.equal((await get('/page', { authorization: 'x' })).headers['cache-control'], 'max-age=5')
})

t.test('a route without params is stored from its first visit; a path of a list too; others live', async (t) => {
  const { get, page, app } = await site(t, '/blog/:slug', { paths: async () => [{ slug: 'a' }, '/blog/b', { slug: 'ü x' }] }, (_n, request) => (request.params as { slug: string }).slug)
  t.equal(cacheStatus(await get('/blog/a')), 'fwd=bypass; detail=unlisted', 'no list yet: it is asked for behind')
  await until(() => app.isr.routes()[0]?.listed === 3)
  for (const path of ['/blog/a', '/blog/b', '/blog/%C3%BC%20x']) {
    t.equal(cacheStatus(await get(path)), 'fwd=uri-miss; stored', path)
    t.equal(cacheStatus(await get(path)), 'hit', path)
  }
  t.equal(cacheStatus(await get('/blog/c')), 'fwd=bypass; detail=unlisted')
  t.equal(page.renders, 3)
})

t.test('strictPaths: false stores any path, and a policy has the last word', async (t) => {
  const { get } = await start(t, (app) => {
    app.get('/any/:id', { config: { prerender: true } }, counted())
    app.get('/strict/:id', { config: { prerender: { onDemand: false } } }, counted())
  }, { isr: { strictPaths: false } })
  t.equal(cacheStatus(await get('/any/1')), 'fwd=uri-miss; stored')
  t.equal(cacheStatus(await get('/strict/1')), 'fwd=bypass; detail=unlisted')
})

t.test('paths is asked again behind, once at a time and at most once a minute', async (t) => {
  let slugs = ['a']
  let asked = 0
  const { get, clock } = await site(t, '/blog/:slug', { paths: async () => { asked++; return slugs.map(slug => ({ slug })) } })
  await Promise.all(Array.from({ length: 20 }, () => get('/blog/b')))
  t.equal(asked, 1)
  slugs = ['a', 'b']
  await get('/blog/b')
  t.equal(asked, 1)
  clock.forward(61)
  t.equal(cacheStatus(await get('/blog/b')), 'fwd=bypass; detail=unlisted', 'who triggers it goes live')
  await settle()
  t.equal(asked, 2)
  t.equal(cacheStatus(await get('/blog/b')), 'fwd=uri-miss; stored')
})

t.test('paths that fail, or give nonsense, keep the last list and are reported', async (t) => {
  let list: () => unknown = () => ['/blog/a']
  const { get, clock, logs } = await site(t, '/blog/:slug', { paths: () => list() as string[] })
  const errors = (): unknown[] => logs.filter(line => line.level === WARN)
  await get('/blog/a')
  await settle()
  t.match(cacheStatus(await get('/blog/a')), 'stored')
  const wrong = [() => { throw new Error('no database') }, () => null, () => 'abc', () => [{ slag: 'x' }], () => [5], () => ['relative'], () => ['/blog/a?b'], () => [{ slug: '' }], () => [{ slug: 'a/b' }]]
  for (const [i, next] of wrong.entries()) {
    list = next
    clock.forward(61)
    await get('/blog/unlisted')
    await until(() => errors().length === i + 1, `a report of ${String(next)}`)
    t.equal(cacheStatus(await get('/blog/a')), 'hit')
  }
})

t.test('the asynchronous context of the visitor who causes a new list does not reach it', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const { get } = await start(t, (app) => {
    app.addHook('onRequest', async () => { storage.enterWith('a visitor') })
    app.get('/blog/:slug', { config: { prerender: { paths: async () => { seen.push(storage.getStore()); return [] } } } }, counted())
  })
  await get('/blog/a')
  await until(() => seen.length === 1)
  t.same(seen, [undefined])
})

t.test('revalidating a route asks for its paths again', async (t) => {
  let asked = 0
  const { app } = await site(t, '/blog/:slug', { paths: () => { asked++; return ['/blog/a'] } })
  await app.isr.revalidate({ route: '/blog/:slug' })
  await settle()
  t.equal(asked, 1)
})

t.test('maxPaths bounds what is stored on demand; the least recently used page goes', async (t) => {
  const { get, keys } = await site(t, '/page/:id', { onDemand: true, maxPaths: 3 })
  for (const id of [1, 2, 3]) await get(`/page/${id}`)
  t.equal(cacheStatus(await get('/page/1')), 'hit')
  await get('/page/4')
  t.same(await keys(), ['/page/1', '/page/3', '/page/4'])
})

t.test('listed paths do not count for maxPaths', async (t) => {
  const { get, app } = await site(t, '/page/:id', { onDemand: true, maxPaths: 1, paths: ['/page/1', '/page/2'] })
  await app.isr.refresh({ path: '/page/9' })
  await get('/page/8')
  await settle()
  await app.isr.revalidate({ route: '/page/:id' })
  await settle()
  for (const id of [1, 2, 3, 4]) await get(`/page/${id}`)
  t.same((await app.isr.entries()).entries.map(entry => entry.key), ['/page/1', '/page/2', '/page/4'])
})

t.test('unknown paths that are not found are not stored, and leave no room taken', async (t) => {
  const { get, app } = await site(t, '/page/:id', { onDemand: true, maxPaths: 2 }, (_n, _q, reply) => reply.code(404).send('none'))
  for (let id = 0; id < 50; id++) t.equal((await get(`/page/${id}`)).statusCode, 404)
  t.equal(app.isr.stats().memory.entries, 0)
})

t.test('optional params, patterns and wildcards have one page per path', async (t) => {
  const policy = { prerender: { onDemand: true } }
  const { get, app } = await start(t, (app) => {
    app.get('/opt/:a?', { config: policy }, counted((_n, request) => JSON.stringify(request.params)))
    app.get('/num/:id(^\\d+$)', { config: policy }, counted((_n, request) => JSON.stringify(request.params)))
    app.get('/pair/:a-:b', { config: policy }, counted((_n, request) => JSON.stringify(request.params)))
    app.get('/file/:name.txt', { config: policy }, counted((_n, request) => JSON.stringify(request.params)))
    app.get('/time/::now', { config: policy }, counted(() => 'colon'))
    app.get('/all/*', { config: policy }, counted((_n, request) => JSON.stringify(request.params)))
  })
  for (const path of ['/opt', '/opt/x', '/num/42', '/pair/1-2', '/file/a.txt', '/time/:now', '/all/a/b', '/all/']) {
    const first = await get(path)
    t.equal(cacheStatus(first), 'fwd=uri-miss; stored', path)
    const hit = await get(path)
    t.equal(cacheStatus(hit), 'hit', path)
    t.equal(hit.body, first.body)
  }
  t.equal(app.isr.stats().memory.entries, 8)
})
