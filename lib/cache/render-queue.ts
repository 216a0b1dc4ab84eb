import { Closing, RenderQueueFull } from '../errors.js'

export type Priority = 'visitor' | 'background'

interface Waiter {
  key: string
  priority: Priority
  start: () => void
  fail: (error: Error) => void
}

/**
 * The slots for rendering. Visitors go before background work, which also
 * never takes the last place in the queue from them.
 */
export class RenderQueue {
  readonly #concurrency: number
  readonly #maxQueue: number
  readonly #waiting: Record<Priority, Waiter[]> = { visitor: [], background: [] }
  #running = 0
  #closed = false
  #idle: (() => void)[] = []

  constructor (concurrency: number, maxQueue: number) {
    this.#concurrency = concurrency
    this.#maxQueue = maxQueue
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
    if (this.#running < this.#concurrency && this.queued === 0) return Promise.resolve(this.#take())
    if (this.queued >= this.#maxQueue && !this.#makeRoom(priority)) return Promise.reject(new RenderQueueFull(key))
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        key,
        priority,
        start: () => {
          signal.removeEventListener('abort', onAbort)
          resolve(this.#take())
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
    })
  }

  /** A visitor waits for a render that was queued for the background. */
  promote (key: string): void {
    const waiter = this.#waiting.background.find(waiter => waiter.key === key)
    if (waiter === undefined) return
    remove(this.#waiting.background, waiter)
    waiter.priority = 'visitor'
    this.#waiting.visitor.push(waiter)
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
    for (const waiter of [...this.#waiting.visitor.splice(0), ...this.#waiting.background.splice(0)]) {
      waiter.fail(new Closing('a queued page'))
    }
    return this.#running === 0 ? Promise.resolve() : new Promise(resolve => this.#idle.push(resolve))
  }

  /** A full queue gives up its newest background render for a visitor. */
  #makeRoom (priority: Priority): boolean {
    if (priority !== 'visitor') return false
    const victim = this.#waiting.background.pop()
    victim?.fail(new RenderQueueFull('a page in the background'))
    return victim !== undefined
  }

  #take (): () => void {
    this.#running++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#running--
      if (this.#running < this.#concurrency) (this.#waiting.visitor.shift() ?? this.#waiting.background.shift())?.start()
      if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }
}

function remove<T> (list: T[], item: T): void {
  const index = list.indexOf(item)
  if (index !== -1) list.splice(index, 1)
}
