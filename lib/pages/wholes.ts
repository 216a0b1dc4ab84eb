import type { Head } from './head.js'

/** What all of them may take, on top of the memory tier. */
const MOST_BYTES = 16 * 1024 * 1024
/** From here on the copy to the socket is what counts, and a second write is not. */
const MOST_PER_PAGE = 1024 * 1024

/**
 * Heads with their bodies in one piece, which is one write instead of two and
 * a sixth of the cost of a hit. They last for the second of their head. Made
 * for pages that are asked for more than once in it, and within bounds: a page
 * that nobody asks for any more must not be held twice.
 */
export class Wholes {
  readonly #mostBytes: number
  /** In the order in which they were made: those whose second is over come first, or nearly so. */
  #heads: Head[] = []
  #first = 0
  #bytes = 0

  constructor (mostBytes = MOST_BYTES) {
    this.#mostBytes = mostBytes
  }

  get bytes (): number {
    return this.#bytes
  }

  /** Null: write the two one after the other. */
  of (head: Head, body: Buffer, now: number): Buffer | null {
    if (head.whole !== null) return head.whole
    const bytes = head.full.text.length + body.length
    if (bytes > MOST_PER_PAGE || bytes > this.#mostBytes) return null
    if (!head.isAsked) {
      head.isAsked = true
      return null
    }
    this.#forget(now)
    if (this.#bytes + bytes > this.#mostBytes) this.#clear()
    // Memory of its own: a slice of Node's pool would keep all of that piece.
    head.whole = Buffer.allocUnsafeSlow(bytes)
    body.copy(head.whole, head.whole.write(head.full.text, 'latin1'))
    this.#heads.push(head)
    this.#bytes += bytes
    return head.whole
  }

  /** Those of seconds that are over. */
  #forget (now: number): void {
    for (let head = this.#heads[this.#first]; head !== undefined && head.until <= now; head = this.#heads[this.#first]) {
      this.#bytes -= head.whole?.length ?? 0
      head.whole = null
      this.#first++
    }
    if (this.#first > this.#heads.length / 2) {
      this.#heads = this.#heads.slice(this.#first)
      this.#first = 0
    }
  }

  /** All at once: those that are still wanted are made again. */
  #clear (): void {
    for (const head of this.#heads) head.whole = null
    this.#heads = []
    this.#first = 0
    this.#bytes = 0
  }
}
