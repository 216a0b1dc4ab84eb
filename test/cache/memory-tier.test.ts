import { LRUMapWithDelete } from 'mnemonist'
import t from 'tap'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { sizeOf } from '../../lib/cache/entry.js'
import { MemoryTier } from '../../lib/cache/memory-tier.js'
import { Remembered } from '../../lib/cache/remembered.js'
import { makeEntryOf, settle } from '../helpers/engine.js'

const KIB = 1024

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Whether the garbage collector takes it, once nobody holds it. */
async function isFreed (ref: WeakRef<object>): Promise<boolean> {
  for (let i = 0; i < 5; i++) {
    // A look at a reference keeps it alive until the turn of the event loop ends.
    await settle(1)
    collectGarbage()
    if (ref.deref() === undefined) return true
  }
  return false
}

t.test('the least recently used goes first when the budget is spent', async (t) => {
  const memory = new MemoryTier<string>(3 * KIB)
  t.equal(memory.set('a', 'A', KIB), true)
  memory.set('b', 'B', KIB)
  memory.set('c', 'C', KIB)
  t.equal(memory.get('a'), 'A', 'a use')
  t.equal(memory.peek('b'), 'B', 'no use')
  memory.set('d', 'D', KIB)
  t.same([...memory.keys()].sort(), ['a', 'c', 'd'])
  t.equal(memory.evictions, 1)
  t.equal(memory.bytes, 3 * KIB)
  memory.set('e', 'E', 2 * KIB)
  t.same([...memory.keys()].sort(), ['d', 'e'], 'as many go as it takes')
})

t.test('a replaced value gives back what it took', async (t) => {
  const memory = new MemoryTier<string>(4 * KIB)
  memory.set('a', 'A', 3 * KIB)
  memory.set('a', 'A2', KIB)
  t.equal(memory.bytes, KIB)
  t.equal(memory.size, 1)
  t.equal(memory.get('a'), 'A2')
  memory.set('a', 'A3', 4 * KIB)
  t.equal(memory.evictions, 0)
  t.equal(memory.bytes, 4 * KIB)
})

t.test('a value beyond the whole budget is refused, and the older one of its key is gone', async (t) => {
  const memory = new MemoryTier<string>(2 * KIB)
  memory.set('a', 'old', KIB)
  memory.set('b', 'B', KIB)
  t.equal(memory.set('a', 'new', 2 * KIB + 1), false)
  t.equal(memory.get('a'), undefined)
  t.equal(memory.get('b'), 'B', 'nothing else went for it')
  t.equal(memory.bytes, KIB)
})

t.test('small values count as half a KiB, so that the number of entries is bounded', async (t) => {
  const memory = new MemoryTier<number>(10 * KIB)
  for (let i = 0; i < 100; i++) memory.set(`k${i}`, i, 1)
  t.equal(memory.size, 20)
  t.equal(memory.bytes, 10 * KIB)
})

t.test('edges of the budget', async (t) => {
  for (const maxBytes of [0, 1, 511]) {
    const memory = new MemoryTier<string>(maxBytes)
    t.equal(memory.set('a', 'A', 1), false, `nothing fits into ${maxBytes} bytes`)
    t.equal(memory.get('a'), undefined)
    t.equal(memory.delete('a'), false)
    t.equal(memory.bytes, 0)
  }
  const one = new MemoryTier<string>(512)
  for (const key of ['a', 'b', 'a', 'c']) t.equal(one.set(key, key, 1), true)
  t.same([...one.keys()], ['c'])
  one.delete('c')
  t.equal(one.set('d', 'D', 512), true)
  t.equal(one.get('d'), 'D')
  const huge = new MemoryTier<string>(Number.MAX_SAFE_INTEGER)
  t.equal(huge.set('a', 'A', 1e12), true)
  t.equal(huge.get('a'), 'A')
})

t.test('whoever keeps an index hears of every value that leaves', async (t) => {
  const left: string[] = []
  const memory = new MemoryTier<string>(2 * KIB, (key, value) => { left.push(`${key}=${value}`) })
  memory.set('a', '1', KIB)
  memory.set('a', '2', KIB)
  memory.set('b', '3', KIB)
  memory.set('c', '4', KIB)
  memory.delete('b')
  memory.delete('b')
  memory.clear()
  t.same(left, ['a=1', 'a=2', 'b=3', 'c=4'])
  t.equal(memory.size, 0)
  t.equal(memory.bytes, 0)
})

t.test('what is deleted, evicted or replaced is free for the garbage collector', async (t) => {
  const memory = new MemoryTier<object>(2 * KIB)
  const add = (key: string): WeakRef<object> => {
    const value = { key }
    memory.set(key, value, KIB)
    return new WeakRef(value)
  }
  const deleted = add('a')
  memory.delete('a')
  t.ok(await isFreed(deleted), 'deleted')
  const replaced = add('b')
  add('b')
  t.ok(await isFreed(replaced), 'replaced')
  const evicted = add('c')
  add('d')
  add('e')
  t.ok(await isFreed(evicted), 'evicted')
  const cleared = add('f')
  memory.clear()
  t.ok(await isFreed(cleared), 'cleared')
  const held = add('g')
  t.notOk(await isFreed(held), 'what is held stays')
})

t.test('the inner workings of mnemonist that this relies on', async (t) => {
  const map = new LRUMapWithDelete<string, number>(4) as LRUMapWithDelete<string, number> & { K: string[], V: number[], tail: number }
  for (const [i, key] of ['a', 'b', 'c', 'd'].entries()) map.set(key, i)
  t.equal(map.K[map.tail], 'a', 'the tail is the slot of the least recently used')
  map.get('a')
  t.equal(map.K[map.tail], 'b')
  map.peek('b')
  t.equal(map.K[map.tail], 'b')
  map.delete('b')
  t.equal(map.K[map.tail], 'c')
  map.set('e', 5)
  t.equal(map.K[map.tail], 'c', 'a hole that is filled again is the youngest')
  map.set('c', 6)
  t.equal(map.K[map.tail], 'd', 'a write is a use')
  t.equal(map.capacity, 4)
})

t.test('a hundred thousand operations do what a naive model does', async (t) => {
  let seed = 42
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor(seed / 2 ** 32 * below)
  }
  const maxBytes = 40 * KIB
  const memory = new MemoryTier<number>(maxBytes)
  /** Least recently used first. */
  const model = new Map<string, { value: number, size: number }>()
  const bytesOf = (): number => [...model.values()].reduce((sum, { size }) => sum + size, 0)
  let differences = 0
  for (let i = 0; i < 100_000; i++) {
    const key = `k${random(60)}`
    const action = random(10)
    if (action < 5) {
      const bytes = random(50) === 0 ? maxBytes + 1 : random(4 * KIB)
      const size = Math.max(512, bytes)
      model.delete(key)
      if (size <= maxBytes) {
        for (const [oldest] of model) {
          if (bytesOf() + size <= maxBytes) break
          model.delete(oldest)
        }
        model.set(key, { value: i, size })
      }
      if (memory.set(key, i, bytes) !== (size <= maxBytes)) differences++
    } else if (action < 8) {
      const wanted = model.get(key)
      if (wanted !== undefined) {
        model.delete(key)
        model.set(key, wanted)
      }
      if (memory.get(key) !== wanted?.value) differences++
    } else if (action < 9) {
      if (memory.peek(key) !== model.get(key)?.value) differences++
    } else if (memory.delete(key) !== model.delete(key)) differences++
    if (memory.size !== model.size) differences++
    if (i % 1000 === 0 && memory.bytes !== bytesOf()) differences++
  }
  t.equal(differences, 0)
  t.equal(memory.bytes, bytesOf())
  t.same([...memory.keys()].sort(), [...model.keys()].sort())
})

t.test('an entry costs its key, its tags and all its bodies', async (t) => {
  const small = makeEntryOf('/', { bodies: [{ encoding: 'identity', bytes: Buffer.alloc(1000) }] })
  const large = makeEntryOf(`/${'x'.repeat(100)}`, { tags: ['0123456789'], bodies: [{ encoding: 'identity', bytes: Buffer.alloc(1000) }, { encoding: 'br', bytes: Buffer.alloc(300) }] })
  t.ok(sizeOf(small) >= 1000 + 512)
  t.equal(sizeOf(large) - sizeOf(small), 100 * 2 + 10 + 300)
})

t.test('an entry costs its metadata: headers are no way around the budget', async (t) => {
  const plain = makeEntryOf('/')
  const heavy = makeEntryOf('/', { meta: { headers: [['content-security-policy', 'x'.repeat(8000)]] } })
  t.ok(sizeOf(heavy) - sizeOf(plain) >= 8000)
})

t.test('notes of the last seconds', async (t) => {
  const item = (value: object, tags: string[] = []): { until: number, tags: string[], value: object } => ({ until: 1, tags, value })

  t.test('are bounded; the least recently used goes first', async (t) => {
    const notes = new Remembered<object>(2)
    notes.set('a', item({ a: 1 }))
    notes.set('b', item({ b: 1 }))
    notes.get('a')
    notes.set('c', item({ c: 1 }))
    t.same([notes.get('a')?.value, notes.get('b'), notes.get('c')?.value], [{ a: 1 }, undefined, { c: 1 }])
  })

  t.test('go with their tag', async (t) => {
    const notes = new Remembered<object>()
    notes.set('a', item({}, ['t', 'u']))
    notes.set('b', item({}, ['u']))
    notes.deleteTagged('t')
    t.equal(notes.get('a'), undefined)
    t.ok(notes.get('b'))
    notes.delete('b')
    notes.delete('unknown')
    t.equal(notes.get('b'), undefined)
  })

  t.test('keep nothing alive that they have forgotten', async (t) => {
    const notes = new Remembered<object>(2)
    const add = (key: string, tag: string): WeakRef<object> => {
      const value = { key }
      notes.set(key, item(value, [tag]))
      return new WeakRef(value)
    }
    add('stays', 'x')
    const deleted = add('a', 't')
    notes.delete('a')
    t.ok(await isFreed(deleted), 'deleted')
    const tagged = add('b', 't')
    notes.deleteTagged('t')
    t.ok(await isFreed(tagged), 'by its tag')
    const cleared = add('c', 't')
    notes.clear()
    t.ok(await isFreed(cleared), 'cleared')
  })
})
