import t from 'tap'
import { start } from '../helpers/app.js'

async function startData (t: Parameters<typeof start>[0]) {
  return (await start(t, () => {})).app
}

t.test('equal arguments are one key, in whatever order their properties come', async t => {
  const app = await startData(t)
  let fetches = 0
  const get = app.isr.cached('keyed', async (_argument: unknown) => ++fetches)
  const date = new Date(5)
  const equal: [unknown, unknown][] = [
    [{ a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
    [[{ a: 1, b: 2 }], [{ b: 2, a: 1 }]],
    [date, new Date(5)],
    [new Set([1, 2]), new Set([2, 1])],
    [new Map([['a', 1], ['b', 2]]), new Map([['b', 2], ['a', 1]])],
    [0, -0],
    [NaN, NaN],
    [new URL('http://a.example'), new URL('http://a.example/')],
    [Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
    [{ long: 'x'.repeat(500), other: 1 }, { other: 1, long: 'x'.repeat(500) }]
  ]
  for (const [one, other] of equal) {
    const first = await get(one)
    t.equal(await get(other), first, JSON.stringify(one))
  }
})

t.test('different arguments are different keys', async t => {
  const app = await startData(t)
  let fetches = 0
  const get = app.isr.cached('keyed', async (..._arguments: unknown[]) => ++fetches)
  const different: unknown[][] = [
    [], [undefined], [null], ['null'], ['undefined'], [1], ['1'], [1n], [true], ['true'], [''], [NaN], ['NaN'],
    [[]], [[[]]], [{}], [[1, 2]], [[2, 1]], [1, 2], [2, 1], ['1,2'], ['1', '2'], [[1], 2],
    [{ a: 1 }], [{ a: '1' }], [{ a: undefined }], [{ 'a:1': 1 }], [{ a: 1, b: 2 }], [{ 'a":1,"b': 2 }],
    [new Date(1)], [new Date(2)], ['Date(1)'], [new Date(NaN)],
    [new Set()], [new Set([1])], [new Set(['1'])], ['Set(1)'], [new Map()], [new Map([[1, 2]])], [new Map([[2, 1]])], [new Map([['1', 2]])],
    [new URL('http://a.example')], ['http://a.example/'],
    ['x'.repeat(200)], ['x'.repeat(201)], [{ a: { b: { c: 1 } } }], [{ a: { b: { c: 2 } } }], [{ a: { b: 1, c: 1 } }]
  ]
  for (const list of different) await get(...list)
  t.equal(fetches, different.length)
})

t.test('what has no stable form is refused with a code, and nothing is fetched', async t => {
  const app = await startData(t)
  let fetches = 0
  const get = app.isr.cached('keyed', async (_argument: unknown) => ++fetches)
  class Query { text = 'a' }
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  for (const argument of [() => {}, Symbol('a'), new Query(), { deep: [new Query()] }, circular, Buffer.from('a'), /a/, Promise.resolve(), new Map([[() => {}, 1]])]) {
    await t.rejects(get(argument), { code: 'FST_ISR_ERR_DATA_KEY', message: /data 'keyed'/ })
  }
  let deep: unknown = 1
  for (let i = 0; i < 20_000; i++) deep = [deep]
  await t.rejects(get(deep), { code: 'FST_ISR_ERR_DATA_KEY' }, 'what a visitor may have sent')
  t.equal(fetches, 0)
  const shared = { a: 1 }
  t.equal(await get([shared, shared]), 1, 'twice the same object is no circle')
})

t.test('an own key decides; other kinds than strings, numbers and plain objects are refused', async t => {
  const app = await startData(t)
  let fetches = 0
  let wanted: unknown = 'a'
  const get = app.isr.cached('keyed', async (_id: number) => ++fetches, { key: () => wanted as string })
  await get(1)
  t.equal(await get(2), 1)
  for (const key of [5, { a: 1 }, ['a'], Object.create(null)]) { wanted = key; await get(1) }
  t.equal(fetches, 5)
  wanted = { b: 2, a: 1 }
  await get(1)
  wanted = { a: 1, b: 2 }
  t.equal(await get(1), 6)
  for (const key of [undefined, null, true, 1n, Symbol('a'), () => {}, new Date(), new Map(), Promise.resolve('a')]) {
    wanted = key
    for (const call of [get, get.refresh, get.revalidate, get.purge]) await t.rejects(call(1) as Promise<unknown>, { code: 'FST_ISR_ERR_DATA', message: /isr\.cached\("keyed"\): 'key' must be/ })
  }
  t.equal(fetches, 6)
  const throwing = app.isr.cached('throwing', async () => 1, { key () { throw new Error('of mine') } })
  await t.rejects(throwing(), { message: 'of mine' })
})

t.test('values come back as what they were, through the disk as well', async t => {
  const dir = t.testdir()
  const value = {
    date: new Date(5),
    map: new Map<unknown, unknown>([['a', { b: new Set([1, 'x']) }]]),
    set: new Set(['a', 5]),
    buffer: Buffer.from('bytes'),
    typed: new Float64Array([1.5, -0]),
    big: 12n,
    numbers: [NaN, Infinity, -0],
    nothing: [null, undefined],
    regular: /a/gi,
    error: new RangeError('kept')
  }
  for (const nth of [1, 2]) {
    const { app } = await start(t, () => {}, { isr: { dir, buildId: 'b1', disk: {} } })
    let fetches = 0
    const get = app.isr.cached('value', async () => { fetches++; return value }, { persist: true })
    const got = await get()
    t.strictSame(got, value)
    t.ok(Buffer.isBuffer(got.buffer))
    t.type(got.date, Date)
    t.ok(Object.is(got.numbers[2], -0))
    t.equal(got.error.message, 'kept')
    t.equal(fetches, nth === 1 ? 1 : 0)
    await app.close()
  }
})

t.test('an object that contains itself is a value', async t => {
  const app = await startData(t)
  const self: { name: string, self?: unknown } = { name: 'a' }
  self.self = self
  const got = await app.isr.cached('self', async () => self)()
  t.equal(got.self, got)
})

t.test('what cannot be kept fails with a code, and hides no other value', async t => {
  const app = await startData(t)
  for (const [index, value] of [() => {}, { deep: [() => {}] }, Symbol('a'), new WeakMap(), Promise.resolve(), new Map([['a', () => {}]])].entries()) {
    await t.rejects(app.isr.cached(`bad-${index}`, async () => ({ value }))(), { code: 'FST_ISR_ERR_DATA_VALUE', message: /data 'bad-\d': this value can't be kept/ })
  }
})

t.test('all callers share one value, which nobody can change while developing', async t => {
  const app = await startData(t)
  const original = { list: [{ a: 1 }], map: new Map([['a', { b: 1 }]]), set: new Set([{ c: 1 }]), buffer: Buffer.from('a') }
  const get = app.isr.cached('shared', async () => original)
  const [one, other] = await Promise.all([get(), get()])
  t.equal(one, other)
  t.equal(await get(), one)
  t.not(one, original, 'the source keeps its own')
  t.notOk(Object.isFrozen(original))
  t.throws(() => { one.list.push({ a: 2 }) }, TypeError)
  t.throws(() => { (one.list[0] as { a: number }).a = 2 }, TypeError)
  t.throws(() => { (one.map.get('a') as { b: number }).b = 2 }, TypeError)
  t.throws(() => { ([...one.set][0] as { c: number }).c = 2 }, TypeError)
})

t.test('in production values are not frozen: that costs time', async t => {
  const before = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  t.teardown(() => {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  })
  const app = await startData(t)
  t.equal(Object.isFrozen(await app.isr.cached('value', async () => ({ a: 1 }))()), false)
})

t.test('whoever changes bytes that he got changes nothing of what is kept', async t => {
  const dir = t.testdir()
  const open = async () => (await start(t, () => {}, { isr: { dir, buildId: 'b1', disk: {} } })).app
  const first = await open()
  const get = first.isr.cached('bytes', async () => Buffer.from('original'), { persist: true })
  ;(await get()).fill('x')
  await first.close()
  const second = await open()
  t.equal((await second.isr.cached('bytes', async () => Buffer.from('fetched'), { persist: true })()).toString(), 'original')
  await second.close()
})
