import { Remembered } from './remembered.js'

/** Back-off after failures (milliseconds). */
export const BACKOFF_FIRST = 1000
export const BACKOFF_MOST = 30_000
/** How long the requests after an unstorable answer go live at once (milliseconds). */
const UNSTORABLE_FOR = 10_000
/** Answers kept for those who come during a back-off, and their bytes together; of older failures only the error is. */
const MOST_RESPONSES = 100
const MOST_RESPONSE_BYTES = 4 * 1024 * 1024
/** Of an error, one of another: those of somebody's own may go in a circle. */
const MOST_CAUSES = 10

export interface Failure<R> {
  /** In a row. */
  readonly count: number
  readonly error: Error
  readonly response: R | null
  /** Milliseconds until the next try. */
  readonly retryAfterMs: number
}

interface Noted<R> {
  count: number
  error: Error
  response: R | null
  bytes: number
}

/**
 * What went wrong with a key in the last seconds, so that nobody tries the
 * same again at once: renders that failed, answers that may not be stored.
 */
export class Setbacks<R> {
  readonly #clock: () => number
  readonly #failed = new Remembered<Noted<R>>()
  readonly #unstorable = new Remembered<string>()
  /** Rendered by another instance at the moment. */
  readonly #elsewhere = new Remembered<null>()
  /** The failures whose answers are kept, oldest first. */
  readonly #answered: Noted<R>[] = []
  #bytes = 0

  constructor (clock: () => number) {
    this.#clock = clock
  }

  /** A failure whose back-off is not over. */
  failure (key: string): Failure<R> | null {
    const noted = this.#failed.get(key)
    if (noted === undefined || noted.until <= this.#clock()) return null
    return { ...noted.value, retryAfterMs: noted.until - this.#clock() }
  }

  /** How often it has failed in a row, however long ago. */
  failures (key: string): number {
    return this.#failed.get(key)?.value.count ?? 0
  }

  /** Why the last answer may not be stored, while it is not worth another try. */
  unstorable (key: string): string | null {
    const noted = this.#unstorable.get(key)
    return noted !== undefined && noted.until > this.#clock() ? noted.value : null
  }

  /** Another instance renders it at the moment. */
  isElsewhere (key: string): boolean {
    const noted = this.#elsewhere.get(key)
    return noted !== undefined && noted.until > this.#clock()
  }

  noteElsewhere (key: string, tags: readonly string[], forMs: number): void {
    this.#elsewhere.set(key, { until: this.#clock() + forMs, tags, value: null })
  }

  /** Exponential, with jitter; at most the first step for a page that somebody wants new. `before`: failures that others have seen. */
  noteFailure (key: string, tags: readonly string[], { error, response, bytes, isMarked, before }: { error: Error, response: R | null, bytes: number, isMarked: boolean, before: number }): void {
    const count = Math.max(before, this.failures(key)) + 1
    const step = Math.min(isMarked ? BACKOFF_FIRST : BACKOFF_MOST, BACKOFF_FIRST * 2 ** Math.min(count - 1, 10))
    // Half of the step is jitter, so that instances don't probe together.
    this.#note(key, tags, step * (0.5 + Math.random() / 2), { count, error, response, bytes })
  }

  /** Another instance has tried in vain. */
  noteFailureElsewhere (key: string, tags: readonly string[], { count, error, forMs }: { count: number, error: Error, forMs: number }): void {
    this.#note(key, tags, forMs, { count, error, response: null, bytes: 0 })
  }

  #note (key: string, tags: readonly string[], forMs: number, noted: Noted<R>): void {
    const { bytes, error } = noted
    letGo(error)
    this.#failed.set(key, { until: this.#clock() + forMs, tags, value: noted })
    this.#answered.push(noted)
    this.#bytes += bytes
    while (this.#answered.length > MOST_RESPONSES || this.#bytes > MOST_RESPONSE_BYTES) {
      const oldest = this.#answered.shift()
      if (oldest === undefined) break
      oldest.response = null
      this.#bytes -= oldest.bytes
    }
  }

  noteUnstorable (key: string, tags: readonly string[], reason: string): void {
    this.#failed.delete(key)
    this.#unstorable.set(key, { until: this.#clock() + UNSTORABLE_FOR, tags, value: reason })
  }

  forgive (key: string): void {
    this.#failed.delete(key)
    this.#unstorable.delete(key)
    this.#elsewhere.delete(key)
  }

  /** A mark wants everything with this tag new: worth a try at once. */
  forgiveTagged (tag: string): void {
    this.#failed.deleteTagged(tag)
    this.#unstorable.deleteTagged(tag)
    this.#elsewhere.deleteTagged(tag)
  }

  clear (): void {
    this.#failed.clear()
    this.#unstorable.clear()
    this.#elsewhere.clear()
  }
}

/**
 * Until somebody reads its stack, an error holds the functions that were
 * called, and with them all that the render was made with.
 */
function letGo (error: unknown): void {
  for (let one = error, depth = 0; one instanceof Error && depth < MOST_CAUSES; one = one.cause, depth++) String(one.stack)
}
