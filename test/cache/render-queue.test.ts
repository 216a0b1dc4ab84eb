import t from 'tap'
import { AsyncLocalStorage } from 'node:async_hooks'
import { RenderQueue } from '../../lib/cache/render-queue.js'
import { makeDisk, makeEngine, makeEntryOf, makeGate, settle, show, storable, TestPage, until, type Engine, type Gate } from '../helpers/engine.js'

const never = new AbortController().signal
const queueFull = { code: 'FST_ISR_ERR_RENDER_QUEUE_FULL' }
const cycle = { code: 'FST_ISR_ERR_RENDER_CYCLE', statusCode: 508 }

/** Pages that stay in rendering until their gate opens. */
function blockers (count: number): { pages: TestPage[], gates: Gate[] } {
  const gates = Array.from({ length: count }, makeGate)
  return { gates, pages: gates.map((gate, i) => new TestPage(`/blocker/${i}`, async () => { await gate.opened; return storable('done') })) }
}

t.test('slots', async (t) => {
  t.test('are limited, and visitors go before background work', async (t) => {
    const queue = new RenderQueue(2, 10)
    const order: string[] = []
    const releases = [await queue.acquire('/1', 'background', never), await queue.acquire('/2', 'background', never)]
    for (const [key, priority] of [['/3', 'background'], ['/4', 'visitor'], ['/5', 'background'], ['/6', 'visitor']] as const) {
      void queue.acquire(key, priority, never).then((release) => { order.push(key); releases.push(release) })
    }
    t.equal(queue.running, 2)
    t.equal(queue.queued, 4)
    for (let i = 0; i < 6; i++) {
      releases[i]?.()
      await settle(1)
      t.ok(queue.running <= 2)
    }
    t.same(order, ['/4', '/6', '/3', '/5'])
    t.equal(queue.running, 0)
  })

  t.test('come back once, however often they are given back', async (t) => {
    const queue = new RenderQueue(1, 10)
    const release = await queue.acquire('/1', 'visitor', never)
    const second = queue.acquire('/2', 'visitor', never)
    let isThird = false
    void queue.acquire('/3', 'visitor', never).then(() => { isThird = true })
    release()
    release()
    await second
    await settle(1)
    t.equal(isThird, false)
    t.equal(queue.running, 1)
  })

  t.test('a full queue refuses, but gives up its newest background work for a visitor', async (t) => {
    const queue = new RenderQueue(1, 2)
    await queue.acquire('/running', 'visitor', never)
    const old = queue.acquire('/old', 'background', never)
    const young = queue.acquire('/young', 'background', never)
    await t.rejects(queue.acquire('/more', 'background', never), queueFull)
    const first = queue.acquire('/first', 'visitor', never)
    await t.rejects(young, queueFull)
    const second = queue.acquire('/second', 'visitor', never)
    await t.rejects(old, queueFull)
    await t.rejects(queue.acquire('/third', 'visitor', never), queueFull)
    t.equal(queue.queued, 2)
    queue.close()
    await t.rejects(first, { code: 'FST_ISR_ERR_CLOSING' })
    await t.rejects(second, { code: 'FST_ISR_ERR_CLOSING' })
  })

  t.test('without a queue there is only the slot', async (t) => {
    const queue = new RenderQueue(1, 0)
    const release = await queue.acquire('/1', 'visitor', never)
    await t.rejects(queue.acquire('/2', 'visitor', never), queueFull)
    release()
    ;(await queue.acquire('/3', 'visitor', never))()
  })

  t.test('a signal takes a waiter out, also one that had aborted before it came', async (t) => {
    const queue = new RenderQueue(1, 2)
    const release = await queue.acquire('/1', 'visitor', never)
    const controller = new AbortController()
    const waiting = queue.acquire('/2', 'visitor', controller.signal)
    controller.abort(new Error('too long'))
    await t.rejects(waiting, { message: 'too long' })
    await t.rejects(queue.acquire('/3', 'visitor', controller.signal), { message: 'too long' })
    t.equal(queue.queued, 0)
    release()
    await t.rejects(queue.acquire('/4', 'visitor', controller.signal), { message: 'too long' })
    t.equal(queue.running, 0)
  })
})

t.test('overflow is a coded error that says when to come back, and no back-off', async (t) => {
  const { cache, queue } = makeEngine({ concurrency: 1, maxQueue: 1 })
  const { pages: [running, queued], gates } = blockers(2)
  if (running === undefined || queued === undefined) return
  const answers = [cache.get(running), cache.get(queued)]
  await settle()
  const cold = new TestPage('/cold')
  t.match(await cache.get(cold), { kind: 'failed', error: queueFull, retryAfterMs: 1000 })
  t.equal(cache.whyNot('/cold'), null, 'a full queue says nothing about the page')
  gates.forEach(gate => { gate.open() })
  await Promise.all(answers)
  t.equal(show(await cache.get(cold)), 'rendered: /cold #1')
  t.equal(queue.running, 0)
})

t.test('an old page is served on when the queue is full', async (t) => {
  const { cache, clock } = makeEngine({ concurrency: 1, maxQueue: 0 })
  const page = new TestPage('/')
  await cache.get(page)
  clock.forward(61)
  const { pages: [running], gates } = blockers(1)
  if (running === undefined) return
  const answer = cache.get(running)
  await settle()
  t.equal(show(await cache.get(page)), 'stale: / #1')
  await settle()
  t.match(page.reports.map(({ outcome }) => outcome), ['stored'], 'what nobody waits for is not even tried')
  t.match(cache.counts, { started: 2, failed: 0 })
  clock.forward(60)
  t.match(await cache.get(page), { how: 'stale-if-error', error: queueFull })
  t.match(page.reports.at(-1), { outcome: 'failed', error: queueFull, failures: 0 })
  t.match(cache.counts, { started: 2, failed: 0 }, 'what never began has not failed')
  gates.forEach(gate => { gate.open() })
  await answer
  t.equal(show(await cache.get(page)), 'rendered: / #2')
})

t.test('a render for one caller alone can have slots of its own', async (t) => {
  const { cache, queue } = makeEngine({ concurrency: 1 })
  const own = new RenderQueue(1, Infinity)
  const release = await queue.acquire('/other', 'visitor', never)
  const page = new TestPage('/', async () => {
    t.equal(own.running, 1)
    return storable(show(await cache.get(new TestPage('/leaf'))))
  })
  t.match(await cache.renderAlone(page, { queue: own }), { type: 'held', held: { view: 'rendered: /leaf #1' } })
  t.equal(own.running, 0)
  release()
})

t.test('the timeout', async (t) => {
  t.test('ends a render that ignores its signal, and the slot comes back', async (t) => {
    const { cache, queue } = makeEngine({ concurrency: 1, renderTimeout: 20 })
    const gate = makeGate()
    let aborted: unknown
    const page = new TestPage('/', async ({ signal }) => {
      signal.addEventListener('abort', () => { aborted = signal.reason })
      await gate.opened
      return storable('too late')
    })
    t.match(await cache.get(page), { kind: 'failed', error: { code: 'FST_ISR_ERR_RENDER_TIMEOUT', statusCode: 504 } })
    t.match(aborted, { code: 'FST_ISR_ERR_RENDER_TIMEOUT' })
    t.equal(queue.running, 0)
    t.match(cache.whyNot('/'), /timeout/i, 'a page that hangs is not tried at once again')
    gate.open()
    await settle()
    t.equal(cache.memory.size, 0, 'what comes afterwards is not stored')
    t.equal(show(await cache.get(new TestPage('/other'))), 'rendered: /other #1')
  })

  t.test('counts the time in the queue, which says nothing about the page', async (t) => {
    const { cache, queue } = makeEngine({ concurrency: 1, renderTimeout: 20 })
    const release = await queue.acquire('/other', 'visitor', never)
    const page = new TestPage('/queued')
    t.match(await cache.get(page), { kind: 'failed', error: { code: 'FST_ISR_ERR_RENDER_TIMEOUT' } })
    t.equal(page.renders, 0)
    t.equal(cache.whyNot('/queued'), null)
    t.equal(queue.queued, 0)
    release()
    t.equal(show(await cache.get(page)), 'rendered: /queued #1')
  })

  t.test('that is over before the render could begin does not begin it', async (t) => {
    const engine = makeEngine({ renderTimeout: 10 })
    const { disk } = makeDisk(t.testdir(), { writeBack: false })
    const gate = makeGate()
    t.equal(await disk.read('/'), null)
    disk.read = async () => { await gate.opened; return null }
    engine.cache.adopt('b1', disk)
    const page = new TestPage('/', async ({ signal }) => { signal.throwIfAborted(); return storable('x') })
    const landing = engine.cache.refresh(page)
    await new Promise(resolve => setTimeout(resolve, 30))
    gate.open()
    t.match(await landing, { type: 'failed', error: { code: 'FST_ISR_ERR_RENDER_TIMEOUT' } })
    t.equal(page.renders, 0)
    await settle()
  })

  t.test('lets visitors have the old page', async (t) => {
    const { cache, clock } = makeEngine({ renderTimeout: 20 })
    const page = new TestPage('/', async (_attempt, nth) => nth === 1 ? storable('old', { ttl: 1, staleWhileRevalidate: 0 }) : await new Promise(() => {}))
    await cache.get(page)
    clock.forward(2)
    t.match(await cache.get(page), { how: 'stale-if-error', held: { view: 'old' }, error: { code: 'FST_ISR_ERR_RENDER_TIMEOUT' } })
  })
})

t.test('a render inside a render', async (t) => {
  /** A page that asks for another one while it is rendered. */
  const asking = ({ cache }: Engine, key: string, asked: () => TestPage): TestPage => new TestPage(key, async () => {
    const answer = await cache.get(asked())
    return answer.kind === 'failed' ? { type: 'failure', error: answer.error } : storable(`${key} with ${show(answer)}`)
  })

  t.test('takes no slot', async (t) => {
    const engine = makeEngine({ concurrency: 1, renderTimeout: 1000 })
    const leaf = new TestPage('/leaf')
    const middle = asking(engine, '/middle', () => leaf)
    const outer = asking(engine, '/outer', () => middle)
    t.equal(show(await engine.cache.get(outer)), 'rendered: /outer with rendered: /middle with rendered: /leaf #1')
    t.equal(engine.queue.running, 0)
  })

  t.test('waits for one that a visitor has queued without waiting for its slot', async (t) => {
    const engine = makeEngine({ concurrency: 1, renderTimeout: 1000 })
    const gate = makeGate()
    const leaf = new TestPage('/leaf')
    const outer = new TestPage('/outer', async () => {
      await gate.opened
      return storable(show(await engine.cache.get(leaf)))
    })
    const answers = [engine.cache.get(outer), engine.cache.get(leaf)]
    await settle()
    t.equal(engine.queue.queued, 1)
    gate.open()
    t.same((await Promise.all(answers)).map(show), ['rendered: rendered: /leaf #1', 'rendered: /leaf #1'])
  })

  t.test('waits for one that is on its way into the queue', async (t) => {
    const engine = makeEngine({ concurrency: 1, renderTimeout: 1000 })
    const { disk } = makeDisk(t.testdir(), { writeBack: false })
    engine.cache.adopt('b1', disk)
    const gate = makeGate()
    // A disk that has to be asked first, and is slow.
    const read = makeGate()
    disk.mayHave = key => key === '/leaf'
    disk.read = async () => { await read.opened; return null }
    const leaf = new TestPage('/leaf')
    const outer = new TestPage('/outer', async () => {
      await gate.opened
      return storable(show(await engine.cache.get(leaf)))
    })
    const outerAnswer = engine.cache.get(outer)
    await settle()
    const leafLanding = engine.cache.refresh(leaf)
    await settle()
    gate.open()
    await settle()
    read.open()
    t.equal(show(await outerAnswer), 'rendered: rendered: /leaf #1')
    t.match(await leafLanding, { type: 'held' })
  })

  t.test('waits for one that waits for another of its key', async (t) => {
    const engine = makeEngine({ concurrency: 2, renderTimeout: 1000 })
    const [gate, first] = [makeGate(), makeGate()]
    const leaf = new TestPage('/leaf', async (_attempt, nth) => {
      if (nth === 1) await first.opened
      return storable(`leaf ${nth}`, { tags: ['t'] })
    }, { tags: ['t'] })
    const outer = new TestPage('/outer', async () => {
      await gate.opened
      return storable(show(await engine.cache.get(leaf)))
    })
    const answers = [engine.cache.get(outer), engine.cache.get(leaf)]
    await settle()
    await engine.purge('t')
    const late = engine.cache.get(leaf)
    await settle()
    // Takes the slot that the first render gives back.
    const { pages: [other], gates: [otherGate] } = blockers(1)
    const otherAnswer = engine.cache.get(other as TestPage)
    gate.open()
    await settle()
    first.open()
    // It began before the purge, and its leaf has the tag: rendered once more.
    t.equal(show(await answers[0] as never), 'rendered: fresh: leaf 2')
    t.equal(show(await late), 'rendered: leaf 2')
    otherGate?.open()
    await otherAnswer
    t.equal(leaf.mostRunning, 1)
  })

  t.test('of itself is a coded error', async (t) => {
    const engine = makeEngine()
    const page: TestPage = asking(engine, '/self', () => page)
    t.match(await engine.cache.get(page), { kind: 'failed', error: { ...cycle, message: /\/self → \/self/ } })
    const alone = new TestPage('/alone', async (): Promise<never> => {
      throw (await engine.cache.renderAlone(alone) as { error: Error }).error
    })
    t.match(await engine.cache.renderAlone(alone), { type: 'failed', error: cycle })
  })

  t.test('in a circle is a coded error, not a wait', async (t) => {
    const engine = makeEngine()
    const a: TestPage = asking(engine, '/a', () => b)
    const b: TestPage = asking(engine, '/b', () => c)
    const c: TestPage = asking(engine, '/c', () => a)
    t.match(await engine.cache.get(a), { kind: 'failed', error: { ...cycle, message: /\/c → \/a → \/b → \/c/ } })
    const ringA = new TestPage('/ring/a', async (): Promise<never> => { throw (await engine.cache.renderAlone(ringB) as { error: Error }).error })
    const ringB = new TestPage('/ring/b', async (): Promise<never> => { throw (await engine.cache.renderAlone(ringA) as { error: Error }).error })
    t.match(await engine.cache.renderAlone(ringA), { type: 'failed', error: { ...cycle, message: /\/ring\/a → \/ring\/b → \/ring\/a/ } })
  })

  t.test('in a circle that two visitors close is a coded error for the one who closes it', async (t) => {
    const engine = makeEngine()
    const both = makeGate()
    const ask = (key: string, asked: () => TestPage): TestPage => new TestPage(key, async () => {
      await both.opened
      const answer = await engine.cache.get(asked())
      return storable(answer.kind === 'failed' ? `${key} without` : `${key} with ${show(answer)}`)
    })
    const a: TestPage = ask('/a', () => b)
    const b: TestPage = ask('/b', () => a)
    const answers = [engine.cache.get(a), engine.cache.get(b)]
    await settle()
    both.open()
    const shown = (await Promise.all(answers)).map(show)
    t.ok(shown.some(text => text.includes('without')), shown.join(', '))
    t.equal(a.renders + b.renders, 2)
  })

  t.test('that is refused for its circle can have the old page', async (t) => {
    const engine = makeEngine()
    const other = new TestPage('/other', (_attempt, nth) => storable(`other ${nth}`, { ttl: 1, staleWhileRevalidate: 0, staleIfError: 1000 }))
    await engine.cache.get(other)
    engine.clock.forward(2)
    const page = asking(engine, '/page', () => other)
    other.answering = async () => storable(show(await engine.cache.get(page)))
    t.match(show(await engine.cache.get(other)), /rendered: rendered: \/page with stale-if-error: other 1/)
  })

  t.test('that is only noticed to be stale is nobody\'s: it needs a slot and closes no circle', async (t) => {
    const engine = makeEngine({ concurrency: 1 })
    const leaf = new TestPage('/leaf')
    await engine.cache.get(leaf)
    engine.clock.forward(61)
    const gate = makeGate()
    const outer = new TestPage('/outer', async () => {
      const shown = show(await engine.cache.get(leaf))
      await gate.opened
      return storable(shown)
    })
    const answer = engine.cache.get(outer)
    await settle()
    t.equal(leaf.renders, 1, 'it waits for the slot')
    t.equal(engine.queue.queued, 1)
    gate.open()
    t.equal(show(await answer), 'rendered: stale: /leaf #1')
    await settle()
    t.equal(leaf.renders, 2)
  })
})

t.test('a visitor who joins background work takes it with him to the front', async (t) => {
  t.test('from the queue', async (t) => {
    const { cache, clock } = makeEngine({ concurrency: 1 })
    const order: string[] = []
    const make = (key: string): TestPage => new TestPage(key, () => { order.push(key); return storable('x', { staleWhileRevalidate: 60 }) })
    const [a, b] = [make('/a'), make('/b')]
    await cache.get(a)
    await cache.get(b)
    clock.forward(61)
    const { pages: [running], gates: [gate] } = blockers(1)
    const blocked = cache.get(running as TestPage)
    await settle()
    await cache.get(a)
    await cache.get(b)
    await settle()
    clock.forward(60)
    const joined = cache.get(b)
    await settle()
    order.length = 0
    gate?.open()
    await Promise.all([blocked, joined])
    await settle()
    t.same(order, ['/b', '/a'])
  })

  t.test('from before the queue', async (t) => {
    const { cache, queue } = makeEngine({ concurrency: 1, maxQueue: 1 })
    const { disk } = makeDisk(t.testdir(), { writeBack: false })
    cache.adopt('b1', disk)
    const read = makeGate()
    disk.mayHave = key => key === '/'
    disk.read = async () => { await read.opened; return null }
    const { pages: [running, visitor], gates } = blockers(2)
    const page = new TestPage('/')
    const refreshed = cache.refresh(page)
    const joined = cache.get(page)
    const answers = [cache.get(running as TestPage)]
    await settle()
    read.open()
    await settle()
    t.equal(queue.queued, 1)
    answers.push(cache.get(visitor as TestPage))
    await settle()
    gates.forEach(gate => { gate.open() })
    t.equal(show(await joined), 'rendered: / #1', 'a later visitor did not push it out as background work')
    await refreshed
    t.match(await answers[1], { error: queueFull })
  })
})

t.test('close() refuses what waits and what comes, and waits for what runs', async (t) => {
  const { cache } = makeEngine({ concurrency: 1 })
  const { pages: [running, queued], gates: [gate] } = blockers(2)
  const stored = new TestPage('/stored')
  await cache.get(stored)
  const answers = [cache.get(running as TestPage), cache.get(queued as TestPage)]
  await settle()
  let isClosed = false
  const closing = cache.close().then(() => { isClosed = true })
  t.match(await answers[1], { kind: 'failed', error: { code: 'FST_ISR_ERR_CLOSING', statusCode: 503 } })
  t.match(await cache.get(new TestPage('/new')), { kind: 'failed', error: { code: 'FST_ISR_ERR_CLOSING' } })
  t.match(await cache.renderAlone(new TestPage('/alone')), { type: 'failed', error: { code: 'FST_ISR_ERR_CLOSING' } })
  t.equal(show(await cache.get(stored)), 'fresh: /stored #1', 'what is held is served')
  await settle()
  t.equal(isClosed, false)
  gate?.open()
  await closing
  t.equal(show(await answers[0] as never), 'rendered: done', 'the running one was stored and answered')
})

t.test('close() begins no renders behind', async (t) => {
  const { cache, clock } = makeEngine()
  const page = new TestPage('/')
  await cache.get(page)
  clock.forward(61)
  await cache.close()
  t.equal(show(await cache.get(page)), 'stale: / #1')
  await settle()
  t.equal(page.renders, 1)
})

t.test('nothing of a visitor reaches a render: it runs in a context of its own', async (t) => {
  const als = new AsyncLocalStorage<string>()
  const { cache, clock } = makeEngine()
  const seen: unknown[] = []
  const page = new TestPage('/', async () => {
    await settle(1)
    seen.push(als.getStore())
    return storable('x', { ttl: 1, staleWhileRevalidate: 1 })
  })
  await als.run('visitor', async () => await cache.get(page))
  clock.forward(1.5)
  await als.run('visitor', async () => await cache.get(page))
  await until(() => seen.length === 2)
  await als.run('visitor', async () => await cache.refresh(page))
  await als.run('visitor', async () => await cache.renderAlone(page))
  t.same(seen, [undefined, undefined, undefined, undefined])
})

t.test('an entry of the disk is worth waiting for inside a render, too', async (t) => {
  const { cache } = makeEngine({ concurrency: 1 })
  const { disk } = makeDisk(t.testdir())
  cache.adopt('b1', disk)
  await disk.write(makeEntryOf('/leaf'))
  const outer = new TestPage('/outer', async () => storable(show(await cache.get(new TestPage('/leaf')))))
  t.equal(show(await cache.get(outer)), 'rendered: fresh: body of /leaf')
  await disk.close()
})
