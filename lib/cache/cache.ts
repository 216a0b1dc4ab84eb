import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import type { Coordinator, Mark } from '../cluster/coordinator.js'
import { Closing, RenderCycle, RenderTimeout } from '../errors.js'
import type { DiskTier } from './disk-tier.js'
import { deadlines, isNewer, sizeOf, stateAt, type Entry } from './entry.js'
import { Marks } from './marks.js'
import { MemoryTier } from './memory-tier.js'
import { Remembered } from './remembered.js'
import type { Priority, RenderQueue } from './render-queue.js'
import type { Answer, Attempt, Draft, Held, Outcome, Reason, RenderReport, Source } from './source.js'
import { TagIndex } from './tag-index.js'

export interface CacheOptions<View> {
  maxBytes: number
  queue: RenderQueue
  coordinator: Coordinator
  clock: () => number
  /** Milliseconds for queue and render together. */
  renderTimeout: number
  /** Makes what serving needs, once, when an entry enters memory. Throws for an entry that can't be served. */
  prepare: (entry: Entry) => View
  /** An entry that can't be served, or that a mark has purged. */
  onError: (key: string, error: Error) => void
}

/** Back-off after failures (milliseconds). */
const BACKOFF_FIRST = 1000
const BACKOFF_MOST = 30_000
/** How long the requests after an unstorable answer go live at once (milliseconds). */
const UNSTORABLE_FOR = 10_000
/** Renders that a purge may overtake, one after another, before a visitor is told so. */
const MOST_OVERTAKEN = 5
const MOST_JITTER = 0.1
/** Answers kept for those who come during a back-off; of older failures only the error is. */
const MOST_RESPONSES = 100

/** One render under way, or waiting for the one before it. */
interface Flight<View, R> {
  readonly key: string
  /** Null until the render starts; marks at or below it are known to the render. */
  epoch: number | null
  readonly promise: Promise<Landing<View, R>>
  /** The render that caused this one by a request of its own. */
  readonly parent: Flight<View, R> | null
  /** Keys whose renders this one waits for. */
  readonly waitsFor: Set<string>
  /** What stands is only taken instead of a render if its own began at this epoch or later. */
  since: number
  /** A visitor who joins makes it his. */
  priority: Priority
  /** A running render waits for it: it must not wait for a slot. */
  isUrgent: boolean
  /** Set for a render that one caller wants for itself: nothing of it is stored or remembered. */
  readonly alone: Alone | null
}

/** A render for one caller, which keeps the result, if anybody does. */
export interface Alone {
  /** Slots of its own, so that a build and the visitors don't wait for each other. */
  queue?: RenderQueue
  /** What equal bytes renew. */
  old?: Entry | null
  /** The build that the entry belongs to. */
  buildId?: string
}

interface Failure<R> {
  /** In a row. */
  readonly failures: number
  readonly error: Error
  response: R | null
}

export type Landing<View, R> =
  | { type: 'held', held: Held<View>, report: 'stored' | 'renewed' }
  | { type: 'unstorable', reason: string, response: R }
  | { type: 'failed', error: Error, response: R | null }

/**
 * The engine: finds an entry, judges it, and sees to it that a missing or old
 * one is rendered once. Knows tiers, freshness and marks; knows no HTTP.
 */
export class Cache<View, R> {
  readonly marks = new Marks()
  readonly memory: MemoryTier<Held<View>>
  readonly counts = { started: 0, stored: 0, renewed: 0, unstorable: 0, failed: 0 }
  readonly #options: CacheOptions<View>
  readonly #index = new TagIndex()
  /** Per key the running render and, if that one is too old for somebody, the next. */
  readonly #flights = new Map<string, Flight<View, R>[]>()
  readonly #loads = new Map<string, Promise<Held<View> | null>>()
  readonly #backoff = new Remembered<Failure<R>>()
  readonly #failures: Failure<R>[] = []
  readonly #unstorable = new Remembered<string>()
  /** The render that the running code belongs to. */
  readonly #inside = new AsyncLocalStorage<Flight<View, R> | undefined>()
  /** Renders run in this context, so that no visitor's asynchronous context reaches one. */
  readonly #anonymous = new AsyncResource('fastify-isr')
  #disk: DiskTier | null = null
  #buildId = ''
  #isClosing = false

  constructor (options: CacheOptions<View>) {
    this.#options = options
    this.memory = new MemoryTier(options.maxBytes, (key, held) => { this.#index.delete(key, held.entry.tags) })
  }

  get buildId (): string {
    return this.#buildId
  }

  get disk (): DiskTier | null {
    return this.#disk
  }

  /** Pages of another build take over, all at once. */
  adopt (buildId: string, disk: DiskTier | null): void {
    this.#buildId = buildId
    this.#disk = disk
    this.#loads.clear()
    this.memory.clear()
    this.#unstorable.clear()
    this.#backoff.clear()
  }

  /** The hit path: memory only, no promise. Counts as a use. */
  lookup (key: string): Held<View> | undefined {
    return this.memory.get(key)
  }

  /** From memory or disk, whatever its state; null when purged or not there. */
  load (key: string): Held<View> | null | Promise<Held<View> | null> {
    const held = this.memory.get(key)
    if (held !== undefined) return held
    if (this.#disk === null || !this.#disk.mayHave(key)) return null
    const loading = this.#loads.get(key)
    if (loading !== undefined) return loading
    const promise: Promise<Held<View> | null> = this.#loadFromDisk(key, this.#disk, () => this.#loads.get(key) === promise).finally(() => {
      if (this.#loads.get(key) === promise) this.#loads.delete(key)
    })
    this.#loads.set(key, promise)
    return promise
  }

  /** For a visitor: the best entry that may be served now, or what rendering it ended in. */
  async get (source: Source<R>): Promise<Answer<View, R>> {
    for (let overtaken = 0; ; overtaken++) {
      const loaded = await this.load(source.key)
      const old = loaded === null ? null : this.#judgeAgain(loaded)
      const now = this.#options.clock()
      const state = old === null ? 'expired' : stateAt(old, now)
      if (old !== null && (state === 'fresh' || state === 'stale')) {
        if (state === 'stale') this.regenerate(source, old)
        return { kind: 'held', held: old, how: state, isCollapsed: false, hadOld: true }
      }
      const usable = state === 'stale-if-error' ? old : null

      const unstorable = this.#unstorable.get(source.key)
      if (unstorable !== undefined && unstorable.until > now) return { kind: 'unstorable', reason: unstorable.value, response: null }
      const failed = this.#backoff.get(source.key)
      if (failed !== undefined && failed.until > now) {
        if (usable !== null) return { kind: 'held', held: usable, how: 'stale-if-error', isCollapsed: false, hadOld: true }
        return { kind: 'failed', error: failed.value.error, response: failed.value.response, retryAfterMs: failed.until - now }
      }

      const { flight, isLeader } = this.#join(source, reasonFor(old), 'visitor')
      const landing = await this.#await(flight)
      const answer = this.#answer(landing, { source, old, usable, isLeader })
      if (answer !== null) return answer
      if (overtaken >= MOST_OVERTAKEN) {
        const error = new RenderTimeout(source.key, this.#options.renderTimeout)
        return { kind: 'failed', error, response: null, retryAfterMs: BACKOFF_FIRST }
      }
    }
  }

  /** Renders an old entry again, behind. At most one at a time per key, none during back-off. */
  regenerate (source: Source<R>, old: Held<View>): void {
    if (this.#isClosing || this.#canJoin(source) !== undefined) return
    const failed = this.#backoff.get(source.key)
    if (failed !== undefined && failed.until > this.#options.clock()) return
    const unstorable = this.#unstorable.get(source.key)
    if (unstorable !== undefined && unstorable.until > this.#options.clock()) return
    // A background render belongs to nobody: not to the render that noticed it, either.
    this.#inside.run(undefined, () => this.#join(source, reasonFor(old), 'background'))
  }

  /** Renders now, whatever stands; joins only a render that begins after this call. */
  async refresh (source: Source<R>): Promise<Landing<View, R>> {
    const since = this.#options.coordinator.now()
    this.#backoff.delete(source.key)
    this.#unstorable.delete(source.key)
    const { flight } = this.#join(source, 'refresh', 'background', since + 1)
    return await this.#await(flight)
  }

  /** Renders for this call alone and keeps nothing: not the page, not a failure. */
  async renderAlone (source: Source<R>, alone: Alone = {}): Promise<Landing<View, R>> {
    const ancestors = this.#ancestors()
    if (ancestors.includes(source.key)) {
      const circle = [...ancestors.slice(0, ancestors.indexOf(source.key) + 1).reverse(), source.key]
      return { type: 'failed', error: new RenderCycle(circle.join(' → ')), response: null }
    }
    const flight = this.#flight(source.key, new Promise(() => {}), { since: Infinity, priority: 'visitor', alone })
    return await this.#fly(flight, source, 'miss')
  }

  /** A mark has come: what it concerns is stale or gone from here on. */
  mark (mark: Mark): void {
    this.marks.add(mark)
    this.#backoff.deleteTagged(mark.tag)
    this.#unstorable.deleteTagged(mark.tag)
    for (const key of [...this.#index.keysOf(mark.tag)]) {
      const held = this.memory.peek(key)
      if (held === undefined || held.entry.epoch >= mark.epoch) continue
      if (mark.kind === 'hard') this.drop(key)
      else soften(held, mark.deadline)
    }
  }

  /** What a look at a missing key should know: a failure or a refusal of the last seconds. */
  whyNot (key: string): string | null {
    const now = this.#options.clock()
    const failed = this.#backoff.get(key)
    if (failed !== undefined && failed.until > now) return `rendering failed ${failed.value.failures} times in a row, the next try is in ${Math.ceil((failed.until - now) / 1000)} s: ${failed.value.error.message}`
    const unstorable = this.#unstorable.get(key)
    return unstorable !== undefined && unstorable.until > now ? `the last render may not be stored: ${unstorable.value}` : null
  }

  /** Removes an entry from every tier. */
  drop (key: string): void {
    this.#loads.delete(key)
    this.memory.delete(key)
    void this.#disk?.delete(key)
  }

  /** Forgets what memory holds of a key that another process has written to disk. */
  reload (key: string): void {
    this.#loads.delete(key)
    this.memory.delete(key)
  }

  /** No new renders; resolves when the running ones have ended. */
  async close (): Promise<void> {
    this.#isClosing = true
    await this.#options.queue.close()
  }

  async #loadFromDisk (key: string, disk: DiskTier, isCurrent: () => boolean): Promise<Held<View> | null> {
    const read = await disk.read(key)
    // Written, dropped or replaced by another build since: what was read is not what stands.
    if (!isCurrent()) return await this.load(key)
    const standing = this.memory.peek(key)
    if (read === null) return standing ?? null
    // From a clock that has gone back since: it can't say which marks its render knew.
    const entry = read.epoch > this.#options.coordinator.now() ? { ...read, epoch: 0 } : read
    if (standing !== undefined && !isNewer(entry, standing.entry)) return standing
    try {
      const held = this.#hold(entry, 'disk')
      if (held === null) void disk.delete(key)
      return held
    } catch (error) {
      this.#options.onError(key, error as Error)
      void disk.delete(key)
      return null
    }
  }

  /** What memory holds, marks keep up to date; anything else they may have overtaken. */
  #judgeAgain (held: Held<View>): Held<View> | null {
    if (this.memory.peek(held.entry.key) === held) return held
    const verdict = this.marks.judge(held.entry)
    if (verdict.kind === 'soft') soften(held, verdict.deadline)
    return verdict.kind === 'hard' ? null : held
  }

  /** Puts an entry into memory, judged by the marks; null when it is purged. */
  #hold (entry: Entry, tier: 'memory' | 'disk'): Held<View> | null {
    const verdict = this.marks.judge(entry)
    if (verdict.kind === 'hard') return null
    // An entry from a machine whose clock is ahead must not stay fresh for longer.
    const renderedAt = Math.min(entry.renderedAt, this.#options.clock())
    const held: Held<View> = {
      entry,
      view: this.#options.prepare(entry),
      tier,
      ...deadlines(renderedAt === entry.renderedAt ? entry : { ...entry, renderedAt }),
      isMarked: false
    }
    if (verdict.kind === 'soft') soften(held, verdict.deadline)
    if (this.memory.set(entry.key, held, sizeOf(entry))) this.#index.add(entry.key, entry.tags)
    return held
  }

  /** The newest flight that knows every mark that concerns the source. */
  #canJoin (source: Source<R>, since = 0): Flight<View, R> | undefined {
    return this.#flights.get(source.key)?.findLast(flight =>
      flight.epoch === null ||
      (flight.epoch >= since && this.marks.judge({ epoch: flight.epoch, tags: source.tags }).kind === 'none'))
  }

  #join (source: Source<R>, reason: Reason, priority: Priority, since = 0): { flight: Flight<View, R>, isLeader: boolean } {
    const joined = this.#canJoin(source, since)
    if (joined !== undefined) {
      joined.since = Math.max(joined.since, since)
      if (priority === 'visitor') {
        joined.priority = priority
        this.#options.queue.promote(source.key)
      }
      return { flight: joined, isLeader: false }
    }
    const flights = this.#flights.get(source.key) ?? []
    const before = flights.at(-1)?.promise
    let land!: (landing: Promise<Landing<View, R>>) => void
    const flight = this.#flight(source.key, new Promise(resolve => { land = resolve }), { since, priority, alone: null })
    this.#flights.set(source.key, [...flights, flight])
    // One render at a time per key: the next one starts when the one before has landed.
    const takeOff = async (): Promise<Landing<View, R>> => {
      try {
        await before
        return await this.#fly(flight, source, reason)
      } finally {
        const left = (this.#flights.get(source.key) ?? []).filter(other => other !== flight)
        if (left.length === 0) this.#flights.delete(source.key)
        else this.#flights.set(source.key, left)
      }
    }
    land(takeOff())
    return { flight, isLeader: true }
  }

  #flight (key: string, promise: Flight<View, R>['promise'], more: Pick<Flight<View, R>, 'since' | 'priority' | 'alone'>): Flight<View, R> {
    return { key, epoch: null, promise, parent: this.#inside.getStore() ?? null, waitsFor: new Set(), isUrgent: false, ...more }
  }

  /** Waits for a render; within another render, refuses to wait in a circle. */
  async #await (flight: Flight<View, R>): Promise<Landing<View, R>> {
    const inside = this.#inside.getStore()
    if (inside === undefined) return await flight.promise
    const circle = this.#circle(flight.key, inside.key, new Set())
    if (circle !== null) {
      return { type: 'failed', error: new RenderCycle([inside.key, ...circle].join(' → ')), response: null }
    }
    // Those before it as well: it begins when they have landed.
    for (const other of this.#flights.get(flight.key) ?? []) other.isUrgent = true
    this.#options.queue.startNow(flight.key)
    inside.waitsFor.add(flight.key)
    try {
      return await flight.promise
    } finally {
      inside.waitsFor.delete(flight.key)
    }
  }

  /** The way from one render to another along the renders that wait, or null. */
  #circle (from: string, to: string, seen: Set<string>): string[] | null {
    if (from === to) return [from]
    if (seen.has(from)) return null
    seen.add(from)
    for (const flight of this.#flights.get(from) ?? []) {
      for (const next of flight.waitsFor) {
        const rest = this.#circle(next, to, seen)
        if (rest !== null) return [from, ...rest]
      }
    }
    return null
  }

  /** Keys of the renders that the running code belongs to, innermost first. */
  #ancestors (): string[] {
    const keys: string[] = []
    for (let flight = this.#inside.getStore() ?? null; flight !== null; flight = flight.parent) keys.push(flight.key)
    return keys
  }

  async #fly (flight: Flight<View, R>, source: Source<R>, reason: Reason): Promise<Landing<View, R>> {
    const { clock, renderTimeout } = this.#options
    const { alone } = flight
    const queue = alone?.queue ?? this.#options.queue
    const controller = new AbortController()
    const timer = setTimeout(() => { controller.abort(new RenderTimeout(source.key, renderTimeout)) }, renderTimeout)
    const queuedAt = performance.now()
    // Within a render there is no second slot to wait for.
    const isInside = this.#inside.getStore() !== undefined
    let release = (): void => {}
    let startedAt = queuedAt
    const buildId = alone?.buildId ?? this.#buildId
    const old = alone === null ? this.memory.peek(source.key) ?? await this.load(source.key) : null
    const report = (outcome: RenderReport['outcome'], more: { detail?: string, error?: Error } = {}): void => {
      this.counts[outcome]++
      const ended = performance.now()
      const failures = this.#backoff.get(source.key)?.value.failures ?? 0
      source.onSettled?.({ reason, outcome, ...more, failures, hadOld: old !== null, durationMs: ended - startedAt, queuedMs: startedAt - queuedAt })
    }
    const fail = (outcome: Extract<Outcome<R>, { type: 'failure' }>): Landing<View, R> => {
      const landing = this.#fail(source, flight, outcome, old)
      report('failed', { error: outcome.error })
      return landing
    }
    try {
      if (!isInside && !flight.isUrgent) release = await queue.acquire(source.key, flight.priority, controller.signal)
      if (this.#isClosing) throw new Closing(source.key)
      // What stands may have taken long to load.
      controller.signal.throwIfAborted()
      // Looked at again: somebody may have rendered it while this one waited.
      const standing = this.memory.peek(source.key)
      if (standing !== undefined && stateAt(standing, clock()) === 'fresh' && standing.entry.epoch >= flight.since) {
        return { type: 'held', held: standing, report: 'renewed' }
      }

      startedAt = performance.now()
      flight.epoch = this.#options.coordinator.now()
      this.counts.started++
      const outcome = await orAbort(this.#render(flight, source, { reason, signal: controller.signal }), controller.signal)
      if (outcome.type === 'storable') {
        const { held, isRenewed } = await this.#store(source, flight, outcome.draft, buildId)
        report(isRenewed ? 'renewed' : 'stored')
        return { type: 'held', held, report: isRenewed ? 'renewed' : 'stored' }
      }
      if (outcome.type === 'unstorable') {
        if (alone === null) await this.#refuse(source, outcome.reason, { epoch: flight.epoch, buildId })
        report('unstorable', { detail: outcome.reason })
        return outcome
      }
      return fail(outcome)
    } catch (error) {
      return fail({ type: 'failure', error: error as Error })
    } finally {
      clearTimeout(timer)
      release()
    }
  }

  #render (flight: Flight<View, R>, source: Source<R>, attempt: Attempt): Promise<Outcome<R>> {
    return this.#anonymous.runInAsyncScope(() => this.#inside.run(flight, () => source.render(attempt)))
  }

  async #store (source: Source<R>, flight: Flight<View, R>, draft: Draft, buildId: string): Promise<{ held: Held<View>, isRenewed: boolean }> {
    const key = source.key
    const { alone } = flight
    const standing = alone === null ? (this.memory.peek(key) ?? await this.load(key))?.entry ?? null : alone.old ?? null
    const made = await makeEntry(draft, {
      key,
      buildId,
      epoch: flight.epoch ?? 0,
      renderedAt: this.#options.clock(),
      jitter: source.jitter === true ? Math.random() * MOST_JITTER : 0,
      old: standing
    })
    const transient: Held<View> = { entry: made.entry, view: this.#options.prepare(made.entry), tier: 'memory', ...deadlines(made.entry), isMarked: false }
    if (alone !== null) return { held: transient, isRenewed: made.isRenewed }

    this.#backoff.delete(key)
    this.#unstorable.delete(key)
    const newest = this.memory.peek(key)
    if (newest !== undefined && isNewer(newest.entry, made.entry)) return { held: newest, isRenewed: false }
    const held = buildId === this.#buildId ? this.#hold(made.entry, 'memory') : null
    if (held !== null) {
      this.#loads.delete(key)
      if (buildId !== '') void this.#disk?.write(made.entry)
      return { held, isRenewed: made.isRenewed }
    }
    // Purged while it was rendered, or of a build that is gone: seen by the caller, kept by nobody.
    return { held: transient, isRenewed: false }
  }

  /** Rendered well and not storable: the old page is no longer true, unless it is newer than that. */
  async #refuse (source: Source<R>, reason: string, { epoch, buildId }: { epoch: number, buildId: string }): Promise<void> {
    const { key, tags } = source
    const standing = this.memory.peek(key) ?? await this.load(key)
    if (buildId !== this.#buildId) return
    if (standing === null || standing.entry.epoch <= epoch) this.drop(key)
    this.#backoff.delete(key)
    // What a mark has overtaken says nothing about the page as it is now.
    if (this.marks.judge({ epoch, tags }).kind !== 'none') return
    this.#unstorable.set(key, { until: this.#options.clock() + UNSTORABLE_FOR, tags, value: reason })
  }

  #fail (source: Source<R>, flight: Flight<View, R>, outcome: Extract<Outcome<R>, { type: 'failure' }>, old: Held<View> | null): Landing<View, R> {
    const { error } = outcome
    const response = outcome.response ?? null
    // A full queue or a shutdown says nothing about the page.
    if (flight.epoch === null || flight.alone !== null) return { type: 'failed', error, response }
    const failures = (this.#backoff.get(source.key)?.value.failures ?? 0) + 1
    const most = old?.isMarked === true ? BACKOFF_FIRST : BACKOFF_MOST
    const step = Math.min(most, BACKOFF_FIRST * 2 ** (failures - 1))
    // Half of the step is jitter, so that instances don't probe together.
    const until = this.#options.clock() + step * (0.5 + Math.random() / 2)
    const failure: Failure<R> = { failures, error, response }
    this.#backoff.set(source.key, { until, tags: source.tags, value: failure })
    this.#failures.push(failure)
    const oldest = this.#failures.length > MOST_RESPONSES ? this.#failures.shift() : undefined
    if (oldest !== undefined) oldest.response = null
    return { type: 'failed', error, response }
  }

  /** Null when what was rendered may not be served any more. */
  #answer (landing: Landing<View, R>, { source, old, usable, isLeader }: { source: Source<R>, old: Held<View> | null, usable: Held<View> | null, isLeader: boolean }): Answer<View, R> | null {
    const hadOld = old !== null
    if (landing.type === 'held') {
      const held = this.#judgeAgain(landing.held)
      if (held === null) return null
      if (!held.isMarked) return { kind: 'held', held, how: 'rendered', isCollapsed: !isLeader, hadOld }
      // Overtaken by an order: old already, if it may be served at all.
      if (stateAt(held, this.#options.clock()) !== 'stale') return null
      this.regenerate(source, held)
      return { kind: 'held', held, how: 'stale', isCollapsed: !isLeader, hadOld }
    }
    if (landing.type === 'unstorable') {
      return { kind: 'unstorable', reason: landing.reason, response: isLeader ? landing.response : null }
    }
    const isServable = usable !== null && this.#judgeAgain(usable) !== null && stateAt(usable, this.#options.clock()) !== 'expired'
    if (isServable) return { kind: 'held', held: usable, how: 'stale-if-error', isCollapsed: !isLeader, hadOld, error: landing.error }
    const until = this.#backoff.get(source.key)?.until ?? 0
    return { kind: 'failed', error: landing.error, response: landing.response, retryAfterMs: Math.max(BACKOFF_FIRST, until - this.#options.clock()) }
  }
}

function reasonFor (old: Held<unknown> | null): Reason {
  if (old === null) return 'miss'
  return old.isMarked ? 'revalidate' : 'ttl'
}

function soften<View> (held: Held<View>, deadline: number): void {
  held.freshUntil = -Infinity
  held.staleUntil = Math.min(held.staleUntil, deadline)
  held.isMarked = true
}

export interface EntryFacts {
  key: string
  buildId: string
  epoch: number
  renderedAt: number
  jitter: number
  /** What stands: equal bytes are not encoded a second time. */
  old: Entry | null
}

/** Turns a draft into an entry; one way for visitors, regeneration and builds. */
export async function makeEntry (draft: Draft, { old, ...facts }: EntryFacts): Promise<{ entry: Entry, isRenewed: boolean }> {
  const hash = createHash('sha256').update(draft.body).digest('base64url')
  const isRenewed = old !== null && old.hash === hash && sameJson(old.meta, draft.meta) && sameJson(old.tags, draft.tags)
  const entry: Entry = {
    ...facts,
    ttl: draft.ttl,
    staleWhileRevalidate: draft.staleWhileRevalidate,
    staleIfError: draft.staleIfError,
    tags: draft.tags,
    meta: draft.meta,
    hash,
    bodies: isRenewed ? old.bodies : await draft.encode()
  }
  return { entry, isRenewed }
}

function sameJson (a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** Gives up waiting at the deadline, even for code that ignores its signal. */
function orAbort<T> (work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => { reject(signal.reason as Error) }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => { signal.removeEventListener('abort', onAbort) })
  })
}
