interface Item<T> {
  until: number
  tags: readonly string[]
  value: T
}

/**
 * Short-lived notes by key (back-off, uncacheable markers), bounded, and gone
 * as soon as a mark concerns their key.
 */
export class Remembered<T> {
  readonly #capacity: number
  /** Least recently used first. */
  readonly #items = new Map<string, Item<T>>()

  constructor (capacity = 10_000) {
    this.#capacity = capacity
  }

  get (key: string): Item<T> | undefined {
    const item = this.#items.get(key)
    if (item !== undefined) this.set(key, item)
    return item
  }

  set (key: string, item: Item<T>): void {
    this.#items.delete(key)
    this.#items.set(key, item)
    if (this.#items.size <= this.#capacity) return
    const [oldest] = this.#items.keys()
    if (oldest !== undefined) this.#items.delete(oldest)
  }

  delete (key: string): void {
    this.#items.delete(key)
  }

  deleteTagged (tag: string): void {
    for (const [key, item] of this.#items) {
      if (item.tags.includes(tag)) this.#items.delete(key)
    }
  }

  clear (): void {
    this.#items.clear()
  }
}
