import t from 'tap'
import { GuardedTier } from '../../lib/cache/guarded-tier.js'
import { MemoryTier } from '../../lib/cache/memory-tier.js'
import { tierContract } from '../../lib/test/tier-contract.js'
import type { IsrTier, IsrTierRecord } from '../../types/index.js'
import { overMemory } from '../helpers/tier-adapters.js'

const unavailable = { code: 'FST_ISR_ERR_TIER_UNAVAILABLE' }
const version = { incarnation: 'i', epoch: 1, renderedAt: 1 }
const record = { bytes: Buffer.from('a'), version, maxAge: 60 }
const whole = { maxBytes: 1000 }

function guard (more: Partial<IsrTier>): { tier: GuardedTier, time: { now: number }, calls: () => number } {
  const time = { now: 0 }
  let calls = 0
  const inner: IsrTier = { name: 'theirs', get: async () => null, set: async () => true, delete: async () => true, ...more }
  const counted = new Proxy(inner, {
    get (target, property) {
      if (property === 'get' || property === 'set' || property === 'delete') calls++
      return Reflect.get(target, property) as unknown
    }
  })
  return { tier: new GuardedTier(counted, { readTimeout: 20, writeTimeout: 40, clock: () => time.now, random: () => 1 }), time, calls: () => calls }
}

t.test('a guarded tier keeps the contract', async (t) => {
  const memory = new MemoryTier<IsrTierRecord>(64 * 1024 * 1024)
  for (const { name, run } of tierContract(() => new GuardedTier(overMemory(memory)))) await t.test(name, async () => { await run() })
})

t.test('nobody waits for a tier that hangs', async (t) => {
  const { tier } = guard({ get: () => new Promise(() => {}), set: () => new Promise(() => {}), close: () => new Promise(() => {}) })
  await t.rejects(tier.get('a', whole), { ...unavailable, message: /theirs.*20 ms/ })
  await t.rejects(tier.set('a', record), { ...unavailable, message: /40 ms/ })
  await t.rejects(tier.close(), unavailable)
})

t.test('a tier that fails in a row is left alone, and tried by one', async (t) => {
  let isBroken = true
  const { tier, time, calls } = guard({ get: async () => { if (isBroken) throw new Error('broken'); return null } })
  await Promise.all(Array.from({ length: 20 }, async () => { await t.rejects(tier.get('a', whole), { message: 'broken' }) }))
  t.equal(tier.isUp, false)
  await t.rejects(tier.get('a', whole), unavailable)
  t.equal(calls(), 20)

  time.now = 999
  t.equal(tier.isUp, false)
  time.now = 1000
  t.equal(tier.isUp, true)
  const probe = tier.get('a', whole)
  t.equal(tier.isUp, false, 'while one tries')
  await t.rejects(probe, { message: 'broken' })
  time.now = 2999
  t.equal(tier.isUp, false, 'for longer each time')
  time.now = 3000
  isBroken = false
  t.equal(await tier.get('a', whole), null)
  t.equal(tier.isUp, true)

  isBroken = true
  await t.rejects(tier.get('a', whole))
  t.equal(tier.isUp, true, 'one failure is no outage')
  isBroken = false
  await tier.get('a', whole)
  isBroken = true
  for (let i = 0; i < 2; i++) await t.rejects(tier.get('a', whole))
  t.equal(tier.isUp, true, 'failures that are not in a row')
  for (let i = 0; i < 20 && tier.isUp; i++) await t.rejects(tier.get('a', whole))
  time.now += 1000
  t.equal(tier.isUp, true, 'the first rest is short again')
  for (let i = 0; i < 10; i++) {
    await t.rejects(tier.get('a', whole))
    time.now += 30_000
    t.equal(tier.isUp, true, 'no rest is longer than half a minute')
  }
})

t.test('a tier that says that it is down is', async (t) => {
  const { tier, calls } = guard({ isUp: false })
  t.equal(tier.isUp, false)
  await t.rejects(tier.get('a', whole), unavailable)
  t.equal(calls(), 0)
})

t.test('answers of the wrong kind are none', async (t) => {
  const wrong = { name: 'TypeError' }
  t.equal(await guard({ get: async () => undefined as never }).tier.get('a', whole), null)
  t.same(await guard({ get: async () => new Uint8Array([1, 2]).subarray(1) as never }).tier.get('a', whole), Buffer.from([2]))
  await t.rejects(guard({ get: async () => 'text' as never }).tier.get('a', whole), wrong)
  await t.rejects(guard({ set: async () => undefined as never }).tier.set('a', record), wrong)
  await t.rejects(guard({ delete: async () => 1 as never }).tier.delete('a', version), wrong)
  await t.rejects(guard({ set: () => { throw new Error('at once') } }).tier.set('a', record), { message: 'at once' })
})
