import { createHash } from 'node:crypto'
import { Cache } from '../../lib/cache/cache.js'
import type { Entry } from '../../lib/cache/entry.js'
import { stateAt } from '../../lib/cache/entry.js'
import { RedisTier } from '../../lib/cache/redis-tier.js'
import { RenderQueue } from '../../lib/cache/render-queue.js'
import { SharedTier } from '../../lib/cache/shared-tier.js'
import type { Outcome, Source } from '../../lib/cache/source.js'
import type { Listener, Mark } from '../../lib/cluster/coordinator.js'
import type { Argument, Script } from '../../lib/cluster/link.js'
import { RedisCoordinator } from '../../lib/cluster/redis.js'
import { SimulatedNetwork, type SimulatedLink } from './network.js'
import type { Random } from './random.js'
import type { Reply } from './redis.js'
import { nameOf, type ScriptName } from './script-names.js'
import type { VirtualTime } from './virtual-time.js'

export interface Setting {
  instances: number
  pages: number
  /** Seconds that a page is fresh. */
  ttl: number
  /** Visitors per second and instance. */
  visits: number
  /** Orders per second in the whole cluster, one page each: half of them purge, half revalidate. */
  orders: number
  /** Part of what is published that a subscriber does not hear. */
  loss: number
  /** Milliseconds that a render takes. */
  renderMs: number
  /** Milliseconds. */
  heartbeat: number
  /** Milliseconds, one way. */
  latency: { least: number, more: number }
}

export interface Findings {
  setting: Setting
  /** Seconds that were looked at. */
  seconds: number
  visits: number
  hits: number
  failures: number
  renders: number
  /** Renders that began while another one was under way, or had ended, that knew as much. */
  redundant: number
  delivered: number
  lost: number
  /** Calls of scripts. */
  calls: Record<ScriptName, number>
  /** Commands that the scripts have run in Redis. */
  commands: number
  orders: number
  /** Milliseconds from the call of an order to when the last instance has heard of it. */
  heard: number[]
  /** Answers with a page that had been purged when the visitor came. */
  purged: number
}

type Kind = Mark['kind']

interface Order {
  readonly kind: Kind
  readonly page: Page
  /** Data from then on. */
  readonly version: number
  readonly calledAt: number
  /** In Redis; Infinity until it is there. */
  countedAt: number
  epoch: number
  readonly heardBy: Set<number>
  heardAt: number
}

interface Render {
  readonly grantedAt: number
  endedAt: number
  freshUntil: number
}

interface Page {
  readonly key: string
  readonly tag: string
  /** Of its data. */
  version: number
  orders: Order[]
  renders: Render[]
}

interface Instance {
  readonly index: number
  readonly link: SimulatedLink
  readonly coordinator: RedisCoordinator
  readonly cache: Cache<number, null>
  readonly sources: readonly Source<null>[]
  readonly clock: () => number
  /** Orders that Redis has not counted yet, the first first. */
  readonly given: Order[]
}

const BUILD = 'b1'
const PREFIX = 'isr'
const LEASE_TTL = 3000
const BODY = 'All happy families are alike. '.repeat(10)
/** Per page; of earlier ones nobody has not heard. */
const MOST_ORDERS = 32
/** What memory holds of one page at most, and more. */
const PAGE_BYTES = 8192

/** Many instances with the engine, the coordinator and the shared tier as they are, and visitors by chance. */
export class World {
  readonly #setting: Setting
  readonly #time: VirtualTime
  readonly #random: Random
  readonly #network: SimulatedNetwork
  readonly #pages: Page[]
  readonly #pageOfLease = new Map<string, Page>()
  readonly #instances: Instance[]
  readonly #instanceOf = new Map<SimulatedLink, Instance>()
  /** When the right to render was given, by instance and page. */
  readonly #granted = new Map<string, number>()
  readonly #pageOfTag = new Map<string, Page>()
  #findings: Findings
  #orders: Order[] = []
  #isOver = false

  constructor (setting: Setting, time: VirtualTime, random: Random) {
    this.#setting = setting
    this.#time = time
    this.#random = random
    this.#findings = this.#nothingFound()
    this.#network = new SimulatedNetwork({
      time,
      random,
      latency: setting.latency,
      loss: setting.loss,
      onRun: (...run) => { this.#noteRun(...run) }
    })
    this.#pages = Array.from({ length: setting.pages }, (_, index) => ({ key: `/page/${index}`, tag: `page-${index}`, version: 0, orders: [], renders: [] }))
    for (const page of this.#pages) {
      this.#pageOfTag.set(page.tag, page)
      this.#pageOfLease.set(`{${PREFIX}}:lease:${BUILD}:${createHash('sha256').update(page.key).digest('hex')}`, page)
    }
    this.#instances = Array.from({ length: setting.instances }, (_, index) => this.#makeInstance(index))
  }

  /** Lets it run for a while that does not count, and then for one that does (seconds). */
  async run (warmup: number, seconds: number): Promise<Findings> {
    await this.#start()
    for (const instance of this.#instances) this.#visitFrom(instance)
    this.#orderOn()
    await this.#forward(warmup)

    this.#findings = this.#nothingFound()
    this.#orders = []
    const { delivered, lost } = this.#network
    const commands = this.#commandsInRedis()
    await this.#forward(seconds)
    const findings = this.#findings
    findings.seconds = seconds
    findings.delivered = this.#network.delivered - delivered
    findings.lost = this.#network.lost - lost
    findings.commands = this.#commandsInRedis() - commands

    const orders = this.#orders
    this.#findings = this.#nothingFound()
    this.#orders = []
    // What was ordered last must be heard of, too.
    await this.#forward(5 * this.#setting.heartbeat / 1000)
    this.#isOver = true
    findings.orders = orders.length
    findings.heard = orders.map(order => order.heardAt - order.calledAt)
    const closed = Promise.all(this.#instances.map(async ({ cache, coordinator }) => {
      await cache.close()
      await coordinator.close()
    }))
    await this.#forward(LEASE_TTL / 1000)
    await closed
    return findings
  }

  #nothingFound (): Findings {
    return {
      setting: this.#setting,
      seconds: 0,
      visits: 0,
      hits: 0,
      failures: 0,
      renders: 0,
      redundant: 0,
      delivered: 0,
      lost: 0,
      calls: { beat: 0, 'look up': 0, order: 0, 'write back': 0, turn: 0, renew: 0, release: 0, claim: 0, read: 0, write: 0, delete: 0 },
      commands: 0,
      orders: 0,
      heard: [],
      purged: 0
    }
  }

  async #forward (seconds: number): Promise<void> {
    await this.#time.until(this.#time.now + seconds * 1000)
  }

  #commandsInRedis (): number {
    return [...this.#network.redis.commands.values()].reduce((sum, count) => sum + count, 0)
  }

  #makeInstance (index: number): Instance {
    const { heartbeat, pages } = this.#setting
    const link = this.#network.connect()
    const machineClock = (): number => this.#time.now
    const coordinator = new RedisCoordinator({
      link,
      prefix: PREFIX,
      heartbeat,
      leaseTtl: LEASE_TTL,
      clock: machineClock,
      onConnected () {},
      onDisconnected () {}
    })
    const { clock } = coordinator
    const cache = new Cache<number, null>({
      maxBytes: pages * PAGE_BYTES,
      queue: new RenderQueue(8, 10_000),
      coordinator,
      shared: new SharedTier({
        tier: new RedisTier(link, { prefix: PREFIX, maxAge: 604_800 }),
        secret: null,
        maxAge: 604_800,
        onError: (_operation, _key, error) => { throw error },
        onWorking () {}
      }),
      clock,
      renderTimeout: 30_000,
      prepare: versionOf,
      onError: (_key, error) => { throw error }
    })
    cache.adopt(BUILD, null)
    const instance: Instance = {
      index,
      link,
      coordinator,
      cache,
      clock,
      given: [],
      sources: this.#pages.map(page => ({
        key: page.key,
        // As every page has them.
        tags: ['*', '/page/*', page.key, '/page/:id', page.tag],
        render: async () => await this.#render(instance, page)
      }))
    }
    this.#instanceOf.set(link, instance)
    return instance
  }

  /** One after the other within a second, as a deployment does it at best. */
  async #start (): Promise<void> {
    for (const instance of this.#instances) {
      this.#time.after(this.#random.next() * 1000, () => { void instance.coordinator.start(this.#listener(instance)) })
    }
    await this.#forward(2)
  }

  #listener ({ index, cache }: Instance): Listener {
    return {
      mark: mark => {
        cache.mark(mark)
        this.#noteHeard(index, mark)
      },
      floor: floor => { cache.floor(floor) },
      begin: incarnation => { cache.begin(incarnation) },
      refreshed: (...told) => { cache.refreshed(...told) },
      dropped: (...told) => { cache.dropped(...told) },
      marks: () => cache.marks()
    }
  }

  #noteHeard (index: number, { kind, tag, epoch }: Mark): void {
    // A later order of the same kind says what the earlier ones said.
    for (const order of this.#pageOfTag.get(tag)?.orders ?? []) {
      if (order.kind !== kind || order.epoch > epoch || order.heardAt < Infinity) continue
      order.heardBy.add(index)
      if (order.heardBy.size < this.#setting.instances) continue
      order.heardAt = this.#time.now
      order.heardBy.clear()
    }
  }

  #visitFrom (instance: Instance): void {
    this.#time.after(this.#random.untilNext(this.#setting.visits), () => {
      if (this.#isOver) return
      this.#visit(instance, this.#random.below(this.#setting.pages))
      this.#visitFrom(instance)
    })
  }

  /** As a request for a page is answered. */
  #visit ({ cache, sources, clock }: Instance, which: number): void {
    const [page, source] = [this.#pages[which] as Page, sources[which] as Source<null>]
    const cameAt = this.#time.now
    const findings = this.#findings
    findings.visits++
    const held = cache.lookup(page.key)
    if (held !== undefined) {
      if (clock() < held.freshUntil) {
        findings.hits++
        return this.#noteServed(page, held.view, cameAt)
      }
      const isNewerComing = cache.wake(held)
      const state = stateAt(held, clock())
      if (state === 'stale' && !isNewerComing) cache.regenerate(source, held)
      if (state === 'fresh' || state === 'stale') return this.#noteServed(page, held.view, cameAt)
    }
    void cache.get(source).then(answer => {
      if (answer.kind === 'held') this.#noteServed(page, answer.held.view, cameAt)
      else findings.failures++
    })
  }

  #noteServed (page: Page, version: number, cameAt: number): void {
    if (version === page.version) return
    // Who came before is owed nothing.
    const isPurged = page.orders.some(order => order.kind === 'hard' && order.version > version && order.calledAt < cameAt)
    if (isPurged) this.#findings.purged++
  }

  #orderOn (): void {
    this.#time.after(this.#random.untilNext(this.#setting.orders), () => {
      if (this.#isOver) return
      this.#order()
      this.#orderOn()
    })
  }

  #order (): void {
    const page = this.#pages[this.#random.below(this.#setting.pages)] as Page
    const instance = this.#instances[this.#random.below(this.#setting.instances)] as Instance
    const kind: Kind = this.#random.next() < 0.5 ? 'hard' : 'soft'
    const order: Order = {
      kind,
      page,
      version: ++page.version,
      calledAt: this.#time.now,
      countedAt: Infinity,
      epoch: Infinity,
      heardBy: new Set(),
      heardAt: Infinity
    }
    page.orders = [...page.orders.slice(-MOST_ORDERS), order]
    this.#orders.push(order)
    instance.given.push(order)
    void instance.coordinator.order([{ kind, tag: page.tag, deadline: kind === 'hard' ? 0 : Infinity }])
  }

  async #render (instance: Instance, page: Page): Promise<Outcome<null>> {
    const findings = this.#findings
    const { ttl, renderMs } = this.#setting
    const { version } = page
    const grantedAt = this.#granted.get(`${instance.index} ${page.key}`) ?? this.#time.now
    const lastCounted = Math.max(0, ...page.orders.filter(({ countedAt }) => countedAt <= grantedAt).map(({ countedAt }) => countedAt))
    findings.renders++
    const knowsAsMuch = page.renders.some(other => other.grantedAt >= lastCounted && (other.endedAt === Infinity || grantedAt < other.freshUntil))
    if (knowsAsMuch) findings.redundant++
    const render: Render = { grantedAt, endedAt: Infinity, freshUntil: -Infinity }
    page.renders.push(render)
    await new Promise<void>(resolve => { this.#time.after(renderMs * (0.5 + this.#random.next()), resolve) })
    render.endedAt = this.#time.now
    render.freshUntil = this.#time.now + ttl * 1000
    // Those of before the last matter to nobody.
    page.renders = page.renders.slice(-4)
    const body = Buffer.from(`${version} ${BODY}`)
    return {
      type: 'storable',
      draft: {
        meta: { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } },
        tags: instance.sources[0]?.tags.slice(0, 2).concat(page.key, '/page/:id', page.tag) ?? [],
        ttl,
        staleWhileRevalidate: Infinity,
        staleIfError: Infinity,
        body,
        encode: async () => [{ encoding: 'identity', bytes: body }]
      }
    }
  }

  #noteRun (script: Script, keys: readonly string[], _args: readonly Argument[], reply: Reply, link: SimulatedLink): void {
    const name = nameOf(script)
    this.#findings.calls[name]++
    const instance = this.#instanceOf.get(link)
    if (instance === undefined) return
    if (name === 'turn' && Array.isArray(reply) && reply[0] === 'granted') {
      const page = this.#pageOfLease.get(keys[1] ?? '')
      if (page !== undefined) this.#granted.set(`${instance.index} ${page.key}`, this.#time.now)
    }
    if (name === 'order' && typeof reply === 'string') {
      const order = instance.given.shift()
      if (order === undefined) return
      order.countedAt = this.#time.now
      order.epoch = Number(reply)
    }
  }
}

function versionOf (entry: Entry): number {
  return Number.parseInt(entry.bodies[0]?.bytes.toString() ?? '')
}
