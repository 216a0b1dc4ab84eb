import { ByteTable } from '../cache/byte-table.js'
import { Column } from '../cache/column.js'

/** Ends a chain. Numbers are kept plus one, so that it can be 0. */
const END = 0
const MANY = 4096
const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Tags of rows, and rows of tags. Pages that have the same tags share them;
 * from a tag a chain leads to its sets, and from a set one to its rows.
 */
export class TagSets {
  /** Lists of tags as JSON, and tags as they stand in it. */
  readonly #sets = new ByteTable()
  readonly #setOf = new Column(Uint32Array)
  /** Last row of a set, and of each row the one before it. */
  readonly #lastRow = new Column(Uint32Array)
  readonly #rowBefore = new Column(Uint32Array)
  readonly #tags = new ByteTable()
  /** Last use of a tag, of each use the one before it, and its set. */
  readonly #lastUse = new Column(Uint32Array)
  readonly #useBefore = new Column(Uint32Array)
  readonly #setOfUse = new Column(Uint32Array)
  #expected = 0

  /** So many rows are expected. */
  expect (rows: number): void {
    this.#expected = rows
  }

  /** Tags of the next row: a JSON array that stands in `source`. */
  add (source: Uint8Array, start: number, end: number): void {
    const row = this.#setOf.size
    const set = this.#sets.addBytes(source, start, end)
    if (set === this.#lastRow.size) {
      this.#lastRow.push(END)
      if (set === MANY && row < set * 2) this.#reserve()
      this.#addTags(set, source, start, end)
    }
    this.#setOf.push(set)
    this.#rowBefore.push(this.#lastRow.get(set))
    this.#lastRow.set(set, row + 1)
  }

  of (row: number): string[] {
    return JSON.parse(this.#sets.get(this.#setOf.get(row))) as string[]
  }

  * rowsWith (tag: string): IterableIterator<number> {
    const id = this.#tags.find(JSON.stringify(tag).slice(1, -1))
    if (id === -1) return
    for (let use = this.#lastUse.get(id); use !== END; use = this.#useBefore.get(use - 1)) {
      for (let row = this.#lastRow.get(this.#setOfUse.get(use - 1)); row !== END; row = this.#rowBefore.get(row - 1)) yield row - 1
    }
  }

  /** Nearly each page has tags of its own. */
  #reserve (): void {
    this.#sets.reserve(this.#expected)
    this.#tags.reserve(this.#expected)
  }

  #addTags (set: number, source: Uint8Array, start: number, end: number): void {
    let tag = start + 2
    for (let at = tag; at < end; at++) {
      if (source[at] === BACKSLASH) at++
      else if (source[at] === QUOTE) {
        this.#use(this.#tags.addBytes(source, tag, at), set)
        // Beyond the comma and the next quote.
        tag = at += 3
        at--
      }
    }
  }

  #use (tag: number, set: number): void {
    if (tag === this.#lastUse.size) this.#lastUse.push(END)
    const last = this.#lastUse.get(tag)
    // A tag that is there twice counts once.
    if (last !== END && this.#setOfUse.get(last - 1) === set) return
    this.#useBefore.push(last)
    this.#setOfUse.push(set)
    this.#lastUse.set(tag, this.#setOfUse.size)
  }
}
