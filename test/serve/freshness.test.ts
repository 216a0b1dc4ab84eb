import t from 'tap'
import type { RoutePolicy } from '../../lib/index.js'
import { cacheStatus, counted, makeGate, record, settle, start, until, WARN, type Counted, type Site, type SiteOptions } from '../helpers/app.js'

type Handler = Parameters<typeof counted>[0]

async function site (t: Parameters<typeof start>[0], policy: RoutePolicy, answer?: Handler, options: SiteOptions = {}): Promise<Site & { page: Counted }> {
  const page = counted(answer)
  return { ...await start(t, (app) => { app.get('/page', { config: { prerender: policy } }, page) }, options), page }
}

t.test('a page is fresh, then stale, then kept for bad times, then gone', async (t) => {
  let isBroken = false
  const regenerations = record(t, 'regenerate')
  const { get, clock, page } = await site(t, { ttl: 10, staleWhileRevalidate: 20, staleIfError: 30 }, nth => {
    if (isBroken) throw new Error('down')
    return `#${nth}`
  })
  const at = async (seconds: number): Promise<string> => {
    clock.now = 1_700_000_000_000 + seconds * 1000
    const { statusCode, body, headers } = await get('/page')
    return `${statusCode === 200 ? body : statusCode} ${cacheStatus({ headers })}`
  }
  t.equal(await at(0), '#1 fwd=uri-miss; stored')
  t.equal(await at(9.999), '#1 hit; ttl=1')
  isBroken = true
  t.equal(await at(10), '#1 hit; ttl=0; detail=stale')
  await until(() => regenerations.length === 1)
  t.equal(await at(29.999), '#1 hit; ttl=-20; detail=stale')
  await until(() => regenerations.length === 2)
  t.equal(await at(45), '#1 fwd=stale; fwd-status=500; detail=stale-if-error')
  t.equal(await at(59.999), '#1 fwd=stale; fwd-status=500; detail=stale-if-error')
  t.equal(await at(80), '500 fwd=uri-miss; stored=?0; detail=failed')
  isBroken = false
  t.equal(await at(120), `#${page.renders} fwd=stale; stored`)
})

t.test('beyond its stale window visitors wait for the new page', async (t) => {
  const { get, clock } = await site(t, { ttl: 10, staleWhileRevalidate: 5 })
  await get('/page')
  clock.forward(16)
  const answer = await get('/page')
  t.equal(answer.body, '#2')
  t.equal(cacheStatus(answer), 'fwd=stale; stored')
})

t.test('ttl: 0 serves at once and renders behind, each time', async (t) => {
  const regenerations = record(t, 'regenerate')
  const { get } = await site(t, { ttl: 0 })
  t.equal((await get('/page')).body, '#1')
  for (let nth = 1; nth < 4; nth++) {
    const answer = await get('/page')
    t.equal(answer.body, `#${nth}`)
    t.equal(cacheStatus(answer), 'hit; ttl=0; detail=stale')
    await until(() => regenerations.length === nth)
  }
})

t.test('without a ttl a page is fresh until somebody says otherwise', async (t) => {
  for (const policy of [{}, { ttl: Infinity }]) {
    const { get, clock, page } = await site(t, policy)
    await get('/page')
    clock.forward(100 * 365 * 86400)
    const hit = await get('/page')
    t.equal(cacheStatus(hit), 'hit')
    t.equal(hit.headers.age, String(100 * 365 * 86400))
    t.equal(page.renders, 1)
  }
})

t.test('prerender: true takes the defaults, and a policy overrides them one by one', async (t) => {
  const { app } = await start(t, (app) => {
    app.get('/plain', { config: { prerender: true } }, counted())
    app.get('/own', { config: { prerender: { ttl: 5 } } }, counted())
  }, { isr: { defaults: { ttl: 60, staleWhileRevalidate: 7 } } })
  for (const path of ['/plain', '/own']) await app.inject(path)
  const { entries } = await app.isr.entries()
  t.same(entries.map(({ path, ttl, staleWhileRevalidate, staleIfError }) => ({ path, ttl, staleWhileRevalidate, staleIfError })), [
    { path: '/own', ttl: 5, staleWhileRevalidate: 7, staleIfError: Infinity },
    { path: '/plain', ttl: 60, staleWhileRevalidate: 7, staleIfError: Infinity }
  ])
})

t.test('who decides on the ttl: the reply, then the status, then the route', async (t) => {
  const { app, get } = await start(t, (app) => {
    const statuses = { 404: 3 }
    app.get('/reply', { config: { prerender: { ttl: 60, statuses } } }, async (_request, reply) => { reply.isr.ttl(5); return reply.code(404).send('x') })
    app.get('/status', { config: { prerender: { ttl: 60, statuses } } }, async (_request, reply) => reply.code(404).send('x'))
    app.get('/function', { config: { prerender: { ttl: page => page.body.length + page.status + Number(page.headers['x-ttl']) + page.path.length } } }, async (_request, reply) => reply.header('x-ttl', '7').send('12345'))
    app.get('/forever', { config: { prerender: { ttl: 1 } } }, async (_request, reply) => { reply.isr.ttl(Infinity); return 'x' })
  })
  for (const [path, status] of [['/reply', 'hit; ttl=5'], ['/status', 'hit; ttl=3'], ['/function', `hit; ttl=${5 + 200 + 7 + 9}`], ['/forever', 'hit']] as const) {
    await get(path)
    t.equal(cacheStatus(await get(path)), status, path)
  }
  t.equal(app.isr.stats().memory.entries, 4)
})

t.test('a ttl that makes no sense fails the render with a coded error, and nothing is stored', async (t) => {
  for (const ttl of [-1, NaN, '5' as unknown as number]) {
    const byReply = await site(t, {}, (_n, _q, reply) => { reply.isr.ttl(ttl); return 'x' })
    t.equal((await byReply.get('/page')).json<{ code: string }>().code, 'FST_ISR_ERR_INVALID_TTL')
    const byFunction = await site(t, { ttl: () => ttl })
    const answer = await byFunction.get('/page')
    t.equal(answer.statusCode, 500)
    t.equal(answer.json<{ code: string }>().code, 'FST_ISR_ERR_INVALID_TTL')
    t.equal(answer.headers['cache-control'], 'no-store')
  }
  const throwing = await site(t, { ttl: () => { throw new Error('no idea') } })
  t.equal((await throwing.get('/page')).statusCode, 500)
  t.equal(throwing.app.isr.stats().memory.entries, 0)
})

t.test('failures back off from 1 s to 30 s, are shared, and say when to come again', async (t) => {
  let isBroken = true
  const { get, clock, page, logs } = await site(t, { ttl: 10 }, () => {
    if (isBroken) throw new Error('down')
    return 'up'
  })
  const outages = (): number => logs.filter(({ level, msg }) => level === WARN && msg === 'page could not be rendered').length
  const steps: number[] = []
  for (let i = 0; i < 8; i++) {
    const first = await get('/page')
    t.equal(first.statusCode, 500)
    t.equal(first.headers['cache-control'], 'no-store')
    const until = Number(first.headers['retry-after'])
    steps.push(until)
    const before = page.renders
    clock.now += 400
    t.equal((await get('/page')).statusCode, 500)
    t.equal(page.renders, before, 'no render during the back-off')
    clock.forward(30)
  }
  const most = [1, 2, 4, 8, 16, 30, 30, 30]
  steps.forEach((step, i) => { t.ok(step <= (most[i] ?? 0) && step >= (most[i] ?? 0) / 2, `step ${i}: ${step} s`) })
  t.equal(page.renders, 8)
  t.equal(page.live, 0)
  t.equal(outages(), 1, 'one warning per outage')
  isBroken = false
  t.equal((await get('/page')).body, 'up')
  isBroken = true
  clock.forward(11)
  await get('/page')
  await until(() => outages() === 2)
})

t.test('a stale page that fails to render is tried again only after the back-off', async (t) => {
  const regenerations = record(t, 'regenerate')
  const { get, clock, page } = await site(t, { ttl: 10 }, (nth) => {
    if (nth > 1) throw new Error('down')
    return 'good'
  })
  await get('/page')
  clock.forward(11)
  for (let i = 0; i < 5; i++) t.equal((await get('/page')).body, 'good')
  await until(() => regenerations.length === 1)
  for (let i = 0; i < 5; i++) await get('/page')
  await settle()
  t.equal(page.renders, 2)
  clock.forward(1.1)
  await get('/page')
  await until(() => regenerations.length === 2)
})

t.test('an order to revalidate ends a back-off', async (t) => {
  const { get, app, page } = await site(t, {}, (nth) => {
    if (nth === 1) throw new Error('down')
    return 'up'
  })
  t.equal((await get('/page')).statusCode, 500)
  await app.isr.revalidate({ path: '/page' })
  t.equal((await get('/page')).body, 'up')
  t.equal(page.renders, 2)
})

t.test('an order to revalidate ends the marker of an unstorable page', async (t) => {
  const { get, app } = await site(t, {}, (nth, _q, reply) => nth < 3 ? reply.code(404).send('none') : 'there')
  await get('/page')
  t.equal(cacheStatus(await get('/page')), 'fwd=bypass; detail=unstorable')
  await app.isr.revalidate({ path: '/page' })
  t.equal(cacheStatus(await get('/page')), 'fwd=uri-miss; stored')
})

t.test('a visitor never joins a render that began before an order he came after', async (t) => {
  const gate = makeGate()
  let content = 'old'
  const { get, app, page } = await site(t, {}, async (nth) => {
    const read = content
    if (nth === 1) await gate.opened
    return read
  })
  const early = get('/page')
  await until(() => page.renders === 1)
  content = 'new'
  await app.isr.purge({ path: '/page' })
  const late = get('/page')
  await settle()
  gate.open()
  t.equal((await late).body, 'new')
  t.equal((await early).body, 'new', 'what was purged while it was rendered is shown to nobody')
  t.equal((await get('/page')).body, 'new')
})

t.test('what an order overtakes is stored as stale', async (t) => {
  const gate = makeGate()
  const regenerations = record(t, 'regenerate')
  let content = 'old'
  const { get, app, page } = await site(t, {}, async (nth) => {
    const read = content
    if (nth === 1) await gate.opened
    return read
  })
  const early = get('/page')
  await until(() => page.renders === 1)
  content = 'new'
  await app.isr.revalidate({ path: '/page' })
  gate.open()
  t.equal((await early).body, 'old')
  t.match(cacheStatus(await get('/page')), 'detail=stale')
  await until(() => regenerations.length === 1)
  t.equal((await get('/page')).body, 'new')
})

t.test('a clock that goes back makes no negative age', async (t) => {
  const { get, clock } = await site(t, { ttl: 60 })
  await get('/page')
  clock.forward(-3600)
  t.equal((await get('/page')).headers.age, '0')
})

t.test('a page larger than the memory is served from nowhere, but served', async (t) => {
  const { get, page } = await site(t, {}, nth => `#${nth} ${'x'.repeat(5000)}`, { isr: { memory: { maxBytes: 2000 } } })
  for (const nth of [1, 2]) t.match((await get('/page')).body, `#${nth} `)
  t.equal(page.live, 0)
})
