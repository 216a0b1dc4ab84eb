import { orAbort } from '../cache/or-abort.js'
import type { Asker } from './render-thread.js'

/** Who asks for which datum at the moment: any of them can fetch it. */
export class Askers {
  readonly #asking = new Map<string, Set<Asker>>()
  /** Told of the next who asks. */
  readonly #waiting = new Map<string, (asker: Asker) => void>()

  /** While the work goes on, `asker` is one of them. */
  async during<T> (key: string, asker: Asker, work: () => Promise<T>): Promise<T> {
    const askers = this.#asking.get(key) ?? new Set()
    askers.add(asker)
    this.#asking.set(key, askers)
    this.#waiting.get(key)?.(asker)
    try {
      return await work()
    } finally {
      askers.delete(asker)
      if (askers.size === 0) this.#asking.delete(key)
    }
  }

  /** One whose thread is there. */
  other (key: string): Asker | undefined {
    return [...this.#asking.get(key) ?? []].find(asker => asker.isAlive)
  }

  /** Who asks next. There is one fetch per key, so one at most waits for that. */
  async next (key: string, signal: AbortSignal): Promise<Asker> {
    try {
      return await orAbort(new Promise<Asker>(resolve => { this.#waiting.set(key, resolve) }), signal)
    } finally {
      this.#waiting.delete(key)
    }
  }
}
