// Several instances, one Redis behind a faulty network, clients that read and order at random:
// records what history.ts judges.
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClusterOrigin, Instance, type InstanceAnswer } from './cluster-app.js'
import type { Test } from './guarded.js'
import type { History, Life, Ordering, PageRead, Pause, Trouble, Windows } from './history.js'
import { startRedis, type RedisServer } from './redis-server.js'
import { startProxy, type Proxy } from './tcp-proxy.js'

export interface RunOptions {
  seed: number
  /** Of faults and clients; what follows, until all is well again, comes on top. */
  seconds: number
  /** Where instances keep pages. */
  dir: string
  instances?: number
  /** Milliseconds. */
  heartbeat?: number
  commandTimeout?: number
  leaseTtl?: number
}

export interface RunCounts {
  reads: number
  orders: number
  acknowledged: number
  renders: number
  polls: number
  /** By kind. */
  faults: Record<string, number>
  slowestRead: number
  longestStall: number
}

/** Numbers from 0 to 1 that depend on the seed alone. */
export type Random = () => number

/** Mulberry32. */
export function makeRandom (seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const CLIENTS = 6
/** Pages whose time does not end in a run, so that only orders make them old; and pages that live for seconds. */
const LONG = ['1', '2', '3', '4', '5', '6']
const SHORT = ['s1', 's2']
const PAGES = [...LONG, ...SHORT]
const WINDOWS: Record<'long' | 'short', Windows> = {
  long: { ttl: 300, staleWhileRevalidate: 300, staleIfError: 300 },
  short: { ttl: 1, staleWhileRevalidate: 2, staleIfError: 2 }
}
/** Milliseconds a render takes at most. */
const SLOWEST = 120
/** Milliseconds until which everything must have come to rest. */
const DEADLINE = 30_000
/** A parent that was not woken for so long may be wrong about others. */
const STALL = 40

const windowsOf = (id: string): Windows => SHORT.includes(id) ? WINDOWS.short : WINDOWS.long
const urlOf = (id: string): string => `/${SHORT.includes(id) ? 'short' : 'page'}/${id}`

const FAULTS = ['late', 'reset', 'cut', 'blackhole', 'deaf', 'mute', 'held', 'killed', 'paused', 'failing', 'redisHangs', 'redisLost', 'redisKept', 'redisFlushed', 'redisRestored'] as const
type Fault = typeof FAULTS[number]

interface Place {
  readonly name: string
  readonly proxy: Proxy
  /** Null while it is down. */
  up: { instance: Instance, life: Life } | null
}

export async function runHistory (t: Test, options: RunOptions): Promise<{ history: History, counts: RunCounts }> {
  return await new Run(t, options).run()
}

class Run {
  readonly #t: Test
  readonly #options: Required<RunOptions>
  readonly #origin = new ClusterOrigin()
  readonly #places: Place[] = []
  readonly #lifeOf = new Map<string, Life>()
  readonly #history: History
  readonly #faults: Record<string, number> = {}
  /** Pages whose renders fail at the moment. */
  readonly #failing = new Set<string>()
  #redis!: RedisServer
  #isOver = false
  #isClientsOver = false

  constructor (t: Test, options: RunOptions) {
    this.#t = t
    this.#options = { instances: 3, heartbeat: 250, commandTimeout: 400, leaseTtl: 1500, ...options }
    const { heartbeat, commandTimeout } = this.#options
    this.#history = {
      settings: {
        // Two heartbeats, which come up to a tenth late; what a beat asked for just before may take its whole time.
        bound: 2.2 * heartbeat + commandTimeout,
        slack: 300,
        windows: windowsOf
      },
      lives: [],
      reads: [],
      orders: [],
      renders: [],
      troubles: [],
      polls: [],
      pauses: [],
      settled: [],
      final: []
    }
  }

  async run (): Promise<{ history: History, counts: RunCounts }> {
    const { seed, seconds, instances } = this.#options
    await this.#origin.listen()
    this.#t.teardown(() => this.#origin.close())
    this.#redis = await startRedis(this.#t)
    const random = makeRandom(seed)
    this.#origin.outcome = id => this.#failing.has(id) ? 'failure' : 'page'
    for (let index = 0; index < instances; index++) {
      this.#places.push({ name: String.fromCharCode(97 + index), proxy: await startProxy(this.#t, { port: this.#redis.port }), up: null })
    }
    this.#t.teardown(async () => { await Promise.all(this.#places.map(async ({ up }) => { await up?.instance.kill() })) })
    await Promise.all(this.#places.map(async place => { await this.#start(place) }))
    await this.#untilConnected(performance.now())

    const background = [this.#watchMyself(), this.#poll(), this.#varyRenders(makeRandom(seed + 1))]
    const end = performance.now() + seconds * 1000
    const clients = Array.from({ length: CLIENTS }, async (_, index) => { await this.#client(makeRandom(seed + 100 + index)) })
    await this.#causeTrouble(random, end)
    await this.#heal()
    this.#failing.clear()
    this.#isClientsOver = true
    await Promise.all(clients)
    await this.#settle()
    this.#isOver = true
    await Promise.all(background)
    this.#noteRenders()
    return { history: this.#history, counts: this.#count() }
  }

  async #start (place: Place): Promise<void> {
    const { dir, heartbeat, commandTimeout, leaseTtl } = this.#options
    const { name, proxy } = place
    const life: Life = { id: this.#history.lives.length, name, from: performance.now(), until: Infinity }
    this.#history.lives.push(life)
    // The origin is asked under this name.
    const unique = `${name}${life.id}`
    this.#lifeOf.set(unique, life)
    const instance = new Instance(unique)
    try {
      await instance.start({
        name: unique,
        originPort: this.#origin.port,
        client: { options: { host: '127.0.0.1', port: proxy.port } },
        redis: { heartbeat, commandTimeout, leaseTtl },
        isr: { dir: path.join(dir, name), buildId: 'b1' },
        policy: WINDOWS.long,
        routes: { '/short': WINDOWS.short },
        clockOffset: 0,
        events: []
      })
    } catch (error) {
      await instance.kill()
      throw error
    }
    place.up = { instance, life }
  }

  async #kill (place: Place): Promise<void> {
    const { up } = place
    if (up === null) return
    place.up = null
    up.life.until = performance.now()
    await up.instance.kill()
  }

  /** One visitor or editor after the other. */
  async #client (random: Random): Promise<void> {
    while (!this.#isClientsOver) {
      const place = pick(random, this.#places)
      const id = pick(random, PAGES)
      const isOrder = random() < 0.03
      const isForAll = random() < 0.06
      const kind = random() < 0.7 ? 'purge' : 'revalidate'
      const pause = random() * 15
      if (place.up === null) await sleep(10)
      else if (isOrder) await this.#order(place.up, kind, isForAll ? null : id)
      else await this.#read(place.up, id, this.#history.reads)
      await sleep(pause)
    }
  }

  async #read ({ instance, life }: { instance: Instance, life: Life }, id: string, into: PageRead[]): Promise<PageRead> {
    const read: PageRead = { life: life.id, id, from: performance.now(), until: 0, status: 0, error: null, isTorn: false, page: null, age: null, cacheStatus: '', isConnected: false }
    try {
      const { status, headers, page }: InstanceAnswer = await instance.get(urlOf(id), { 'accept-encoding': 'identity' })
      read.status = status
      read.page = page === null ? null : { version: page.version, render: page.render }
      read.age = headers.age === undefined ? null : Number(headers.age)
      read.cacheStatus = String(headers['cache-status'] ?? '').replace('fastify-isr; ', '')
      read.isConnected = headers['x-redis'] === 'connected'
    } catch (error) {
      read.error = (error as Error).message
      read.isTorn = /^(?:a torn|no) page/.test(read.error)
    }
    read.until = performance.now()
    into.push(read)
    return read
  }

  async #order ({ instance, life }: { instance: Instance, life: Life }, kind: 'purge' | 'revalidate', id: string | null): Promise<void> {
    const version = id === null ? this.#origin.bump() : this.#origin.bump(id)
    const order: Ordering = { life: life.id, kind, id, from: performance.now(), until: Infinity, isAcknowledged: false, version: id === null ? 0 : version }
    this.#history.orders.push(order)
    const target = { tag: id === null ? 'pages' : `page-${id}` }
    const result = await (kind === 'purge' ? instance.purge(target) : instance.revalidate(target)).catch(() => null)
    order.until = performance.now()
    order.isAcknowledged = result !== null && !result.degraded
  }

  async #varyRenders (random: Random): Promise<void> {
    while (!this.#isOver) {
      this.#origin.delay = random() < 0.3 ? 0 : random() * SLOWEST
      await sleep(50)
    }
    this.#origin.delay = 0
  }

  async #watchMyself (): Promise<void> {
    for (let last = performance.now(); !this.#isOver;) {
      await sleep(10)
      const now = performance.now()
      if (now - last > STALL) this.#history.pauses.push({ life: null, from: last, until: now })
      last = now
    }
  }

  async #poll (): Promise<void> {
    const work = this.#places.map(async place => {
      while (!this.#isOver) {
        if (place.up !== null) await this.#pollOnce(place.up)
        await sleep(40)
      }
    })
    await Promise.all(work)
  }

  async #pollOnce ({ instance, life }: { instance: Instance, life: Life }): Promise<boolean> {
    const from = performance.now()
    const stats = await instance.stats().catch(() => null)
    const redis = stats?.redis ?? null
    const isConnected = redis?.status === 'connected'
    if (redis !== null) this.#history.polls.push({ life: life.id, from, until: performance.now(), isConnected, incarnation: redis.incarnation })
    return isConnected
  }

  async #untilConnected (from: number): Promise<void> {
    const { bound } = this.#history.settings
    // It may not have noticed yet that it is not.
    const since = Math.max(from + bound, 0)
    const deadline = performance.now() + DEADLINE
    for (;;) {
      const isLate = performance.now() > since
      const states = await Promise.all(this.#places.map(async ({ up }) => up === null || await this.#pollOnce(up)))
      if (isLate && states.every(Boolean)) return
      if (performance.now() > deadline) throw new Error(`not all instances have found Redis again: ${states.join(', ')}`)
      await sleep(20)
    }
  }

  /** One fault after the other, some of them two at a time, with peace in between. */
  async #causeTrouble (random: Random, end: number): Promise<void> {
    while (performance.now() < end) {
      await sleepLong(Math.min(300 + random() * 1200, Math.max(0, end - performance.now())))
      if (performance.now() >= end) return
      const first = pick(random, FAULTS)
      const work = [this.#cause(first, random)]
      if (random() < 0.3) {
        const second = pick(random, FAULTS.filter(name => name !== first && !(name.startsWith('redis') && first.startsWith('redis'))))
        await sleepLong(random() * 300)
        work.push(this.#cause(second, random))
      }
      await Promise.all(work)
    }
  }

  async #cause (name: Fault, random: Random): Promise<void> {
    const place = pick(random, this.#places)
    const ms = 100 + random() * 1400
    this.#faults[name] = (this.#faults[name] ?? 0) + 1
    await this.#kinds[name](place, ms, random)
  }

  readonly #kinds: Record<Fault, (place: Place, ms: number, random: Random) => Promise<void>> = {
    late: async (place: Place, ms: number, random: Random) => {
      // Redis is reached all the same, well within the time that a command may take: no excuse for anything.
      place.proxy.delay(5 + random() * 45)
      await sleepLong(ms)
      place.proxy.delay(0)
    },
    reset: async (place: Place) => {
      await this.#trouble('reset', place, async () => { place.proxy.reset() })
    },
    cut: async (place: Place, ms: number) => {
      await this.#trouble('cut', place, async () => {
        await place.proxy.cut()
        await sleepLong(ms)
        await place.proxy.heal()
      })
    },
    blackhole: async (place: Place, ms: number, random: Random) => {
      const forget = random() < 0.5
      await this.#trouble(forget ? 'black hole that forgets' : 'black hole', place, async () => {
        place.proxy.blackhole()
        await sleepLong(ms)
        await place.proxy.heal({ forget })
      })
    },
    deaf: async (place: Place, ms: number) => {
      await this.#trouble('hears nothing', place, async () => {
        place.proxy.drop('toClient')
        await sleepLong(ms)
        await place.proxy.heal()
      })
    },
    mute: async (place: Place, ms: number) => {
      await this.#trouble('is not heard', place, async () => {
        place.proxy.drop('toServer')
        await sleepLong(ms)
        await place.proxy.heal()
      })
    },
    held: async (place: Place, ms: number) => {
      // A partition that TCP survives: what was said comes late.
      await this.#trouble('held back', place, async () => {
        place.proxy.delay(Infinity)
        await sleepLong(ms)
        await place.proxy.heal()
      })
    },
    killed: async (place: Place, ms: number, random: Random) => {
      const isOnceMore = random() < 0.3
      const losesPages = random() < 0.2
      await this.#trouble('killed', place, async () => {
        await this.#kill(place)
        await sleepLong(ms / 2)
        if (losesPages) await rm(path.join(this.#options.dir, place.name), { recursive: true, force: true })
        await this.#start(place)
        if (!isOnceMore) return
        await this.#kill(place)
        await this.#start(place)
      })
    },
    paused: async (place: Place, ms: number) => {
      const { up } = place
      if (up === null) return
      await this.#trouble('paused', place, async () => {
        const pause: Pause = { life: up.life.id, from: performance.now(), until: Infinity }
        this.#history.pauses.push(pause)
        up.instance.pause()
        await sleepLong(ms)
        up.instance.resume()
        pause.until = performance.now()
      })
    },
    failing: async (_place: Place, ms: number, random: Random) => {
      const id = pick(random, PAGES)
      this.#failing.add(id)
      await sleepLong(ms)
      this.#failing.delete(id)
    },
    redisHangs: async (_place: Place, ms: number) => {
      await this.#trouble('Redis hangs', null, async () => {
        this.#redis.stop()
        await sleepLong(ms)
        this.#redis.cont()
      })
    },
    redisLost: async (_place: Place, ms: number) => {
      await this.#trouble('Redis loses all', null, async (trouble) => {
        trouble.lostFrom = -Infinity
        await this.#redis.kill()
        await sleepLong(ms)
        await this.#redis.restart()
      })
    },
    redisKept: async () => {
      await this.#trouble('Redis restarts', null, async (trouble) => {
        // What it is told between the copy and its end.
        trouble.lostFrom = performance.now()
        await this.#redis.restart({ empty: false })
      })
    },
    redisFlushed: async () => {
      await this.#trouble('Redis is flushed', null, async (trouble) => {
        trouble.lostFrom = -Infinity
        await this.#redis.command('flushall')
      })
    },
    redisRestored: async (_place: Place, ms: number) => {
      const lostFrom = performance.now()
      const snapshot = await this.#redis.snapshot()
      await sleepLong(ms)
      await this.#trouble('Redis is restored', null, async (trouble) => {
        trouble.lostFrom = lostFrom
        await this.#redis.restore(snapshot)
      })
    }
  }

  /** Trouble lasts until those who had it say that it is over. */
  async #trouble (what: string, place: Place | null, work: (trouble: Trouble) => Promise<void>): Promise<void> {
    const trouble: Trouble = { what, from: performance.now(), until: Infinity, life: place?.up?.life.id ?? null, lostFrom: null }
    const { lives } = this.#history
    const livesBefore = lives.length
    this.#history.troubles.push(trouble)
    await work(trouble)
    await this.#untilConnected(performance.now())
    trouble.until = performance.now()
    // Those that were born in it had it from their birth.
    for (const { id, name, from } of lives.slice(livesBefore)) {
      if (name === place?.name) this.#history.troubles.push({ ...trouble, life: id, from })
    }
  }

  async #heal (): Promise<void> {
    await Promise.all(this.#places.map(async ({ proxy }) => { await proxy.heal() }))
    await this.#untilConnected(performance.now())
  }

  /** From here on nothing is done to anybody: what must become true has time to, and is looked at then. */
  async #settle (): Promise<void> {
    const { settled, final, orders } = this.#history
    const least = (id: string): number => Math.max(0, ...orders.filter(order => order.isAcknowledged && order.id === id).map(order => order.version))
    await this.#untilAll(settled, reads => reads.every(read => read.status >= 500 || (read.page?.version ?? 0) >= least(read.id)))
    const [place] = this.#places
    if (place?.up != null) await this.#order(place.up, 'purge', null)
    await sleepLong(this.#history.settings.bound)
    await this.#untilAll(final, answers => PAGES.every(id => new Set(answers.filter(read => read.id === id).map(read => read.page?.render)).size === 1))
  }

  /** Reads every page of every instance again and again; keeps the last answers. */
  async #untilAll (into: PageRead[], areRight: (reads: PageRead[]) => boolean): Promise<void> {
    const deadline = performance.now() + this.#history.settings.bound + 5000
    for (;;) {
      const reads: PageRead[] = []
      for (const { up } of this.#places) if (up !== null) await Promise.all(PAGES.map(async id => { await this.#read(up, id, reads) }))
      if (areRight(reads) || performance.now() > deadline) {
        into.push(...reads)
        return
      }
      this.#history.reads.push(...reads)
      await sleep(20)
    }
  }

  #noteRenders (): void {
    for (const { render, id, instance, version, beganAt, endedAt, outcome, isAlone, isLive } of this.#origin.renders) {
      const life = this.#lifeOf.get(instance)
      if (life === undefined) throw new Error(`nobody is called ${instance}`)
      this.#history.renders.push({
        render,
        id,
        life: life.id,
        version,
        from: beganAt,
        until: endedAt ?? Infinity,
        outcome: outcome === 'page' || outcome === 'failure' ? outcome : 'aborted',
        isAlone,
        isLive
      })
    }
  }

  #count (): RunCounts {
    const { reads, orders, renders, polls, pauses } = this.#history
    return {
      reads: reads.length,
      orders: orders.length,
      acknowledged: orders.filter(order => order.isAcknowledged).length,
      renders: renders.length,
      polls: polls.length,
      faults: this.#faults,
      slowestRead: Math.round(Math.max(0, ...reads.map(read => read.until - read.from))),
      longestStall: Math.round(Math.max(0, ...pauses.filter(pause => pause.life === null).map(pause => pause.until - pause.from)))
    }
  }
}

function pick<T> (random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

/** A part of the recorded run, not something that a test waits for. */
async function sleepLong (ms: number): Promise<void> {
  await sleep(ms)
}
