import { setTimeout as delay } from 'node:timers/promises'
import type { Coordinator, Floor, LeaseEnd, Listener, Mark, Moment, RenderedAt } from '../cluster/coordinator.js'
import { RenderTimeout } from '../errors.js'
import { Clearances, NOTHING, type Clearance } from './clearances.js'
import type { DiskTier } from './disk-tier.js'
import { stateAt, type Entry, type Version } from './entry.js'
import { Flights, type Alone, type Flight, type FlightPlan, type Landing } from './flights.js'
import { makeEntry } from './make-entry.js'
import type { Marks } from './marks.js'
import type { MemoryTier } from './memory-tier.js'
import { orAbort } from './or-abort.js'
import type { RenderQueue } from './render-queue.js'
import { BACKOFF_FIRST, Setbacks } from './setbacks.js'
import type { SharedTier } from './shared-tier.js'
import type { Answer, Draft, Held, Outcome, Reason, RenderReport, Source } from './source.js'
import { Tiers } from './tiers.js'
import { dependingOn, olderThan } from './used.js'

export type { Alone, Landing } from './flights.js'

export interface CacheOptions<View> {
  maxBytes: number
  queue: RenderQueue
  coordinator: Coordinator
  /** Where all instances find pages, if there are others. */
  shared?: SharedTier | null
  clock: () => number
  /** Milliseconds for queue and render together. */
  renderTimeout: number
  /** Makes what serving needs, once, when an entry enters memory. Throws for an entry that can't be served. */
  prepare: (entry: Entry) => View
  /** A stored entry that can't be served. */
  onError: (key: string, error: Error) => void
}

/** Renders that a purge may overtake, one after another, before a visitor is told so. */
const MOST_OVERTAKEN = 5
const MOST_JITTER = 0.1

/** What a render starts from and is told of at its end. */
interface Render<View> {
  readonly reason: Reason
  readonly buildId: string
  readonly old: Held<View> | null
  /** How often it has failed in a row, wherever. */
  failures: number
  /** What others are to know of it. */
  end: LeaseEnd | Promise<LeaseEnd>
  report (outcome: RenderReport['outcome'], more?: { detail?: string, error?: Error }): void
}

/**
 * The engine: finds an entry, judges it, and sees to it that a missing or old
 * one is rendered once. Knows tiers, freshness and marks; knows no HTTP.
 */
export class Cache<View, R> implements Listener {
  /** What never began, for want of room or of a slot in time, is none of these: they sum up to what was started. */
  readonly counts = { started: 0, stored: 0, renewed: 0, unstorable: 0, failed: 0 }
  readonly #options: CacheOptions<View>
  readonly #tiers: Tiers<View>
  readonly #flights: Flights<View, R>
  readonly #setbacks: Setbacks<R>
  readonly #clearances: Clearances<View, R>

  constructor (options: CacheOptions<View>) {
    const { maxBytes, clock, coordinator, shared = null, prepare, onError, queue } = options
    this.#options = options
    this.#tiers = new Tiers({
      maxBytes,
      clock,
      shared,
      now: () => coordinator.now(),
      observe: moment => { coordinator.observe(moment) },
      prepare,
      onError
    })
    this.#flights = new Flights(queue)
    this.#setbacks = new Setbacks(clock)
    this.#clearances = new Clearances({ tiers: this.#tiers, setbacks: this.#setbacks, coordinator, queue, clock })
  }

  get buildId (): string {
    return this.#tiers.buildId
  }

  get disk (): DiskTier | null {
    return this.#tiers.disk
  }

  get memory (): MemoryTier<Held<View>> {
    return this.#tiers.memory
  }

  /** The marks in force. */
  marks (): Marks {
    return this.#tiers.marks
  }

  /** Pages of another build take over, all at once. */
  adopt (buildId: string, disk: DiskTier | null): void {
    this.#tiers.adopt(buildId, disk)
    this.#setbacks.clear()
  }

  /** The hit path: memory only, no promise. Counts as a use. */
  lookup (key: string): Held<View> | undefined {
    return this.#tiers.memory.get(key)
  }

  /** What was found in memory is used: if another instance has something newer, that is asked for behind. Tells whether it is. */
  wake (held: Held<View>): boolean {
    if (!this.#tiers.wake(held)) return false
    void this.#tiers.reconcile(held.entry.key)
    return true
  }

  /** From the nearest tier, whatever its state; null when purged or not there. */
  load (key: string): Held<View> | null | Promise<Held<View> | null> {
    return this.#tiers.load(key)
  }

  /** Notes that the running render, if there is one, was made with this. */
  use (held: Held<View>): void {
    this.#flights.use(held)
  }

  /** For a visitor: the best entry that may be served now, or what rendering it ended in. */
  async get (source: Source<R>): Promise<Answer<View, R>> {
    // Or an old datum would make a page that looks fresh.
    const isNewWanted = source.isShared === true && this.#flights.isInside
    for (let overtaken = 0; ; overtaken++) {
      const loaded = await this.#tiers.load(source.key)
      const isNewerComing = loaded !== null && this.wake(loaded)
      const old = loaded === null ? null : this.#tiers.judge(loaded)
      const state = old === null ? 'expired' : stateAt(old, this.#options.clock())
      if (old !== null && (state === 'fresh' || (state === 'stale' && !isNewWanted))) {
        if (state === 'stale' && !isNewerComing) this.regenerate(source, old)
        return this.#noted(source, { kind: 'held', held: old, how: state, isCollapsed: false, hadOld: true })
      }
      const usable = state === 'expired' ? null : old
      const known = this.#answerFromMemory(source.key, usable)
      if (known !== null) return this.#noted(source, known)

      const circle = this.#flights.circle(source.key)
      if (circle !== null) {
        const refused = this.#answer({ type: 'failed', error: circle, response: null }, { source, old, usable, isLeader: false })
        if (refused !== null) return this.#noted(source, refused)
      }
      const { flight, isLeader } = this.#join(source, reasonFor(old), { priority: 'visitor', isForced: false, isReconciled: loaded === null && this.#tiers.isShared })
      const landing = await this.#flights.land(flight)
      const answer = this.#answer(landing, { source, old, usable, isLeader })
      if (answer !== null) return this.#noted(source, answer)
      if (overtaken >= MOST_OVERTAKEN) {
        const error = new RenderTimeout(source.key, this.#options.renderTimeout)
        return { kind: 'failed', error, response: null, retryAfterMs: BACKOFF_FIRST }
      }
    }
  }

  /** The running render, if there is one, depends on what is shared. */
  #noted (source: Source<R>, answer: Answer<View, R>): Answer<View, R> {
    if (answer.kind === 'held') this.#flights.use(answer.held)
    else if (source.isShared === true) this.#flights.miss(source.tags, this.#options.coordinator.now())
    return answer
  }

  /** Renders an old entry again, behind. At most one at a time per key, none during back-off. */
  regenerate (source: Source<R>, old: Held<View>): void {
    if (this.#clearances.isClosing || this.#joinable(source) !== undefined) return
    // It would be refused, at the cost of a render that fails: the next visitor asks again.
    if (source.limits === undefined && !this.#options.queue.hasRoom) return
    if (this.#setbacks.failure(source.key) !== null || this.#setbacks.unstorable(source.key) !== null || this.#setbacks.isElsewhere(source.key)) return
    this.#flights.startBehind(source.key, { isForced: false, priority: 'background', isReconciled: false }, flight => this.#fly(flight, source, reasonFor(old)))
  }

  /** Renders now, whatever stands; joins only a render that begins after this call. */
  async refresh (source: Source<R>): Promise<Landing<View, R>> {
    const circle = this.#flights.circle(source.key)
    if (circle !== null) return { type: 'failed', error: circle, response: null }
    this.#setbacks.forgive(source.key)
    return await this.#flights.land(this.#join(source, 'refresh', { priority: 'background', isForced: true, isReconciled: true }).flight)
  }

  /** Renders for this call alone and keeps nothing: not the page, not a failure. */
  async renderAlone (source: Source<R>, alone: Alone = {}): Promise<Landing<View, R>> {
    return await this.#flights.flyAlone(source.key, alone, flight => this.#fly(flight, source, 'miss'))
  }

  /** A mark has come: what it concerns is stale or gone from here on. */
  mark (mark: Mark): void {
    this.#tiers.mark(mark)
    this.#setbacks.forgiveTagged(mark.tag)
  }

  floor (floor: Floor): void {
    this.#tiers.raise(floor)
  }

  begin (incarnation: string): void {
    this.#tiers.begin(incarnation)
  }

  refreshed (key: string, buildId: string, version: RenderedAt): void {
    if (buildId !== this.buildId) return
    this.#setbacks.forgive(key)
    this.#tiers.supersede(key, version)
  }

  dropped (key: string, buildId: string, version: Moment): void {
    if (buildId !== this.buildId) return
    this.#setbacks.forgive(key)
    const held = this.memory.peek(key)
    const isNewerHere = held !== undefined && held.entry.incarnation === version.incarnation && held.entry.epoch > version.epoch
    if (!isNewerHere) this.drop(key)
  }

  /** What a look at a missing key should know: a failure or a refusal of the last seconds. */
  whyNot (key: string): string | null {
    const failure = this.#setbacks.failure(key)
    if (failure !== null) return `rendering failed ${failure.count} times in a row, the next try is in ${Math.ceil(failure.retryAfterMs / 1000)} s: ${failure.error.message}`
    const reason = this.#setbacks.unstorable(key)
    return reason === null ? null : `the last render may not be stored: ${reason}`
  }

  /** What memory holds with a tag, without looking at anything else. */
  keysTagged (tag: string): Iterable<string> {
    return this.#tiers.keysTagged(tag)
  }

  /** Other instances can be asked for pages. */
  get isShared (): boolean {
    return this.#tiers.isShared
  }

  /** An entry with its logical time as far as that can be compared here. */
  comparable (entry: Entry): Entry {
    return this.#tiers.comparable(entry)
  }

  /** Other instances were not heard for a while. */
  doubtAll (): void {
    this.#tiers.doubtAll()
  }

  /** Puts what is on disk where other instances find it. */
  async seed (key: string): Promise<void> {
    const found = this.memory.peek(key)?.entry ?? await this.disk?.read(key) ?? null
    if (found === null || found.buildId !== this.buildId || this.marks().judge(found).kind === 'hard') return
    // Of an earlier life of Redis, it must not replace what others have rendered in this one.
    await this.#tiers.share(this.marks().isForeign(found) ? { ...found, epoch: 0, incarnation: undefined } : this.comparable(found))
  }

  /** What memory holds, and what is being read into it. */
  keysAtHand (): string[] {
    return this.#tiers.keysAtHand()
  }

  /** Removes an entry from every tier of this instance. */
  drop (key: string): void {
    this.#tiers.drop(key)
  }

  /** Removes what was stored on disk up to a moment; memory knows by the mark. Resolves when that is done. */
  async clean (key: string, upTo: Version): Promise<void> {
    await this.disk?.delete(key, upTo)
  }

  /** Forgets what memory holds of a key that another process has written to disk. */
  reload (key: string): void {
    this.#tiers.reload(key)
  }

  /** No new renders; resolves when the running ones have ended, or have had the time that a render has. */
  async close (): Promise<void> {
    this.#clearances.close()
    const bound = new AbortController()
    // What takes no slot has a timeout of its own, which may be much longer than a shutdown should take.
    const late = delay(this.#options.renderTimeout, undefined, { signal: bound.signal }).catch(() => {})
    await Promise.all([this.#options.queue.close(), Promise.race([this.#flights.idle(), late])])
    await Promise.race([this.#clearances.ended(), late])
    bound.abort()
  }

  /** The newest flight that knows every mark that concerns the source, or that has not begun. */
  #joinable ({ key, tags }: Source<R>, isForced = false): Flight<View, R> | undefined {
    return this.#flights.find(key, ({ epoch, incarnation }) => !isForced && this.#tiers.marks.judge({ epoch, incarnation, tags }).kind === 'none')
  }

  #join (source: Source<R>, reason: Reason, plan: FlightPlan): { flight: Flight<View, R>, isLeader: boolean } {
    const joined = this.#joinable(source, plan.isForced)
    if (joined === undefined) return { flight: this.#flights.start(source.key, plan, flight => this.#fly(flight, source, reason)), isLeader: true }
    this.#flights.join(joined, plan)
    return { flight: joined, isLeader: false }
  }

  /** One render, from its place in the queue to what becomes of it. */
  async #fly (flight: Flight<View, R>, source: Source<R>, reason: Reason): Promise<Landing<View, R>> {
    const { alone } = flight
    const { timeoutMs, makeError } = source.limits ?? this.#limits(source.key)
    const controller = new AbortController()
    const timer = setTimeout(() => { controller.abort(makeError()) }, timeoutMs)
    const times = { queued: performance.now(), started: performance.now() }
    const buildId = alone?.buildId ?? this.buildId
    const old = alone === null ? this.memory.peek(source.key) ?? await this.#tiers.find(source.key) : null
    const render: Render<View> = {
      reason,
      buildId,
      old,
      failures: 0,
      end: NOTHING,
      report: (outcome, more) => {
        if (flight.start !== null) this.counts[outcome]++
        this.#report(source, render, times, outcome, more)
      }
    }
    let clearance: Clearance | null = null
    try {
      const cleared = await this.#clearances.wait(flight, source, { old, isInside: this.#flights.isInside, signal: controller.signal })
      if (cleared.type !== 'cleared') return cleared
      clearance = cleared
      render.failures = cleared.failures
      times.started = performance.now()
      this.counts.started++
      const outcome = await orAbort(this.#flights.run(flight, () => source.render({ reason, signal: controller.signal, old: render.old?.entry ?? null, isNested: flight.parent !== null })), controller.signal)
      return await this.#land(source, flight, outcome, render)
    } catch (error) {
      return this.#fail(source, flight, { error: error as Error }, render)
    } finally {
      clearTimeout(timer)
      clearance?.release()
      if (clearance?.lease != null) this.#clearances.giveBack(clearance.lease, render.end)
    }
  }

  #limits (key: string): NonNullable<Source<R>['limits']> {
    const timeoutMs = this.#options.renderTimeout
    return { timeoutMs, makeError: () => new RenderTimeout(key, timeoutMs) }
  }

  async #land (source: Source<R>, flight: Flight<View, R>, outcome: Outcome<R>, render: Render<View>): Promise<Landing<View, R>> {
    if (outcome.type === 'failure') return this.#fail(source, flight, outcome, render)
    if (outcome.type === 'unstorable') {
      if (flight.alone === null) await this.#refuse(source, outcome.reason, flight.start ?? this.#options.coordinator.now(), render)
      render.report('unstorable', { detail: outcome.reason })
      return outcome
    }
    const { held, isRenewed } = await this.#store(source, flight, outcome.draft, render)
    const report = isRenewed ? 'renewed' : 'stored'
    render.report(report)
    return { type: 'held', held, report }
  }

  async #store ({ key, jitter = false, isPersistent = true }: Source<R>, { alone, start, used }: Flight<View, R>, draft: Draft, render: Render<View>): Promise<{ held: Held<View>, isRenewed: boolean }> {
    const old = alone === null ? (this.memory.peek(key) ?? await this.#tiers.find(key))?.entry ?? null : alone.old ?? null
    const began = start ?? this.#options.coordinator.now()
    const { entry, isRenewed } = await makeEntry(dependingOn(draft, used, this.#options.clock()), {
      key,
      buildId: render.buildId,
      start: began,
      older: olderThan(began.epoch, used),
      renderedAt: this.#options.clock(),
      jitter: jitter ? Math.random() * MOST_JITTER : 0,
      old
    })
    if (alone !== null) return { held: this.#tiers.prepare(entry), isRenewed }
    this.#setbacks.forgive(key)
    const held = this.#tiers.put(entry, { isPersistent })
    // Purged while it was rendered, or of a build that is gone: seen by the caller, kept by nobody.
    if (held === null) return { held: this.#tiers.prepare(entry), isRenewed: false }
    if (held.entry === entry) render.end = this.#tiers.share(entry).then(isThere => isThere ? { kind: 'stored', version: entry } : NOTHING)
    return { held, isRenewed: isRenewed && held.entry === entry }
  }

  /** Rendered well and not storable: the old page is no longer true, unless it is newer than that. */
  async #refuse ({ key, tags }: Source<R>, reason: string, start: Moment, render: Render<View>): Promise<void> {
    const standing = this.memory.peek(key) ?? await this.#tiers.find(key)
    if (render.buildId !== this.buildId) return
    if (standing === null || standing.entry.incarnation !== start.incarnation || standing.entry.epoch <= start.epoch) {
      this.drop(key)
      // Of what was never there nothing is left behind, or whoever makes up paths fills Redis; while it can't be asked, nobody knows.
      const wasThere = standing !== null || !this.isShared
      const unshared = wasThere ? this.#tiers.unshare(key, { ...start, renderedAt: this.#options.clock() }) : Promise.resolve()
      render.end = unshared.then(() => ({ kind: 'dropped', version: start }))
    }
    this.#setbacks.forgive(key)
    // What a mark has overtaken says nothing about the page as it is now.
    const { epoch, incarnation } = start
    if (this.marks().judge({ epoch, incarnation, tags }).kind === 'none') this.#setbacks.noteUnstorable(key, tags, reason)
  }

  #fail ({ key, tags }: Source<R>, flight: Flight<View, R>, { error, response = null, bytes = 0 }: { error: Error, response?: R | null, bytes?: number }, render: Render<View>): Landing<View, R> {
    // A full queue or a shutdown says nothing about the page.
    const isOfThePage = flight.start !== null && flight.alone === null
    if (isOfThePage) {
      this.#setbacks.noteFailure(key, tags, { error, response, bytes, isMarked: render.old?.isMarked === true, before: render.failures })
      render.end = { kind: 'failed', failures: this.#setbacks.failures(key), backoffMs: this.#setbacks.failure(key)?.retryAfterMs ?? 0, reason: error.message }
    }
    render.report('failed', { error })
    return { type: 'failed', error, response }
  }

  #report (source: Source<R>, { reason, old }: Render<View>, times: { queued: number, started: number }, outcome: RenderReport['outcome'], more: { detail?: string, error?: Error } = {}): void {
    source.onSettled?.({
      reason,
      outcome,
      ...more,
      failures: this.#setbacks.failures(source.key),
      hadOld: old !== null,
      durationMs: performance.now() - times.started,
      queuedMs: times.started - times.queued
    })
  }

  /** What the last seconds have taught, so that nothing is tried again at once. */
  #answerFromMemory (key: string, usable: Held<View> | null): Answer<View, R> | null {
    const reason = this.#setbacks.unstorable(key)
    if (reason !== null) return { kind: 'unstorable', reason, response: null }
    const failure = this.#setbacks.failure(key)
    if (failure === null) return null
    if (usable !== null) return { kind: 'held', held: usable, how: 'stale-if-error', isCollapsed: false, hadOld: true }
    return { kind: 'failed', error: failure.error, response: failure.response, retryAfterMs: failure.retryAfterMs }
  }

  /** Null when what was rendered may not be served any more. */
  #answer (landing: Landing<View, R>, { source, old, usable, isLeader }: { source: Source<R>, old: Held<View> | null, usable: Held<View> | null, isLeader: boolean }): Answer<View, R> | null {
    const hadOld = old !== null
    if (landing.type === 'held') {
      if (landing.report === 'left') return null
      const held = this.#tiers.judge(landing.held)
      if (held === null) return null
      if (!held.isMarked) return { kind: 'held', held, how: 'rendered', isCollapsed: !isLeader || landing.report === 'adopted', hadOld }
      // Overtaken by an order: old already, if it may be served at all.
      if (stateAt(held, this.#options.clock()) !== 'stale') return null
      this.regenerate(source, held)
      return { kind: 'held', held, how: 'stale', isCollapsed: !isLeader, hadOld }
    }
    if (landing.type === 'unstorable') {
      return { kind: 'unstorable', reason: landing.reason, response: isLeader ? landing.response : null }
    }
    const { error, response } = landing
    const isServable = usable !== null && this.#tiers.judge(usable) !== null && stateAt(usable, this.#options.clock()) !== 'expired'
    if (isServable) return { kind: 'held', held: usable, how: 'stale-if-error', isCollapsed: !isLeader, hadOld, error }
    return { kind: 'failed', error, response, retryAfterMs: Math.max(BACKOFF_FIRST, this.#setbacks.failure(source.key)?.retryAfterMs ?? 0) }
  }
}

function reasonFor (old: Held<unknown> | null): Reason {
  if (old === null) return 'miss'
  return old.isMarked ? 'revalidate' : 'ttl'
}
