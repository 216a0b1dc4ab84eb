import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { DataOptions } from '../../lib/index.js'
import { makeGate, settle, start, until, WARN } from '../helpers/app.js'
import { Origin } from '../helpers/origin.js'

type Asked = FastifyRequest & { flags?: unknown }

function note (request: FastifyRequest, _reply: FastifyReply, value: unknown): void {
  (request as Asked).flags = value
}

/** An app whose every route runs a hook and shows what it applied. */
async function startHooked (t: Parameters<typeof start>[0], options: Partial<Record<keyof DataOptions<string, unknown>, unknown>> = {}, declare: (app: FastifyInstance) => unknown = () => {}) {
  const origin = new Origin()
  let handled = 0
  const site = await start(t, async app => {
    app.decorateRequest('flags', undefined)
    await declare(app)
    app.addHook('onRequest', app.isr.data({ name: 'flags', fetch: async (id: unknown) => await origin.fetch(id as string), apply: note, ...options } as DataOptions<string, unknown>))
    app.get('/', async request => { handled++; return { flags: (request as Asked).flags ?? null } })
  })
  return { ...site, origin, handled: () => handled, flags: async (headers: Record<string, string> = {}) => (await site.get('/', headers)).json<{ flags: unknown }>().flags }
}

t.test('what cannot work is refused at the call, with option and signature', async t => {
  const { app } = await start(t, () => {})
  const good = { name: 'flags', fetch: async () => 1, apply () {} }
  const refused: [options: unknown, message: RegExp][] = [
    [undefined, /'options' must be an object, got undefined/],
    [null, /'options' must be an object, got null/],
    ['flags', /'options' must be an object/],
    [{ ...good, fetch: undefined }, /isr\.data\("flags"\): 'fetch' must be a function \(extracted, context\) => value, got undefined/],
    [{ ...good, fetch: 'url' }, /'fetch' must be a function/],
    [{ ...good, apply: undefined }, /'apply' must be a function \(request, reply, value\) => void, got undefined/],
    [{ ...good, extract: 'tenant' }, /'extract' must be a function \(request\) => any, got "tenant"/],
    [{ ...good, key: 'tenant' }, /'key' must be a function \(extracted\) => string \| number \| object, got "tenant"/],
    [{ ...good, onError: true }, /'onError' must be a function \(request, reply, error\) => void, got true/],
    [{ ...good, tags: 'a' }, /'tags' must be an array or a function/],
    [{ ...good, name: undefined }, /'name' must be/],
    [{ ...good, name: '' }, /'name' must be/],
    [{ ...good, ttl: '60' }, /'ttl' must be a number of seconds/],
    [{ ...good, timeout: -1 }, /'timeout' must be a whole number of milliseconds/],
    [{ ...good, staleTtl: 5 }, /'staleTtl' must be one of .*, got an unknown name/]
  ]
  for (const [options, message] of refused) t.throws(() => app.isr.data(options as never), { code: 'FST_ISR_ERR_DATA', message }, String(message))
  t.throws(() => app.isr.data({ ...good, tags: [''] }), { code: 'FST_ISR_ERR_INVALID_TAG' })
  t.type(app.isr.data(good), 'function')
})

t.test('the value is fetched once and applied to each request', async t => {
  const { flags, origin, clock } = await startHooked(t, { ttl: 10, staleWhileRevalidate: 10 })
  t.equal(await flags(), 'x v1')
  t.equal(await flags(), 'x v1')
  t.equal(origin.fetches, 1)
  clock.forward(11)
  origin.version = 2
  t.equal(await flags(), 'x v1', 'stale: applied, and fetched behind')
  await settle()
  t.equal(await flags(), 'x v2')
  origin.version = 3
  clock.forward(20)
  t.equal(await flags(), 'x v3', 'too old: waits')
})

t.test('what is extracted is the key: no two share a value', async t => {
  const { flags, origin } = await startHooked(t, { extract: (request: FastifyRequest) => request.headers['x-tenant'] })
  t.strictSame(await Promise.all(['a', 'b', 'a'].map(tenant => flags({ 'x-tenant': tenant }))), ['a v1', 'b v1', 'a v1'])
  t.equal(origin.fetches, 2)
})

t.test('an own key: from what was extracted, or from the request', async t => {
  const seen: unknown[] = []
  const first = await startHooked(t, { extract: (request: FastifyRequest) => request.headers['x-tenant'], key: (tenant: unknown) => { seen.push(tenant); return String(tenant ?? 'none').toLowerCase() } })
  await first.flags({ 'x-tenant': 'A' })
  await first.flags({ 'x-tenant': 'a' })
  await first.flags()
  t.equal(first.origin.fetches, 2)
  t.strictSame(seen, ['A', 'a', undefined], 'what was extracted, also if that is nothing')

  const second = await startHooked(t, { key: (request: unknown) => (request as FastifyRequest).headers['x-tenant'] as string })
  await second.flags({ 'x-tenant': 'a' })
  await second.flags({ 'x-tenant': 'b' })
  t.equal(second.origin.fetches, 2)
})

t.test('a key of another kind, and what no key can be made of, are coded errors', async t => {
  for (const [key, code] of [[() => undefined, 'FST_ISR_ERR_DATA'], [() => true, 'FST_ISR_ERR_DATA'], [() => new Date(), 'FST_ISR_ERR_DATA'], [async () => 'a', 'FST_ISR_ERR_DATA'], [() => ({ a: () => {} }), 'FST_ISR_ERR_DATA_KEY']] as const) {
    const { get, origin } = await startHooked(t, { key })
    t.match((await get('/')).json(), { code, statusCode: 500 })
    t.equal(origin.fetches, 0)
  }
  const { get } = await startHooked(t, { extract: async () => 'tenant' })
  t.match((await get('/')).json(), { code: 'FST_ISR_ERR_DATA_KEY', message: /an instance of Promise/ })
})

t.test('without onError a failure is logged and the request goes on without', async t => {
  const { flags, origin, logs } = await startHooked(t)
  origin.error = new Error('down')
  t.equal(await flags(), null)
  t.match(logs.filter(line => line.level >= WARN).at(-1), { name: 'flags', err: { message: 'down' }, reqId: String })
})

t.test('onError gets the error, may apply something else or answer', async t => {
  const first = await startHooked(t, { onError (request: FastifyRequest, _reply: FastifyReply, error: Error) { (request as Asked).flags = `default: ${error.message}` } })
  first.origin.error = new Error('down')
  t.equal(await first.flags(), 'default: down')

  const second = await startHooked(t, { async onError (_request: FastifyRequest, reply: FastifyReply) { await sleep(1); reply.code(503).send('later') } })
  second.origin.error = new Error('down')
  const response = await second.get('/')
  t.equal(response.statusCode, 503)
  t.equal(response.body, 'later')
  t.equal(second.handled(), 0)

  const third = await startHooked(t, { onError () { throw Object.assign(new Error('worse'), { statusCode: 502 }) } })
  third.origin.error = new Error('down')
  t.match((await third.get('/')).json(), { statusCode: 502, message: 'worse' })
})

t.test('a fetch that never settles goes to onError at its timeout', async t => {
  const codes: unknown[] = []
  let signal: AbortSignal | undefined
  const { flags } = await startHooked(t, {
    timeout: 20,
    fetch: async (_extracted: never, context: { signal: AbortSignal }) => { signal = context.signal; return await new Promise<never>(() => {}) },
    onError (_request: FastifyRequest, _reply: FastifyReply, error: Error) { codes.push((error as { code?: string }).code) }
  })
  await Promise.all([flags(), flags()])
  t.strictSame(codes, ['FST_ISR_ERR_DATA_TIMEOUT', 'FST_ISR_ERR_DATA_TIMEOUT'])
  t.equal(signal?.aborted, true)
})

for (const [how, apply] of Object.entries({
  'at once': (_request: FastifyRequest, reply: FastifyReply) => { reply.code(418).send('enough') },
  'and returns the reply': (_request: FastifyRequest, reply: FastifyReply) => reply.code(418).send('enough'),
  'after a while': async (_request: FastifyRequest, reply: FastifyReply) => { await sleep(1); reply.code(418).send('enough') },
  'and returns the reply after a while': async (_request: FastifyRequest, reply: FastifyReply) => { await sleep(1); return reply.code(418).send('enough') }
})) {
  t.test(`apply that answers ${how} ends the request, whatever onSend hooks do`, async t => {
    for (const isSlow of [false, true]) {
      const { get, handled, logs } = await startHooked(t, { apply }, app => {
        if (isSlow) app.addHook('onSend', async (_request, _reply, payload) => { await sleep(5); return payload })
      })
      for (let i = 0; i < 2; i++) {
        const response = await get('/')
        t.equal(response.statusCode, 418)
        t.equal(response.body, 'enough')
      }
      t.equal(handled(), 0, 'the handler did not run')
      t.strictSame(logs.filter(line => line.level >= WARN), [])
    }
  })
}

t.test('apply that redirects or hijacks ends the request, too', async t => {
  const first = await startHooked(t, { apply: (_request: FastifyRequest, reply: FastifyReply) => { reply.redirect('/elsewhere', 302) } })
  t.equal((await first.get('/')).statusCode, 302)
  const second = await startHooked(t, { apply: (_request: FastifyRequest, reply: FastifyReply) => { reply.hijack(); reply.raw.end('raw') } })
  t.equal((await second.get('/')).body, 'raw')
  t.equal(first.handled() + second.handled(), 0)
})

t.test('apply that throws is a coded error, and keeps the status that the error asks for', async t => {
  const first = await startHooked(t, { apply () { throw new Error('no such flag') } })
  const response = await first.get('/')
  t.match(response.json(), { statusCode: 500, code: 'FST_ISR_ERR_DATA_APPLY', message: "data 'flags': apply failed: no such flag" })
  t.equal(first.handled(), 0)
  t.match((await first.get('/')).json(), { code: 'FST_ISR_ERR_DATA_APPLY' })
  t.equal(first.origin.fetches, 1, 'the value is not lost')

  const second = await startHooked(t, { async apply () { throw Object.assign(new Error('not yours'), { statusCode: 403 }) } })
  t.match((await second.get('/')).json(), { statusCode: 403, code: 'FST_ISR_ERR_DATA_APPLY' })
  const third = await startHooked(t, { apply () { throw undefined } }) // eslint-disable-line no-throw-literal
  t.match((await third.get('/')).json(), { statusCode: 500, code: 'FST_ISR_ERR_DATA_APPLY' })
})

t.test('null and undefined are applied', async t => {
  for (const value of [null, undefined]) {
    const applied: unknown[] = []
    const { flags } = await startHooked(t, { fetch: async () => value, apply (_request: FastifyRequest, _reply: FastifyReply, got: unknown) { applied.push(got) } })
    await flags()
    await flags()
    t.strictSame(applied, [value, value])
  }
})

t.test('at any point of the lifecycle, and payloads stay what they are', async t => {
  const points = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse'] as const
  const applied: string[] = []
  const { app, warnings } = await start(t, app => {
    for (const point of points) {
      const hook = app.isr.data({ name: point, fetch: async () => point, apply: (_request, _reply, value) => { applied.push(value) } })
      app.route({ method: 'POST', url: `/${point}`, [point]: hook, handler: async request => ({ got: request.body }) })
    }
  })
  for (const point of points) {
    for (let i = 0; i < 2; i++) {
      const response = await app.inject({ method: 'POST', url: `/${point}`, payload: { a: 1 } })
      t.strictSame(response.json(), { got: { a: 1 } }, point)
    }
  }
  await settle()
  t.strictSame(applied, points.flatMap(point => [point, point]))
  t.strictSame(warnings(), [])
})

t.test('many requests at a miss, or while it is fetched behind: one fetch, and none waits for the second', async t => {
  const { flags, origin, clock } = await startHooked(t, { ttl: 10 })
  origin.gate = makeGate()
  const cold = Array.from({ length: 20 }, () => flags())
  await until(() => origin.fetches === 1, 'the fetch')
  origin.gate.open()
  t.strictSame(new Set(await Promise.all(cold)), new Set(['x v1']))
  clock.forward(11)
  origin.gate = makeGate()
  origin.version = 2
  t.strictSame(new Set(await Promise.all(Array.from({ length: 20 }, () => flags()))), new Set(['x v1']))
  t.equal(origin.fetches, 2)
  origin.gate.open()
  await settle()
  t.equal(await flags(), 'x v2')
})

t.test('one hook on several routes is one datum; orders by tag reach it', async t => {
  const { app, flags, origin } = await startHooked(t, { tags: ['flags'] })
  await flags()
  origin.version = 2
  t.equal((await app.isr.purge({ tag: 'flags' })).matched, 1)
  t.equal(await flags(), 'x v2')
})

t.test('a page that is made with it is answered without it, and nobody is warned', async t => {
  const { get, warnings, origin } = await (async () => {
    const origin = new Origin()
    const site = await start(t, app => {
      app.decorateRequest('flags', undefined)
      const load = app.isr.data({ name: 'flags', fetch: async () => await origin.fetch(), apply: note })
      app.get('/page', { config: { prerender: true }, preValidation: load, preHandler: [load] }, async request => String((request as Asked).flags))
      app.get('/mixed', { config: { prerender: true }, preHandler: [load, async () => {}] }, async () => 'mixed')
    })
    return { ...site, origin }
  })()
  t.equal((await get('/page')).body, 'x v1')
  t.equal((await get('/page')).body, 'x v1')
  t.equal(origin.fetches, 1)
  t.strictSame(warnings().map(warning => warning.split(':')[0]), ['route GET /mixed'])
})
