import { setImmediate as turn } from 'node:timers/promises'
import { Cache, type CacheOptions } from '../../lib/cache/cache.js'
import { DiskTier, type DiskTierOptions } from '../../lib/cache/disk-tier.js'
import type { Entry } from '../../lib/cache/entry.js'
import { RenderQueue } from '../../lib/cache/render-queue.js'
import type { Answer, Attempt, Draft, Outcome, RenderReport, Source } from '../../lib/cache/source.js'
import type { Mark, Order } from '../../lib/cluster/coordinator.js'
import { LocalCoordinator } from '../../lib/cluster/local.js'

/** What an engine under test keeps and answers: texts. */
export type TestCache = Cache<string, string>
export type TestAnswer = Answer<string, string>

/** Time that moves only when a test says so. */
export class TestClock {
  now = 1_700_000_000_000
  readonly read = (): number => this.now

  /** Seconds. */
  forward (seconds: number): void {
    this.now += seconds * 1000
  }
}

export interface Gate {
  readonly opened: Promise<void>
  open (): void
}

export function makeGate (): Gate {
  let open!: () => void
  const opened = new Promise<void>(resolve => { open = resolve })
  return { opened, open }
}

/** Lets everything that is ready run: promises, and the file system's answers as far as they are there. */
export async function settle (turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
}

/** Waits, without a fixed delay, until something has become true. */
export async function until (isTrue: () => boolean, what = 'what the test waits for'): Promise<void> {
  const startedAt = Date.now()
  while (!isTrue()) {
    if (Date.now() - startedAt > 5000) throw new Error(`${what} did not happen`)
    await turn()
  }
}

export function draftOf (body: string, more: Partial<Draft> = {}): Draft {
  const bytes = Buffer.from(body)
  return {
    meta: {},
    tags: [],
    ttl: 60,
    staleWhileRevalidate: 60,
    staleIfError: 60,
    body: bytes,
    encode: async () => [{ encoding: 'identity', bytes }],
    ...more
  }
}

export function storable (body: string, more: Partial<Draft> = {}): Outcome<string> {
  return { type: 'storable', draft: draftOf(body, more) }
}

export function failure (message: string): Outcome<string> {
  return { type: 'failure', error: new Error(message), response: `response of ${message}` }
}

export function unstorable (reason: string): Outcome<string> {
  return { type: 'unstorable', reason, response: `response of ${reason}` }
}

export type Answering = (attempt: Attempt, nth: number) => Outcome<string> | Promise<Outcome<string>>

/** A page whose renders are counted. */
export class TestPage implements Source<string> {
  readonly key: string
  readonly tags: readonly string[]
  readonly jitter: boolean
  readonly reports: RenderReport[] = []
  renders = 0
  running = 0
  mostRunning = 0
  answering: Answering

  constructor (key: string, answering?: Answering, { tags = [], jitter = false }: { tags?: string[], jitter?: boolean } = {}) {
    this.key = key
    this.tags = tags
    this.jitter = jitter
    this.answering = answering ?? ((_attempt, nth) => storable(`${key} #${nth}`, { tags }))
  }

  async render (attempt: Attempt): Promise<Outcome<string>> {
    const nth = ++this.renders
    this.running++
    this.mostRunning = Math.max(this.mostRunning, this.running)
    try {
      return await this.answering(attempt, nth)
    } finally {
      this.running--
    }
  }

  onSettled (report: RenderReport): void {
    this.reports.push(report)
  }
}

export interface EngineOptions {
  maxBytes?: number
  concurrency?: number
  maxQueue?: number
  /** Milliseconds of real time. */
  renderTimeout?: number
  prepare?: CacheOptions<string>['prepare']
  clock?: TestClock
}

export interface Engine {
  cache: TestCache
  clock: TestClock
  queue: RenderQueue
  coordinator: LocalCoordinator
  errors: { key: string, error: Error }[]
  revalidate (tag: string, expire?: number): Promise<Mark>
  purge (tag: string): Promise<Mark>
}

/** An engine without pages around it. */
export function makeEngine (options: EngineOptions = {}): Engine {
  const { maxBytes = 1024 * 1024, concurrency = 4, maxQueue = 1000, renderTimeout = 5000, clock = new TestClock() } = options
  const queue = new RenderQueue(concurrency, maxQueue)
  const coordinator = new LocalCoordinator(clock.read, null)
  const errors: Engine['errors'] = []
  const cache: TestCache = new Cache({
    maxBytes,
    queue,
    coordinator,
    clock: clock.read,
    renderTimeout,
    prepare: options.prepare ?? textOf,
    onError: (key, error) => { errors.push({ key, error }) }
  })
  void coordinator.start(cache)
  const order = async (order: Order): Promise<Mark> => {
    const { marks: [mark] } = await coordinator.order([order])
    if (mark === undefined) throw new Error('an order without a mark')
    return mark
  }
  return {
    cache,
    clock,
    queue,
    coordinator,
    errors,
    revalidate: async (tag, expire = Infinity) => await order({ kind: 'soft', tag, deadline: clock.now + expire * 1000 }),
    purge: async tag => await order({ kind: 'hard', tag, deadline: 0 })
  }
}

export interface TestDisk {
  root: string
  disk: DiskTier
  errors: { operation: string, key: string | null, error: NodeJS.ErrnoException }[]
  worked: string[]
}

export function makeDisk (root: string, options: Partial<DiskTierOptions> = {}): TestDisk {
  const errors: TestDisk['errors'] = []
  const worked: string[] = []
  const disk = new DiskTier({
    root,
    buildId: 'b1',
    maxBytes: 1024 * 1024,
    writeBack: true,
    onError: (operation, key, error) => { errors.push({ operation, key, error }) },
    onWorking: (operation) => { worked.push(operation) },
    ...options
  })
  return { root, disk, errors, worked }
}

export function textOf (entry: Entry): string {
  return entry.bodies[0]?.bytes.toString() ?? ''
}

/** What a visitor got, in a form that a test can compare at a glance. */
export function show (answer: TestAnswer): string {
  if (answer.kind === 'held') return `${answer.how}: ${answer.held.view}`
  if (answer.kind === 'unstorable') return `unstorable: ${answer.reason}`
  return `failed: ${answer.error.message}`
}

export function makeEntryOf (key: string, more: Partial<Entry> = {}): Entry {
  return {
    key,
    buildId: 'b1',
    renderedAt: 1_700_000_000_000,
    epoch: 1_700_000_000_000_000,
    ttl: 60,
    staleWhileRevalidate: 60,
    staleIfError: 60,
    jitter: 0,
    tags: [],
    meta: {},
    hash: 'h',
    bodies: [{ encoding: 'identity', bytes: Buffer.from(`body of ${key}`) }],
    ...more
  }
}
