// Orders in numbers, out of turn and half done: what is known of them must be what was given.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { Marks } from '../../lib/cache/marks.js'
import type { Mark, Order } from '../../lib/cluster/coordinator.js'
import type { Argument, Link, LinkListener, Script } from '../../lib/cluster/link.js'
import { RedisCoordinator, type RedisCoordinatorOptions } from '../../lib/cluster/redis.js'
import { RedisLink } from '../../lib/cluster/redis-link.js'
import { makeGate } from '../helpers/engine.js'
import { eventually, PATIENT } from '../helpers/links.js'
import { startRedis, type RedisServer } from '../helpers/redis-server.js'

/** A way to Redis on which commands and messages can be held up. */
class WatchedLink implements Link {
  /** Runs before each script, and may refuse it. */
  before: (script: Script) => Promise<void> | void = () => {}
  isDeaf = false
  resubscribed = 0
  readonly #link: RedisLink

  constructor (link: RedisLink) {
    this.#link = link
  }

  get isUp (): boolean {
    return this.#link.isUp
  }

  get commands (): number {
    return this.#link.commands
  }

  get keyPrefix (): string {
    return this.#link.keyPrefix
  }

  start (channels: readonly string[], listener: LinkListener): Promise<void> {
    return this.#link.start(channels, {
      message: (channel, text) => { if (!this.isDeaf) listener.message(channel, text) },
      subscribed: () => { listener.subscribed() },
      up: () => { listener.up() },
      down: error => { listener.down(error) }
    })
  }

  async run (script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<unknown> {
    await this.before(script)
    return await this.#link.run(script, keys, args)
  }

  async runBuffer (script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<unknown> {
    return await this.#link.runBuffer(script, keys, args)
  }

  resubscribe (): void {
    this.resubscribed++
  }

  close (): Promise<void> {
    return this.#link.close()
  }
}

interface Node {
  coordinator: RedisCoordinator
  link: WatchedLink
  marks: Marks
  lives: string[]
  heard: Mark[]
}

/** An instance without pages. Its heartbeat is slow: what a test needs sooner it asks for. */
function makeNode (t: Test, { port }: RedisServer, more: Partial<RedisCoordinatorOptions> = {}): Node {
  const link = new WatchedLink(new RedisLink({ client: new Redis({ host: '127.0.0.1', port, lazyConnect: true }), commandTimeout: PATIENT }))
  const coordinator = new RedisCoordinator({ link, prefix: 'isr', heartbeat: 60_000, leaseTtl: 10_000, clock: Date.now, onConnected () {}, onDisconnected () {}, ...more })
  t.teardown(() => coordinator.close())
  return { coordinator, link, marks: new Marks(), lives: [], heard: [] }
}

async function begin ({ coordinator, marks, lives, heard }: Node): Promise<void> {
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
}

async function join (t: Test, redis: RedisServer, more: Partial<RedisCoordinatorOptions> = {}): Promise<Node> {
  const node = makeNode(t, redis, more)
  await begin(node)
  return node
}

const purgeOf = (tag: string): Order => ({ kind: 'hard', tag, deadline: 0 })
const isOrder = ({ lua }: Script): boolean => lua.includes('ARGV[i] .. \'||\'')
const refused = async (): Promise<never> => { throw new Error('refused') }

t.test('thousands of orders at once are looked up in the end', async t => {
  const redis = await startRedis(t)
  const a = await join(t, redis)
  const orders = Array.from({ length: 4500 }, (_, index) => purgeOf(`t${index}`))
  t.match(await a.coordinator.order([purgeOf('before')]), { degraded: false })
  t.match(await a.coordinator.order(orders), { degraded: false })
  t.match(await a.coordinator.order([purgeOf('after')]), { degraded: false })
  const b = makeNode(t, redis)
  let commands = 0
  b.link.before = () => { if (++commands > 50) return refused() }
  await begin(b)
  t.equal(new Set(b.heard.map(({ tag }) => tag)).size, orders.length + 2)
})

t.test('who has missed more orders than Redis remembers one by one does not take that for another past', async t => {
  const redis = await startRedis(t)
  const [a, b] = [await join(t, redis), await join(t, redis)]
  await a.coordinator.order([purgeOf('first')])
  await eventually('it was heard', () => b.coordinator.facts.epoch === a.coordinator.facts.epoch && b.coordinator.facts.lag === 0)
  b.link.isDeaf = true
  for (let count = 0; count < 1100; count++) await a.coordinator.order([purgeOf(`t${count % 7}`)])
  b.link.isDeaf = false
  await a.coordinator.order([purgeOf('last')])
  await eventually('b has caught up', () => b.coordinator.facts.epoch >= a.coordinator.facts.epoch && b.coordinator.facts.lag === 0)
  t.equal(b.lives.length, 1)
  await a.coordinator.catchUp()
  t.equal(a.lives.length, 1)
})

t.test('an order that was delivered late concerns nothing that was rendered after its delivery', async t => {
  const redis = await startRedis(t)
  const a = await join(t, redis)
  a.link.before = script => isOrder(script) ? refused() : undefined
  t.match(await a.coordinator.order([purgeOf('x')]), { degraded: true })
  a.link.before = () => {}
  await a.coordinator.catchUp()
  t.match(a.coordinator.facts, { queued: 0 })
  const now = { epoch: a.coordinator.facts.epoch, incarnation: a.lives[0], tags: ['x'] }
  t.same(a.marks.judge(now), { kind: 'none' })
  t.same(a.marks.judge({ ...now, epoch: now.epoch - 1 }), { kind: 'hard' })
})

t.test('an order that could not be given concerns what others rendered while it was tried', async t => {
  const redis = await startRedis(t)
  const [a, b] = [await join(t, redis), await join(t, redis)]
  const gate = makeGate()
  b.link.before = async script => {
    if (!isOrder(script)) return
    await gate.opened
    await refused()
  }
  const ordering = b.coordinator.order([purgeOf('x')])
  const { epoch } = await a.coordinator.order([purgeOf('y')])
  await eventually('b has heard of it', () => b.coordinator.facts.epoch === epoch)
  gate.open()
  t.match(await ordering, { degraded: true })
  t.same(b.marks.judge({ epoch: epoch ?? 0, incarnation: b.lives[0], tags: ['x'] }), { kind: 'hard' })
})

t.test('a made-up beat does not hide that nothing is heard', async t => {
  const redis = await startRedis(t)
  const a = await join(t, redis, { heartbeat: 50 })
  const channels = await redis.command('pubsub', 'channels', '{isr}:events:*') as string[]
  const heard = async (text: string): Promise<void> => { for (const channel of channels) await redis.command('publish', channel, text) }
  for (const text of ['1e308', 'Infinity', '999999999', 'NaN', '-1', '']) await heard(text)
  a.link.isDeaf = true
  await eventually('it listens anew', () => a.link.resubscribed > 0, PATIENT)
  t.equal(a.coordinator.isDisconnected, true)
})

t.test('a build gives no orders, not even later', async t => {
  const redis = await startRedis(t)
  const server = await join(t, redis)
  const { epoch } = await server.coordinator.order([purgeOf('x')])
  const build = await join(t, redis, { isReadOnly: true })
  t.match(await build.coordinator.order([purgeOf('y')]), { degraded: true })
  await build.coordinator.catchUp()
  await server.coordinator.catchUp()
  t.equal(server.coordinator.facts.epoch, epoch)
})
