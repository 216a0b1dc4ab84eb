// Small proofs, each of one thing that must hold. Run by run.ts, with the library or a mutant of it.
import assert from 'node:assert/strict'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { entryFile } from '../../../lib/cache/disk-tier.js'
import { Marks } from '../../../lib/cache/marks.js'
import { RedisTier } from '../../../lib/cache/redis-tier.js'
import { SharedTier } from '../../../lib/cache/shared-tier.js'
import type { Mark, Turn } from '../../../lib/cluster/coordinator.js'
import { RedisCoordinator } from '../../../lib/cluster/redis.js'
import { RedisLink } from '../../../lib/cluster/redis-link.js'
import type { IsrTier, IsrTierRecord } from '../../../types/index.js'
import { failure, makeDisk, makeEngine, makeEntryOf, makeGate, show, storable, TestPage, textOf, until } from '../../helpers/engine.js'
import type { Test } from '../../helpers/guarded.js'
import type { RedisServer } from '../../helpers/redis-server.js'
import { startProxy } from '../../helpers/tcp-proxy.js'

export interface Surroundings extends Test {
  /** Empty at the beginning of each scenario. */
  redis: RedisServer
}

/** Milliseconds in which what must happen has happened, on a busy machine. */
const PATIENCE = 3000

async function eventually (what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!isSo()) {
    assert.ok(performance.now() < deadline, what)
    await sleep(10)
  }
}

function linkTo (t: Test, port: number): RedisLink {
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true })
  return new RedisLink({ client, commandTimeout: 1000 })
}

interface Node {
  coordinator: RedisCoordinator
  heard: Mark[]
  lives: string[]
}

/** An instance without pages. Its heartbeat is slow: what a scenario needs sooner it asks for. */
async function join (t: Test, port: number, { heartbeat = 60_000 } = {}): Promise<Node> {
  const heard: Mark[] = []
  const lives: string[] = []
  const marks = new Marks()
  const coordinator = new RedisCoordinator({ link: linkTo(t, port), prefix: 'isr', heartbeat, leaseTtl: 10_000, clock: Date.now, onConnected () {}, onDisconnected () {} })
  t.teardown(() => coordinator.close())
  await coordinator.start({
    mark (mark) {
      marks.add(mark)
      heard.push(mark)
    },
    floor: floor => { marks.raise(floor) },
    begin (incarnation) {
      marks.begin(incarnation)
      lives.push(incarnation)
    },
    refreshed () {},
    dropped () {},
    marks: () => marks
  })
  return { coordinator, heard, lives }
}

const purgeOf = (tag: string): { kind: 'hard', tag: string, deadline: number } => ({ kind: 'hard', tag, deadline: 0 })

async function turnOf ({ coordinator }: Node): Promise<Turn> {
  return await coordinator.turn({ key: '/a', buildId: 'b1', known: null, marked: { epoch: 0 }, isForced: false })
}

export const SCENARIOS: Readonly<Record<string, (t: Surroundings) => Promise<void>>> = {
  async anOlderWriteComesLate (t) {
    const link = linkTo(t, t.redis.port)
    t.teardown(() => link.close())
    await link.start(['isr:test'], { message () {}, subscribed () {}, up () {}, down () {} })
    const tier = new RedisTier(link, { prefix: 'isr', maxAge: 60 })
    const write = async (text: string, epoch: number): Promise<boolean> => await tier.set('b1/a', { bytes: Buffer.from(text), version: { incarnation: 'i', epoch, renderedAt: 1 }, maxAge: 60 })
    assert.equal(await write('newer', 2), true)
    assert.equal(await write('older', 1), false)
    assert.equal((await tier.get('b1/a', { maxBytes: 100 }))?.toString(), 'newer')
  },

  async anOrderWhileCutOff (t) {
    const proxy = await startProxy(t, { port: t.redis.port })
    const [a, b] = [await join(t, t.redis.port), await join(t, proxy.port, { heartbeat: 50 })]
    await proxy.cut()
    const { degraded } = await a.coordinator.order([purgeOf('x')])
    assert.equal(degraded, false)
    await proxy.heal()
    await eventually('what was ordered in the meantime is heard of', () => b.heard.some(({ tag }) => tag === 'x'))
  },

  async twoWantToRender (t) {
    const [a, b] = [await join(t, t.redis.port), await join(t, t.redis.port)]
    assert.equal((await turnOf(a)).kind, 'granted')
    assert.equal((await turnOf(b)).kind, 'elsewhere')
  },

  async manyWantAPageThatFails () {
    const { cache } = makeEngine()
    const gate = makeGate()
    const page = new TestPage('/a', async () => {
      await gate.opened
      return failure('not today')
    })
    const answers = Promise.all(Array.from({ length: 10 }, async () => await cache.get(page)))
    await until(() => page.renders > 0)
    gate.open()
    for (const answer of await answers) assert.match(show(answer), /^failed/)
    assert.equal(page.renders, 1)
  },

  async anOldHolderReleases (t) {
    const [a, b, c] = [await join(t, t.redis.port), await join(t, t.redis.port), await join(t, t.redis.port)]
    const first = await turnOf(a)
    assert.ok(first.kind === 'granted' && first.lease !== null)
    // As if it had expired.
    for (const key of await t.redis.command('keys', '{isr}:lease:*') as string[]) await t.redis.command('del', key)
    assert.equal((await turnOf(b)).kind, 'granted')
    await first.lease.release({ kind: 'nothing' })
    assert.equal((await turnOf(c)).kind, 'elsewhere')
  },

  async aFileIsReplacedWhileItIsRead (t) {
    const root = await mkdtemp(path.join(tmpdir(), 'isr-mutants-'))
    t.teardown(() => rm(root, { recursive: true, force: true }))
    const { disk, errors } = makeDisk(root)
    disk.open()
    await disk.write(makeEntryOf('/a', { hash: 'old' }))
    const file = await open(path.join(root, entryFile('b1', '/a')))
    t.teardown(() => file.close())
    const before = Buffer.alloc(8)
    await file.read(before, 0, 8, 0)
    await disk.write(makeEntryOf('/a', { hash: 'new', epoch: 1_700_000_000_000_001, bodies: [{ encoding: 'identity', bytes: Buffer.from('another body') }] }))
    assert.deepEqual(errors, [])
    assert.equal((await disk.read('/a'))?.hash, 'new')
    const rest = await file.readFile()
    assert.ok(rest.includes('body of /a') && !rest.includes('another body'), 'who has begun to read the old file reads it to its end')
    await disk.close()
  },

  async anEntryIsLoadedLate (t) {
    const root = await mkdtemp(path.join(tmpdir(), 'isr-mutants-'))
    t.teardown(() => rm(root, { recursive: true, force: true }))
    const { cache, clock } = makeEngine()
    const { disk } = makeDisk(root)
    disk.open()
    cache.adopt('b1', disk)
    const page = new TestPage('/a')
    assert.equal(show(await cache.get(page)), 'rendered: /a #1')
    await until(() => disk.entries === 1, 'the write')
    clock.forward(50)
    cache.reload('/a')
    assert.equal(show(await cache.get(page)), 'fresh: /a #1')
    clock.forward(20)
    assert.equal(show(await cache.get(page)), 'stale: /a #1')
    await cache.close()
    await disk.close()
  },

  async anOrderDuringARender () {
    const { cache, revalidate } = makeEngine()
    const gate = makeGate()
    const page = new TestPage('/a', async (_attempt, nth) => {
      if (nth === 1) await gate.opened
      return storable(`#${nth}`, { tags: ['x'] })
    }, { tags: ['x'] })
    const before = cache.get(page)
    await until(() => page.running === 1)
    await revalidate('x')
    const after = cache.get(page)
    gate.open()
    await before
    assert.equal(show(await after), 'rendered: #2')
    await cache.close()
  },

  async redisHasCountedOn (t) {
    const a = await join(t, t.redis.port)
    await t.redis.command('hincrby', '{isr}:clock', 'epoch', 5)
    const epoch = Number(await t.redis.command('hget', '{isr}:clock', 'epoch'))
    const turn = await turnOf(a)
    assert.ok(turn.kind === 'granted')
    assert.equal(turn.start.epoch, epoch)
  },

  async anOrderWithoutRedis (t) {
    const proxy = await startProxy(t, { port: t.redis.port })
    const { coordinator, heard } = await join(t, proxy.port)
    await proxy.cut()
    const before = coordinator.now()
    const { degraded } = await coordinator.order([purgeOf('x')])
    assert.equal(degraded, true)
    const mark = heard.find(({ tag }) => tag === 'x')
    assert.ok(mark !== undefined && mark.epoch > before.epoch, 'what was rendered before is older than the order')
    assert.ok(coordinator.now().epoch >= mark.epoch, 'what is rendered from here on is not')
  },

  async redisForgetsAnOrder (t) {
    const a = await join(t, t.redis.port)
    await a.coordinator.order([purgeOf('x')])
    await t.redis.command('flushall')
    await a.coordinator.catchUp()
    const late = await join(t, t.redis.port)
    assert.ok(late.heard.some(({ tag }) => tag === 'x'), 'whoever comes later knows of it')
  },

  async redisForgetsItself (t) {
    const { coordinator, lives } = await join(t, t.redis.port)
    assert.equal(lives.length, 1)
    await t.redis.command('flushall')
    await coordinator.catchUp()
    assert.equal(lives.length, 2, 'everything is from before')
  },

  async aWriteFails () {
    const records = new Map<string, IsrTierRecord>()
    let isFull = false
    const refuse = (): void => { if (isFull) throw new Error('full') }
    const tier: IsrTier = {
      name: 'map',
      async get (name) { return records.get(name)?.bytes ?? null },
      async set (name, record) {
        refuse()
        records.set(name, record)
        return true
      },
      async delete (name) {
        refuse()
        return records.delete(name)
      }
    }
    const shared = new SharedTier({ tier, secret: null, maxAge: 60, onError () {}, onWorking () {} })
    assert.equal(await shared.write(makeEntryOf('/a')), true)
    assert.equal(textOf(await shared.read('/a', 'b1') ?? makeEntryOf('nothing')), 'body of /a')
    isFull = true
    const newer = { epoch: 1_700_000_000_000_001, bodies: [{ encoding: 'identity', bytes: Buffer.from('newer') }] }
    assert.equal(await shared.write(makeEntryOf('/a', newer)), false)
    isFull = false
    assert.equal(await shared.read('/a', 'b1'), null, 'the older one does not come back')
  }
}
