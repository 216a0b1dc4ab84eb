// bench/simulate-cluster.ts says something about Redis only if what it simulates answers like one.
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { asText, SimulatedRedis, type Reply } from '../../bench/simulation/redis.js'
import { RedisTier } from '../../lib/cache/redis-tier.js'
import type { Lease, LeaseEnd, Order } from '../../lib/cluster/coordinator.js'
import { script, type Argument, type Link, type Script } from '../../lib/cluster/link.js'
import { RedisLeases } from '../../lib/cluster/redis-leases.js'
import { RedisMarks } from '../../lib/cluster/redis-marks.js'
import { openLink } from '../helpers/redis-tier.js'
import { startRedis, type RedisServer } from '../helpers/redis-server.js'

/** What is at least that is a time, and of two machines it differs (milliseconds, or seconds for TIME). */
const LEAST_TIME = 1000
const MOST_DIFFERENCE = 30_000

/** Asks a real Redis and the simulated one, and wants one answer. */
class TwinLink implements Link {
  readonly isUp = true
  readonly keyPrefix = ''
  readonly scripts = new Set<string>()
  readonly differences: string[] = []
  commands = 0
  readonly #real: Link
  readonly #simulated: SimulatedRedis

  constructor (real: Link, simulated: SimulatedRedis) {
    this.#real = real
    this.#simulated = simulated
  }

  async start (): Promise<void> {}
  resubscribe (): void {}
  async close (): Promise<void> {}

  async run (script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<unknown> {
    const reply = await this.#real.run(script, keys, args).catch((error: unknown) => error)
    this.#compare(script, keys, args, reply, asText)
    if (reply instanceof Error) throw reply
    return reply
  }

  async runBuffer (script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<unknown> {
    const reply = await this.#real.runBuffer(script, keys, args)
    this.#compare(script, keys, args, Buffer.isBuffer(reply) ? reply.toString('latin1') : reply, reply => reply)
    return reply
  }

  #compare (script: Script, keys: readonly string[], args: readonly Argument[], expected: unknown, asClient: (reply: Reply) => unknown): void {
    this.commands++
    this.scripts.add(script.sha)
    let actual: unknown
    try {
      actual = asClient(this.#simulated.run(script, keys, args))
    } catch (error) {
      actual = error
    }
    const isBeat = script.lua.includes("'TIME'") && Array.isArray(expected) && expected.length === 4
    const [a, b] = [actual, expected].map(reply => {
      if (reply instanceof Error) return codeOf(reply)
      // Microseconds of TIME.
      return isBeat && Array.isArray(reply) ? (reply as unknown[]).slice(0, 3) : reply
    })
    if (!isSame(a, b)) this.differences.push(`${JSON.stringify(keys)} ${args.map(String).join(' ')}: ${JSON.stringify(a)} instead of ${JSON.stringify(b)}\n${script.lua}`)
  }
}

/** Words and line numbers are each server's own. */
function codeOf ({ message }: Error): string {
  return message.includes('WRONGTYPE') ? 'WRONGTYPE' : 'ERR'
}

function isSame (a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => isSame(item, (b as unknown[])[index]))
  if (typeof a !== typeof b) return false
  const [one, other] = [Number(a), Number(b)]
  return a === b || (one >= LEAST_TIME && other >= LEAST_TIME && Math.abs(one - other) < MOST_DIFFERENCE)
}

const TAGS = ['a', 'b|c', 'ä', 'd', 'e']
const KEYS = ['/a', '/b']

const small = fc.nat({ max: 12 })
const order: fc.Arbitrary<Order> = fc.record({
  kind: fc.constantFrom('soft' as const, 'hard' as const),
  tag: fc.constantFrom(...TAGS),
  // In the past, and far in the future.
  deadline: fc.constantFrom(Infinity, 1_600_000_000_000, 1_600_000_001_000, 9_000_000_000_000, 9_000_000_001_000)
})
const moment = fc.record({ epoch: small, renderedAt: small })
const end: fc.Arbitrary<LeaseEnd> = fc.oneof(
  moment.map(version => ({ kind: 'stored' as const, version })),
  fc.record({ kind: fc.constant('dropped' as const), version: fc.record({ epoch: small }) }),
  fc.record({ kind: fc.constant('failed' as const), failures: small, backoffMs: fc.constantFrom(0, 60_000), reason: fc.constantFrom('down', 'é | <5>') }),
  fc.record({ kind: fc.constant('done' as const), forMs: fc.constant(60_000) }),
  fc.constant({ kind: 'nothing' as const })
)
const version = fc.record({ incarnation: fc.constantFrom('', 'i1', 'i2'), epoch: small, renderedAt: small })
const key = fc.constantFrom(...KEYS)

const step = fc.oneof(
  fc.record({ type: fc.constant('beat' as const), isNew: fc.boolean(), isOfNow: fc.boolean(), seen: small, isIdRight: fc.boolean() }),
  fc.record({ type: fc.constant('order' as const), orders: fc.array(order, { minLength: 1, maxLength: 4 }) }),
  fc.record({ type: fc.constant('order' as const), orders: fc.array(order, { minLength: 1, maxLength: 4 }) }),
  fc.record({ type: fc.constant('writeBack' as const), orders: fc.array(order, { minLength: 1, maxLength: 4 }), origin: fc.constantFrom('i0', 'x'), epoch: small }),
  fc.record({ type: fc.constant('since' as const), epoch: small }),
  fc.record({ type: fc.constant('turn' as const), key, known: fc.option(moment), marked: small, isForced: fc.boolean() }),
  fc.record({ type: fc.constant('turn' as const), key, known: fc.option(moment), marked: small, isForced: fc.boolean() }),
  fc.record({ type: fc.constant('release' as const), which: fc.nat({ max: 3 }), end }),
  fc.record({ type: fc.constant('release' as const), which: fc.nat({ max: 3 }), end }),
  fc.record({ type: fc.constant('claim' as const), what: key }),
  fc.record({ type: fc.constant('get' as const), name: key, maxBytes: fc.constantFrom(2, 1000) }),
  fc.record({ type: fc.constant('set' as const), name: key, version, bytes: fc.uint8Array({ minLength: 1, maxLength: 5 }) }),
  fc.record({ type: fc.constant('delete' as const), name: key, version }),
  fc.record({ type: fc.constant('damage' as const), which: fc.nat({ max: 9 }), how: fc.constantFrom('gone' as const, 'string' as const, 'hash' as const, 'rotten' as const) })
)

const DAMAGE = {
  gone: script("return redis.call('DEL', KEYS[1])"),
  string: script("return redis.call('SET', KEYS[1], 'x')"),
  hash: script("redis.call('DEL', KEYS[1]) return redis.call('HSET', KEYS[1], 'bytes', 'x', 'epoch', '-1')"),
  rotten: script("local kind = redis.call('TYPE', KEYS[1]).ok if kind == 'hash' then redis.call('HSET', KEYS[1], 'epoch', '1e3', 'count', 7) end return kind")
}

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

async function play (link: TwinLink, steps: readonly Step[]): Promise<void> {
  const common = { link, prefix: 'isr', channel: 'c', source: 's' }
  let incarnation = 'i1'
  let epoch = 0
  let id = ''
  const marks = new RedisMarks({ ...common, clock: () => 1_700_000_000_000, most: 4 })
  const leases = new RedisLeases({ ...common, leaseTtl: 60_000, now: () => ({ epoch, incarnation }), onIncarnation: async () => false, onEpoch: () => {} })
  const tier = new RedisTier(link, { prefix: 'isr', maxAge: 60 })
  const held: Lease[] = []
  const names = new Set<string>(['{isr}:clock', '{isr}:marks', '{isr}:facts', '{isr}:log', 'isr::page:/a', 'isr::page:/b'])
  const run = link.run.bind(link)
  link.run = async (script, keys, args) => {
    for (const key of keys) names.add(key)
    return await run(script, keys, args)
  }
  const work = async (step: Step): Promise<void> => {
    if (step.type === 'beat') {
      const beat = await marks.beat({ fresh: step.isNew ? `i${randomBytes(3).toString('hex')}` : '', known: step.isOfNow ? incarnation : '', seen: step.seen, id: step.isIdRight ? id : '3:nobody', channel: '', beat: 1 })
      if (beat.incarnation !== '') incarnation = beat.incarnation
      epoch = beat.epoch
    } else if (step.type === 'order') {
      const name = randomBytes(3).toString('hex')
      const given = await marks.order(incarnation, name, step.orders)
      if (given !== null) [epoch, id] = [given, `${given}:${name}`]
    } else if (step.type === 'writeBack') {
      await marks.writeBack(incarnation, 'w', step.orders.map(order => ({ ...order, epoch: step.epoch, incarnation: step.origin })))
    } else if (step.type === 'since') await marks.since(step.epoch)
    else if (step.type === 'turn') {
      const { known, marked } = step
      const turn = await leases.turn({ key: step.key, buildId: 'b', known: known === null ? null : { ...known, incarnation }, marked: { epoch: marked, incarnation }, isForced: step.isForced })
      if (turn.kind === 'granted' && turn.lease !== null) held.push(turn.lease)
    } else if (step.type === 'release') await held.splice(step.which % Math.max(1, held.length), 1)[0]?.release(step.end)
    else if (step.type === 'claim') {
      const lease = await leases.claim('b', step.what)
      if (lease !== null) held.push(lease)
    } else if (step.type === 'get') await tier.get(step.name, { maxBytes: step.maxBytes })
    else if (step.type === 'set') await tier.set(step.name, { bytes: Buffer.from(step.bytes), version: step.version, maxAge: 60 })
    else if (step.type === 'delete') await tier.delete(step.name, step.version)
    else {
      const name = [...names][step.which % names.size] as string
      // The rest of the control plane is counted on to be what it is.
      if (!name.startsWith('{isr}:') || name.includes('lease') || step.how === 'gone' || step.how === 'rotten') await run(DAMAGE[step.how], [name])
    }
  }
  await run(script("return redis.call('HSET', KEYS[1], 'incarnation', 'i1', 'epoch', 0, 'count', 0)"), ['{isr}:clock'])
  for (const step of steps) await work(step).catch(() => {})
  for (const lease of held) await lease.release({ kind: 'nothing' })
}

async function dump (redis: RedisServer): Promise<Record<string, unknown>> {
  const keys = (await redis.command('keys', '*') as string[]).sort()
  const values = await Promise.all(keys.map(async key => {
    const type = await redis.command('type', key)
    if (type === 'string') return String(await redis.command('get', key))
    if (type === 'zset') return pairs(await redis.command('zrange', key, 0, -1, 'withscores') as string[])
    return Object.fromEntries(Object.entries(await redis.command('hgetall', key) as Record<string, string>).sort())
  }))
  return Object.fromEntries(keys.map((key, index) => [key, values[index]]))
}

function pairs (list: readonly string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, index) => [list[index * 2] ?? '', list[index * 2 + 1] ?? ''])
}

/** Bytes as text, whoever has them; times of the clock hidden. */
function shown (data: Record<string, unknown>, isBinary: boolean): string {
  return JSON.stringify(data, (key, value: unknown) => key === 'bytes' ? undefined : value, 1)
    .replace(/[\u0080-\u00ff]+/g, text => isBinary ? Buffer.from(text, 'latin1').toString() : text)
    .replace(/(failed\|\d+\|)\d+/g, '$1…')
}

t.test('the scripts have the same replies and effects there', async (t) => {
  const redis = await startRedis(t)
  const link = await openLink(t, redis)
  const scripts = new Set<string>()
  let commands = 0
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
    await redis.command('flushall')
    const simulated = new SimulatedRedis(Date.now)
    const twin = new TwinLink(link, simulated)
    await play(twin, steps)
    for (const sha of twin.scripts) scripts.add(sha)
    commands += twin.commands
    if (twin.differences.length > 0) throw new Error(twin.differences[0])
    const [actual, expected] = [shown(simulated.dump(), true), shown(await dump(redis), false)]
    if (actual !== expected) throw new Error(`it has ${actual}\ninstead of ${expected}`)
  }), { numRuns: 300 })
  t.comment(`${commands} scripts run, ${scripts.size} different ones`)
  t.ok(commands > 3000)
})
