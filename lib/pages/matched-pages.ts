import type { ManifestPage } from '../../types/index.js'
import type { BuiltPages } from './known.js'

/** Pages that an order means: those in memory alone by their keys, built ones by their rows. */
export class MatchedPages {
  readonly #built: BuiltPages
  readonly #keys = new Set<string>()
  /** Whether a row is one of them. */
  readonly #marked: Uint8Array
  #rows = 0

  constructor (built: BuiltPages) {
    this.#built = built
    this.#marked = new Uint8Array(built.pages.size)
  }

  get size (): number {
    return this.#keys.size + this.#rows
  }

  add (key: string): void {
    const row = this.#built.pages.find(key)
    if (row === -1) this.#keys.add(key)
    else this.addRow(row)
  }

  addRow (row: number): void {
    if (this.#marked[row] === 1) return
    this.#marked[row] = 1
    this.#rows++
  }

  addAllRows (): void {
    this.#marked.fill(1)
    this.#rows = this.#marked.length
  }

  /** So many at a time, with what the manifest says of those that it names. */
  * parts (size: number): IterableIterator<{ keys: string[], read: () => Promise<ManifestPage[]> }> {
    const { pages, rows } = this.#built
    let keys: string[] = []
    let found: number[] = []
    const part = (): { keys: string[], read: () => Promise<ManifestPage[]> } => {
      const spans = found.map(row => pages.span(row))
      return { keys, read: async () => (await rows.read(spans)).filter(page => page !== null) }
    }
    for (const key of this.#keys) {
      keys.push(key)
      if (keys.length < size) continue
      yield part()
      keys = []
    }
    for (let row = this.#rows === 0 ? -1 : this.#marked.indexOf(1); row !== -1; row = this.#marked.indexOf(1, row + 1)) {
      keys.push(pages.key(row))
      found.push(row)
      if (keys.length < size) continue
      yield part()
      keys = []
      found = []
    }
    if (keys.length > 0) yield part()
  }
}
