import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import type { Moment } from '../cluster/coordinator.js'
import { RenderCycle } from '../errors.js'
import type { Entry } from './entry.js'
import type { Priority, RenderQueue } from './render-queue.js'
import type { Held } from './source.js'
import { noteTag, noteUse, nothingUsed, type Used } from './used.js'

/** A render for one caller, which keeps the result, if anybody does. */
export interface Alone {
  /** Slots of its own, so that a build and the visitors don't wait for each other. */
  queue?: RenderQueue
  /** What equal bytes renew. */
  old?: Entry | null
  /** The build that the entry belongs to. */
  buildId?: string
}

/** One render under way, or waiting for the one before it. */
export interface Flight<View, R> {
  readonly key: string
  /** Null until the render starts; marks at or below it are known to the render. */
  start: Moment | null
  readonly promise: Promise<Landing<View, R>>
  /** The render that caused this one by a request of its own. */
  readonly parent: Flight<View, R> | null
  /** Keys whose renders this one waits for. */
  readonly waitsFor: Set<string>
  readonly used: Used
  /** Somebody wants a render that begins now, whatever stands. */
  isForced: boolean
  /** The shared tier was asked for what this is to render. */
  isReconciled: boolean
  /** A visitor who joins makes it his. */
  priority: Priority
  /** A running render waits for it: it must not wait for a slot. */
  isUrgent: boolean
  /** What it left behind (a timer, a connection that is kept) may still run in its context. */
  hasLanded: boolean
  /** Set for a render that one caller wants for itself: nothing of it is stored or remembered. */
  readonly alone: Alone | null
}

export type Landing<View, R> =
  /** `adopted`: somebody else has rendered it. `left`: another instance renders it, and this is what stood before. */
  | { type: 'held', held: Held<View>, report: 'stored' | 'renewed' | 'adopted' | 'left' }
  | { type: 'unstorable', reason: string, response: R }
  | { type: 'failed', error: Error, response: R | null }

type Fly<View, R> = (flight: Flight<View, R>) => Promise<Landing<View, R>>
export type FlightPlan = Pick<Flight<unknown, unknown>, 'isForced' | 'priority' | 'isReconciled'>

/** Single-flight: at most one render at a time per key, whoever waits for it; and no render that waits for itself. */
export class Flights<View, R> {
  readonly #queue: RenderQueue
  /** Per key the running render and, if that one is too old for somebody, the next. */
  readonly #flights = new Map<string, Flight<View, R>[]>()
  /** Renders whose code runs. */
  #running = 0
  /** The render that the running code belongs to. */
  readonly #inside = new AsyncLocalStorage<Flight<View, R> | undefined>()
  /** Renders run in this context, so that no visitor's asynchronous context reaches one. */
  readonly #anonymous = new AsyncResource('fastify-isr')

  constructor (queue: RenderQueue) {
    this.#queue = queue
  }

  /** Whether the running code is a render. */
  get isInside (): boolean {
    return this.#current() !== undefined
  }

  /** The newest flight of a key that has not begun yet, or that fits. */
  find (key: string, fits: (start: Moment) => boolean): Flight<View, R> | undefined {
    return this.#flights.get(key)?.findLast(flight => flight.start === null || fits(flight.start))
  }

  /** A new flight, which starts when those of its key before it have landed. */
  start (key: string, plan: FlightPlan, fly: Fly<View, R>): Flight<View, R> {
    const before = this.#flights.get(key) ?? []
    let land!: (landing: Promise<Landing<View, R>>) => void
    const flight = this.#make(key, new Promise(resolve => { land = resolve }), { ...plan, alone: null })
    this.#flights.set(key, [...before, flight])
    const takeOff = async (): Promise<Landing<View, R>> => {
      try {
        await before.at(-1)?.promise
        return await fly(flight)
      } finally {
        flight.hasLanded = true
        const left = (this.#flights.get(key) ?? []).filter(other => other !== flight)
        if (left.length === 0) this.#flights.delete(key)
        else this.#flights.set(key, left)
      }
    }
    land(takeOff())
    return flight
  }

  /** A flight that belongs to nobody: not to the render that caused it, either. */
  startBehind (key: string, plan: FlightPlan, fly: Fly<View, R>): void {
    this.#inside.run(undefined, () => { this.start(key, plan, fly) })
    this.#rest()
  }

  /** A new flight that nobody can join. */
  async flyAlone (key: string, alone: Alone, fly: Fly<View, R>): Promise<Landing<View, R>> {
    const ancestors = this.#ancestors()
    if (ancestors.includes(key)) {
      const circle = [...ancestors.slice(0, ancestors.indexOf(key) + 1).reverse(), key]
      return { type: 'failed', error: new RenderCycle(circle.join(' → ')), response: null }
    }
    const flight = this.#make(key, new Promise(() => {}), { isForced: true, isReconciled: true, priority: 'visitor', alone })
    try {
      return await fly(flight)
    } finally {
      flight.hasLanded = true
    }
  }

  join (flight: Flight<View, R>, { isForced, priority }: FlightPlan): void {
    flight.isForced ||= isForced
    if (priority !== 'visitor') return
    flight.priority = priority
    this.#queue.promote(flight.key)
  }

  /** Why the running render, if there is one, must not wait for a key: that one waits for it. */
  circle (key: string): Error | null {
    const inside = this.#current()
    if (inside === undefined) return null
    const circle = this.#way(key, inside.key, new Set())
    return circle === null ? null : new RenderCycle([inside.key, ...circle].join(' → '))
  }

  /** Waits for a flight of which `circle` has nothing to say. */
  async land (flight: Flight<View, R>): Promise<Landing<View, R>> {
    const inside = this.#current()
    if (inside === undefined) return await flight.promise
    // Those before it as well: it begins when they have landed.
    for (const other of this.#flights.get(flight.key) ?? []) other.isUrgent = true
    this.#queue.startNow(flight.key)
    inside.waitsFor.add(flight.key)
    try {
      return await flight.promise
    } finally {
      inside.waitsFor.delete(flight.key)
    }
  }

  /** Notes that the running render, if the code is one, depends on an entry. */
  use ({ entry, freshUntil }: Pick<Held<unknown>, 'entry' | 'freshUntil'>): void {
    // On the way of every hit: no context is looked for while nothing is rendered.
    if (this.#running === 0) return
    const flight = this.#current()
    if (flight !== undefined) noteUse(flight.used, entry, freshUntil, flight.start)
  }

  /** Notes that the running render had to do without something: orders for that concern it, too. */
  miss (tags: readonly string[], { epoch }: Moment): void {
    const used = this.#current()?.used
    if (used !== undefined) for (const tag of tags) noteTag(used, tag, epoch)
  }

  /** Resolves when nothing flies any more. */
  async idle (): Promise<void> {
    await Promise.all([...this.#flights.values()].flat().map(flight => flight.promise))
  }

  /** Runs the code of a render: inside its flight, outside of everything else. */
  run<T> (flight: Flight<View, R>, code: () => Promise<T>): Promise<T> {
    const end = (): void => {
      this.#running--
      this.#rest()
    }
    this.#running++
    const work = this.#anonymous.runInAsyncScope(() => this.#inside.run(flight, code))
    work.then(end, end)
    return work
  }

  /** Node asks every storage that was used at each promise and callback, hits included, until it is told that nobody needs it. */
  #rest (): void {
    if (this.#running === 0) this.#inside.disable()
  }

  #make (key: string, promise: Flight<View, R>['promise'], more: FlightPlan & { alone: Alone | null }): Flight<View, R> {
    return { key, start: null, promise, parent: this.#current() ?? null, hasLanded: false, waitsFor: new Set(), used: nothingUsed(), isUrgent: false, ...more }
  }

  #current (): Flight<View, R> | undefined {
    const flight = this.#inside.getStore()
    return flight?.hasLanded === true ? undefined : flight
  }

  /** The way from one render to another along the renders that wait, or null. */
  #way (from: string, to: string, seen: Set<string>): string[] | null {
    if (from === to) return [from]
    if (seen.has(from)) return null
    seen.add(from)
    for (const flight of this.#flights.get(from) ?? []) {
      for (const next of flight.waitsFor) {
        const rest = this.#way(next, to, seen)
        if (rest !== null) return [from, ...rest]
      }
    }
    return null
  }

  /** Keys of the renders that the running code belongs to, innermost first. */
  #ancestors (): string[] {
    const keys: string[] = []
    for (let flight = this.#current() ?? null; flight !== null; flight = flight.parent) keys.push(flight.key)
    return keys
  }
}
