/** What was published that much of a heartbeat ago must have been heard. */
const LATE = 0.5

/**
 * Whether an instance hears what is published: a connection whose other end is
 * gone says nothing, not even that. So each instance publishes beats to itself.
 */
export class Hearing {
  readonly #late: number
  #last = 0
  #heard = 0
  /** Beats that were published and not heard, the earliest first, and since when. */
  #unheard: { beat: number, since: number }[] = []

  /** `heartbeat`: milliseconds. */
  constructor (heartbeat: number) {
    this.#late = heartbeat * LATE
  }

  /** The number of the next beat. */
  next (): number {
    return ++this.#last
  }

  /** Begins anew: with another connection. */
  reset (): void {
    this.#unheard = []
  }

  /** Anybody may have published it: only numbers that were given count. */
  hear (beat: number): void {
    if (beat > this.#heard && beat <= this.#last) this.#heard = beat
    this.#unheard = this.#unheard.filter(({ beat }) => beat > this.#heard)
  }

  /** Redis has published a beat; tells whether an earlier one should have been heard by now. */
  isLost (beat: number): boolean {
    const now = performance.now()
    if (beat > this.#heard) this.#unheard.push({ beat, since: now })
    const [earliest] = this.#unheard
    return earliest !== undefined && now - earliest.since >= this.#late
  }
}
