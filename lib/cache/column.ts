type Numbers = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>

const FIRST = 16
const BITS = 16
const PART = 1 << BITS
const MASK = PART - 1

/**
 * A list of numbers that grows, each as small as the type of its arrays. In
 * parts, so that growing never moves more than the last one.
 */
export class Column {
  readonly #Type: new (size: number) => Numbers
  readonly #parts: Numbers[] = []
  size = 0

  constructor (Type: new (size: number) => Numbers) {
    this.#Type = Type
  }

  get (at: number): number {
    return this.#parts[at >>> BITS]?.[at & MASK] ?? 0
  }

  set (at: number, value: number): void {
    const part = this.#parts[at >>> BITS]
    if (part !== undefined) part[at & MASK] = value
  }

  push (value: number): void {
    const at = this.size++
    const part = this.#parts[at >>> BITS]
    if (part !== undefined && (at & MASK) < part.length) part[at & MASK] = value
    else this.#grow(at, value)
  }

  * [Symbol.iterator] (): IterableIterator<number> {
    for (let at = 0; at < this.size; at++) yield this.get(at)
  }

  #grow (at: number, value: number): void {
    const old = this.#parts[at >>> BITS] ?? []
    const part = new this.#Type(old.length === 0 ? (at < PART ? FIRST : PART) : old.length * 2)
    part.set(old)
    part[at & MASK] = value
    this.#parts[at >>> BITS] = part
  }
}
