import type { CollectionItem } from '../../../types/site.js'

/** The visible items of a collection, in order. It does not change: a change makes another. */
export class Collection {
  readonly #items: readonly CollectionItem[]
  readonly #urls: readonly string[]
  readonly #bySlug = new Map<string, number>()
  readonly #byTag = new Map<string, CollectionItem[]>()
  /** Lists and neighbours that were handed out: who shows one of them shows something of all items, and be it that there is none. */
  readonly #given = new WeakSet<object>()

  /** @param items with slugs that differ */
  constructor (items: readonly CollectionItem[]) {
    this.#items = Object.freeze([...items])
    this.#urls = Object.freeze(items.map(item => item.url))
    for (const [nth, item] of items.entries()) {
      this.#bySlug.set(item.slug, nth)
      for (const tag of new Set(item.tags)) {
        const tagged = this.#byTag.get(tag)
        if (tagged === undefined) this.#byTag.set(tag, [item])
        else tagged.push(item)
      }
    }
    for (const tagged of this.#byTag.values()) this.#give(Object.freeze(tagged))
    this.#give(this.#items)
  }

  /** Whether a value is a list or neighbours of this collection; not of its items one by one. */
  gave (value: object): boolean {
    return this.#given.has(value)
  }

  all (): readonly CollectionItem[] {
    return this.#items
  }

  urls (): readonly string[] {
    return this.#urls
  }

  bySlug (slug: string): CollectionItem | null {
    return this.#items[this.#bySlug.get(slug) ?? -1] ?? null
  }

  /** Items with this tag, in the collection's order. */
  tag (tag: string): readonly CollectionItem[] {
    return this.#byTag.get(tag) ?? this.#give([])
  }

  /** All tags, by code unit. */
  tags (): string[] {
    return [...this.#byTag.keys()].sort()
  }

  /**
   * Items in pages of `size`, from page 1; beyond the last there are none.
   * `pages` is at least 1, so that an empty list has a page to say so.
   */
  page (number: number, size: number): { items: readonly CollectionItem[], number: number, pages: number, total: number } {
    const total = this.#items.length
    const each = Math.max(1, Math.trunc(size) || 1)
    const isPage = Number.isSafeInteger(number) && number >= 1
    return this.#give({ items: isPage ? this.#items.slice((number - 1) * each, number * each) : [], number, pages: Math.max(1, Math.ceil(total / each)), total })
  }

  /** The items before and after one, in the collection's order. */
  around (slug: string): { previous: CollectionItem | null, next: CollectionItem | null } {
    const nth = this.#bySlug.get(slug)
    return this.#give({ previous: this.#items[(nth ?? NaN) - 1] ?? null, next: this.#items[(nth ?? NaN) + 1] ?? null })
  }

  #give<T extends object> (value: T): T {
    this.#given.add(value)
    return value
  }
}
