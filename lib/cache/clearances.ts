import type { Coordinator, Lease, LeaseEnd, Moment, Turn } from '../cluster/coordinator.js'
import { Closing, RenderFailedElsewhere } from '../errors.js'
import { isNewer, stateAt } from './entry.js'
import type { Flight, Landing } from './flights.js'
import type { RenderQueue } from './render-queue.js'
import type { Setbacks } from './setbacks.js'
import type { Held, Source } from './source.js'
import type { Tiers } from './tiers.js'

/** The right to render now. */
export interface Clearance {
  readonly type: 'cleared'
  readonly start: Moment
  /** How often it has failed in a row, wherever. */
  readonly failures: number
  readonly lease: Lease | null
  /** Frees its slot. */
  release (): void
}

export interface ClearancesOptions<View, R> {
  tiers: Tiers<View>
  setbacks: Setbacks<R>
  coordinator: Coordinator
  queue: RenderQueue
  clock: () => number
}

/** What a render waits with. */
interface Waiting<View> {
  /** What stands. */
  readonly old: Held<View> | null
  /** Within a render there is no second slot to wait for. */
  readonly isInside: boolean
  /** Aborts at the deadline of the render. */
  readonly signal: AbortSignal
}

/** How long a look into the shared tier holds (milliseconds): for longer, Redis does not know who has rendered what. */
const RECONCILED_FOR = 10_000
export const NOTHING: LeaseEnd = Object.freeze({ kind: 'nothing' })

/** Who may render: one per key, here and elsewhere, as long as there are slots, and only what nobody else has rendered by then. */
export class Clearances<View, R> {
  readonly #options: ClearancesOptions<View, R>
  readonly #closing = new AbortController()
  /** Leases that are given back. */
  readonly #ending = new Set<Promise<void>>()

  constructor (options: ClearancesOptions<View, R>) {
    this.#options = options
  }

  get isClosing (): boolean {
    return this.#closing.signal.aborted
  }

  /** No more of them; who waits for another instance stops waiting. */
  close (): void {
    this.#closing.abort()
  }

  /** Resolves when every lease has been given back. */
  async ended (): Promise<void> {
    await Promise.all(this.#ending)
  }

  /** Behind: nobody here waits for what others are to know. */
  giveBack (lease: Lease, end: LeaseEnd | Promise<LeaseEnd>): void {
    const ending = Promise.resolve(end).then(async end => { await lease.release(end) }).finally(() => { this.#ending.delete(ending) })
    this.#ending.add(ending)
  }

  /** Waits for a slot and for its turn, unless somebody else has rendered it by then. */
  async wait (flight: Flight<View, R>, source: Source<R>, waiting: Waiting<View>): Promise<Clearance | Landing<View, R>> {
    const beganAt = performance.now()
    for (let isSure = false; ;) {
      const release = await this.#slot(flight, source, waiting)
      try {
        const found = this.#standing(flight, source) ?? await this.#sibling(flight, source, waiting)
        if (found !== null) return adopted(found)
        const turn = await this.#turn(flight, source, waiting, isSure)
        if (turn.kind === 'granted') {
          const isReconciled = isSure || flight.isForced || (flight.isReconciled && performance.now() - beganAt < RECONCILED_FOR)
          return await this.#begin(flight, source, waiting, { turn, isReconciled, release })
        }
        // Somebody else may use it, for as long as this one waits for another instance.
        release()
        const left = await this.#leave(flight, source, waiting, turn)
        if (left !== null) return left
        const newer = await this.#options.tiers.reconcile(source.key)
        if (!flight.isForced && this.#isUsable(newer, waiting.old)) return adopted(newer)
        // What is said to be there can't be used.
        if (turn.kind === 'done') isSure = true
      } finally {
        if (flight.start === null) release()
      }
    }
  }

  async #slot ({ alone, priority, isUrgent }: Flight<View, R>, { key, limits }: Source<R>, { isInside, signal }: Waiting<View>): Promise<() => void> {
    const isNeeded = limits === undefined && !isInside && !isUrgent
    let free: (() => void) | null = isNeeded ? await (alone?.queue ?? this.#options.queue).acquire(key, priority, signal) : null
    const release = (): void => {
      free?.()
      free = null
    }
    try {
      if (limits === undefined && this.isClosing) throw new Closing(key)
      // What stands may have taken long to load.
      signal.throwIfAborted()
    } catch (error) {
      release()
      throw error
    }
    return release
  }

  /** Looked at again: somebody may have rendered it while this one waited. */
  #standing (flight: Flight<View, R>, { key }: Source<R>): Held<View> | null {
    const held = flight.isForced ? undefined : this.#options.tiers.memory.peek(key)
    return held !== undefined && stateAt(held, this.#options.clock()) === 'fresh' ? held : null
  }

  /** What another process has put on the same disk; with Redis, that says so itself. */
  async #sibling ({ alone, isForced }: Flight<View, R>, { key, isPersistent }: Source<R>, { old, signal }: Waiting<View>): Promise<Held<View> | null> {
    const { tiers } = this.#options
    if (alone !== null || isForced || isPersistent === false || tiers.isShared || tiers.disk === null) return null
    const held = await tiers.newer(key, old?.entry ?? null)
    signal.throwIfAborted()
    return this.#isUsable(held, old) ? held : null
  }

  #turn ({ alone, isForced }: Flight<View, R>, { key, tags }: Source<R>, { old }: Waiting<View>, isSure: boolean): Turn | Promise<Turn> {
    const { coordinator, tiers } = this.#options
    if (alone !== null) return { kind: 'granted', start: coordinator.now(), failures: 0, lease: null }
    const marked = tiers.marks.newest(old === null ? tags : [...tags, ...old.entry.tags])
    return coordinator.turn({ key, buildId: tiers.buildId, known: old?.entry ?? null, marked, isForced: isForced || isSure })
  }

  /** It is this one's turn: unless what is looked for has come in between. */
  async #begin (flight: Flight<View, R>, { key }: Source<R>, { old, signal }: Waiting<View>, { turn: { start, failures, lease }, isReconciled, release }: { turn: Extract<Turn, { kind: 'granted' }>, isReconciled: boolean, release: () => void }): Promise<Clearance | Landing<View, R>> {
    let end = NOTHING
    try {
      const newer = lease === null || isReconciled ? null : await this.#options.tiers.reconcile(key)
      signal.throwIfAborted()
      if (!this.#isUsable(newer, old)) {
        flight.start = start
        return { type: 'cleared', start, failures, lease, release }
      }
      // Others may have missed it, too.
      end = { kind: 'stored', version: newer.entry }
      return adopted(newer)
    } finally {
      if (flight.start === null && lease !== null) this.giveBack(lease, end)
    }
  }

  /** It is another instance's turn. Null: it is waited for, and over. */
  async #leave (flight: Flight<View, R>, { key, tags }: Source<R>, { old, signal }: Waiting<View>, turn: Exclude<Turn, { kind: 'granted' }>): Promise<Landing<View, R> | null> {
    const { setbacks, coordinator, tiers } = this.#options
    if (turn.kind === 'failed') {
      const error = new RenderFailedElsewhere(key, turn.reason)
      setbacks.noteFailureElsewhere(key, tags, { count: turn.failures, error, forMs: turn.retryAfterMs })
      return { type: 'failed', error, response: null }
    }
    if (turn.kind === 'done') return null
    if (flight.priority === 'background' && !flight.isForced && old !== null) {
      setbacks.noteElsewhere(key, tags, turn.retryAfterMs)
      return { type: 'held', held: old, report: 'left' }
    }
    if (this.isClosing) throw new Closing(key)
    await coordinator.ended(key, tiers.buildId, turn.retryAfterMs, AbortSignal.any([signal, this.#closing.signal]))
    return null
  }

  /** Somebody else's page is as good as one rendered now. */
  #isUsable (held: Held<View> | null, old: Held<View> | null): held is Held<View> {
    if (held === null || held.isMarked) return false
    const state = stateAt(held, this.#options.clock())
    return state === 'fresh' || (state === 'stale' && (old === null || isNewer(held.entry, old.entry)))
  }
}

function adopted<View> (held: Held<View>): { type: 'held', held: Held<View>, report: 'adopted' } {
  return { type: 'held', held, report: 'adopted' }
}
