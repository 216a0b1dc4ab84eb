import { performance } from 'node:perf_hooks'
import { syncBuiltinESMExports } from 'node:module'
import promises from 'node:timers/promises'

type Work = () => void

interface Timer {
  readonly at: number
  /** Of two at the same time, the earlier made goes first. */
  readonly order: number
  work: Work | null
}

const nextTurn = setImmediate

/** A timer of virtual time; as much of Node's as is used. */
class VirtualTimeout {
  timer: Timer | null = null

  unref (): this {
    return this
  }

  ref (): this {
    return this
  }
}

/**
 * Time that jumps from event to event. What is ready runs to its end in
 * between, so that hours of a thousand instances take seconds, and a seed
 * tells the whole story.
 */
export class VirtualTime {
  /** Milliseconds. */
  now: number
  readonly #heap: Timer[] = []
  #made = 0

  constructor (now: number) {
    this.now = now
  }

  /** Fractions of a millisecond count: a network is faster than timers. */
  at (time: number, work: Work): Timer {
    const timer: Timer = { at: Math.max(time, this.now), order: this.#made++, work }
    this.#push(timer)
    return timer
  }

  after (ms: number, work: Work): Timer {
    return this.at(this.now + ms, work)
  }

  /** Runs what happens up to a time, and then is that time. */
  async until (time: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const step = (): void => {
        try {
          const next = this.#pop(time)
          if (next === null) {
            this.now = time
            resolve()
            return
          }
          this.now = next.at
          next.work?.()
        } catch (error) {
          reject(error as Error)
          return
        }
        nextTurn(step)
      }
      nextTurn(step)
    })
  }

  /** Puts itself in the place of this process's timers, for good. */
  install (): void {
    const wait = (ms: number, work: Work, repeat: boolean): VirtualTimeout => {
      const timeout = new VirtualTimeout()
      const arm = (): void => {
        timeout.timer = this.after(Math.max(1, ms), () => {
          if (repeat) arm()
          work()
        })
      }
      arm()
      return timeout
    }
    const clear = (timeout: unknown): void => {
      if (timeout instanceof VirtualTimeout && timeout.timer !== null) timeout.timer.work = null
    }
    Object.assign(globalThis, {
      setTimeout: (work: (...args: unknown[]) => void, ms = 1, ...args: unknown[]) => wait(ms, () => { work(...args) }, false),
      setInterval: (work: (...args: unknown[]) => void, ms = 1, ...args: unknown[]) => wait(ms, () => { work(...args) }, true),
      clearTimeout: clear,
      clearInterval: clear
    })
    const delay = <T>(ms: number, value: T, { signal }: { signal?: AbortSignal } = {}): Promise<T> => new Promise((resolve, reject) => {
      const timeout = wait(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve(value)
      }, false)
      const onAbort = (): void => {
        clear(timeout)
        reject(signal?.reason as Error)
      }
      if (signal?.aborted === true) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })
    })
    Object.assign(promises, { setTimeout: delay })
    Object.defineProperty(performance, 'now', { value: () => this.now, configurable: true })
    syncBuiltinESMExports()
  }

  #push (timer: Timer): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(timer)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const other = heap[parent] as Timer
      if (!isBefore(timer, other)) break
      heap[at] = other
      at = parent
    }
    heap[at] = timer
  }

  /** The next one that was not cleared. */
  #pop (until: number): Timer | null {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || first.at > until) return null
      const last = this.#heap.pop() as Timer
      if (last !== first) this.#sink(last)
      if (first.work !== null) return first
    }
  }

  #sink (timer: Timer): void {
    const heap = this.#heap
    const { length } = heap
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1] as Timer, heap[child] as Timer)) child++
      const other = heap[child] as Timer
      if (!isBefore(other, timer)) break
      heap[at] = other
      at = child
    }
    heap[at] = timer
  }
}

function isBefore (a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
