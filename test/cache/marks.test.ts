import fc from 'fast-check'
import t from 'tap'
import { Marks, type Verdict } from '../../lib/cache/marks.js'
import type { Mark } from '../../lib/cluster/coordinator.js'
import { makeDisk, makeEngine, makeEntryOf, makeGate, settle, show, storable, TestPage, unstorable, until, type Gate } from '../helpers/engine.js'
import { holds } from '../helpers/property.js'

const soft = (tag: string, epoch: number, deadline = Infinity): Mark => ({ kind: 'soft', tag, epoch, deadline })
const hard = (tag: string, epoch: number): Mark => ({ kind: 'hard', tag, epoch, deadline: 0 })

/** What the marks mean, without any thrift. */
function naive (marks: readonly Mark[], entry: { epoch: number, tags: readonly string[] }): Verdict {
  const above = marks.filter(mark => mark.epoch > entry.epoch && entry.tags.includes(mark.tag))
  if (above.some(mark => mark.kind === 'hard')) return { kind: 'hard' }
  if (above.length === 0) return { kind: 'none' }
  return { kind: 'soft', deadline: Math.min(...above.map(mark => mark.deadline)) }
}

const SEVERITY = { none: 0, soft: 1, hard: 2 }

function isAtLeastAsStrict (actual: Verdict, wanted: Verdict): boolean {
  if (SEVERITY[actual.kind] !== SEVERITY[wanted.kind]) return SEVERITY[actual.kind] > SEVERITY[wanted.kind]
  return actual.kind !== 'soft' || wanted.kind !== 'soft' || actual.deadline <= wanted.deadline
}

const tagArb = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
const markArb: fc.Arbitrary<Mark> = fc.oneof(
  fc.record({ kind: fc.constant('soft' as const), tag: tagArb, epoch: fc.integer({ min: 1, max: 30 }), deadline: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Infinity)) }),
  fc.record({ kind: fc.constant('hard' as const), tag: tagArb, epoch: fc.integer({ min: 1, max: 30 }), deadline: fc.constant(0) })
)
const entryArb = fc.record({ epoch: fc.integer({ min: 0, max: 31 }), tags: fc.uniqueArray(tagArb, { maxLength: 3 }) })

t.test('the strictest mark above an entry wins', async (t) => {
  const marks = new Marks()
  t.same(marks.judge({ epoch: 1, tags: ['a'] }), { kind: 'none' })
  marks.add(soft('a', 5, 1000))
  marks.add(soft('a', 9))
  marks.add(soft('b', 7, 500))
  t.same(marks.judge({ epoch: 4, tags: ['a'] }), { kind: 'soft', deadline: 1000 })
  t.same(marks.judge({ epoch: 5, tags: ['a'] }), { kind: 'soft', deadline: Infinity }, 'a mark concerns what began before it')
  t.same(marks.judge({ epoch: 9, tags: ['a'] }), { kind: 'none' })
  t.same(marks.judge({ epoch: 4, tags: ['a', 'b'] }), { kind: 'soft', deadline: 500 })
  t.same(marks.judge({ epoch: 4, tags: ['other'] }), { kind: 'none' })
  marks.add(hard('b', 6))
  t.same(marks.judge({ epoch: 5, tags: ['a', 'b'] }), { kind: 'hard' })
  t.same(marks.judge({ epoch: 6, tags: ['a', 'b'] }), { kind: 'soft', deadline: 500 })
})

t.test('a later, laxer order takes nothing back', async (t) => {
  const marks = new Marks()
  marks.add(soft('a', 5, 100))
  marks.add(soft('a', 6, 900))
  marks.add(soft('a', 7))
  t.same(marks.judge({ epoch: 4, tags: ['a'] }), { kind: 'soft', deadline: 100 })
  t.same(marks.judge({ epoch: 5, tags: ['a'] }), { kind: 'soft', deadline: 900 })
  t.same(marks.judge({ epoch: 6, tags: ['a'] }), { kind: 'soft', deadline: Infinity })
})

t.test('marks say what a list of all orders would say, in whatever order they come', async (t) => {
  holds(t, fc.property(fc.array(markArb, { maxLength: 60 }), fc.array(entryArb, { minLength: 1, maxLength: 10 }), (list, entries) => {
    const marks = new Marks()
    for (const mark of list) marks.add(mark)
    return entries.every((entry) => {
      const [actual, wanted] = [marks.judge(entry), naive(list, entry)]
      return isAtLeastAsStrict(actual, wanted) && isAtLeastAsStrict(wanted, actual)
    })
  }), { numRuns: 500 })
})

t.test('marks that are forgotten make entries stale too early, never too late', async (t) => {
  holds(t, fc.property(fc.array(markArb, { maxLength: 80 }), fc.array(entryArb, { minLength: 1, maxLength: 10 }), (list, entries) => {
    const marks = new Marks(3)
    for (const mark of list) marks.add(mark)
    return marks.size <= 3 && entries.every(entry => isAtLeastAsStrict(marks.judge(entry), naive(list, entry)))
  }), { numRuns: 500 })
})

t.test('forgetting a soft order purges nothing, and what is rendered afterwards is fresh', async (t) => {
  const marks = new Marks(2)
  for (const [epoch, tag] of [[1, 'a'], [2, 'b'], [3, 'c'], [4, 'd']] as const) marks.add(soft(tag, epoch))
  t.same(marks.judge({ epoch: 1, tags: ['unmarked'] }), { kind: 'soft', deadline: Infinity })
  t.same(marks.judge({ epoch: 2, tags: ['unmarked'] }), { kind: 'none' }, 'the floor is no higher than what was forgotten')
})

t.test('the marks that were given last are kept longest', async (t) => {
  const marks = new Marks(2)
  marks.add(soft('a', 1))
  marks.add(soft('b', 2))
  marks.add(soft('a', 3))
  marks.add(soft('c', 4))
  t.same([...marks].map(mark => [mark.tag, mark.epoch]), [['a', 3], ['c', 4]])
})

t.test('orders on one tag, each with a deadline of its own, do not pile up', async (t) => {
  const marks = new Marks()
  const list: Mark[] = []
  for (let i = 1; i <= 5000; i++) {
    const mark = soft('a', i * 10, i * 1000 + 60_000)
    list.push(mark)
    marks.add(mark)
  }
  t.ok([...marks].length <= 100, `${[...marks].length} are kept`)
  for (const epoch of [0, 5, 11, 25_000, 49_980, 49_995, 50_000]) {
    t.ok(isAtLeastAsStrict(marks.judge({ epoch, tags: ['a'] }), naive(list, { epoch, tags: ['a'] })))
  }
  t.same(marks.judge({ epoch: 49_995, tags: ['a'] }), { kind: 'soft', deadline: 5_060_000 }, 'the latest are exact')
  t.same(marks.judge({ epoch: 50_000, tags: ['a'] }), { kind: 'none' })
})

t.test('written out and read again they say the same', async (t) => {
  holds(t, fc.property(fc.array(markArb, { maxLength: 40 }), entryArb, (list, entry) => {
    const [first, second] = [new Marks(), new Marks()]
    for (const mark of list) first.add(mark)
    for (const mark of first) second.add(mark)
    const [a, b] = [first.judge(entry), second.judge(entry)]
    return isAtLeastAsStrict(a, b) && isAtLeastAsStrict(b, a)
  }))
})

t.test('an order concerns every held page of its tag', async (t) => {
  t.test('soft: stale from now on, until a render that began later', async (t) => {
    const { cache, revalidate } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => storable(`v${nth}`, { ttl: Infinity, tags: ['t'] }), { tags: ['t'] })
    const other = new TestPage('/other')
    await cache.get(page)
    await cache.get(other)
    await revalidate('t')
    t.equal(show(await cache.get(page)), 'stale: v1')
    t.equal(show(await cache.get(other)), 'fresh: /other #1')
    await settle()
    t.equal(show(await cache.get(page)), 'fresh: v2')
  })

  t.test('expire bounds how long the old page is served; it never extends a window', async (t) => {
    const { cache, clock, revalidate } = makeEngine()
    let isDown = true
    const page = new TestPage('/', (_attempt, nth) => nth > 1 && isDown ? { type: 'failure', error: new Error('down') } : storable(`v${nth}`, { ttl: 100, staleWhileRevalidate: 0, staleIfError: 1000, tags: ['t'] }), { tags: ['t'] })
    await cache.get(page)
    await revalidate('t', 30)
    t.equal(show(await cache.get(page)), 'stale: v1')
    clock.forward(30)
    t.equal(show(await cache.get(page)), 'stale-if-error: v1', 'visitors wait now, and have the old page because rendering fails')
    await revalidate('t', 1000)
    t.equal(show(await cache.get(page)), 'stale-if-error: v1')
    isDown = false
    await revalidate('t', 0)
    t.match(show(await cache.get(page)), /^rendered: /)
    clock.forward(99)
    await revalidate('t', 10_000)
    clock.forward(2)
    t.match(show(await cache.get(page)), /^rendered: /, 'the page\'s own window had ended')
  })

  t.test('hard: never again, not even when rendering fails', async (t) => {
    const { cache, purge } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('v1', { tags: ['t'] }) : { type: 'failure', error: new Error('down') }, { tags: ['t'] })
    await cache.get(page)
    await purge('t')
    t.equal(cache.lookup('/'), undefined)
    t.equal(show(await cache.get(page)), 'failed: down')
  })

  t.test('tags that only the render named count as well', async (t) => {
    const { cache, purge } = makeEngine()
    const page = new TestPage('/', (_attempt, nth) => storable(`v${nth}`, { tags: ['of-the-handler'] }))
    await cache.get(page)
    await purge('of-the-handler')
    t.equal(show(await cache.get(page)), 'rendered: v2')
  })

  t.test('the index follows what memory holds', async (t) => {
    const { cache, purge, revalidate } = makeEngine()
    const tags = [['a', 'b', 'own'], ['b', 'c'], ['c']]
    const page = new TestPage('/', (_attempt, nth) => storable(`v${nth}`, { ttl: Infinity, tags: tags[nth - 1] ?? [] }))
    const neighbour = new TestPage('/neighbour', () => storable('n', { ttl: Infinity, tags: ['a', 'b', 'c'] }))
    await cache.get(page)
    await cache.get(neighbour)
    await cache.refresh(page)
    await revalidate('a')
    await revalidate('own')
    t.equal(show(await cache.get(page)), 'fresh: v2', 'a tag that it no longer has says nothing')
    await purge('b')
    t.equal(cache.lookup('/'), undefined)
    t.equal(cache.lookup('/neighbour'), undefined)
    await cache.get(page)
    await purge('c')
    t.equal(cache.lookup('/'), undefined)
  })
})

/** A page with tag `t` whose nth render waits for the nth gate. */
function gated (options: { known?: boolean } = {}): { page: TestPage, gates: Gate[] } {
  const gates = [makeGate(), makeGate(), makeGate()]
  const page = new TestPage('/', async (_attempt, nth) => {
    await gates[nth - 1]?.opened
    return storable(`v${nth}`, { ttl: Infinity, tags: ['t'] })
  }, { tags: options.known === false ? [] : ['t'] })
  return { page, gates }
}

t.test('an order that comes during a render', async (t) => {
  t.test('soft: its result is never fresh, and is rendered again', async (t) => {
    const { cache, revalidate } = makeEngine()
    const { page, gates } = gated()
    const early = cache.get(page)
    await settle()
    await revalidate('t')
    gates[0]?.open()
    t.equal(show(await early), 'stale: v1', 'who came before the order may have it')
    await settle()
    t.equal(page.renders, 2, 'nobody else has to come for that')
    t.equal(show(await cache.get(page)), 'stale: v1')
    gates[1]?.open()
    await settle()
    t.equal(show(await cache.get(page)), 'fresh: v2')
  })

  t.test('soft with expire 0: its result is served to nobody', async (t) => {
    const { cache, revalidate } = makeEngine()
    const { page, gates } = gated()
    const early = cache.get(page)
    await settle()
    await revalidate('t', 0)
    gates.forEach(gate => { gate.open() })
    t.equal(show(await early), 'rendered: v2')
  })

  t.test('hard: its result is served to nobody and stored nowhere', async (t) => {
    const { cache, purge } = makeEngine()
    const { disk } = makeDisk(t.testdir())
    cache.adopt('b1', disk)
    const { page, gates } = gated()
    const early = cache.get(page)
    await until(() => page.renders === 1)
    await purge('t')
    gates[0]?.open()
    await until(() => page.renders === 2)
    t.equal(cache.lookup('/'), undefined)
    t.equal(await disk.read('/'), null)
    gates[1]?.open()
    t.equal(show(await early), 'rendered: v2')
    await disk.close()
  })

  t.test('who comes after it waits for a render that begins after it, one at a time', async (t) => {
    const { cache, purge } = makeEngine()
    const { page, gates } = gated()
    const before = [cache.get(page), cache.get(page)]
    await settle()
    await purge('t')
    const after = [cache.get(page), cache.get(page)]
    await settle()
    t.equal(page.renders, 1)
    gates[0]?.open()
    await settle()
    t.equal(page.renders, 2)
    const late = cache.get(page)
    gates[1]?.open()
    t.same((await Promise.all([...before, ...after, late])).map(show), Array(5).fill('rendered: v2'))
    t.equal(page.renders, 2)
    t.equal(page.mostRunning, 1)
  })

  t.test('soft: who comes after it has what it asked for, and never the render that began before', async (t) => {
    const { cache, revalidate } = makeEngine()
    const { page, gates } = gated()
    const before = cache.get(page)
    await settle()
    await revalidate('t')
    const after = cache.get(page)
    gates[0]?.open()
    t.equal(show(await before), 'stale: v1')
    gates[1]?.open()
    t.equal(show(await after), 'rendered: v2')
    t.equal(page.renders, 2)
  })

  t.test('concerns its result also by a tag that nobody knew yet', async (t) => {
    const { cache, purge, revalidate } = makeEngine()
    const first = gated({ known: false })
    const early = cache.get(first.page)
    await settle()
    await purge('t')
    const late = cache.get(first.page)
    first.gates.forEach(gate => { gate.open() })
    t.same([show(await early), show(await late)], ['rendered: v2', 'rendered: v2'])

    await purge('t')
    const second = gated({ known: false })
    const before = cache.get(second.page)
    await settle()
    await revalidate('t')
    const after = cache.get(second.page)
    second.gates.forEach(gate => { gate.open() })
    t.same([show(await before), show(await after)], ['stale: v1', 'stale: v1'], 'never taken for fresh')
  })

  t.test('and again and again does not keep a visitor waiting for ever', async (t) => {
    const { cache, purge } = makeEngine()
    const page: TestPage = new TestPage('/', async (_attempt, nth) => {
      await purge('t')
      return storable(`v${nth}`, { tags: ['t'] })
    }, { tags: ['t'] })
    t.match(await cache.get(page), { kind: 'failed', error: { code: 'FST_ISR_ERR_RENDER_TIMEOUT' }, retryAfterMs: 1000 })
    t.ok(page.renders >= 2 && page.renders <= 10)
  })

  t.test('whose render ends unstorable drops no page that is newer', async (t) => {
    const { cache, clock } = makeEngine()
    const { disk } = makeDisk(t.testdir())
    cache.adopt('b1', disk)
    const gate = makeGate()
    const page = new TestPage('/', async () => { await gate.opened; return unstorable('status-404') })
    const answer = cache.get(page)
    await until(() => page.renders === 1)
    clock.forward(1)
    // Another process, or a build, has rendered it since.
    await disk.write(makeEntryOf('/', { epoch: clock.now * 1000, renderedAt: clock.now }))
    gate.open()
    await answer
    t.equal(show(await cache.get(page)), 'fresh: body of /')
    await disk.close()
  })
})

t.test('a visitor who found a page, and was overtaken by a purge, does not get it', async (t) => {
  const { cache, coordinator } = makeEngine({ maxBytes: 0 })
  const { disk } = makeDisk(t.testdir())
  cache.adopt('b1', disk)
  disk.mayHave = () => true
  let isPurged = false
  const page = new TestPage('/', () => storable('new', { tags: ['t'] }), { tags: ['t'] })
  for (let ticks = 0; ticks < 12; ticks++) {
    isPurged = false
    const entry = makeEntryOf('/', { tags: ['t'], epoch: coordinator.now().epoch })
    disk.read = async () => isPurged ? null : entry
    let isAcknowledged = false
    let wasAcknowledged = false
    const answer = cache.get(page).then((answer) => { wasAcknowledged = isAcknowledged; return answer })
    for (let i = 0; i < ticks; i++) await null
    const order = coordinator.order([{ kind: 'hard', tag: 't', deadline: 0 }]).then(() => { isPurged = true; isAcknowledged = true })
    const shown = show(await answer)
    await order
    t.ok(!wasAcknowledged || shown === 'rendered: new', `after ${ticks} ticks: ${shown}`)
  }
  await disk.close()
})
