/** Beyond it the clocks of two machines differ, not the ways to Redis (milliseconds). */
const MOST_NOISE = 20

/** The time that all instances tell ages by: that of Redis, as this machine's clock shows it. */
export class ClusterClock {
  readonly #clock: () => number
  #offset = 0
  #isKnown = false

  /** `clock`: milliseconds of this machine. */
  constructor (clock: () => number) {
    this.#clock = clock
  }

  now (): number {
    return this.#clock() + this.#offset
  }

  /** Redis said `time` between two moments of this machine. A clock that a test has made is not corrected as it moves. */
  measure (time: number, before: number, after: number): void {
    if (this.#isKnown && this.#clock !== Date.now) return
    this.#isKnown = true
    const offset = time - (before + after) / 2
    const noise = (after - before) / 2 + MOST_NOISE
    if (Math.abs(offset - this.#offset) > noise) this.#offset = Math.abs(offset) > noise ? Math.round(offset) : 0
  }
}
