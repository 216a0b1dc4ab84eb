import { bytesOf, type Head } from './head.js'

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
  #heads: Head[] = []
  #bytes = 0

  constructor (mostBytes = MOST_BYTES) {
    this.#mostBytes = mostBytes
  }

  get bytes (): number {
    return this.#bytes
  }

  /** Null: write the two one after the other. */
  of (head: Head, body: Buffer): Buffer | null {
    if (head.whole !== null) return head.whole
    const bytes = head.full.text.length + body.length
    if (bytes > MOST_PER_PAGE || bytes > this.#mostBytes) return null
    if (!head.isAsked) {
      head.isAsked = true
      return null
    }
    if (this.#bytes + bytes > this.#mostBytes) this.#clear()
    head.whole = Buffer.concat([bytesOf(head.full), body], bytes)
    this.#heads.push(head)
    this.#bytes += bytes
    return head.whole
  }

  /** All at once: those that are still wanted are made again, those of seconds that are over are not. */
  #clear (): void {
    for (const head of this.#heads) head.whole = null
    this.#heads = []
    this.#bytes = 0
  }
}
