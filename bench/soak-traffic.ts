// What visitors of bench/soak.ts ask for: mostly pages that are there, some by hook or by crook.
import { LISTED, ORDERS, SECRET, TOPICS } from './soak-app.js'
import type { Asked } from './soak-client.js'
import type { Random } from './simulation/random.js'

export type Manner = 'kept' | 'once' | 'aborted'

export interface Visit extends Asked {
  manner: Manner
}

/** One in so many requests. */
const ORDER = 200
const ONCE = 100
const ABORTED = 250
/** Targets of one request. */
const AT_ONCE = 100

export class Traffic {
  readonly #random: Random
  readonly #keys: number
  /** For names that nobody has asked for yet. */
  #made = 0

  constructor (random: Random, keys: number) {
    this.#random = random
    this.#keys = keys
  }

  next (): Visit {
    const random = this.#random
    if (random.below(ORDER) === 0) return this.#order()
    const manner: Manner = random.below(ABORTED) === 0 ? 'aborted' : random.below(ONCE) === 0 ? 'once' : 'kept'
    return {
      manner,
      method: random.below(30) === 0 ? 'HEAD' : 'GET',
      path: this.#path(),
      headers: `${this.#encoding()}${random.below(200) === 0 ? 'cookie: session=1\r\n' : ''}${manner === 'once' ? 'connection: close\r\n' : ''}`,
      body: ''
    }
  }

  #path (): string {
    const random = this.#random
    const made = this.#made++
    switch (random.below(100)) {
      case 0: return `/items/no-${made}`
      case 1: return `/items/new-${made}`
      case 2: return `/listed/${LISTED + made}`
      case 3: return `/nowhere/${made}`
      case 4: return `/live/${this.#key()}`
      case 5: return `/items/${this.#key()}?utm_source=${made}`
      case 6: case 7: return `/listed/${random.below(LISTED)}`
      default: return `/items/${this.#key()}`
    }
  }

  /** Some are asked for more often than others. */
  #key (): number {
    return Math.floor(this.#keys * this.#random.next() ** 2)
  }

  #encoding (): string {
    const chance = this.#random.below(10)
    return chance < 3 ? 'accept-encoding: gzip, deflate, br\r\n' : chance < 5 ? 'accept-encoding: gzip\r\n' : ''
  }

  #order (): Visit {
    const random = this.#random
    const target = [
      { path: `/items/${this.#key()}` },
      { tag: `item-${this.#key()}` },
      { tag: `topic-${random.below(TOPICS)}` },
      { tag: `of-nobody-${this.#made++}` },
      { prefix: `/items/${this.#key()}` },
      { path: `/items/no-${this.#made}` }
    ][random.below(6)]
    // All at once, but seldom.
    const body = random.below(2000) === 0 ? { revalidate: [{ all: true }] } : { [random.below(2) === 0 ? 'purge' : 'revalidate']: [target] }
    return post(body)
  }

  /** For nobody's tags, both kinds of each. */
  * orders (targets: number): Iterable<Visit> {
    for (let first = 0; first < targets; first += AT_ONCE) {
      const tags = Array.from({ length: Math.min(AT_ONCE, targets - first) }, (_, nth) => ({ tag: `of-nobody-before-${first + nth}` }))
      yield post({ purge: tags })
      yield post({ revalidate: tags })
    }
  }
}

function post (body: object): Visit {
  return { manner: 'kept', method: 'POST', path: ORDERS, headers: `authorization: Bearer ${SECRET}\r\ncontent-type: application/json\r\n`, body: JSON.stringify(body) }
}
