interface Item<T> {
  until: number
  tags: readonly string[]
  value: T
}

/** Characters of keys and tags together: whoever makes up long paths gains nothing by it. */
const MOST_LENGTH = 4 * 1024 * 1024

/**
 * Short-lived notes by key (back-off, uncacheable markers), bounded, and gone
 * as soon as a mark concerns their key.
 */
export class Remembered<T> {
  readonly #capacity: number
  /** Least recently used first. */
  readonly #items = new Map<string, Item<T>>()
  #length = 0

  constructor (capacity = 10_000) {
    this.#capacity = capacity
  }

  get (key: string): Item<T> | undefined {
    const item = this.#items.get(key)
    if (item !== undefined) this.set(key, item)
    return item
  }

  set (key: string, item: Item<T>): void {
    this.delete(key)
    this.#items.set(key, item)
    this.#length += lengthOf(key, item)
    while (this.#items.size > this.#capacity || this.#length > MOST_LENGTH) {
      const [oldest] = this.#items.keys()
      if (oldest === undefined) return
      this.delete(oldest)
    }
  }

  delete (key: string): void {
    const item = this.#items.get(key)
    if (item === undefined) return
    this.#items.delete(key)
    this.#length -= lengthOf(key, item)
  }

  deleteTagged (tag: string): void {
    for (const [key, item] of this.#items) {
      if (item.tags.includes(tag)) this.delete(key)
    }
  }

  clear (): void {
    this.#items.clear()
    this.#length = 0
  }
}

function lengthOf (key: string, { tags }: Item<unknown>): number {
  return tags.reduce((length, tag) => length + tag.length, key.length)
}
