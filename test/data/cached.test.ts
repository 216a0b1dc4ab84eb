import t from 'tap'
import type { CachedContext, CachedOptions, IsrOptions } from '../../lib/index.js'
import { makeGate, record, settle, start, until, WARN, type Site } from '../helpers/app.js'
import { Origin } from '../helpers/origin.js'

type Test = Parameters<typeof start>[0]

async function startData (t: Test, isr: IsrOptions = {}): Promise<Site> {
  return await start(t, () => {}, { isr })
}

/** A cached function of one id, whose source the test commands. */
async function makeCached (t: Test, options: CachedOptions<[id?: string], string> = {}) {
  const site = await startData(t)
  const origin = new Origin()
  return { ...site, origin, get: site.app.isr.cached('post', origin.fetch, options) }
}

t.test('what cannot work is refused at the call, with option and expectation', async t => {
  const { app } = await startData(t)
  const refused: [options: unknown, message: RegExp][] = [
    [null, /'options' must be an object, got null/],
    [5, /'options' must be an object, got 5/],
    [{ ttl: -1 }, /'ttl' must be a number of seconds, 0 or more \(Infinity allowed\), got -1/],
    [{ ttl: NaN }, /'ttl' .* got NaN/],
    [{ ttl: '60' }, /'ttl' .* got "60"/],
    [{ staleWhileRevalidate: -1 }, /'staleWhileRevalidate' must be a number of seconds/],
    [{ staleIfError: null }, /'staleIfError' must be a number of seconds/],
    [{ timeout: 0 }, /'timeout' must be a whole number of milliseconds, 1 to 2147483647, got 0/],
    [{ timeout: 1.5 }, /'timeout' .* got 1.5/],
    [{ timeout: Infinity }, /'timeout' .* got Infinity/],
    // A timer would run at once.
    [{ timeout: 2 ** 31 }, /'timeout' .* got 2147483648/],
    [{ maxEntries: 0 }, /'maxEntries' must be a whole number, 1 or more, got 0/],
    [{ persist: 'yes' }, /'persist' must be true or false, got "yes"/],
    [{ key: 'id' }, /'key' must be a function \(\.\.\.args\) => string \| number \| object, got "id"/],
    [{ tags: 'a' }, /'tags' must be an array or a function \(value, \.\.\.args\) => string\[\], got "a"/],
    [{ onError () {} }, /'onError' must be one of key, tags, ttl, .*, got an unknown name/]
  ]
  for (const [options, message] of refused) {
    t.throws(() => app.isr.cached('wrong', async () => 1, options as object), { code: 'FST_ISR_ERR_DATA', message }, String(message))
  }
  t.throws(() => app.isr.cached('wrong', async () => 1, { tags: [''] }), { code: 'FST_ISR_ERR_INVALID_TAG', message: /isr\.cached\("wrong"\)/ })
  t.throws(() => app.isr.cached('wrong', 'fn' as never), { code: 'FST_ISR_ERR_DATA', message: /isr\.cached\("wrong"\): 'fn' must be a function \(\.\.\.args, context\?\) => value, got "fn"/ })
  for (const name of ['', 'a b', undefined, 5, '\u0001x', 'x'.repeat(101)]) {
    t.throws(() => app.isr.cached(name as string, async () => 1), { code: 'FST_ISR_ERR_DATA', message: /'name' must be/ }, `name ${String(name)}`)
  }
  t.doesNotThrow(() => app.isr.cached('wrong', async () => 1), 'what was refused has taken no name')
})

t.test('a name belongs to one function, whichever of the two takes it', async t => {
  const { app } = await startData(t)
  app.isr.cached('post', async () => 1)
  t.throws(() => app.isr.cached('post', async () => 2), { code: 'FST_ISR_ERR_DATA', message: /'name' must be a name of its own, got 'post', which is taken/ })
  t.throws(() => app.isr.data({ name: 'post', fetch: async () => 1, apply () {} }), { code: 'FST_ISR_ERR_DATA', message: /which is taken/ })
})

t.test('a value is fresh, then stale and fetched behind, then too old', async t => {
  const { get, origin, clock } = await makeCached(t, { ttl: 10, staleWhileRevalidate: 20 })
  t.equal(await get('7'), '7 v1')
  origin.version = 2
  clock.forward(9.9)
  t.equal(await get('7'), '7 v1', 'fresh')
  t.equal(origin.fetches, 1)
  clock.forward(0.1)
  t.equal(await get('7'), '7 v1', 'stale')
  await settle()
  t.equal(origin.fetches, 2)
  t.equal(await get('7'), '7 v2', 'what was fetched behind')
  t.equal(origin.fetches, 2)
  origin.version = 3
  clock.forward(30)
  t.equal(await get('7'), '7 v3', 'too old: waits')
})

t.test('a minute fresh, an hour stale and nothing for errors unless it is said', async t => {
  const { get, origin, clock } = await makeCached(t)
  await get('7')
  origin.error = new Error('down')
  clock.forward(59)
  await get('7')
  t.equal(origin.fetches, 1)
  clock.forward(3600)
  t.equal(await get('7'), '7 v1')
  await settle()
  t.equal(origin.fetches, 2)
  clock.forward(1)
  await t.rejects(get('7'), { message: 'down' })
})

t.test('ttl 0 is stale at once: used, and fetched behind', async t => {
  const { get, origin } = await makeCached(t, { ttl: 0 })
  await get('7')
  origin.version = 2
  t.equal(await get('7'), '7 v1')
  await settle()
  t.equal(await get('7'), '7 v2')
})

t.test('many misses are one fetch, and all get its value', async t => {
  const { get, origin } = await makeCached(t)
  origin.gate = makeGate()
  const calls = Array.from({ length: 50 }, () => get('7'))
  await settle()
  const late = get('7')
  origin.gate.open()
  t.strictSame(new Set(await Promise.all([...calls, late])), new Set(['7 v1']))
  t.equal(origin.fetches, 1)
})

t.test('a fetch that fails fails for all who wait for it, once', async t => {
  const { get, origin } = await makeCached(t)
  origin.gate = makeGate()
  origin.error = new Error('down')
  const calls = Array.from({ length: 20 }, () => get('7'))
  await settle()
  origin.gate.open()
  const results = await Promise.allSettled(calls)
  t.ok(results.every(result => result.status === 'rejected' && (result.reason as Error).message === 'down'))
  t.equal(origin.fetches, 1)
})

t.test('different arguments are different data', async t => {
  const { get, origin } = await makeCached(t)
  t.strictSame(await Promise.all([get('1'), get('2'), get('1')]), ['1 v1', '2 v1', '1 v1'])
  t.equal(origin.fetches, 2)
})

t.test('within staleIfError the old value hides a failure', async t => {
  const { get, origin, clock, logs } = await makeCached(t, { ttl: 10, staleWhileRevalidate: 0, staleIfError: 100 })
  await get('7')
  origin.error = new Error('down')
  clock.forward(50)
  t.equal(await get('7'), '7 v1')
  t.equal(await get('7'), '7 v1', 'during the back-off')
  t.equal(origin.fetches, 2)
  t.equal(logs.filter(line => line.level >= WARN).length, 1, 'warned once')
  clock.forward(60)
  await t.rejects(get('7'), { message: 'down' }, 'beyond it the failure shows')
})

t.test('a failing source is left alone for a while, and longer each time', async t => {
  const { get, origin, clock } = await makeCached(t)
  origin.error = new Error('down')
  for (let i = 0; i < 20; i++) await t.rejects(get('7'), { message: 'down' })
  t.equal(origin.fetches, 1)
  for (let second = 0; second < 60; second++) {
    clock.forward(1)
    await get('7').catch(() => {})
  }
  t.ok(origin.fetches >= 4 && origin.fetches <= 9, `${origin.fetches} fetches in a minute`)
  t.equal(await get('8').catch((error: Error) => error.message), 'down', 'another key is another try')
  origin.error = null
  clock.forward(31)
  t.equal(await get('7'), '7 v1')
})

t.test('an order is worth a try at once, back-off or not', async t => {
  const { app, get, origin } = await makeCached(t, { tags: ['posts'] })
  origin.error = new Error('down')
  await t.rejects(get('7'))
  origin.error = null
  await app.isr.revalidate({ tag: 'posts' })
  t.equal(await get('7'), '7 v1')
})

t.test('a fetch that never settles is given up at its timeout, and told', async t => {
  const { app, logs } = await startData(t)
  let signal: AbortSignal | undefined
  const get = app.isr.cached('slow', async (_id: string, context: CachedContext) => {
    signal = context.signal
    return await new Promise<string>(() => {})
  }, { timeout: 20 })
  await t.rejects(Promise.all([get('7'), get('7')]), { code: 'FST_ISR_ERR_DATA_TIMEOUT', message: "data 'slow': the fetch took longer than its timeout (20 ms)" })
  t.equal(signal?.aborted, true)
  t.equal((signal?.reason as { code: string }).code, 'FST_ISR_ERR_DATA_TIMEOUT')
  t.equal(logs.filter(line => line.level >= WARN).length, 1)
})

t.test('what a fetch brings after its timeout is not kept', async t => {
  const { app, clock } = await startData(t)
  const gate = makeGate()
  let fetches = 0
  const get = app.isr.cached('slow', async () => {
    if (++fetches === 1) await gate.opened
    return fetches
  }, { timeout: 10 })
  await t.rejects(get(), { code: 'FST_ISR_ERR_DATA_TIMEOUT' })
  gate.open()
  await settle()
  clock.forward(2)
  t.equal(await get(), 2)
  t.equal(await get(), 2)
})

t.test('null and undefined are values', async t => {
  const { app } = await startData(t)
  for (const value of [null, undefined, 0, '', false, NaN]) {
    let fetches = 0
    const get = app.isr.cached(`v${String(value)}`, async () => { fetches++; return value })
    t.strictSame(await get(), value)
    t.strictSame(await get(), value)
    t.equal(fetches, 1, String(value))
  }
})

t.test('a function that is not async, or throws at once, is as good', async t => {
  const { app } = await startData(t)
  t.equal(await app.isr.cached('sync', (id: number) => id * 2)(4), 8)
  await t.rejects(app.isr.cached('throws', (): string => { throw new Error('at once') })(), { message: 'at once' })
})

t.test('the context comes after the declared parameters, whatever the call leaves out', async t => {
  const { app } = await startData(t)
  const seen: unknown[][] = []
  const get = app.isr.cached('args', async (a: string | undefined, b: number | undefined, context: CachedContext) => {
    seen.push([a, b, typeof context.ttl])
    return 1
  })
  await (get as unknown as (a?: string) => Promise<number>)('x')
  await get('x', 2)
  await app.isr.cached('none', async (context: CachedContext) => { seen.push([typeof context.ttl]); return 1 })()
  t.strictSame(seen, [['x', undefined, 'function'], ['x', 2, 'function'], ['function']])
})

t.test('context.ttl chosen from the result wins', async t => {
  const { app, clock } = await startData(t)
  let fetches = 0
  const get = app.isr.cached('ttl', async (seconds: number, context: CachedContext) => {
    context.ttl(seconds)
    return ++fetches
  }, { ttl: 10, staleWhileRevalidate: 0 })
  await get(5)
  await get(Infinity)
  clock.forward(6)
  t.equal(await get(5), 3)
  clock.forward(1e6)
  t.equal(await get(Infinity), 2)
  await t.rejects(get(-1), { code: 'FST_ISR_ERR_INVALID_TTL' })
})

t.test('tags from options, from the value and its arguments, and from the context', async t => {
  const { app } = await startData(t)
  let fetches = 0
  const get = app.isr.cached('tagged', async (id: number, context: CachedContext) => {
    fetches++
    context.tags('context')
    return { author: 'ann', id }
  }, { tags: (value, id) => [`author:${value.author}`, `id:${id}`] })
  await get(7)
  for (const tag of ['context', 'author:ann', 'id:7']) {
    t.equal((await app.isr.purge({ tag }, { dryRun: true })).matched, 1, tag)
    const before = fetches
    t.equal((await app.isr.purge({ tag })).matched, 1)
    await get(7)
    t.equal(fetches, before + 1, tag)
  }
  t.equal((await app.isr.purge({ tag: 'author:bob' })).matched, 0)
})

t.test('wrong tags fail with a code', async t => {
  const { app } = await startData(t)
  await t.rejects(app.isr.cached('a', async () => 1, { tags: () => [''] })(), { code: 'FST_ISR_ERR_INVALID_TAG', message: /data a/ })
  await t.rejects(app.isr.cached('b', async () => 1, { tags: (() => 'posts') as never })(), { code: 'FST_ISR_ERR_DATA', message: /'tags' must be/ })
  await t.rejects(app.isr.cached('c', async (context: CachedContext) => { context.tags('x\u0000') })(), { code: 'FST_ISR_ERR_INVALID_TAG' })
})

t.test('notModified keeps the old value and renews it', async t => {
  const { app, clock } = await startData(t)
  const calls: string[] = []
  let isUnchanged = false
  const get = app.isr.cached('renewed', async (id: string, context: CachedContext) => {
    calls.push(id)
    if (isUnchanged) return context.notModified()
    context.tags('first')
    return { id }
  }, { ttl: 10, staleWhileRevalidate: 0, tags: ['posts'] })
  const value = await get('7')
  isUnchanged = true
  clock.forward(11)
  t.strictSame(await get('7'), value)
  clock.forward(9)
  await get('7')
  t.equal(calls.length, 2, 'fresh again')
  t.equal((await app.isr.revalidate({ tag: 'first' })).matched, 1, 'with its tags')
  await get('7')
  await t.rejects(get('8'), { code: 'FST_ISR_ERR_DATA_NOT_MODIFIED' }, 'there is nothing to renew')
})

t.test('what is renewed may get another ttl and more tags', async t => {
  const { app, clock } = await startData(t)
  let fetches = 0
  const get = app.isr.cached('renewed', async (context: CachedContext) => {
    if (++fetches === 1) return 'value'
    context.ttl(100)
    context.tags('later')
    return context.notModified()
  }, { ttl: 10, staleWhileRevalidate: 0 })
  await get()
  clock.forward(11)
  await get()
  clock.forward(90)
  t.equal(await get(), 'value')
  t.equal(fetches, 2)
  t.equal((await app.isr.purge({ tag: 'later' }, { dryRun: true })).matched, 1)
})

t.test('a value that was purged is nothing to renew', async t => {
  const { app } = await startData(t)
  let fetches = 0
  const get = app.isr.cached('renewed', async (context: CachedContext) => ++fetches === 1 ? 'value' : context.notModified())
  await get()
  await get.purge()
  await t.rejects(get(), { code: 'FST_ISR_ERR_DATA_NOT_MODIFIED' })
})

t.test('revalidate: the old value once more, then the new one', async t => {
  const { get, origin } = await makeCached(t)
  await get('7')
  await get('8')
  origin.version = 2
  t.match(await get.revalidate('7'), { matched: 1, degraded: false })
  t.equal(await get('7'), '7 v1', 'stale, as long as it is fetched')
  await settle()
  t.equal(await get('7'), '7 v2')
  t.equal(await get('8'), '8 v1', 'others stay')
  t.match(await get.revalidate('unknown'), { matched: 0 })
})

t.test('purge: the old value never again, from the moment of the call', async t => {
  const { get, origin } = await makeCached(t)
  await get('7')
  origin.version = 2
  const order = get.purge('7')
  t.equal(await get('7'), '7 v2')
  t.match(await order, { matched: 1 })
  await get.purge('7')
  origin.error = new Error('down')
  await t.rejects(get('7'), { message: 'down' }, 'not even on error')
})

t.test('refresh: fetches now and tells the value', async t => {
  const { get, origin } = await makeCached(t)
  await get('7')
  origin.version = 2
  t.equal(await get.refresh('7'), '7 v2')
  t.equal(await get('7'), '7 v2')
  origin.error = new Error('down')
  await t.rejects(get.refresh('7'), { message: 'down' })
  t.equal(await get('7'), '7 v2', 'what stands stays')
})

t.test('a call that waits for itself fails with a code, and does not go on for ever', async t => {
  const { app } = await startData(t)
  let fetches = 0
  const self = app.isr.cached('self', async (): Promise<unknown> => { fetches++; return await self() })
  await t.rejects(self(), { code: 'FST_ISR_ERR_RENDER_CYCLE', message: /data:self/ })
  t.equal(fetches, 1)

  const ping = app.isr.cached('ping', async (): Promise<unknown> => await pong())
  const pong = app.isr.cached('pong', async (): Promise<unknown> => await ping())
  await t.rejects(Promise.all([ping(), pong()]), { code: 'FST_ISR_ERR_RENDER_CYCLE' })

  let refreshes = 0
  const again = app.isr.cached('again', async (): Promise<unknown> => {
    if (++refreshes > 5) return 'for ever'
    return await again.refresh()
  })
  await t.rejects(again(), { code: 'FST_ISR_ERR_RENDER_CYCLE' })
  await settle(20)
  t.equal(refreshes, 1)

  let overtaken = 0
  const revalidated = app.isr.cached('revalidated', async (): Promise<unknown> => {
    if (++overtaken > 5) return 'for ever'
    await revalidated.revalidate()
    return await revalidated()
  })
  await t.rejects(revalidated(), { code: 'FST_ISR_ERR_RENDER_CYCLE' })
  await settle(20)
  t.equal(overtaken, 1)
})

t.test('recursion with other arguments is no circle', async t => {
  const { app } = await startData(t)
  const sum = app.isr.cached('sum', async (n: number): Promise<number> => n === 0 ? 0 : n + await sum(n - 1))
  t.equal(await sum(20), 210)
})

t.test('at most maxEntries values per name, the least recently fetched goes', async t => {
  const { app, get, origin } = await makeCached(t, { maxEntries: 3 })
  const other = app.isr.cached('other', origin.fetch)
  await other('1')
  for (const id of ['1', '2', '3']) await get(id)
  await get.refresh('1')
  await get('4')
  t.equal(app.isr.stats().memory.entries, 4)
  const before = origin.fetches
  for (const id of ['1', '3', '4']) await get(id)
  await other('1')
  t.equal(origin.fetches, before)
  await get('2')
  t.equal(origin.fetches, before + 1)
})

t.test('data and pages share one budget of bytes', async t => {
  const { app, get } = await start(t, app => {
    app.get('/', { config: { prerender: true } }, async () => 'page')
  }, { isr: { memory: { maxBytes: 20_000 } } })
  await get('/')
  const big = app.isr.cached('big', async (id: number) => `${id}`.padEnd(4000, 'x'))
  for (let id = 0; id < 20; id++) await big(id)
  const { memory } = app.isr.stats()
  t.ok(memory.bytes <= 20_000, `${memory.bytes} bytes`)
  t.ok(memory.evictions > 10)
  t.equal((await app.isr.inspect('/')).cached, false, 'the page made room')
})

t.test('a value larger than the whole budget is given and not kept', async t => {
  const { app } = await startData(t, { memory: { maxBytes: 5000 } })
  let fetches = 0
  const big = app.isr.cached('big', async () => { fetches++; return 'x'.repeat(10_000) })
  t.equal((await big()).length, 10_000)
  await big()
  t.equal(fetches, 2)
})

t.test('persist: a value outlives a restart, with its age, its tags and the orders for it', async t => {
  const dir = t.testdir()
  const open = async (clockAt?: number) => {
    const site = await start(t, () => {}, { isr: { dir, buildId: 'b1', disk: {} } })
    if (clockAt !== undefined) site.clock.now = clockAt
    const kept = new Origin()
    const lost = new Origin()
    return {
      ...site,
      kept,
      lost,
      getKept: site.app.isr.cached('kept', kept.fetch, { persist: true, ttl: 100, staleWhileRevalidate: 0, tags: ['posts'] }),
      getLost: site.app.isr.cached('lost', lost.fetch)
    }
  }
  const first = await open()
  await first.getKept('7')
  await first.getKept('8')
  await first.getKept('9')
  await first.getLost('7')
  await first.getKept.purge('8')
  await first.app.close()

  const second = await open()
  second.kept.version = second.lost.version = 2
  t.equal(await second.getKept('7'), '7 v1', 'kept')
  t.equal(await second.getLost('7'), '7 v2', 'not asked to be kept')
  t.equal(await second.getKept('8'), '8 v2', 'purged before the restart')
  t.match(await second.getKept.purge('9'), { matched: 1 }, 'known although not in memory')
  t.equal(await second.getKept('9'), '9 v2')
  second.clock.forward(101)
  t.equal(await second.getKept('7'), '7 v2', 'a restart renews nothing')
  await second.app.close()

  const third = await open(second.clock.now)
  third.kept.version = 3
  await third.app.isr.purge({ tag: 'posts' })
  t.equal(await third.getKept('7'), '7 v3', 'reached by tag, although nobody had loaded it')
  await third.app.close()
})

t.test('maxEntries counts what a restart has brought along as soon as it is used', async t => {
  const dir = t.testdir()
  const open = async () => {
    const { app } = await start(t, () => {}, { isr: { dir, buildId: 'b1', disk: {} } })
    const origin = new Origin()
    return { app, origin, get: app.isr.cached('kept', origin.fetch, { persist: true, maxEntries: 2 }) }
  }
  const first = await open()
  await first.get('1')
  await first.get('2')
  await first.app.close()
  const second = await open()
  await second.get('1')
  await second.get('2')
  await second.get('3')
  t.equal(second.app.isr.stats().memory.entries, 2)
  await second.app.close()
})

t.test('enabled: false fetches anew each time and keeps nothing', async t => {
  const site = await startData(t, { enabled: false })
  const origin = new Origin()
  const get = site.app.isr.cached('post', origin.fetch)
  await get('7')
  origin.version = 2
  t.equal(await get('7'), '7 v2')
  t.equal(await get.refresh('7'), '7 v2')
  t.match(await get.purge('7'), { matched: 0 })
  t.match(await get.revalidate('7'), { matched: 0 })
  t.equal(site.app.isr.stats().memory.entries, 0)
  origin.error = new Error('down')
  await t.rejects(get('7'), { message: 'down' })
  await t.rejects(get('7'), { message: 'down' })
  t.equal(origin.fetches, 5, 'no back-off')
  const slow = site.app.isr.cached('slow', async () => await new Promise<never>(() => {}), { timeout: 10 })
  await t.rejects(slow(), { code: 'FST_ISR_ERR_DATA_TIMEOUT' })
  const self = site.app.isr.cached('self', async (): Promise<unknown> => await self())
  await t.rejects(self(), { code: 'FST_ISR_ERR_RENDER_CYCLE' })
  t.throws(() => site.app.isr.cached('wrong', async () => 1, { ttl: -1 }), { code: 'FST_ISR_ERR_DATA' })
})

t.test('close waits for the fetches that run, and starts none behind', async t => {
  const { app, get, origin, clock } = await makeCached(t, { ttl: 10 })
  await get('7')
  clock.forward(11)
  origin.gate = makeGate()
  origin.version = 2
  await get('7')
  const cold = get('8')
  await until(() => origin.running === 2, 'two fetches')
  let isClosed = false
  const closing = app.close().then(() => { isClosed = true })
  await settle()
  t.equal(isClosed, false)
  origin.gate.open()
  t.equal(await cold, '8 v2')
  await closing
  t.equal(origin.running, 0)
  t.equal(await get('7'), '7 v2')
  clock.forward(11)
  t.equal(await get('7'), '7 v2')
  await settle()
  t.equal(origin.fetches, 3, 'stale, and nothing is fetched behind')
})

t.test('each access is logged at debug and published, values never', async t => {
  const events = record(t, 'data')
  const { get, origin, clock, logs } = await makeCached(t, { ttl: 10, staleWhileRevalidate: 10, staleIfError: 100 })
  await get('secret-free')
  await get('secret-free')
  clock.forward(11)
  await get('secret-free')
  await settle()
  clock.forward(21)
  origin.error = new Error('down')
  await get('secret-free')
  await get('other').catch(() => {})
  t.strictSame(events.map(event => event.outcome), ['miss', 'fresh', 'stale', 'stale-if-error', 'failed'])
  for (const event of events) t.match(event, { name: 'post', key: /^data:post /, durationMs: Number })
  const lines = logs.filter(line => line.msg === 'data')
  t.strictSame(lines.map(line => [line.level, line.name, line['outcome']]), events.map(event => [20, 'post', event.outcome]))
  t.equal(logs.filter(line => line.msg === 'data fetched').length, 2)
  t.match(logs.filter(line => line.level >= WARN), [{ name: 'post', err: { message: 'down' } }, { name: 'post' }])
  t.notMatch(JSON.stringify([logs, events]), /v1/, 'no value')
})

t.test('a fetch that never ends holds a shutdown no longer than a render may take', async t => {
  const { app } = await startData(t, { render: { timeout: 40 } })
  const endless = app.isr.cached('endless', async () => await new Promise<string>(() => {}), { timeout: 4000 })
  let hasEnded = false
  endless().catch(() => { hasEnded = true })
  await settle()
  await app.close()
  t.notOk(hasEnded, 'its own timeout is still to come')
})
