import fc from 'fast-check'
import t, { type Test } from 'tap'
import { encode } from '../../lib/cache/codec.js'
import type { Entry } from '../../lib/cache/entry.js'
import { MemoryTier } from '../../lib/cache/memory-tier.js'
import { RedisTier } from '../../lib/cache/redis-tier.js'
import { seal } from '../../lib/cache/seal.js'
import { entryName, SharedTier, type SharedTierOptions } from '../../lib/cache/shared-tier.js'
import type { IsrTier, IsrTierRecord, IsrTierVersion } from '../../types/index.js'
import { makeEntryOf, makeGate, settle, textOf } from '../helpers/engine.js'
import { holdsInTime } from '../helpers/property.js'
import { startRedis, type RedisServer } from '../helpers/redis-server.js'
import { openLink } from '../helpers/redis-tier.js'
import { overMemory } from '../helpers/tier-adapters.js'

const MiB = 1024 * 1024
const SECRET = 'a secret of at least 32 characters'
const NAME = entryName('b1', '/')

/** A page of '/' in one life of Redis. */
function pageOf (epoch: number, more: Partial<Entry> = {}): Entry {
  return makeEntryOf('/', { incarnation: 'i', epoch, bodies: [{ encoding: 'identity', bytes: Buffer.from(`of epoch ${epoch}`) }], ...more })
}

interface Bench {
  shared: SharedTier
  place: MemoryTier<IsrTierRecord>
  /** What the tier was asked, e.g. `set 3`. */
  asked: string[]
  errors: string[]
  worked: string[]
  /** Fails these. */
  failing: Set<string>
  /** Asked before each operation. */
  waiting: (operation: string) => Promise<void>
  isUp: boolean
  read: () => Promise<string | null>
  /** A second instance. */
  other: SharedTier
}

function makeBench (more: Partial<SharedTierOptions> & { over?: IsrTier } = {}): Bench {
  const place = new MemoryTier<IsrTierRecord>(1024 * MiB)
  const inner = more.over ?? overMemory(place)
  const asked: string[] = []
  const ask = async <T>(operation: string, what: string, work: () => Promise<T>): Promise<T> => {
    asked.push(`${operation} ${what}`)
    await bench.waiting(operation)
    if (bench.failing.has(operation)) throw new Error(`no ${operation}`)
    return await work()
  }
  const describe = ({ epoch }: IsrTierVersion): string => epoch === Number.MAX_SAFE_INTEGER ? 'any' : String(epoch)
  const tier: IsrTier = {
    name: 'test',
    get isUp () { return bench.isUp },
    get: (name, options) => ask('get', '', () => inner.get(name, options)),
    set: (name, record) => ask('set', describe(record.version), () => inner.set(name, record)),
    delete: (name, version) => ask('delete', describe(version), () => inner.delete(name, version)),
    close: () => ask('close', '', async () => {})
  }
  const options = { secret: null, maxAge: 604_800, onError: () => {}, onWorking: () => {}, ...more }
  const bench: Bench = {
    place,
    asked,
    errors: [],
    worked: [],
    failing: new Set(),
    waiting: async () => {},
    isUp: true,
    shared: new SharedTier({
      ...options,
      tier,
      onError: (operation, key, error) => { bench.errors.push(`${operation} ${key}: ${error.message}`) },
      onWorking: operation => { bench.worked.push(operation) }
    }),
    other: new SharedTier({ ...options, tier: inner }),
    async read () {
      const entry = await bench.shared.read('/', 'b1')
      return entry === null ? null : textOf(entry)
    }
  }
  return bench
}

/** Puts bytes where the page of '/' lies. */
function plant (bench: Bench, bytes: Buffer, version: Partial<IsrTierVersion> = {}): void {
  bench.place.set(NAME, { bytes, version: { incarnation: 'i', epoch: 1, renderedAt: 1, ...version }, maxAge: 60 }, bytes.length)
}

t.test('what one instance writes another reads', async (t) => {
  const { shared, other, worked } = makeBench()
  t.equal(await shared.read('/', 'b1'), null)
  t.equal(await shared.write(pageOf(5)), true)
  t.same(await other.read('/', 'b1'), pageOf(5))
  t.equal(await other.read('/', 'b2'), null, 'of this build only')
  t.equal(await other.read('/other', 'b1'), null)

  await shared.read('/', 'b1')
  t.match(shared, { reads: 2, hits: 1, writes: 1, errors: 0, name: 'test' })
  t.same(worked, ['read', 'write', 'read'])
})

t.test('only something newer replaces a page', async (t) => {
  const { shared, other } = makeBench()
  await shared.write(pageOf(5))
  t.equal(await other.write(pageOf(4)), true, 'something newer is there')
  t.equal(textOf(await shared.read('/', 'b1') as Entry), 'of epoch 5')
  t.equal(await other.write(pageOf(6)), true)
  t.equal(textOf(await shared.read('/', 'b1') as Entry), 'of epoch 6')
})

t.test('a page goes only if nothing newer is there', async (t) => {
  const { shared, other } = makeBench()
  await shared.write(pageOf(5))
  t.equal(await other.delete('/', 'b1', pageOf(4)), false)
  t.equal(textOf(await other.read('/', 'b1') as Entry), 'of epoch 5')
  t.equal(await other.delete('/', 'b1', { epoch: 5.25, incarnation: 'i', renderedAt: pageOf(5).renderedAt }), true)
  t.equal(await shared.read('/', 'b1'), null)
})

t.test('parts of an epoch are a matter of one process', async (t) => {
  const { shared, other } = makeBench()
  await shared.write(pageOf(5.75))
  t.equal(await other.write(pageOf(5.25, { renderedAt: pageOf(5).renderedAt + 1 })), true)
  t.equal(textOf(await shared.read('/', 'b1') as Entry), 'of epoch 5.25', 'the later one')
})

t.test('a page stays as long as it may be of use', async (t) => {
  const { shared, place } = makeBench({ maxAge: 1000 })
  const maxAge = async (ttl: number, staleWhileRevalidate: number, staleIfError: number): Promise<number | null> => {
    place.clear()
    await shared.write(pageOf(5, { ttl, staleWhileRevalidate, staleIfError }))
    return place.peek(NAME)?.maxAge ?? null
  }
  t.equal(await maxAge(1, 20, 300), 321)
  t.equal(await maxAge(0, 0.5, 0), 0.5)
  t.equal(await maxAge(900, 900, 0), 1000)
  t.equal(await maxAge(Infinity, 0, 0), 1000)
  t.equal(await maxAge(0, 0, 0), null)
})

t.test('a page that is not worth keeping removes its older copy', async (t) => {
  const { shared, asked } = makeBench()
  await shared.write(pageOf(5))
  t.equal(await shared.write(pageOf(6, { ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 })), false)
  t.equal(await shared.read('/', 'b1'), null)
  t.same(asked, ['set 5', 'delete 6', 'get '])
})

t.test('nothing that lies there is taken on trust', async (t) => {
  const good = encode(pageOf(5))
  const altered = Buffer.from(good)
  altered[good.length >> 1] = (altered[good.length >> 1] ?? 0) ^ 1
  for (const [what, bytes] of Object.entries({
    'altered bytes': altered,
    'torn bytes': good.subarray(0, -1),
    'no bytes': Buffer.alloc(0),
    text: Buffer.from('hello'),
    'a page of another key': encode(makeEntryOf('/other')),
    'a page of another build': encode(makeEntryOf('/', { buildId: 'b2' }))
  })) {
    const bench = makeBench()
    plant(bench, bytes)
    t.equal(await bench.read(), null, what)
    t.match(bench.errors, [/^read \/: unreadable entry/])
    await bench.shared.flush()
    t.equal(bench.place.size, 0, 'and it is gone')
    t.equal(bench.shared.errors, 1)
  }
})

t.test('what claims to be of the far future is removed all the same', async (t) => {
  const bench = makeBench()
  plant(bench, Buffer.from('hello'), { epoch: Number.MAX_SAFE_INTEGER - 1 })
  t.equal(await bench.read(), null)
  t.equal(await bench.shared.write(pageOf(5)), true)
  t.equal(await bench.read(), 'of epoch 5')
})

t.test('an old page with the version of a newer one keeps nothing out for long', async (t) => {
  const bench = makeBench()
  plant(bench, encode(pageOf(4)), { epoch: 1000 })
  t.equal(await bench.shared.write(pageOf(5)), true, 'something newer is there, says the tier')
  t.equal(await bench.read(), null, 'but it is not')
  t.equal(await bench.shared.write(pageOf(6)), true)
  t.equal(await bench.read(), 'of epoch 6')
})

t.test('something larger than any page is none', async (t) => {
  const bench = makeBench()
  plant(bench, Buffer.alloc(300 * MiB))
  t.equal(await bench.read(), null)
  t.same(bench.errors, [])

  const careless = makeBench({ over: { name: 'careless', get: async () => Buffer.alloc(300 * MiB), set: async () => true, delete: async () => true } })
  t.equal(await careless.read(), null)
  t.match(careless.errors, [/too large/])
})

t.test('a page keeps nothing alive but itself', async (t) => {
  const bench = makeBench()
  const chunk = Buffer.alloc(MiB)
  const bytes = encode(pageOf(5))
  bytes.copy(chunk, 1000)
  plant(bench, chunk.subarray(1000, 1000 + bytes.length))
  const entry = await bench.shared.read('/', 'b1')
  t.ok((entry?.bodies[0]?.bytes.buffer.byteLength ?? Infinity) < 1000)
})

t.test('with a secret', async (t) => {
  const sealed = seal(encode(pageOf(5)), pageOf(5), SECRET)

  t.test('pages are sealed, and read by those who have it', async (t) => {
    const { shared, other, place } = makeBench({ secret: SECRET })
    await shared.write(pageOf(5))
    t.same(await other.read('/', 'b1'), pageOf(5))
    t.same(place.peek(NAME)?.bytes, sealed)
  })

  t.test('any altered bit is noticed', async (t) => {
    const bench = makeBench({ secret: SECRET })
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const altered = Buffer.from(sealed)
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      plant(bench, altered)
      if (await bench.read() !== null) t.fail(`bit ${bit}`)
      await bench.shared.flush()
    }
    t.equal(bench.shared.errors, sealed.length * 8)
  })

  for (const [what, bytes] of Object.entries({
    'a page without a seal': encode(pageOf(5)),
    'a page sealed with another secret': seal(encode(pageOf(5)), pageOf(5), `${SECRET}!`),
    'a page sealed as that of another key': seal(encode(pageOf(5)), { key: '/other', buildId: 'b1' }, SECRET),
    'a page sealed as that of another build': seal(encode(pageOf(5)), { key: '/', buildId: 'b2' }, SECRET),
    'a seal without a page': sealed.subarray(0, 37),
    'a piece of a seal': sealed.subarray(0, 20)
  })) {
    t.test(`${what} is refused and removed`, async (t) => {
      const bench = makeBench({ secret: SECRET })
      plant(bench, bytes)
      t.equal(await bench.read(), null)
      t.match(bench.errors, [/^read \/: unreadable entry/])
      await bench.shared.flush()
      t.equal(bench.place.size, 0)
    })
  }

  t.test('an instance without it can not read the page, and leaves it to others', async (t) => {
    const bench = makeBench()
    plant(bench, sealed)
    t.equal(await bench.read(), null)
    t.match(bench.errors, [/sealed, and there is no 'secret'/])
    await bench.shared.flush()
    t.equal(bench.place.size, 1)
  })
})

t.test('operations on one page', async (t) => {
  t.test('happen in order, and only the latest of those that wait', async (t) => {
    const bench = makeBench()
    const gate = makeGate()
    bench.waiting = () => gate.opened
    const first = bench.shared.write(pageOf(1))
    await settle()
    const results = [first, ...[2, 3, 4].map(epoch => bench.shared.write(pageOf(epoch)))]
    await settle()
    t.same(bench.asked, ['set 1'])
    gate.open()
    t.same(await Promise.all(results), [true, true, true, true])
    t.same(bench.asked, ['set 1', 'set 4'])
    t.equal(await bench.read(), 'of epoch 4')
  })

  t.test('are shown by a read before they are over', async (t) => {
    const bench = makeBench()
    await bench.shared.write(pageOf(1))
    const gate = makeGate()
    bench.waiting = async operation => { if (operation !== 'get') await gate.opened }
    void bench.shared.write(pageOf(2))
    t.equal(await bench.read(), 'of epoch 2')
    void bench.shared.delete('/', 'b1', pageOf(3))
    t.equal(await bench.read(), null)
    await bench.other.write(pageOf(4))
    t.equal(await bench.read(), 'of epoch 4', 'unless something newer is there')
    gate.open()
    await bench.shared.flush()
    t.equal(await bench.read(), 'of epoch 4')
  })

  t.test('that end while a read is under way are what it shows', async (t) => {
    const bench = makeBench()
    await bench.shared.write(pageOf(1))
    const late = makeGate()
    const over: IsrTier = { ...overMemory(bench.place), name: 'late', get: async () => { const bytes = bench.place.peek(NAME)?.bytes ?? null; await late.opened; return bytes }, set: async () => true, delete: async () => true }
    const shared = new SharedTier({ tier: over, secret: null, maxAge: 60, onError () {}, onWorking () {} })
    const write = shared.write(pageOf(2))
    const read = shared.read('/', 'b1')
    await write
    late.open()
    t.equal(textOf(await read as Entry), 'of epoch 2')
  })

  t.test('that are older than one under way are not done', async (t) => {
    const bench = makeBench()
    const gate = makeGate()
    bench.waiting = () => gate.opened
    const first = bench.shared.write(pageOf(5))
    await settle()
    const results = [first, bench.shared.write(pageOf(4)), bench.shared.write(pageOf(5.5)), bench.shared.delete('/', 'b1', pageOf(3)), bench.shared.delete('/', 'b1', pageOf(6)), bench.shared.write(pageOf(5))]
    gate.open()
    t.same(await Promise.all(results), [true, true, false, false, true, false])
    t.same(bench.asked, ['set 5', 'delete 6'])
    t.equal(await bench.read(), null)
  })

  t.test('do not wait for those on other pages', async (t) => {
    const bench = makeBench()
    const gate = makeGate()
    bench.waiting = async () => { if (bench.asked.length === 1) await gate.opened }
    void bench.shared.write(pageOf(1))
    await settle()
    t.equal(await bench.shared.write(makeEntryOf('/other')), true)
    gate.open()
    await bench.shared.flush()
  })
})

t.test('after a failed write', async (t) => {
  t.test('the older page is removed', async (t) => {
    const bench = makeBench()
    await bench.shared.write(pageOf(1))
    bench.failing.add('set')
    t.equal(await bench.shared.write(pageOf(2)), false)
    t.same(bench.errors, ['write /: no set'])
    t.equal(bench.place.size, 0)
    await bench.other.write(pageOf(1))
    t.equal(await bench.read(), null, 'and is none for those who know the new one')
    await bench.other.write(pageOf(3))
    t.equal(await bench.read(), 'of epoch 3')
  })

  t.test('that can not be undone the older page is not believed', async (t) => {
    const bench = makeBench()
    await bench.shared.write(pageOf(1))
    bench.failing = new Set(['set', 'delete'])
    t.equal(await bench.shared.write(pageOf(2)), false)
    t.same(bench.errors, ['write /: no set', 'delete /: no delete'])
    bench.failing.clear()
    t.equal(await bench.read(), null)
    t.equal(await bench.shared.write(pageOf(1)), false, 'nor written once more')
    t.equal(await bench.read(), null)

    await bench.other.write(pageOf(3))
    t.equal(await bench.read(), 'of epoch 3', 'but what is newer')
    await bench.other.delete('/', 'b1', pageOf(3))
    await bench.other.write(pageOf(2))
    t.equal(await bench.read(), 'of epoch 2', 'and from then on anything')
  })

  t.test('a write that works ends the doubt', async (t) => {
    const bench = makeBench()
    bench.failing = new Set(['set', 'delete'])
    await bench.shared.write(pageOf(2))
    bench.failing.clear()
    t.equal(await bench.shared.write(pageOf(2)), true)
    t.equal(await bench.read(), 'of epoch 2')
  })

  t.test('a delete that failed leaves doubt, too', async (t) => {
    const bench = makeBench()
    await bench.shared.write(pageOf(2))
    bench.failing.add('delete')
    t.equal(await bench.shared.delete('/', 'b1', pageOf(2)), false)
    t.equal(await bench.read(), null)
    bench.failing.clear()
    t.equal(await bench.shared.delete('/', 'b1', pageOf(1)), false, 'something newer is there')
    t.equal(await bench.read(), null, 'and is doubted still')
    t.equal(await bench.shared.delete('/', 'b1', pageOf(2)), true)
    await bench.other.write(pageOf(1))
    t.equal(await bench.read(), 'of epoch 1')
  })

  t.test('doubts are limited, and the oldest goes first', async (t) => {
    const bench = makeBench()
    const pages = Array.from({ length: 10_001 }, (_, index) => makeEntryOf(`/${index}`, { incarnation: 'i', epoch: 1 }))
    for (const page of pages) await bench.shared.write(page)
    bench.isUp = false
    for (const page of pages) await bench.shared.write({ ...page, epoch: 2 })
    bench.isUp = true
    t.not(await bench.shared.read('/0', 'b1'), null)
    t.equal(await bench.shared.read('/1', 'b1'), null)
    t.equal(await bench.shared.read('/10000', 'b1'), null)
  })
})

t.test('an instance never goes back, whatever fails', async (t) => {
  const step = fc.record({
    what: fc.constantFrom('write', 'write', 'other writes', 'read', 'read'),
    epoch: fc.nat(20),
    failing: fc.subarray(['get', 'set', 'delete']),
    isUp: fc.boolean()
  })
  await holdsInTime(t, fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
    const bench = makeBench()
    let newest = -1
    for (const { what, epoch, failing, isUp } of steps) {
      if (what === 'other writes') {
        await bench.other.write(pageOf(epoch))
        continue
      }
      bench.failing = new Set(failing)
      bench.isUp = isUp
      if (what === 'write') {
        await bench.shared.write(pageOf(epoch))
        newest = Math.max(newest, epoch)
        continue
      }
      const read = await bench.shared.read('/', 'b1')
      if (read === null) continue
      if (read.epoch < newest) return false
      newest = read.epoch
    }
    return true
  }), { numRuns: 500 })
})

t.test('a tier that is down is not asked', async (t) => {
  const bench = makeBench()
  await bench.shared.write(pageOf(1))
  bench.asked.length = 0
  bench.isUp = false
  t.equal(bench.shared.isUp, false)
  t.equal(await bench.read(), null)
  t.equal(await bench.shared.write(pageOf(2)), false)
  t.same([bench.asked, bench.errors], [[], []])
  bench.isUp = true
  t.equal(await bench.read(), null, 'and not believed what it has missed')
  t.equal(await bench.shared.delete('/', 'b1', pageOf(2)), true)
})

t.test('a failing read is a miss', async (t) => {
  const bench = makeBench()
  await bench.shared.write(pageOf(1))
  bench.failing.add('get')
  t.equal(await bench.read(), null)
  t.same(bench.errors, ['read /: no get'])
  t.equal(bench.place.size, 1, 'of a page that may be good')
})

t.test('closing waits for what is under way, and nothing is asked after it', async (t) => {
  const bench = makeBench()
  const gate = makeGate()
  bench.waiting = async operation => { if (operation === 'set') await gate.opened }
  const first = bench.shared.write(pageOf(1))
  await settle()
  const second = bench.shared.write(pageOf(2))
  await settle()
  const closing = bench.shared.close()
  t.equal(await bench.shared.write(makeEntryOf('/other')), false)
  t.equal(await bench.shared.delete('/other', 'b1', pageOf(1)), false)
  t.equal(await bench.shared.read('/other', 'b1'), null)
  gate.open()
  await closing
  t.same(await Promise.all([first, second]), [true, true])
  t.same(bench.asked, ['set 1', 'set 2', 'close '])
  t.equal(bench.shared.isUp, false)

  const failing = makeBench()
  failing.failing.add('close')
  await failing.shared.close()
})

t.test('over Redis', async (t) => {
  const make = async (t: Test, server: RedisServer, commandTimeout = 5000): Promise<SharedTier> => new SharedTier({
    tier: new RedisTier(await openLink(t, server, { commandTimeout }), { prefix: 'isr', maxAge: 3600 }),
    secret: SECRET,
    maxAge: 3600,
    onError () {},
    onWorking () {}
  })

  t.test('out of memory an older page never comes back', async (t) => {
    const server = await startRedis(t)
    const [one, two] = [await make(t, server), await make(t, server)]
    await one.write(pageOf(1))
    t.equal(textOf(await two.read('/', 'b1') as Entry), 'of epoch 1')
    await server.config('maxmemory', 1)
    t.equal(await one.write(pageOf(2)), false)
    t.equal(await one.read('/', 'b1'), null)
    t.equal(await two.read('/', 'b1'), null, 'not at others, either')
    await server.config('maxmemory', 0)
    t.equal(await one.write(pageOf(2)), true)
    t.equal(textOf(await two.read('/', 'b1') as Entry), 'of epoch 2')
  })

  t.test('what was written while it hung is not believed to be old', async (t) => {
    const server = await startRedis(t)
    const shared = await make(t, server, 200)
    await shared.write(pageOf(1))
    server.stop()
    t.equal(await shared.write(pageOf(2)), false)
    server.cont()
    t.equal(await shared.read('/', 'b1'), null)
    t.equal(await shared.write(pageOf(3)), true)
    t.equal(textOf(await shared.read('/', 'b1') as Entry), 'of epoch 3')
  })

  t.test('a page of any size that may be stored comes back', async (t) => {
    const server = await startRedis(t)
    const shared = await make(t, server)
    const bytes = Buffer.alloc(5 * MiB, 'page')
    await shared.write(pageOf(1, { bodies: [{ encoding: 'identity', bytes }] }))
    t.ok((await shared.read('/', 'b1'))?.bodies[0]?.bytes.equals(bytes))
  })
})
