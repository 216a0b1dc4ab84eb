// A soak: a server process, visitors for it, and what it holds every so many requests.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { startRedis, type RedisServer } from '../test/helpers/redis-server.js'
import { reply } from './load.js'
import type { Listening } from './server.js'
import { Random } from './simulation/random.js'
import { SETTINGS, type SoakSettings } from './soak-app.js'
import { abort, SoakClient, type Answered } from './soak-client.js'
import type { Closed, Counts, SoakMemory, SoakQuestion, SoakSample } from './soak-server.js'
import { Traffic, type Visit } from './soak-traffic.js'

export interface SoakOptions {
  requests: number
  keys: number
  /** Of pages and data (seconds). */
  ttl: number
  /** Of them without the first, before anything. */
  samples: number
  /** Readings of memory alone, between two samples. */
  between: number
  connections: number
  /** Targets of orders before anything else: an instance that has been told as many as it remembers has no more of them later. */
  ordered: number
  /** Of the memory tier (bytes). */
  memory: number
  /** Of what is written to disk (bytes). */
  disk: number
  workers: number
  express: boolean
  redis: boolean
  seed: number
  onSample?: (requests: number, sample: SoakSample) => void
}

export interface Soaked {
  samples: Array<SoakSample & { requests: number, seconds: number }>
  /** Those of the samples, and those between them. */
  memory: Array<SoakMemory & { requests: number }>
  /** Answers by status. */
  statuses: Counts
  /** Requests that got none, though nobody broke them off. */
  lost: number
  closed: Closed
  /** After `app.close()`; null: it had to be killed. */
  exit: { code: number | null, milliseconds: number } | null
}

/** A process that has nothing to do any more ends sooner (milliseconds). */
const EXIT_BOUND = 10_000
const REDIS = ['maxmemory 64mb', 'maxmemory-policy volatile-lru']

export async function soak (options: SoakOptions): Promise<Soaked> {
  const dir = await mkdtemp(path.join(tmpdir(), 'isr-soak-'))
  const redis = options.redis ? await startRedis(undefined, { conf: REDIS }) : null
  try {
    return await serve(options, dir, redis)
  } finally {
    await redis?.close()
    await rm(dir, { recursive: true, force: true })
  }
}

async function serve (options: SoakOptions, dir: string, redis: RedisServer | null): Promise<Soaked> {
  const { keys, ttl, disk, workers, express } = options
  const settings: SoakSettings = { keys, ttl, memory: options.memory, disk, workers, express, dir, redisPort: redis?.port ?? null }
  const child = fork(fileURLToPath(new URL('./soak-server.js', import.meta.url)), {
    execArgv: ['--expose-gc'],
    env: { ...process.env, NODE_ENV: 'production', [SETTINGS]: JSON.stringify(settings) }
  })
  const exited = once(child, 'exit') as Promise<[number | null]>
  try {
    const { port } = await reply<Listening>(child)
    async function ask<T> (question: SoakQuestion): Promise<T> {
      const answer = reply<T>(child)
      child.send(question)
      return await answer
    }
    const visitors = new Visitors(port, options)
    const startedAt = performance.now()
    const samples: Soaked['samples'] = []
    const memory: Soaked['memory'] = []
    const { connections } = options
    await visitors.order(options.ordered)
    const parts = options.between + 1
    for (let part = 0; part <= options.samples * parts; part++) {
      const requests = Math.round(options.requests * part / options.samples / parts)
      await visitors.visit(requests)
      if (part % parts !== 0) {
        memory.push({ requests, ...await ask<SoakMemory>({ type: 'memory', connections }) })
        continue
      }
      const sample = await ask<SoakSample>({ type: 'sample', connections })
      memory.push({ requests, ...sample.memory })
      samples.push({ ...sample, requests, seconds: (performance.now() - startedAt) / 1000 })
      options.onSample?.(requests, sample)
    }
    await visitors.leave()
    const closed = await ask<Closed>({ type: 'close' })
    const closedAt = performance.now()
    const bound = setTimeout(() => { child.kill('SIGKILL') }, EXIT_BOUND)
    const [code] = await exited
    clearTimeout(bound)
    const exit = child.signalCode === null ? { code, milliseconds: performance.now() - closedAt } : null
    return { samples, memory, statuses: visitors.statuses, lost: visitors.lost, closed, exit }
  } finally {
    child.kill('SIGKILL')
  }
}

/** Each has a connection of its own, and asks as soon as it is answered. */
class Visitors {
  readonly statuses: Counts = {}
  lost = 0
  readonly #port: number
  readonly #clients: SoakClient[]
  readonly #random: Random
  readonly #traffic: Traffic
  #asked = 0

  constructor (port: number, { connections, keys, seed }: SoakOptions) {
    this.#port = port
    this.#clients = Array.from({ length: connections }, () => new SoakClient(port))
    this.#random = new Random(seed)
    this.#traffic = new Traffic(this.#random, keys)
  }

  /** Until so many requests have been sent in all. */
  async visit (until: number): Promise<void> {
    await Promise.all(this.#clients.map(async (client) => {
      while (this.#asked < until) {
        this.#asked++
        await this.#ask(client, this.#traffic.next())
      }
    }))
  }

  async order (targets: number): Promise<void> {
    const client = new SoakClient(this.#port)
    for (const visit of this.#traffic.orders(targets)) this.#count(await client.ask(visit))
    await client.close()
  }

  async leave (): Promise<void> {
    await Promise.all(this.#clients.map(async client => { await client.close() }))
  }

  async #ask (client: SoakClient, visit: Visit): Promise<void> {
    try {
      if (visit.manner === 'aborted') return await abort(this.#port, visit, this.#random.below(6))
      if (visit.manner === 'once') return this.#count(await new SoakClient(this.#port).ask(visit))
      const answered = await client.ask(visit)
      this.#count(answered)
      // Some come again with what they have.
      if (answered.etag === null || answered.status !== 200 || this.#random.below(10) !== 0) return
      this.#asked++
      this.#count(await client.ask({ ...visit, headers: `${visit.headers}if-none-match: ${answered.etag}\r\n` }))
    } catch {
      this.lost++
    }
  }

  #count ({ status }: Answered): void {
    this.statuses[status] = (this.statuses[status] ?? 0) + 1
  }
}
