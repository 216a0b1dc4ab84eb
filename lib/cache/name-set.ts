const FIRST_SLOTS = 16
/** Words per name: 64 bits of a sha256 tell a billion names apart. */
const WORDS = 2
const AT_ONCE = 1024
const EMPTY = 0
const DELETED = 0xffff_ffff

/**
 * A set of names of entry files, which are hashes in hexadecimal, kept as the
 * first 64 bits of each: 17 to 34 bytes a name, where a Set of strings needs
 * 130. Should two names ever share them, a page is looked for on disk in vain.
 */
export class NameSet {
  #slots = new Uint32Array(FIRST_SLOTS * WORDS)
  /** Slots that are not empty, which deleting leaves as they are. */
  #used = 0
  #size = 0
  /** Names that came last and have no slot yet. */
  readonly #waiting = new Uint32Array(AT_ONCE * WORDS)
  #waits = 0

  get size (): number {
    this.#settle()
    return this.#size
  }

  has (name: string): boolean {
    this.#settle()
    return this.#find(wordOf(name, 0), wordOf(name, 8)) !== -1
  }

  add (name: string): void {
    this.#add(wordOf(name, 0), wordOf(name, 8))
  }

  /** The same for a name that stands in `source`. */
  addBytes (source: Uint8Array, start: number): void {
    this.#waiting[this.#waits++] = wordIn(source, start)
    this.#waiting[this.#waits++] = wordIn(source, start + 8)
    if (this.#waits === this.#waiting.length) this.#settle()
  }

  /** Many in a row: the processor then waits for several places of a large memory at a time. */
  #settle (): void {
    const waits = this.#waits
    this.#waits = 0
    for (let at = 0; at < waits; at += WORDS) this.#add(this.#waiting[at] ?? 0, this.#waiting[at + 1] ?? 0)
  }

  #add (high: number, low: number): void {
    if (this.#find(high, low) !== -1) return
    if ((this.#used + 1) * WORDS * 2 > this.#slots.length) this.#rehash(this.#size * 4 > this.#used ? this.#slots.length * 2 : this.#slots.length)
    this.#insert(high, low)
    this.#size++
  }

  /** So many are expected: growing later would cost a pause. */
  reserve (size: number): void {
    const length = 2 ** Math.ceil(Math.log2(size * 2)) * WORDS
    if (length > this.#slots.length) this.#rehash(length)
  }

  delete (name: string): boolean {
    this.#settle()
    const slot = this.#find(wordOf(name, 0), wordOf(name, 8))
    if (slot === -1) return false
    this.#slots[slot] = DELETED
    this.#slots[slot + 1] = DELETED
    this.#size--
    return true
  }

  #find (high: number, low: number): number {
    const mask = this.#slots.length - 1
    for (let slot = (low * WORDS) & mask; ; slot = (slot + WORDS) & mask) {
      if (this.#slots[slot] === high && this.#slots[slot + 1] === low) return slot
      if (this.#slots[slot] === EMPTY && this.#slots[slot + 1] === EMPTY) return -1
    }
  }

  #insert (high: number, low: number): void {
    const mask = this.#slots.length - 1
    let slot = (low * WORDS) & mask
    while (this.#slots[slot] !== EMPTY || this.#slots[slot + 1] !== EMPTY) slot = (slot + WORDS) & mask
    this.#slots[slot] = high
    this.#slots[slot + 1] = low
    this.#used++
  }

  /** As large as before, when it is full of what was deleted. */
  #rehash (length: number): void {
    const old = this.#slots
    this.#slots = new Uint32Array(length)
    this.#used = 0
    for (let slot = 0; slot < old.length; slot += WORDS) {
      const high = old[slot] ?? EMPTY
      const low = old[slot + 1] ?? EMPTY
      if ((high === EMPTY && low === EMPTY) || (high === DELETED && low === DELETED)) continue
      this.#insert(high, low)
    }
  }
}

function wordOf (name: string, start: number): number {
  let word = 0
  for (let at = start; at < start + 8; at++) word = (word << 4) | digit(name.charCodeAt(at))
  return bounded(word)
}

function wordIn (source: Uint8Array, start: number): number {
  let word = 0
  for (let at = start; at < start + 8; at++) word = (word << 4) | digit(source[at] ?? 0)
  return bounded(word)
}

/** Of an hexadecimal one. */
function digit (code: number): number {
  return code <= 0x39 ? code - 0x30 : code - 0x57
}

/** No word is what stands for an empty or a deleted slot. */
function bounded (word: number): number {
  return Math.min(DELETED - 1, Math.max(1, word >>> 0))
}
