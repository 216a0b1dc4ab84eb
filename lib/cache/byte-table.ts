import { randomInt } from 'node:crypto'
import { Column } from './column.js'

const FIRST_SLOTS = 16
const NONE = -1
const FIRST_BYTES = 256
const BITS = 20
const PART = 1 << BITS
const MASK = PART - 1
const MOST_BYTES = 0xffff_ffff

/**
 * Distinct strings, numbered in the order in which they came, with their bytes
 * side by side: some 20 bytes each besides its text, where a Map needs a
 * hundred and the garbage collector goes through them all.
 */
export class ByteTable {
  readonly #parts: Buffer[] = []
  readonly #ends = new Column(Uint32Array)
  /** So that a larger table is made without looking at the texts. */
  readonly #hashes = new Column(Uint32Array)
  /** Number of a string, plus one. */
  #slots = new Uint32Array(FIRST_SLOTS)
  /** Another one in each table: who chooses the strings can't choose which ones collide. */
  readonly #seed = randomInt(0xffff_ffff)
  #end = 0
  #from = 0
  #last = NONE
  /** So many have a slot. */
  #settled = 0

  get size (): number {
    return this.#ends.size
  }

  get (id: number): string {
    const start = this.#start(id)
    const length = this.#ends.get(id) - start
    const bytes = this.#bytesAt(start, length)
    return bytes.toString('utf8', this.#from, this.#from + length)
  }

  has (text: string): boolean {
    return this.find(text) !== NONE
  }

  /** Its number, or -1. */
  find (text: string): number {
    if (this.#settled < this.size) this.settle()
    const bytes = toBytes(text)
    return (this.#slots[this.#slot(bytes, 0, bytes.length, this.#hash(bytes, 0, bytes.length))] ?? 0) - 1
  }

  /** Its number, which is a new one unless it is there already. */
  add (text: string): number {
    const bytes = toBytes(text)
    return this.addBytes(bytes, 0, bytes.length)
  }

  /** The same for a text that stands in UTF-8 in `source`. */
  addBytes (source: Uint8Array, start: number, end: number): number {
    if (this.#settled < this.size) this.settle()
    // What was added last comes again more often than not.
    if (this.#last !== NONE && this.#isAt(this.#last, source, start, end)) return this.#last
    const hash = this.#hash(source, start, end)
    const slot = this.#slot(source, start, end, hash)
    const known = this.#slots[slot] ?? 0
    this.#last = known === 0 ? this.size : known - 1
    if (known === 0) {
      this.#append(source, start, end)
      this.#hashes.push(hash)
      this.#slots[slot] = this.#settled = this.size
      if (this.size * 2 > this.#slots.length) this.#rehash(this.#slots.length * 2)
    }
    return this.#last
  }

  /** Adds a text that stands in `source` without looking whether it is there: `settle` tells. */
  append (source: Uint8Array, start: number, end: number): void {
    this.#append(source, start, end)
    this.#hashes.push(this.#hash(source, start, end))
  }

  /**
   * Whether all that was appended is there once. Many in a row: the processor
   * then waits for several places of a large memory at a time.
   */
  settle (): boolean {
    this.reserve(this.size)
    const mask = this.#slots.length - 1
    let isNew = true
    for (; this.#settled < this.size; this.#settled++) {
      const hash = this.#hashes.get(this.#settled)
      let slot = (hash >>> 4) & mask
      for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) if (this.#isSame((this.#slots[slot] ?? 0) - 1, this.#settled, hash)) isNew = false
      this.#slots[slot] = this.#settled + 1
    }
    return isNew
  }

  /** So many are expected: growing later would cost a pause. */
  reserve (size: number): void {
    const slots = 2 ** Math.ceil(Math.log2(size * 2))
    if (slots > this.#slots.length) this.#rehash(slots)
  }

  /** -1 beyond its end. */
  byteOf (id: number, offset: number): number {
    const at = this.#start(id) + offset
    return at < this.#ends.get(id) ? this.#byte(at) : NONE
  }

  /** Whether a text that stands in `source` comes after one of these, by their bytes. */
  isAfter (id: number, source: Uint8Array, start: number, end: number): boolean {
    const own = this.#start(id)
    const length = this.#ends.get(id) - own
    const bytes = this.#bytesAt(own, length)
    const shift = this.#from - start
    const both = Math.min(end, start + length)
    for (let at = start; at < both; at++) {
      const difference = (source[at] ?? 0) - (bytes[at + shift] ?? 0)
      if (difference !== 0) return difference > 0
    }
    return end - start > length
  }

  * [Symbol.iterator] (): IterableIterator<string> {
    for (let id = 0; id < this.size; id++) yield this.get(id)
  }

  #start (id: number): number {
    return id === 0 ? 0 : this.#ends.get(id - 1)
  }

  #byte (at: number): number {
    return this.#parts[at >>> BITS]?.[at & MASK] ?? 0
  }

  /** FNV-1a by four bytes, and a last stir. */
  #hash (source: Uint8Array, start: number, end: number): number {
    let hash = this.#seed
    let at = start
    for (; at + 3 < end; at += 4) {
      const word = (source[at] ?? 0) | (source[at + 1] ?? 0) << 8 | (source[at + 2] ?? 0) << 16 | (source[at + 3] ?? 0) << 24
      hash = Math.imul(hash ^ word, 0x0100_0193)
      hash ^= hash >>> 15
    }
    for (; at < end; at++) hash = Math.imul(hash ^ (source[at] ?? 0), 0x0100_0193)
    hash ^= hash >>> 15
    return Math.imul(hash, 0x2c1b_3c6d) >>> 0
  }

  /** Where it is, or would be. */
  #slot (source: Uint8Array, start: number, end: number, hash: number): number {
    const mask = this.#slots.length - 1
    for (let slot = (hash >>> 4) & mask; ; slot = (slot + 1) & mask) {
      const id = (this.#slots[slot] ?? 0) - 1
      if (id === NONE || (this.#hashes.get(id) === hash && this.#isAt(id, source, start, end))) return slot
    }
  }

  #isAt (id: number, source: Uint8Array, start: number, end: number): boolean {
    const own = this.#start(id)
    if (this.#ends.get(id) - own !== end - start) return false
    const bytes = this.#bytesAt(own, end - start)
    const shift = this.#from - start
    // From the end, where texts differ that belong together.
    for (let at = end - 1; at >= start; at--) if (bytes[at + shift] !== source[at]) return false
    return true
  }

  #isSame (a: number, b: number, hash: number): boolean {
    if (this.#hashes.get(a) !== hash) return false
    const start = this.#start(b)
    const length = this.#ends.get(b) - start
    const bytes = this.#bytesAt(start, length)
    const from = this.#from
    return this.#isAt(a, bytes, from, from + length)
  }

  /** Where bytes stand side by side, from `#from` on: a copy of the few that lie in two parts. */
  #bytesAt (start: number, length: number): Buffer {
    const part = this.#parts[start >>> BITS]
    this.#from = start & MASK
    if (part !== undefined && this.#from + length <= part.length) return part
    const copy = Buffer.alloc(length)
    for (let at = 0; at < length; at++) copy[at] = this.#byte(start + at)
    this.#from = 0
    return copy
  }

  #append (source: Uint8Array, start: number, end: number): void {
    if (this.#end + end - start > MOST_BYTES) throw new RangeError('too many bytes for one table')
    for (let at = start; at < end;) {
      const offset = this.#end & MASK
      const old = this.#parts[this.#end >>> BITS]
      const part = old === undefined || offset >= old.length ? this.#grow() : old
      const count = Math.min(end - at, part.length - offset)
      for (let nth = 0; nth < count; nth++) part[offset + nth] = source[at + nth] ?? 0
      at += count
      this.#end += count
    }
    this.#ends.push(this.#end)
  }

  /** Room for the next byte. */
  #grow (): Buffer {
    const nth = this.#end >>> BITS
    const old = this.#parts[nth]
    const part = Buffer.alloc(old === undefined ? (nth === 0 ? FIRST_BYTES : PART) : old.length * 2)
    old?.copy(part)
    this.#parts[nth] = part
    return part
  }

  #rehash (length: number): void {
    const slots = new Uint32Array(length)
    const mask = length - 1
    for (let id = 0; id < this.#settled; id++) {
      let slot = (this.#hashes.get(id) >>> 4) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = id + 1
    }
    this.#slots = slots
  }
}

let scratch = Buffer.alloc(4096)

/** Good until the next call, beyond which nobody here keeps it. */
function toBytes (text: string): Uint8Array {
  if (text.length * 3 > scratch.length) scratch = Buffer.alloc(text.length * 3)
  return scratch.subarray(0, scratch.write(text))
}
