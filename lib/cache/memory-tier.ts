import { LRUMapWithDelete } from 'mnemonist'

/** Smallest size an entry is counted with; see `sizeOf`. */
const LEAST_BYTES = 512
const MOST_ENTRIES = 1_048_576

/**
 * mnemonist keeps keys and links in arrays, `tail` being the slot of the least
 * recently used key; its public API has no way to ask for it. A test pins this.
 */
class OrderedMap<Value> extends LRUMapWithDelete<string, Value> {
  declare protected readonly K: string[]
  declare protected readonly tail: number

  get oldest (): string | undefined {
    return this.size === 0 ? undefined : this.K[this.tail]
  }
}

/**
 * Least-recently-used map under a byte budget. Deleting frees the memory at
 * once. A value larger than the whole budget is not stored.
 */
export class MemoryTier<Value> {
  readonly maxBytes: number
  bytes = 0
  evictions = 0
  readonly #map: OrderedMap<Value | undefined>
  readonly #sizes = new Map<string, number>()
  readonly #onRemove: (key: string, value: Value) => void

  /** `onRemove` is told of every value that leaves, so that an index can follow. */
  constructor (maxBytes: number, onRemove: (key: string, value: Value) => void = () => {}) {
    this.maxBytes = maxBytes
    // Every entry counts for LEAST_BYTES or more: the byte budget binds before the capacity does.
    this.#map = new OrderedMap(Math.min(MOST_ENTRIES, Math.max(1, Math.floor(maxBytes / LEAST_BYTES))))
    this.#onRemove = onRemove
  }

  get size (): number {
    return this.#sizes.size
  }

  /** Counts as a use. */
  get (key: string): Value | undefined {
    return this.#map.get(key)
  }

  /** Does not count as a use. */
  peek (key: string): Value | undefined {
    return this.#map.peek(key)
  }

  /** Returns false when the value is larger than the budget; an older value of the key is gone then, too. */
  set (key: string, value: Value, bytes: number): boolean {
    this.delete(key)
    const size = Math.max(bytes, LEAST_BYTES)
    if (size > this.maxBytes) return false
    while (this.bytes + size > this.maxBytes || this.#sizes.size >= this.#map.capacity) this.#evict()
    this.#map.set(key, value)
    this.#sizes.set(key, size)
    this.bytes += size
    return true
  }

  delete (key: string): boolean {
    const value = this.#map.peek(key)
    if (value === undefined) return false
    // mnemonist's delete keeps the value alive until its slot is used again.
    this.#map.set(key, undefined)
    this.#map.delete(key)
    this.bytes -= this.#sizes.get(key) ?? 0
    this.#sizes.delete(key)
    this.#onRemove(key, value)
    return true
  }

  clear (): void {
    for (const key of [...this.#sizes.keys()]) this.delete(key)
  }

  keys (): IterableIterator<string> {
    return this.#sizes.keys()
  }

  #evict (): void {
    const oldest = this.#map.oldest
    if (oldest === undefined) return
    this.delete(oldest)
    this.evictions++
  }
}
