/**
 * Tag → keys of what memory holds, so that a mark touches only the entries it
 * concerns. A tag of one key, as most automatic tags are, costs no Set.
 */
export class TagIndex {
  readonly #keys = new Map<string, string | Set<string>>()

  add (key: string, tags: readonly string[]): void {
    for (const tag of tags) {
      const known = this.#keys.get(tag)
      if (known === undefined) this.#keys.set(tag, key)
      else if (typeof known === 'string') {
        if (known !== key) this.#keys.set(tag, new Set([known, key]))
      } else known.add(key)
    }
  }

  delete (key: string, tags: readonly string[]): void {
    for (const tag of tags) {
      const known = this.#keys.get(tag)
      if (known === key) this.#keys.delete(tag)
      else if (known instanceof Set && known.delete(key) && known.size === 0) this.#keys.delete(tag)
    }
  }

  keysOf (tag: string): Iterable<string> {
    const known = this.#keys.get(tag)
    if (known === undefined) return []
    return typeof known === 'string' ? [known] : known
  }
}
