import { AsyncLocalStorage } from 'node:async_hooks'
import t from 'tap'
import { cacheStatus, counted, record, start, until } from '../helpers/app.js'

t.test('a regeneration asks the handler, not the cache', async (t) => {
  const page = counted()
  const regenerations = record(t, 'regenerate')
  const { get, clock } = await start(t, app => { app.get('/page', { config: { prerender: { ttl: 10 } } }, page) })
  t.equal((await get('/page')).body, '#1')
  t.equal((await get('/page')).body, '#1')
  for (const nth of [2, 3]) {
    clock.forward(11)
    t.equal((await get('/page')).body, `#${nth - 1}`, 'the stale page is served at once')
    await until(() => regenerations.length === nth - 1)
    t.equal((await get('/page')).body, `#${nth}`)
  }
  t.equal(page.live, 0)
})

t.test('every reason to render again really changes the content', async (t) => {
  const page = counted()
  const { app, get } = await start(t, app => { app.get('/page', { config: { prerender: true } }, page) })
  t.equal((await get('/page')).body, '#1')
  t.same((await app.isr.refresh({ path: '/page' })).pages.map(page => page.outcome), ['stored'])
  t.equal((await get('/page')).body, '#2')
  await app.isr.purge({ path: '/page' })
  t.equal((await get('/page')).body, '#3')
  await app.isr.revalidate({ path: '/page' }, { expire: 0 })
  t.equal((await get('/page')).body, '#4')
})

t.test('an injected request of the app itself is a visitor like any other', async (t) => {
  const page = counted()
  const { app, get } = await start(t, (app) => {
    app.get('/page', { config: { prerender: true } }, page)
    app.get('/batch', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => app.inject('/page')))
      return answers.map(answer => answer.body)
    })
  })
  t.same((await get('/batch')).json(), Array.from({ length: 20 }, () => '#1'))
  t.equal(page.renders, 1)
  t.equal(page.live, 0)
  t.equal(cacheStatus(await app.inject('/page')), 'hit')
})

t.test('a page may be made of other pages, even with a single render slot', async (t) => {
  const inner = counted(nth => `inner #${nth}`)
  const middle = counted(async (nth, request) => `middle of ${(await request.server.inject('/inner')).body}`)
  const outer = counted(async (nth, request) => {
    const parts = await Promise.all(['/middle', '/inner', '/middle'].map(async url => (await request.server.inject(url)).body))
    return parts.join(', ')
  })
  const { get, app } = await start(t, (app) => {
    app.get('/inner', { config: { prerender: true } }, inner)
    app.get('/middle', { config: { prerender: true } }, middle)
    app.get('/outer', { config: { prerender: true } }, outer)
  }, { isr: { render: { concurrency: 1, timeout: 2000 } } })
  const answers = await Promise.all(['/outer', '/inner', '/outer', '/middle'].map(url => get(url)))
  t.same(answers.map(answer => answer.body), [
    'middle of inner #1, inner #1, middle of inner #1',
    'inner #1',
    'middle of inner #1, inner #1, middle of inner #1',
    'middle of inner #1'
  ])
  t.same([inner.renders, middle.renders, outer.renders], [1, 1, 1])
  t.equal(app.isr.stats().renders.running, 0)
})

t.test('a page that asks for a stale page gets it, and its regeneration takes no part in the render', async (t) => {
  const regenerations = record(t, 'regenerate')
  const { get, clock } = await start(t, (app) => {
    app.get('/inner', { config: { prerender: { ttl: 1 } } }, counted(nth => `inner #${nth}`))
    app.get('/outer', { config: { prerender: true } }, async request => (await request.server.inject('/inner')).body)
  }, { isr: { render: { concurrency: 1, timeout: 2000 } } })
  await get('/inner')
  clock.forward(2)
  t.equal((await get('/outer')).body, 'inner #1')
  await until(() => regenerations.length === 1)
  t.equal((await get('/inner')).body, 'inner #2')
})

t.test('a page that asks for itself fails at once instead of waiting for itself', async (t) => {
  const { get, app } = await start(t, (app) => {
    app.get('/self', { config: { prerender: true } }, async (request, reply) => {
      const inner = await request.server.inject('/self')
      return reply.code(200).send(`inner answered ${inner.statusCode} ${inner.json<{ code: string }>().code}`)
    })
  }, { isr: { render: { concurrency: 1, timeout: 2000 } } })
  const startedAt = Date.now()
  t.equal((await get('/self')).body, 'inner answered 508 FST_ISR_ERR_RENDER_CYCLE')
  t.ok(Date.now() - startedAt < 1000)
  t.equal(app.isr.stats().renders.running, 0)
})

t.test('two pages that ask for each other fail with a coded error, wherever the circle is entered', async (t) => {
  const { get, app } = await start(t, (app) => {
    app.get('/a', { config: { prerender: true } }, async (request) => `a(${(await request.server.inject('/b')).body})`)
    app.get('/b', { config: { prerender: true } }, async (request) => `b(${(await request.server.inject('/a')).body})`)
  }, { isr: { render: { concurrency: 1, timeout: 2000 } } })
  const startedAt = Date.now()
  const answers = await Promise.all([get('/a'), get('/b')])
  t.ok(answers.some(answer => answer.body.includes('FST_ISR_ERR_RENDER_CYCLE')))
  t.ok(Date.now() - startedAt < 1000)
  t.equal(app.isr.stats().renders.running, 0)
})

t.test('what a visitor sends never reaches a render', async (t) => {
  const reflect = counted((nth, request) => ({
    headers: request.headers,
    query: request.query,
    body: request.body ?? null,
    ip: request.ip,
    ips: request.ips ?? null,
    host: request.host,
    protocol: request.protocol,
    url: request.url,
    originalUrl: request.originalUrl,
    method: request.method,
    remotePort: request.socket.remotePort ?? null
  }))
  const declare = (app: Parameters<Parameters<typeof start>[1]>[0]): void => { app.get('/page', { config: { prerender: true } }, reflect) }
  const options = { fastify: { trustProxy: true }, isr: { baseUrl: 'https://site.example' } }
  const clean = await start(t, declare, options)
  const attacked = await start(t, declare, options)
  const port = await attacked.listen()
  const first = await fetch(`http://127.0.0.1:${port}/page?canary=1&__proto__[x]=canary`, {
    headers: {
      cookie: 'sid=canary',
      'user-agent': 'canary',
      'accept-language': 'canary',
      accept: 'text/canary',
      'x-forwarded-host': 'canary.example',
      'x-forwarded-proto': 'canary',
      'x-forwarded-for': '10.9.8.7',
      forwarded: 'host=canary',
      'x-prerender': '1',
      'x-isr-render': '1',
      'x-http-method-override': 'POST',
      'x-original-url': '/canary',
      'x-request-id': 'canary',
      'if-none-match': '*',
      range: 'bytes=0-3'
    }
  })
  const text = (await first.text()) + JSON.stringify([...first.headers])
  t.notMatch(text, /canary|10\.9\.8\.7|127\.0\.0\.1/)
  const twin = await clean.get('/page')
  const after = await attacked.get('/page')
  t.equal(after.body, twin.body)
  t.equal(reflect.live, 0)
  const seen = after.json<{ headers: Record<string, string>, ip: string, protocol: string, host: string }>()
  t.equal(seen.protocol, 'https')
  t.equal(seen.host, 'site.example')
  t.equal(seen.ip, '0.0.0.0')
  t.same(Object.keys(seen.headers).sort(), ['accept', 'host', 'user-agent'])
})

t.test('the body of a GET is not part of the page', async (t) => {
  const { get, app } = await start(t, app => { app.get('/page', { config: { prerender: true } }, counted((nth, request) => `body: ${String(request.body)}`)) })
  await app.inject({ method: 'GET', url: '/page', payload: 'canary', headers: { 'content-type': 'text/plain' } })
  t.equal((await get('/page')).body, 'body: undefined')
})

t.test("the asynchronous context of a visitor's hook does not reach a render", async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const regenerations = record(t, 'regenerate')
  const { get, clock } = await start(t, (app) => {
    app.addHook('onRequest', async (request) => { if (request.isrRender === null) storage.enterWith(String(request.headers['x-user'])) })
    app.get('/page', { config: { prerender: { ttl: 1 } } }, counted(nth => `#${nth} for ${storage.getStore() ?? 'nobody'}`))
  })
  t.equal((await get('/page', { 'x-user': 'alice' })).body, '#1 for nobody')
  clock.forward(2)
  await get('/page', { 'x-user': 'bob' })
  await until(() => regenerations.length === 1)
  t.equal((await get('/page', { 'x-user': 'carol' })).body, '#2 for nobody')
})

t.test('no header makes a request an internal one', async (t) => {
  const { get } = await start(t, app => { app.get('/page', { config: { prerender: true } }, counted((nth, request) => request.isrRender === null ? 'live' : 'render')) })
  const names = ['x-prerender', 'x-isr-render', 'fastify-isr', 'x-fastify-isr', 'isr-render', 'next-resume', 'x-middleware-subrequest', 'x-react-router-prerender-data']
  const answer = await get('/page', { ...Object.fromEntries(names.map(name => [name, '1'])), authorization: 'x' })
  t.equal(answer.body, 'live')
})

t.test('request.isrRender says what is rendered, and is null for visitors', async (t) => {
  const seen: unknown[] = []
  const regenerations = record(t, 'regenerate')
  const { app, get, clock } = await start(t, (app) => {
    app.addHook('onRequest', async (request) => { seen.push(request.isrRender) })
    app.get('/page/:id', { config: { prerender: { ttl: 10, onDemand: true, query: ['q'] } } }, counted())
  })
  await get('/page/1?q=x&y=1')
  clock.forward(11)
  await get('/page/1?q=x')
  await until(() => regenerations.length === 1)
  await app.isr.revalidate({ path: '/page/1' }, { expire: 0 })
  await get('/page/1?q=x')
  await app.isr.refresh({ path: '/page/1?q=x' })
  const facts = { route: '/page/:id', path: '/page/1', key: '/page/1?q=x' }
  t.same(seen, [
    null, { ...facts, reason: 'miss' },
    null, { ...facts, reason: 'ttl' },
    null, { ...facts, reason: 'revalidate' },
    { ...facts, reason: 'refresh' }
  ])
})
