import t, { type Test } from 'tap'
import fs from 'node:fs/promises'
import path from 'node:path'
import { entryFile, type DiskTierOptions } from '../../lib/cache/disk-tier.js'
import { sizeOf, type Entry } from '../../lib/cache/entry.js'
import { failure, makeDisk, makeEngine, makeEntryOf, makeGate, settle, show, storable, TestPage, textOf, unstorable, until, type Engine, type EngineOptions, type TestDisk } from '../helpers/engine.js'

type Tiers = Omit<Engine, 'errors'> & TestDisk

/** An engine with memory and disk, in the folder of the test or in one below it. */
async function makeTiers (t: Test, { root, folder = '', disk = {}, ...options }: EngineOptions & { root?: string, folder?: string, disk?: Partial<DiskTierOptions> } = {}): Promise<Tiers> {
  // Before the folder is asked for: what comes later is torn down earlier, and writes must have ended by then.
  const opened: TestDisk['disk'][] = []
  t.teardown(async () => { await opened[0]?.close() })
  const engine = makeEngine(options)
  const made = makeDisk(root ?? path.join(t.testdir(), folder), disk)
  opened.push(made.disk)
  made.disk.open()
  await made.disk.scanned
  engine.cache.adopt(made.disk.buildId, made.disk)
  return { ...engine, ...made }
}

function versions (key: string, more: Parameters<typeof storable>[1] = {}): TestPage {
  return new TestPage(key, (_attempt, nth) => storable(`v${nth}`, { ttl: Infinity, tags: ['t'], ...more }), { tags: ['t'] })
}

async function evict ({ cache, disk }: Tiers, key: string): Promise<void> {
  // Until then a read is answered by the write under way.
  await disk.write(makeEntryOf('/marker'))
  cache.memory.delete(key)
}

t.test('what is rendered goes to memory and disk; a hit on disk is promoted', async (t) => {
  const tiers = await makeTiers(t)
  const page = versions('/')
  await tiers.cache.get(page)
  t.equal(tiers.cache.lookup('/')?.tier, 'memory')
  await until(() => tiers.disk.entries === 1)
  await evict(tiers, '/')
  t.equal(tiers.cache.lookup('/'), undefined)
  const answers = await Promise.all(Array.from({ length: 50 }, () => tiers.cache.get(page)))
  t.same(new Set(answers.map(show)), new Set(['fresh: v1']))
  t.equal(tiers.cache.lookup('/')?.tier, 'disk')
  t.equal(page.renders, 1)
  t.equal(tiers.worked.filter(operation => operation === 'read').length, 1, 'fifty visitors, one read')
})

t.test('a restart renews nothing: windows count from the render', async (t) => {
  const first = await makeTiers(t)
  const page = versions('/', { ttl: 60, staleWhileRevalidate: 60 })
  await first.cache.get(page)
  await first.disk.close()
  first.clock.forward(59)
  const second = await makeTiers(t, { root: first.root, clock: first.clock })
  t.equal(show(await second.cache.get(page)), 'fresh: v1')
  first.clock.forward(1)
  t.equal(show(await second.cache.get(page)), 'stale: v1')
})

t.test('an entry from a clock that is ahead is not fresh for longer than its ttl', async (t) => {
  const tiers = await makeTiers(t)
  await tiers.disk.write(makeEntryOf('/', { renderedAt: tiers.clock.now + 3_600_000, epoch: tiers.clock.now * 1000, ttl: 10, staleWhileRevalidate: Infinity }))
  const page = versions('/')
  t.equal(show(await tiers.cache.get(page)), 'fresh: body of /')
  tiers.clock.forward(11)
  t.equal(show(await tiers.cache.get(page)), 'stale: body of /')
})

t.test('an order that a clock gone back puts below an entry concerns it all the same', async (t) => {
  for (const maxBytes of [1_000_000, 0]) {
    const tiers = await makeTiers(t, { folder: String(maxBytes), maxBytes })
    const page = versions('/')
    // Rendered before the clock went back by an hour.
    await tiers.disk.write(makeEntryOf('/', { tags: ['t'], ttl: Infinity, epoch: (tiers.clock.now + 3_600_000) * 1000, renderedAt: tiers.clock.now + 3_600_000 }))
    await tiers.purge('t')
    t.equal(show(await tiers.cache.get(page)), 'rendered: v1')
    await tiers.disk.write(makeEntryOf('/loaded', { tags: ['u'], ttl: Infinity, epoch: (tiers.clock.now + 3_600_000) * 1000, renderedAt: tiers.clock.now + 3_600_000 }))
    const loaded = new TestPage('/loaded', () => storable('new', { tags: ['u'] }), { tags: ['u'] })
    t.equal(show(await tiers.cache.get(loaded)), 'fresh: body of /loaded')
    await tiers.purge('u')
    t.equal(show(await tiers.cache.get(loaded)), 'rendered: new')
    t.equal(show(await tiers.cache.get(loaded)), 'fresh: new')
    await tiers.disk.close()
  }
})

t.test('memory without room works from disk alone', async (t) => {
  const { cache, disk, revalidate, purge, clock } = await makeTiers(t, { maxBytes: 0 })
  const page = versions('/', { ttl: 60 })
  t.equal(show(await cache.get(page)), 'rendered: v1')
  t.equal(cache.memory.size, 0)
  t.equal(show(await cache.get(page)), 'fresh: v1')
  clock.forward(61)
  t.equal(show(await cache.get(page)), 'stale: v1')
  await until(() => page.reports.length === 2)
  t.equal(show(await cache.get(page)), 'fresh: v2')
  await revalidate('t')
  t.equal(show(await cache.get(page)), 'stale: v2')
  await until(() => page.reports.length === 3)
  t.equal(show(await cache.get(page)), 'fresh: v3')
  await purge('t')
  t.equal(show(await cache.get(page)), 'rendered: v4')
  t.equal(page.mostRunning, 1)
  await disk.close()
})

t.test('neither memory nor disk: every visitor has a render, and those who come together share one', async (t) => {
  const { cache } = makeEngine({ maxBytes: 0 })
  const page = versions('/')
  const shown = (await Promise.all([cache.get(page), cache.get(page)])).map(show)
  t.same(shown, ['rendered: v1', 'rendered: v1'])
  t.equal(show(await cache.get(page)), 'rendered: v2')
})

t.test('an entry that is larger than memory is served from disk', async (t) => {
  const entry = makeEntryOf('/', { bodies: [{ encoding: 'identity', bytes: Buffer.from('x'.repeat(5000)) }] })
  const { cache } = await makeTiers(t, { maxBytes: sizeOf(entry) - 1 })
  const page = new TestPage('/', (_attempt, nth) => storable(`${nth}`.repeat(5000), { ttl: Infinity }))
  await cache.get(page)
  t.equal(cache.memory.size, 0)
  t.match(show(await cache.get(page)), /^fresh: 1111/)
  await cache.refresh(page)
  t.match(show(await cache.get(page)), /^fresh: 2222/)
  t.equal(page.renders, 2)
})

t.test('after a failed write the older copy on disk never comes back', async (t) => {
  const tiers = await makeTiers(t)
  const page = versions('/')
  await tiers.cache.get(page)
  await until(() => tiers.disk.entries === 1)
  // A folder in the place of the file: the next write can't replace it.
  const file = path.join(tiers.root, entryFile('b1', '/'))
  const copy = await fs.readFile(file)
  await fs.rm(file)
  await fs.mkdir(file)
  await tiers.cache.refresh(page)
  await until(() => tiers.disk.errors > 0)
  t.equal(show(await tiers.cache.get(page)), 'fresh: v2', 'memory has it')
  await fs.rmdir(file)
  await fs.writeFile(file, copy)
  await evict(tiers, '/')
  t.equal(show(await tiers.cache.get(page)), 'rendered: v3')
  await until(() => tiers.disk.entries === 2)
  await evict(tiers, '/')
  t.equal(show(await tiers.cache.get(page)), 'fresh: v3', 'a write that works ends the distrust')
})

t.test('a disk that is only read gives no older page back than was served already', async (t) => {
  const first = await makeTiers(t)
  const page = versions('/')
  await first.cache.get(page)
  await first.disk.close()
  const second = await makeTiers(t, { root: first.root, disk: { writeBack: false } })
  t.equal(show(await second.cache.get(page)), 'fresh: v1')
  await second.cache.refresh(page)
  second.cache.memory.delete('/')
  t.equal(show(await second.cache.get(page)), 'rendered: v3')
})

t.test('an order concerns what lies on disk alone', async (t) => {
  const tiers = await makeTiers(t)
  const [soft, hard] = [new TestPage('/soft', (_attempt, nth) => storable(`v${nth}`, { ttl: Infinity, tags: ['soft'] })), new TestPage('/hard', (_attempt, nth) => storable(`v${nth}`, { ttl: Infinity, tags: ['hard'] }))]
  await tiers.cache.get(soft)
  await tiers.cache.get(hard)
  await until(() => tiers.disk.entries === 2)
  tiers.cache.memory.clear()
  await tiers.revalidate('soft')
  await tiers.purge('hard')
  t.equal(show(await tiers.cache.get(soft)), 'stale: v1')
  t.equal(show(await tiers.cache.get(hard)), 'rendered: v2')
})

t.test('what is found purged leaves the disk', async (t) => {
  const tiers = await makeTiers(t)
  await tiers.cache.get(versions('/'))
  await until(() => tiers.disk.entries === 1)
  tiers.cache.memory.clear()
  await tiers.purge('t')
  t.equal(await tiers.cache.load('/'), null)
  await until(() => tiers.disk.entries === 0)
})

t.test('a purged page leaves the disk', async (t) => {
  const { cache, disk, root, purge } = await makeTiers(t)
  await cache.get(versions('/'))
  await until(() => disk.entries === 1)
  await purge('t')
  await until(() => disk.entries === 0)
  await disk.close()
  t.same((await fs.readdir(root, { recursive: true, withFileTypes: true })).filter(file => file.isFile()), [])
})

t.test('an unstorable render drops the page from memory and disk', async (t) => {
  const tiers = await makeTiers(t)
  const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('v1') : unstorable('status-404'))
  await tiers.cache.get(page)
  await until(() => tiers.disk.entries === 1)
  t.match(await tiers.cache.refresh(page), { type: 'unstorable' })
  t.equal(tiers.cache.lookup('/'), undefined)
  t.equal(await tiers.disk.read('/'), null)

  const evicted = new TestPage('/evicted', (_attempt, nth) => nth === 1 ? storable('v1') : unstorable('status-404'))
  await tiers.cache.get(evicted)
  await evict(tiers, '/evicted')
  await tiers.cache.refresh(evicted)
  t.equal(await tiers.disk.read('/evicted'), null, 'also when memory had lost it')
})

t.test('a failed render keeps the page on disk', async (t) => {
  const tiers = await makeTiers(t)
  const page = new TestPage('/', (_attempt, nth) => nth === 1 ? storable('v1') : failure('down'))
  await tiers.cache.get(page)
  await evict(tiers, '/')
  await tiers.cache.refresh(page)
  t.equal(show(await tiers.cache.get(page)), 'fresh: v1')
})

t.test('an entry that cannot be served is reported, removed and rendered again', async (t) => {
  let isBroken = false
  const reported: string[] = []
  const engine = makeEngine({ prepare: (entry) => { if (isBroken) throw new Error('no such route'); return textOf(entry) } })
  const { disk } = makeDisk(t.testdir())
  engine.cache.adopt('b1', disk)
  const page = versions('/')
  await engine.cache.get(page)
  await disk.write(makeEntryOf('/marker'))
  engine.cache.memory.delete('/')
  isBroken = true
  t.equal(await engine.cache.load('/'), null)
  isBroken = false
  reported.push(...engine.errors.map(({ key, error }) => `${key}: ${error.message}`))
  t.same(reported, ['/: no such route'])
  t.equal(show(await engine.cache.get(page)), 'rendered: v2')
  await disk.close()
})

/** A disk whose next read waits after it has found an entry. */
function holdNextRead (disk: TestDisk['disk']): { found: Promise<void>, go: () => void } {
  const [found, go] = [makeGate(), makeGate()]
  const read = disk.read.bind(disk)
  disk.read = async (key: string): Promise<Entry | null> => {
    disk.read = read
    const entry = await read(key)
    found.open()
    await go.opened
    return entry
  }
  return { found: found.opened, go: go.open }
}

t.test('a slow read of the disk', async (t) => {
  t.test('never puts an older page over a newer one, also when memory has lost the newer one', async (t) => {
    for (const isLost of [true, false]) {
      const tiers = await makeTiers(t, { folder: String(isLost) })
      const page = versions('/')
      await tiers.cache.get(page)
      await evict(tiers, '/')
      const held = holdNextRead(tiers.disk)
      const visitor = tiers.cache.get(page)
      await held.found
      // Somebody renders it while that read is under way: a refresh does not wait for the visitor.
      const next = makeGate()
      page.answering = async () => { await next.opened; return storable('newer', { ttl: Infinity }) }
      tiers.cache.drop('/')
      const rendered = tiers.cache.refresh(page)
      await settle()
      next.open()
      await rendered
      if (isLost) tiers.cache.memory.delete('/')
      held.go()
      t.equal(show(await visitor), 'fresh: newer')
      t.equal(show(await tiers.cache.get(page)), 'fresh: newer')
      await tiers.disk.close()
    }
  })

  t.test('is overtaken by a render that is stored meanwhile', async (t) => {
    const tiers = await makeTiers(t)
    const page = versions('/')
    await tiers.cache.get(page)
    await until(() => tiers.disk.entries === 1)
    const encoding = [makeGate(), makeGate()] as const
    page.answering = () => storable('newer', {
      ttl: Infinity,
      encode: async () => {
        encoding[0].open()
        await encoding[1].opened
        return [{ encoding: 'identity', bytes: Buffer.from('newer') }]
      }
    })
    const rendered = tiers.cache.refresh(page)
    await encoding[0].opened
    tiers.cache.memory.delete('/')
    const held = holdNextRead(tiers.disk)
    const visitor = tiers.cache.get(page)
    await held.found
    encoding[1].open()
    await rendered
    tiers.cache.memory.delete('/')
    held.go()
    t.equal(show(await visitor), 'fresh: newer')
    t.equal(show(await tiers.cache.get(page)), 'fresh: newer')
    t.equal(page.renders, 2)
  })

  t.test('serves nothing that has been purged meanwhile, and removes nothing that came afterwards', async (t) => {
    const tiers = await makeTiers(t, { maxBytes: 0 })
    const page = versions('/')
    await tiers.cache.get(page)
    await evict(tiers, '/')
    const held = holdNextRead(tiers.disk)
    const visitor = tiers.cache.get(page)
    await held.found
    await tiers.purge('t')
    tiers.cache.drop('/')
    t.match(await tiers.cache.refresh(page), { type: 'held', held: { view: 'v2' } })
    held.go()
    t.equal(show(await visitor), 'fresh: v2')
    t.equal(textOf(await tiers.disk.read('/') as Entry), 'v2')
    t.equal(page.renders, 2)
  })

  t.test('serves nothing that has been purged meanwhile by its tag alone', async (t) => {
    const tiers = await makeTiers(t)
    const page = versions('/')
    await tiers.cache.get(page)
    await evict(tiers, '/')
    const held = holdNextRead(tiers.disk)
    const visitor = tiers.cache.get(page)
    await held.found
    await tiers.purge('t')
    held.go()
    t.equal(show(await visitor), 'rendered: v2')
  })

  t.test('of the last build says nothing about this one', async (t) => {
    const tiers = await makeTiers(t)
    const { root } = tiers
    const page = versions('/')
    await tiers.cache.get(page)
    await evict(tiers, '/')
    const held = holdNextRead(tiers.disk)
    const visitor = tiers.cache.get(page)
    await held.found
    const next = makeDisk(root, { buildId: 'b2' })
    await next.disk.write(makeEntryOf('/', { buildId: 'b2' }))
    tiers.cache.adopt('b2', next.disk)
    held.go()
    t.equal(show(await visitor), 'fresh: body of /')
    t.equal(page.renders, 1)
    await next.disk.close()
  })
})

t.test('another build takes over', async (t) => {
  t.test('all at once: pages, back-off and markers of the last one are gone', async (t) => {
    const { cache, root, disk } = await makeTiers(t)
    const page = versions('/')
    const [failing, refused] = [new TestPage('/failing', () => failure('down')), new TestPage('/refused', () => unstorable('no-store'))]
    await cache.get(page)
    await cache.get(failing)
    await cache.get(refused)
    const next = makeDisk(root, { buildId: 'b2' })
    cache.adopt('b2', next.disk)
    t.equal(cache.buildId, 'b2')
    t.equal(cache.disk, next.disk)
    t.equal(cache.lookup('/'), undefined)
    t.equal(cache.whyNot('/failing'), null)
    t.equal(cache.whyNot('/refused'), null)
    t.equal(show(await cache.get(page)), 'rendered: v2')
    await next.disk.close()
    t.equal((await disk.read('/'))?.buildId, 'b1', 'and lies where it lay')
    t.equal((await next.disk.read('/'))?.buildId, 'b2')
  })

  t.test('while a page is rendered: its visitor has it, nobody else, and no disk', async (t) => {
    const { cache, root } = await makeTiers(t)
    const gate = makeGate()
    const page = new TestPage('/', async (_attempt, nth) => {
      if (nth === 1) await gate.opened
      return storable(`v${nth}`, { ttl: Infinity })
    })
    const early = cache.get(page)
    await until(() => page.renders === 1)
    const next = makeDisk(root, { buildId: 'b2' })
    cache.adopt('b2', next.disk)
    gate.open()
    t.equal(show(await early), 'rendered: v1')
    t.equal(cache.lookup('/'), undefined)
    t.equal(show(await cache.get(page)), 'rendered: v2')
    await next.disk.close()
    t.equal(textOf(await next.disk.read('/') as Entry), 'v2')
  })

  t.test('while a page is rendered that turns out unstorable: the new build keeps its page', async (t) => {
    const { cache, root } = await makeTiers(t)
    const gate = makeGate()
    const page = new TestPage('/', async () => { await gate.opened; return unstorable('status-404') })
    const early = cache.get(page)
    await until(() => page.renders === 1)
    const next = makeDisk(root, { buildId: 'b2' })
    await next.disk.write(makeEntryOf('/', { buildId: 'b2', epoch: 1 }))
    cache.adopt('b2', next.disk)
    gate.open()
    await early
    t.equal(show(await cache.get(page)), 'fresh: body of /')
    await next.disk.close()
  })

  t.test('orders outlive it', async (t) => {
    const { cache, root, purge, coordinator } = await makeTiers(t)
    const epoch = coordinator.now().epoch
    await purge('t')
    const next = makeDisk(root, { buildId: 'b2' })
    await next.disk.write(makeEntryOf('/', { buildId: 'b2', tags: ['t'], epoch }))
    cache.adopt('b2', next.disk)
    t.equal(show(await cache.get(versions('/'))), 'rendered: v1')
    await next.disk.close()
  })
})

t.test('without a build there is no disk: pages live in memory', async (t) => {
  const { cache } = makeEngine()
  cache.adopt('', null)
  const page = versions('/')
  await cache.get(page)
  t.equal(show(await cache.get(page)), 'fresh: v1')
})

t.test('an entry that another process has written is seen after a reload', async (t) => {
  const tiers = await makeTiers(t)
  const page = versions('/')
  await tiers.cache.get(page)
  await until(() => tiers.disk.entries === 1)
  tiers.clock.forward(1)
  const other = makeDisk(tiers.root)
  await other.disk.write(makeEntryOf('/', { epoch: tiers.coordinator.now().epoch, ttl: Infinity }))
  t.equal(show(await tiers.cache.get(page)), 'fresh: v1')
  tiers.cache.reload('/')
  t.equal(show(await tiers.cache.get(page)), 'fresh: body of /')
})
