/** Failures in a row that are taken for an outage. */
const MOST_FAILURES = 2
/** Milliseconds. */
const WINDOW_FIRST = 1000
const WINDOW_MOST = 5000

/** What a call that was let through is judged by later. */
export type Pass = number

/**
 * Keeps callers from waiting for somebody who does not answer: after failures
 * in a row nobody is let through for a while, then one call to find out.
 */
export class Breaker {
  readonly #clock: () => number
  readonly #random: () => number
  #state: 'closed' | 'open' | 'probing' = 'closed'
  #failures = 0
  #window = WINDOW_FIRST
  #opensUntil = 0
  /** Changes with the state: calls of another state prove nothing. */
  #pass: Pass = 0

  constructor (clock: () => number, random: () => number) {
    this.#clock = clock
    this.#random = random
  }

  get isClosed (): boolean {
    return this.#state === 'closed'
  }

  /** Null: not now. Whoever gets a pass says how it ended. */
  enter (): Pass | null {
    if (this.#state === 'open' && this.#clock() >= this.#opensUntil) this.#become('probing')
    else if (this.#state !== 'closed') return null
    return this.#pass
  }

  /** Returns whether everybody is let through again by this. */
  succeed (pass: Pass): boolean {
    if (pass !== this.#pass) return false
    this.#failures = 0
    if (this.#state === 'closed') return false
    this.#window = WINDOW_FIRST
    this.#become('closed')
    return true
  }

  /** Returns whether nobody is let through any more by this. */
  fail (pass: Pass = this.#pass): boolean {
    if (pass !== this.#pass || this.#state === 'open') return false
    this.#failures++
    if (this.#state === 'closed' && this.#failures < MOST_FAILURES) return false
    // Half of the window is jitter, so that instances don't probe together.
    this.#opensUntil = this.#clock() + this.#window * (0.5 + this.#random() / 2)
    this.#window = Math.min(WINDOW_MOST, this.#window * 2)
    this.#become('open')
    return true
  }

  #become (state: 'closed' | 'open' | 'probing'): void {
    this.#state = state
    this.#pass++
  }
}
