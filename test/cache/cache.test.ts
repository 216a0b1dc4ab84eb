import t from 'tap'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { decode, encode } from '../../lib/cache/codec.js'
import { failure, makeEngine, makeGate, settle, show, storable, TestPage, unstorable } from '../helpers/engine.js'

const MANY = 1000

t.test('a thousand visitors of a cold page wait for one render and all get it', async (t) => {
  const { cache } = makeEngine()
  const gate = makeGate()
  const page = new TestPage('/', async () => { await gate.opened; return storable('hello') })
  const answers = Array.from({ length: MANY }, () => cache.get(page))
  await settle()
  gate.open()
  const shown = (await Promise.all(answers)).map(show)
  t.equal(page.renders, 1)
  t.same(new Set(shown), new Set(['rendered: hello']))
  const collapsed = (await Promise.all(answers)).filter(answer => answer.kind === 'held' && answer.isCollapsed)
  t.equal(collapsed.length, MANY - 1, 'all but the one who caused it have joined')
  t.equal(show(await cache.get(page)), 'fresh: hello')
  t.equal(page.renders, 1)
})

t.test('what is remembered of a failure holds nothing of the render', async (t) => {
  const { cache } = makeEngine()
  const signals: WeakRef<AbortSignal>[] = []
  // Not asynchronous: the code of the engine is part of the stack.
  const page = new TestPage('/', (attempt) => {
    signals.push(new WeakRef(attempt.signal))
    throw new Error('down', { cause: new Error('cable') })
  })
  t.equal(show(await cache.get(page)), 'failed: down')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await settle()
  collect()
  t.same(signals.map(signal => signal.deref()), [undefined])
  t.match(cache.whyNot('/'), /down/, 'which is remembered')
})

t.test('a thousand visitors of a stale page get the old one at once; one render runs behind', async (t) => {
  const { cache, clock } = makeEngine()
  const page = new TestPage('/')
  await cache.get(page)
  clock.forward(61)
  const gate = makeGate()
  page.answering = async () => { await gate.opened; return storable('new') }
  const answers = await Promise.all(Array.from({ length: MANY }, () => cache.get(page)))
  t.same(new Set(answers.map(show)), new Set(['stale: / #1']))
  await settle()
  t.equal(page.renders, 2)
  t.equal(cache.counts.started, 2)
  gate.open()
  await settle()
  t.equal(show(await cache.get(page)), 'fresh: new')
  t.equal(page.renders, 2)
})

t.test('freshness counts from the render: fresh, stale, only on error, expired', async (t) => {
  const { cache, clock } = makeEngine()
  const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('old', { ttl: 10, staleWhileRevalidate: 20, staleIfError: 30 }) : failure('down'))
  await cache.get(page)
  clock.forward(9.999)
  t.equal(show(await cache.get(page)), 'fresh: old')
  clock.forward(0.001)
  t.equal(show(await cache.get(page)), 'stale: old')
  await settle()
  clock.forward(20)
  t.equal(show(await cache.get(page)), 'stale-if-error: old', 'its windows have passed and rendering fails')
  clock.forward(30)
  t.equal(show(await cache.get(page)), 'failed: down', 'expired: the old page hides nothing any more')
})

t.test('a page of ttl 0 is served stale at once and rendered behind each time', async (t) => {
  const { cache } = makeEngine()
  const page = new TestPage('/', (_attempt, nth) => storable(`v${nth}`, { ttl: 0 }))
  t.equal(show(await cache.get(page)), 'rendered: v1')
  t.equal(show(await cache.get(page)), 'stale: v1')
  await settle()
  t.equal(show(await cache.get(page)), 'stale: v2')
})

t.test('endless windows never end', async (t) => {
  const { cache, clock } = makeEngine()
  const forever = { ttl: Infinity, staleWhileRevalidate: Infinity, staleIfError: Infinity }
  const page = new TestPage('/', () => storable('x', forever))
  await cache.get(page)
  clock.forward(1e9)
  t.equal(show(await cache.get(page)), 'fresh: x')
  const stale = new TestPage('/stale', (_attempt, nth) => nth === 1 ? storable('y', { ...forever, ttl: 1 }) : failure('down'))
  await cache.get(stale)
  clock.forward(1e9)
  t.equal(show(await cache.get(stale)), 'stale: y')
})

t.test('failures', async (t) => {
  t.test('of a stale page back off from one second to thirty, with jitter, one probe per step', async (t) => {
    const { cache, clock } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('old', { ttl: 1, staleWhileRevalidate: Infinity }) : failure('down'))
    await cache.get(page)
    clock.forward(2)
    for (const step of [1, 2, 4, 8, 16, 30, 30]) {
      const before = page.renders
      t.equal(show(await cache.get(page)), 'stale: old')
      await settle()
      t.equal(page.renders, before + 1, 'one probe')
      clock.forward(step * 0.499)
      await cache.get(page)
      await settle()
      t.equal(page.renders, before + 1, `no probe in the first half of ${step} s`)
      clock.forward(step * 0.502)
    }
  })

  t.test('jitter spreads the probes of many pages', async (t) => {
    const { cache, clock } = makeEngine()
    const startedAt = clock.now
    const pages = Array.from({ length: 200 }, (_, i) => new TestPage(`/${i}`, () => failure('down')))
    const waits = (await Promise.all(pages.map(page => cache.get(page)))).map(answer => answer.kind === 'failed' ? answer.retryAfterMs : 0)
    t.ok(waits.every(wait => wait === 1000), 'the first answer names a whole second')
    const remembered = (await Promise.all(pages.map(page => cache.get(page)))).map(answer => answer.kind === 'failed' ? answer.retryAfterMs : 0)
    t.equal(clock.now, startedAt)
    t.ok(remembered.every(wait => wait >= 500 && wait <= 1000), 'the probe comes after half a second to a second')
    t.ok(new Set(remembered).size > 100)
  })

  t.test('of a cold page are shared by all who wait and remembered for those who come', async (t) => {
    const { cache, clock } = makeEngine()
    const gate = makeGate()
    const page = new TestPage('/', async () => { await gate.opened; return failure('down') })
    const answers = Array.from({ length: 50 }, () => cache.get(page))
    await settle()
    gate.open()
    for (const answer of await Promise.all(answers)) t.match(answer, { kind: 'failed', response: 'response of down' })
    t.match(await cache.get(page), { kind: 'failed', error: { message: 'down' }, response: 'response of down' })
    t.equal(page.renders, 1)
    t.match(cache.whyNot('/'), /failed 1 times.*down/)
    clock.forward(1)
    await cache.get(page)
    t.equal(page.renders, 2, 'the next step has its probe')
    t.equal(cache.whyNot('/unknown'), null)
  })

  t.test('of many cold pages are all remembered, the answers of the latest only', async (t) => {
    const { cache } = makeEngine()
    const pages = Array.from({ length: 1000 }, (_, i) => new TestPage(`/${i}`, () => failure('down')))
    for (const page of pages) await cache.get(page)
    const answers = await Promise.all(pages.map(page => cache.get(page)))
    t.same(new Set(answers.map(show)), new Set(['failed: down']))
    t.equal(answers.filter(answer => answer.kind === 'failed' && answer.response !== null).length, 100, 'error pages are no way around the memory budget')
    t.match(answers.at(-1), { response: 'response of down' })
  })

  t.test('a throw, in whatever way, is a failure', async (t) => {
    const { cache } = makeEngine()
    const rejecting = new TestPage('/rejects', async () => { throw new Error('thrown') })
    t.equal(show(await cache.get(rejecting)), 'failed: thrown')
    t.match(rejecting.reports, [{ outcome: 'failed', error: { message: 'thrown' }, failures: 1 }])
    const throwing = { key: '/throws', tags: [], render () { throw new Error('at once') } }
    t.equal(show(await cache.get(throwing)), 'failed: at once')
    const unencodable = new TestPage('/encode', () => storable('x', { encode: async () => { throw new Error('no brotli today') } }))
    t.equal(show(await cache.get(unencodable)), 'failed: no brotli today')
  })

  t.test('an entry that cannot be prepared is a failure of its render, and nothing is stored', async (t) => {
    const { cache } = makeEngine({ prepare: () => { throw new Error('cannot be served') } })
    const page = new TestPage('/')
    t.equal(show(await cache.get(page)), 'failed: cannot be served')
    t.equal(cache.memory.size, 0)
  })

  t.test('an old page inside staleIfError hides a failure, and the back-off saves the next visitors the wait', async (t) => {
    const { cache, clock } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('old', { ttl: 1, staleWhileRevalidate: 0 }) : failure('down'))
    await cache.get(page)
    clock.forward(2)
    t.match(await cache.get(page), { kind: 'held', how: 'stale-if-error', error: { message: 'down' } })
    const { error, ...second } = await cache.get(page) as { error?: Error, how: string }
    t.equal(second.how, 'stale-if-error')
    t.equal(error, undefined, 'nothing was tried for this one')
    t.equal(page.renders, 2)
  })

  t.test('success ends the back-off', async (t) => {
    const { cache, clock } = makeEngine()
    let isDown = true
    const page = new TestPage('/', (_attempt, nth) => isDown ? failure('down') : storable(`v${nth}`, { ttl: 1, staleWhileRevalidate: Infinity }))
    for (let i = 0; i < 4; i++) {
      await cache.get(page)
      clock.forward(30)
    }
    isDown = false
    t.equal(show(await cache.get(page)), 'rendered: v5')
    clock.forward(2)
    isDown = true
    await cache.get(page)
    await settle()
    t.match(page.reports.at(-1), { outcome: 'failed', failures: 1 }, 'counted from the beginning')
    clock.forward(1)
    await cache.get(page)
    await settle()
    t.equal(page.renders, 7)
  })

  t.test('of a marked page back off for a second at most', async (t) => {
    const { cache, clock, revalidate } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('old', { ttl: Infinity, tags: ['t'] }) : failure('down'), { tags: ['t'] })
    await cache.get(page)
    await revalidate('t')
    for (let i = 0; i < 6; i++) {
      t.equal(show(await cache.get(page)), 'stale: old')
      await settle()
      t.equal(page.renders, i + 2)
      clock.forward(1)
    }
  })

  t.test('a mark ends the back-off at once', async (t) => {
    const { cache, clock, revalidate } = makeEngine()
    let isDown = true
    const page = new TestPage('/', () => isDown ? failure('down') : storable('up', { tags: ['t'] }), { tags: ['t'] })
    for (let i = 0; i < 6; i++) {
      await cache.get(page)
      clock.forward(30)
    }
    await cache.get(page)
    isDown = false
    t.equal(show(await cache.get(page)), 'failed: down')
    await revalidate('other')
    t.equal(show(await cache.get(page)), 'failed: down', 'a mark on another tag says nothing')
    await revalidate('t')
    t.equal(show(await cache.get(page)), 'rendered: up')
  })
})

t.test('unstorable answers', async (t) => {
  t.test('go to the one who caused the render; all others run live, at once, for ten seconds', async (t) => {
    const { cache, clock } = makeEngine()
    const gate = makeGate()
    const page = new TestPage('/', async () => { await gate.opened; return unstorable('set-cookie') })
    const answers = Array.from({ length: 20 }, () => cache.get(page))
    await settle()
    gate.open()
    const responses = (await Promise.all(answers)).map(answer => answer.kind === 'unstorable' ? answer.response : 'no')
    t.same(responses.filter(response => response !== null), ['response of set-cookie'])
    t.match(await cache.get(page), { kind: 'unstorable', reason: 'set-cookie', response: null })
    clock.forward(9.999)
    t.match(await cache.get(page), { kind: 'unstorable', response: null })
    t.equal(page.renders, 1)
    t.match(cache.whyNot('/'), /set-cookie/)
    clock.forward(0.001)
    t.match(await cache.get(page), { kind: 'unstorable', response: 'response of set-cookie' })
    t.equal(page.renders, 2)
  })

  t.test('drop the old page', async (t) => {
    const { cache, clock } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('old', { ttl: 1, staleWhileRevalidate: Infinity }) : unstorable('status-404'))
    await cache.get(page)
    clock.forward(2)
    t.equal(show(await cache.get(page)), 'stale: old')
    await settle()
    t.equal(show(await cache.get(page)), 'unstorable: status-404')
    t.equal(cache.memory.size, 0)
    t.match(page.reports.map(report => [report.outcome, report.hadOld]), [['stored', false], ['unstorable', true]])
  })

  t.test('are forgotten as soon as a mark concerns the page', async (t) => {
    const { cache, revalidate } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => nth === 1 ? unstorable('status-404') : storable('published'), { tags: ['t'] })
    await cache.get(page)
    await revalidate('other')
    t.equal(show(await cache.get(page)), 'unstorable: status-404')
    await revalidate('t')
    t.equal(show(await cache.get(page)), 'rendered: published')
  })

  t.test('of a render that a mark overtook leave no marker', async (t) => {
    const { cache, revalidate } = makeEngine()
    const gate = makeGate()
    const page = new TestPage('/', async (_attempt, nth) => {
      if (nth > 1) return storable('published')
      await gate.opened
      return unstorable('status-404')
    }, { tags: ['t'] })
    const early = cache.get(page)
    await settle()
    await revalidate('t')
    gate.open()
    t.equal(show(await early), 'unstorable: status-404')
    t.equal(show(await cache.get(page)), 'rendered: published', 'what was not there before the order may be there now')
  })
})

t.test('the same bytes renew an entry and are not encoded again', async (t) => {
  const { cache, clock } = makeEngine()
  let encoded = 0
  let meta = { status: 200 }
  const page = new TestPage('/', () => {
    const bytes = Buffer.from('same')
    return storable('same', { ttl: 1, staleWhileRevalidate: Infinity, meta, tags: ['t'], encode: async () => { encoded++; return [{ encoding: 'identity', bytes }, { encoding: 'br', bytes: Buffer.from('br') }] } })
  })
  await cache.get(page)
  const before = cache.lookup('/')
  clock.forward(2)
  await cache.get(page)
  await settle()
  const after = cache.lookup('/')
  t.equal(encoded, 1)
  t.not(after, before)
  t.equal(after?.entry.bodies, before?.entry.bodies)
  t.equal(after?.entry.renderedAt, clock.now)
  t.equal(show(await cache.get(page)), 'fresh: same')
  t.match(page.reports.map(report => report.outcome), ['stored', 'renewed'])

  meta = { status: 404 }
  clock.forward(2)
  await cache.get(page)
  await settle()
  t.equal(encoded, 2, 'another status is another page, whatever its bytes')
  t.match(cache.counts, { started: 3, stored: 2, renewed: 1, unstorable: 0, failed: 0 })
})

t.test('an entry that comes back from its bytes renews as well', async (t) => {
  const { cache } = makeEngine()
  const page = new TestPage('/', () => storable('same', { meta: { a: 1, b: ['x'] }, tags: ['t'] }))
  await cache.get(page)
  const entry = cache.lookup('/')?.entry
  if (entry === undefined) return t.fail('not stored')
  const landing = await cache.renderAlone(page, { old: decode(encode(entry), { key: '/', buildId: '' }) })
  t.match(landing, { type: 'held', report: 'renewed' })
})

t.test('jitter only shortens, by a tenth at most, and only what is rendered in a batch', async (t) => {
  const { cache } = makeEngine()
  const shortened: number[] = []
  for (let i = 0; i < 200; i++) {
    await cache.get(new TestPage(`/batch/${i}`, () => storable('x', { ttl: 100, staleWhileRevalidate: 100, staleIfError: 100 }), { jitter: true }))
    const held = cache.lookup(`/batch/${i}`)
    if (held === undefined) return t.fail('not stored')
    const { entry: { renderedAt }, freshUntil, staleUntil, errorUntil } = held
    shortened.push((freshUntil - renderedAt) / 1000)
    t.equal(staleUntil - renderedAt, 200_000, 'the windows after it begin where they would have begun')
    t.equal(errorUntil - renderedAt, 300_000)
  }
  t.ok(shortened.every(seconds => seconds > 89.999 && seconds <= 100))
  t.ok(new Set(shortened).size > 100)
  await cache.get(new TestPage('/one', () => storable('x', { ttl: 100 })))
  t.equal(cache.lookup('/one')?.entry.jitter, 0)
})

t.test('refresh', async (t) => {
  t.test('renders whatever stands, and joins only what begins after the call', async (t) => {
    const { cache } = makeEngine()
    const gates = [makeGate(), makeGate(), makeGate()]
    const page = new TestPage('/', async (_attempt, nth) => { await gates[nth - 1]?.opened; return storable(`v${nth}`) })
    gates[0]?.open()
    await cache.get(page)
    const first = cache.refresh(page)
    await settle()
    const second = cache.refresh(page)
    const third = cache.refresh(page)
    await settle()
    t.equal(page.renders, 2, 'the second waits for the first to land')
    gates[1]?.open()
    gates[2]?.open()
    t.match(await first, { type: 'held', held: { view: 'v2' }, report: 'stored' })
    t.match(await second, { type: 'held', held: { view: 'v3' } })
    t.match(await third, { type: 'held', held: { view: 'v3' } }, 'it could join one that had not begun')
    t.equal(page.renders, 3)
    t.equal(page.mostRunning, 1)
    t.equal(show(await cache.get(page)), 'fresh: v3')
  })

  t.test('ignores back-off and markers, and tells how it ended', async (t) => {
    const { cache } = makeEngine()
    const outcomes = [failure('down'), unstorable('status-404'), storable('up')]
    const page = new TestPage('/', (_attempt, nth) => outcomes[nth - 1] ?? failure('?'))
    t.match(await cache.refresh(page), { type: 'failed', error: { message: 'down' } })
    t.match(await cache.refresh(page), { type: 'unstorable', reason: 'status-404' })
    t.match(await cache.refresh(page), { type: 'held', report: 'stored' })
    t.match(page.reports.map(report => report.reason), ['refresh', 'refresh', 'refresh'])
  })

  t.test('keeps the old page when rendering fails', async (t) => {
    const { cache } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('old') : failure('down'))
    await cache.get(page)
    t.match(await cache.refresh(page), { type: 'failed' })
    t.equal(show(await cache.get(page)), 'fresh: old')
  })
})

t.test('a render for one caller alone is kept by nobody', async (t) => {
  const { cache } = makeEngine()
  const outcomes = [storable('alone'), unstorable('status-404'), failure('down')]
  const page = new TestPage('/', (_attempt, nth) => outcomes[nth - 1] ?? storable('public'))
  t.match(await cache.renderAlone(page, { buildId: 'next' }), { type: 'held', held: { view: 'alone', entry: { buildId: 'next' } }, report: 'stored' })
  t.equal(cache.memory.size, 0)
  t.match(await cache.renderAlone(page), { type: 'unstorable', reason: 'status-404' })
  t.match(await cache.renderAlone(page), { type: 'failed', error: { message: 'down' } })
  t.equal(cache.whyNot('/'), null, 'neither a refusal nor a failure is remembered')
  t.equal(show(await cache.get(page)), 'rendered: public')
})

t.test('a render for one caller alone leaves what stands as it is', async (t) => {
  const { cache } = makeEngine()
  const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('public') : unstorable('no-store'))
  await cache.get(page)
  await cache.renderAlone(page)
  t.equal(show(await cache.get(page)), 'fresh: public')
})

t.test('why a page is rendered', async (t) => {
  const { cache, clock, revalidate } = makeEngine()
  const reasons: string[] = []
  const page = new TestPage('/', ({ reason }) => { reasons.push(reason); return storable('x', { ttl: 10, staleWhileRevalidate: Infinity, tags: ['t'] }) }, { tags: ['t'] })
  await cache.get(page)
  clock.forward(11)
  await cache.get(page)
  await settle()
  await revalidate('t')
  await cache.get(page)
  await settle()
  await cache.refresh(page)
  t.same(reasons, ['miss', 'ttl', 'revalidate', 'refresh'])
})
