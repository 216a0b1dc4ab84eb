import { LRUMapWithDelete } from 'mnemonist'

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
  readonly #items: LRUMapWithDelete<string, Item<T>>

  constructor (capacity = 10_000) {
    this.#items = new LRUMapWithDelete(capacity)
  }

  get (key: string): Item<T> | undefined {
    return this.#items.size === 0 ? undefined : this.#items.get(key)
  }

  set (key: string, item: Item<T>): void {
    this.#items.set(key, item)
  }

  delete (key: string): void {
    if (this.#items.size > 0) this.#items.delete(key)
  }

  deleteTagged (tag: string): void {
    if (this.#items.size === 0) return
    for (const [key, item] of [...this.#items]) {
      if (item.tags.includes(tag)) this.#items.delete(key)
    }
  }

  clear (): void {
    this.#items.clear()
  }
}
