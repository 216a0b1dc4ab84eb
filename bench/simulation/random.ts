/** Numbers that a seed decides. */
export class Random {
  #state: number

  constructor (seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 up to, but not, 1. */
  readonly next = (): number => {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below (limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** From one event of a Poisson process to the next. */
  untilNext (perSecond: number): number {
    return perSecond === 0 ? Infinity : -Math.log(1 - this.next()) * 1000 / perSecond
  }
}
