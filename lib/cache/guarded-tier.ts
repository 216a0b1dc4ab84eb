import type { IsrTier, IsrTierRecord, IsrTierVersion } from '../../types/index.js'
import { TierUnavailable } from '../errors.js'

export interface GuardedTierOptions {
  /** Milliseconds; a visitor may be waiting. */
  readTimeout?: number
  /** Milliseconds; nobody waits. */
  writeTimeout?: number
  clock?: () => number
  random?: () => number
}

/** Failures in a row that are taken for an outage. */
const MOST_FAILURES = 3
/** Milliseconds. */
const REST_FIRST = 1000
const REST_MOST = 30_000

/**
 * Somebody else's tier, kept from doing harm: it answers in time or is left
 * alone for a while, and what it answers is of the right kind.
 */
export class GuardedTier implements IsrTier {
  readonly name: string
  readonly #tier: IsrTier
  readonly #options: Required<GuardedTierOptions>
  #failures = 0
  #rest = REST_FIRST
  #restsUntil = -Infinity
  /** Outages: what began before the last one proves no further one. */
  #outages = 0

  constructor (tier: IsrTier, { readTimeout = 2000, writeTimeout = 10_000, clock = () => performance.now(), random = Math.random }: GuardedTierOptions = {}) {
    this.name = tier.name
    this.#tier = tier
    this.#options = { readTimeout, writeTimeout, clock, random }
  }

  get isUp (): boolean {
    return this.#tier.isUp !== false && this.#options.clock() >= this.#restsUntil
  }

  async get (name: string, options: { maxBytes: number }): Promise<Buffer | null> {
    return await this.#ask(this.#options.readTimeout, async () => {
      const bytes: unknown = await this.#tier.get(name, options)
      if (bytes === null || bytes === undefined || Buffer.isBuffer(bytes)) return bytes ?? null
      if (bytes instanceof Uint8Array) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      throw new TypeError(`get() of the tier '${this.name}' must resolve with a Buffer or null`)
    })
  }

  async set (name: string, record: IsrTierRecord): Promise<boolean> {
    return await this.#ask(this.#options.writeTimeout, async () => this.#check('set', await this.#tier.set(name, record)))
  }

  async delete (name: string, version: IsrTierVersion): Promise<boolean> {
    return await this.#ask(this.#options.writeTimeout, async () => this.#check('delete', await this.#tier.delete(name, version)))
  }

  async close (): Promise<void> {
    await this.#inTime(this.#options.writeTimeout, async () => { await this.#tier.close?.() })
  }

  async #ask<T> (timeout: number, work: () => Promise<T>): Promise<T> {
    if (!this.isUp) throw new TierUnavailable(this.name, 'it failed lately')
    // After an outage one finds out for all.
    if (this.#failures >= MOST_FAILURES) this.#restsUntil = this.#options.clock() + timeout
    const outages = this.#outages
    try {
      const result = await this.#inTime(timeout, work)
      this.#failures = 0
      this.#rest = REST_FIRST
      this.#restsUntil = -Infinity
      return result
    } catch (error) {
      if (outages === this.#outages) this.#fail()
      throw error
    }
  }

  #fail (): void {
    if (++this.#failures < MOST_FAILURES) return
    this.#outages++
    // Half of it is jitter, so that instances don't come back together.
    this.#restsUntil = this.#options.clock() + this.#rest * (0.5 + this.#options.random() / 2)
    this.#rest = Math.min(REST_MOST, this.#rest * 2)
  }

  async #inTime<T> (timeout: number, work: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => { reject(new TierUnavailable(this.name, `no answer within ${timeout} ms`)) }, timeout)
    })
    try {
      return await Promise.race([work(), late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** `undefined` would be taken for "something newer is there". */
  #check (method: string, answer: unknown): boolean {
    if (typeof answer === 'boolean') return answer
    throw new TypeError(`${method}() of the tier '${this.name}' must resolve with true or false`)
  }
}
