import { Closing, RenderQueueFull } from '../errors.js'

export type Priority = 'visitor' | 'background'

interface Waiter {
  key: string
  priority: Priority
  /** Milliseconds. */
  since: number
  start: () => void
  fail: (error: Error) => void
}

/** Whether this thread has time for what nobody waits for. */
export interface Gate {
  /** It is late with what it has to do already. */
  isBehind (): boolean
  /** Milliseconds after which one render begins all the same: pages must not grow old without end. */
  readonly mostPause: number
}

/** Until it is asked again whether the thread is behind (milliseconds). */
const PAUSE = 20

/**
 * The slots for rendering. Visitors go before background work, which also
 * never takes the last place in the queue from them. With a gate, background
 * renders begin one per turn of the event loop, and none while it is behind.
 */
export class RenderQueue {
  readonly #concurrency: number
  readonly #maxQueue: number
  readonly #waiting: Record<Priority, Waiter[]> = { visitor: [], background: [] }
  readonly #gate: Gate | null
  #running = 0
  #turn: NodeJS.Immediate | null = null
  #pause: NodeJS.Timeout | null = null
  /** When a background render has begun last (milliseconds). */
  #lastStart = 0
  #closed = false
  #idle: (() => void)[] = []

  constructor (concurrency: number, maxQueue: number, gate: Gate | null = null) {
    this.#gate = gate
    this.#concurrency = concurrency
    this.#maxQueue = maxQueue
  }

  /** A background render may wait here. */
  get hasRoom (): boolean {
    return this.queued < this.#most
  }

  /** What may wait: as many as there are slots, at least, for these are not filled at once. */
  get #most (): number {
    return Math.max(this.#maxQueue, this.#concurrency - this.#running)
  }

  get running (): number {
    return this.#running
  }

  get queued (): number {
    return this.#waiting.visitor.length + this.#waiting.background.length
  }

  /**
   * Resolves with a function that gives the slot back.
   *
   * @throws FST_ISR_ERR_RENDER_QUEUE_FULL, FST_ISR_ERR_CLOSING, or the reason of `signal`
   */
  acquire (key: string, priority: Priority, signal: AbortSignal): Promise<() => void> {
    if (this.#closed) return Promise.reject(new Closing(key))
    // Such a signal tells nobody any more.
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    if (this.#running < this.#concurrency && this.#isNext(priority)) return Promise.resolve(this.#take(priority))
    if (!this.hasRoom && !this.#makeRoom(priority)) return Promise.reject(new RenderQueueFull(key))
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        key,
        priority,
        since: performance.now(),
        start: () => {
          signal.removeEventListener('abort', onAbort)
          resolve(this.#take(waiter.priority))
        },
        fail: (error) => {
          signal.removeEventListener('abort', onAbort)
          reject(error)
        }
      }
      const onAbort = (): void => {
        remove(this.#waiting[waiter.priority], waiter)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting[priority].push(waiter)
      this.#nextTurn()
    })
  }

  /** A visitor waits for a render that was queued for the background. */
  promote (key: string): void {
    const waiter = this.#waiting.background.find(waiter => waiter.key === key)
    if (waiter === undefined) return
    remove(this.#waiting.background, waiter)
    waiter.priority = 'visitor'
    this.#waiting.visitor.push(waiter)
    this.#startWaiting()
  }

  /** A running render waits for a queued one: without a slot of its own, or both would wait for ever. */
  startNow (key: string): void {
    for (const priority of ['visitor', 'background'] as const) {
      const waiter = this.#waiting[priority].find(waiter => waiter.key === key)
      if (waiter === undefined) continue
      remove(this.#waiting[priority], waiter)
      waiter.start()
    }
  }

  /** Refuses what waits and what comes; resolves when nothing runs any more. */
  close (): Promise<void> {
    this.#closed = true
    if (this.#turn !== null) clearImmediate(this.#turn)
    if (this.#pause !== null) clearTimeout(this.#pause)
    for (const waiter of [...this.#waiting.visitor.splice(0), ...this.#waiting.background.splice(0)]) {
      waiter.fail(new Closing('a queued page'))
    }
    return this.#running === 0 ? Promise.resolve() : new Promise(resolve => this.#idle.push(resolve))
  }

  #startWaiting (): void {
    while (this.#running < this.#concurrency) {
      const waiter = this.#waiting.visitor.shift() ?? (this.#gate === null ? this.#waiting.background.shift() : undefined)
      if (waiter === undefined) return this.#nextTurn()
      waiter.start()
    }
  }

  /** Whether it may begin without waiting for anything but a slot. */
  #isNext (priority: Priority): boolean {
    if (priority === 'visitor') return this.#waiting.visitor.length === 0
    if (this.queued > 0) return false
    return this.#gate === null || (this.#turn === null && !this.#gate.isBehind())
  }

  /** What waits in the background gets its turn when everybody else had theirs. */
  #nextTurn (): void {
    if (this.#pause !== null || this.#running >= this.#concurrency || this.#waiting.background.length === 0) return
    this.#setTurn()
  }

  #setTurn (): void {
    if (this.#gate === null || this.#turn !== null || this.#closed) return
    this.#turn = setImmediate(() => {
      this.#turn = null
      this.#startOne()
    })
  }

  #startOne (): void {
    const [waiter] = this.#waiting.background
    if (this.#gate === null || waiter === undefined || this.#pause !== null || this.#running >= this.#concurrency) return
    if (this.#gate.isBehind() && performance.now() - Math.max(waiter.since, this.#lastStart) < this.#gate.mostPause) {
      this.#pause = setTimeout(() => {
        this.#pause = null
        this.#startOne()
      }, PAUSE)
      return
    }
    this.#waiting.background.shift()
    waiter.start()
  }

  /** A full queue gives up its newest background render for a visitor. */
  #makeRoom (priority: Priority): boolean {
    if (priority !== 'visitor') return false
    const victim = this.#waiting.background.pop()
    victim?.fail(new RenderQueueFull('a page in the background'))
    return victim !== undefined
  }

  #take (priority: Priority): () => void {
    this.#running++
    if (priority === 'background') {
      this.#lastStart = performance.now()
      this.#setTurn()
    }
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#running--
      this.#startWaiting()
      if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }
}

function remove<T> (list: T[], item: T): void {
  const index = list.indexOf(item)
  if (index !== -1) list.splice(index, 1)
}
