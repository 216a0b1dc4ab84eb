import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { channels, logAll, type IsrEvents } from '../../lib/telemetry.js'
import { counted, record, settle, start, until, WARN } from '../helpers/app.js'

const anyDuration = { durationMs: Number }

t.test('serve: how each request was answered, and from where', async (t) => {
  let isBroken = false
  const events = record(t, 'serve')
  const regenerations = record(t, 'regenerate')
  const { get, clock } = await start(t, (app) => {
    app.get('/page', { config: { prerender: { ttl: 10, staleWhileRevalidate: 10 } } }, counted((nth) => {
      if (isBroken) throw new Error('down')
      return `#${nth}`
    }))
    app.get('/private', { config: { prerender: true } }, counted((_n, _q, reply) => { reply.isr.noStore(); return 'x' }))
    app.get('/broken', { config: { prerender: true } }, counted(() => { throw new Error('down') }))
    app.get('/plain', async () => 'x')
  })
  await get('/page')
  await get('/page')
  clock.forward(11)
  await get('/page')
  await until(() => regenerations.length === 1)
  isBroken = true
  clock.forward(25)
  await get('/page')
  await get('/page', { authorization: 'x' })
  await get('/page/%61')
  await get('/private')
  await get('/private')
  await get('/broken')
  await get('/plain')
  t.match(events, [
    { key: '/page', path: '/page', outcome: 'miss', source: 'render' },
    { key: '/page', outcome: 'hit', source: 'memory' },
    { key: '/page', outcome: 'stale', source: 'memory' },
    { key: '/page', outcome: 'stale-if-error', source: 'memory' },
    { key: null, path: '/page', outcome: 'bypass', source: 'live', detail: 'authorization' },
    { key: '/private', outcome: 'unstorable', source: 'render', detail: 'no-store' },
    { key: '/private', outcome: 'unstorable', source: 'live', detail: 'unstorable' },
    { key: '/broken', outcome: 'failed', source: 'render' }
  ])
  t.equal(events.length, 8, 'other routes are not ours')
  for (const event of events) t.match(event, anyDuration)
})

t.test('the path of an event is a path, whatever the query', async (t) => {
  const events = record(t, 'serve')
  const { get } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, counted()) })
  await get('/page?a=1')
  await get('/page?b=2')
  await get('/page?c=3', { authorization: 'x' })
  t.same(events.map(event => event.path), ['/page', '/page', '/page'])
})

t.test('render and regenerate: what was rendered, why, and how it ended', async (t) => {
  let answer: () => unknown = () => 'one'
  const renders = record(t, 'render')
  const regenerations = record(t, 'regenerate')
  const { get, app, clock } = await start(t, (app) => {
    app.get('/page/:id', { config: { prerender: { ttl: 10, onDemand: true } } }, async (_request, reply) => {
      const given = answer()
      return typeof given === 'number' ? await reply.code(given).send('x') : given
    })
  })
  await get('/page/1')
  clock.forward(11)
  await get('/page/1')
  await until(() => regenerations.length === 1)
  answer = () => 'two'
  await app.isr.revalidate({ path: '/page/1' })
  await get('/page/1')
  await until(() => regenerations.length === 2)
  answer = () => { throw new Error('down') }
  await app.isr.refresh({ path: '/page/1' })
  answer = () => 404
  await app.isr.refresh({ path: '/page/1' })
  const names = { key: '/page/1', path: '/page/1', route: '/page/:id', queuedMs: Number, ...anyDuration }
  t.match(renders, [
    { ...names, reason: 'miss', outcome: 'storable' },
    { ...names, reason: 'ttl', outcome: 'storable' },
    { ...names, reason: 'revalidate', outcome: 'storable' },
    { ...names, reason: 'refresh', outcome: 'failure', error: Error },
    { ...names, reason: 'refresh', outcome: 'unstorable', detail: 'status-404' }
  ])
  t.match(regenerations, [
    { reason: 'ttl', outcome: 'renewed', ...anyDuration },
    { reason: 'revalidate', outcome: 'storable' },
    { reason: 'refresh', outcome: 'failure' },
    { reason: 'refresh', outcome: 'unstorable' }
  ])
})

t.test('invalidate: orders, once each, and none for a dry run', async (t) => {
  const events = record(t, 'invalidate')
  const { get, app } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, counted()) })
  await get('/page')
  await app.isr.revalidate({ path: '/page' }, { dryRun: true })
  await app.isr.revalidate({ path: '/page' })
  await app.isr.purge({ all: true })
  await app.isr.revalidate([])
  t.match(events, [{ kind: 'soft', matched: 1, epoch: Number }, { kind: 'hard', matched: 1 }])
  t.equal(events.length, 2)
})

t.test('error: what no visitor saw', async (t) => {
  const events = record(t, 'error')
  const { get } = await start(t, (app) => {
    app.get('/blog/:slug', { config: { prerender: { paths: () => { throw new Error('no database') } } } }, counted())
  })
  await get('/blog/a')
  await until(() => events.length === 1)
  t.match(events, [{ route: '/blog/:slug', error: { code: 'FST_ISR_ERR_PATHS', message: /no database/ } }])
})

t.test('nothing is published, measured or made without subscribers', async (t) => {
  const published: string[] = []
  for (const [name, target] of Object.entries(channels)) target.publish = () => { published.push(name) }
  // The method of the prototype again, which depends on whether anybody listens.
  t.teardown(() => { for (const target of Object.values(channels)) Reflect.deleteProperty(target, 'publish') })
  const { get, app } = await start(t, (app) => { app.get('/page', { config: { prerender: { ttl: 0 } } }, counted()) })
  await get('/page')
  await get('/page')
  await get('/page', { authorization: 'x' })
  await settle()
  await app.isr.revalidate({ all: true })
  t.same(published, [])
})

t.test('a subscriber that throws harms no answer', async (t) => {
  const listener = (): void => { throw new Error('a bad subscriber') }
  subscribe('fastify-isr:serve', listener)
  subscribe('fastify-isr:render', listener)
  t.teardown(() => { unsubscribe('fastify-isr:serve', listener); unsubscribe('fastify-isr:render', listener) })
  const caught: unknown[] = []
  const onUncaught = (error: unknown): void => { caught.push(error) }
  // diagnostics_channel throws it on the next tick; this test is not about that.
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', onUncaught)
  t.teardown(() => {
    process.removeListener('uncaughtException', onUncaught)
    for (const other of others) process.on('uncaughtException', other)
  })
  const { get } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, counted()) })
  for (let i = 0; i < 2; i++) t.equal((await get('/page')).body, '#1')
  await until(() => caught.length === 3)
})

t.test('logAll logs every event at debug level until it is stopped', async (t) => {
  const lines: [object, string][] = []
  const stop = logAll({ debug: (event, message) => { lines.push([event, message]) } })
  const { get } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, counted()) })
  await get('/page')
  t.same(lines.map(([, message]) => message), ['fastify-isr:render', 'fastify-isr:serve'])
  stop()
  await get('/page')
  t.equal(lines.length, 2)
  for (const name of Object.keys(channels) as (keyof IsrEvents)[]) t.equal(channel(`fastify-isr:${name}`).hasSubscribers, false)
})

t.test('pages are logged at debug level, never above, and an outage once', async (t) => {
  let isBroken = false
  const regenerations = record(t, 'regenerate')
  const { get, logs, clock, app } = await start(t, (app) => {
    app.get('/page', { config: { prerender: { ttl: 10 } } }, async (_request, reply) => isBroken ? await reply.code(503).send('x') : 'x')
  })
  const own = (): typeof logs => logs.filter(line => line.plugin === 'fastify-isr')
  await get('/page')
  await get('/page')
  t.match(own(), [{ level: 20, msg: 'page rendered', key: '/page', reason: 'miss', outcome: 'stored' }])
  isBroken = true
  for (let i = 1; i < 5; i++) {
    clock.forward(60)
    await get('/page')
    await until(() => regenerations.length === i)
  }
  const warnings = own().filter(line => line.level >= WARN)
  t.equal(warnings.length, 1)
  t.match(warnings[0], { level: WARN, msg: 'page could not be rendered', key: '/page', err: { code: 'FST_ISR_ERR_RENDER_STATUS' } })
  isBroken = false
  clock.forward(60)
  await get('/page')
  await until(() => regenerations.length === 5)
  isBroken = true
  await app.isr.refresh({ path: '/page' })
  t.equal(own().filter(line => line.level >= WARN).length, 2, 'the next outage is told of again')
})
