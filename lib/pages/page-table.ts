import { ByteTable } from '../cache/byte-table.js'
import { Column } from '../cache/column.js'
import { TagSets } from './tag-sets.js'

/**
 * What is kept of a built page, where it stands in `source`: key, route and
 * tags each with its end, the latter two as JSON, the route without quotes.
 */
export interface RowView {
  readonly source: Uint8Array
  readonly key: number
  readonly keyEnd: number
  /** Of the key that is the path. */
  readonly pathLength: number
  readonly route: number
  readonly routeEnd: number
  readonly tags: number
  readonly tagsEnd: number
  /** Of its entry file, 64 hexadecimal digits. */
  readonly name: number
  /** Of all its bodies. */
  readonly bytes: number
  /** Milliseconds */
  readonly renderedAt: number
  /** Where its row of the manifest begins. */
  readonly at: number
}

/** Paths that a route lists. */
export interface PathSet {
  readonly size: number
  has (path: string): boolean
  [Symbol.iterator] (): IterableIterator<string>
}

/** More than any app has: what claims to have them wants to fill the memory. */
const MOST_ROUTES = 0xffff
const MOST_BYTES = 0xffff_ffff
/** Keys that are looked for among the others in one go. */
const AT_ONCE = 1024
const END = -1
const SPACE = 0x20
const SLASH = 0x2f
const QUESTION_MARK = 0x3f
/** No key has a character that comes after it. */
const AFTER_ALL = '\u007f'

/**
 * The pages of a build, a few dozen bytes each besides their keys. A page is
 * a number here, its row; `place` is where a row comes in the order of the keys.
 */
export class PageTable {
  readonly #keys = new ByteTable()
  readonly #pathLengths = new Column(Uint16Array)
  readonly #routes = new ByteTable()
  readonly #routeOf = new Column(Uint16Array)
  readonly #pagesOf: number[] = []
  /** Paths that are no key, for their pages differ by more, by route. */
  readonly #variants = new Map<number, ByteTable>()
  readonly #tagSets = new TagSets()
  readonly #bytes = new Column(Uint32Array)
  readonly #renderedAt = new Column(Float64Array)
  readonly #at = new Column(Float64Array)
  /** Null as long as the rows are in order. */
  #order: Uint32Array | null = null
  #isInOrder = true
  #newest = 0

  get size (): number {
    return this.#keys.size
  }

  /** When the last of them was rendered. */
  get newest (): number {
    return this.#newest
  }

  /** So many are expected. */
  reserve (size: number): void {
    this.#keys.reserve(size)
    this.#tagSets.expect(size)
  }

  /** Null, or why it, or one of those before it, can't be one of them. `settle` is to be called after the last one. */
  add (view: RowView): string | null {
    const { source, key, keyEnd, pathLength } = view
    const row = this.#keys.size
    if (row > 0 && !this.#keys.isAfter(row - 1, source, key, keyEnd)) this.#isInOrder = false
    this.#keys.append(source, key, keyEnd)
    const route = this.#routes.addBytes(source, view.route, view.routeEnd)
    if (route > MOST_ROUTES) return 'it names more routes than an app can have'
    this.#pathLengths.push(pathLength)
    this.#routeOf.push(route)
    if (keyEnd - key !== pathLength) this.#addVariant(route, source, key, key + pathLength)
    else this.#pagesOf[route] = (this.#pagesOf[route] ?? 0) + 1
    this.#tagSets.add(source, view.tags, view.tagsEnd)
    this.#bytes.push(Math.min(MOST_BYTES, view.bytes))
    this.#renderedAt.push(view.renderedAt)
    this.#at.push(view.at)
    this.#newest = Math.max(this.#newest, view.renderedAt)
    return this.size % AT_ONCE === 0 ? this.settle() : null
  }

  /** The same of those that came last. */
  settle (): string | null {
    return this.#keys.settle() ? null : 'it lists a key twice'
  }

  /** All are there, and the last row ends here. */
  seal (end: number): this {
    this.settle()
    this.#at.push(end)
    if (this.#isInOrder) return this
    const keys = [...this.#keys]
    this.#order = Uint32Array.from(keys.keys()).sort((a, b) => (keys[a] ?? '') < (keys[b] ?? '') ? -1 : 1)
    return this
  }

  /** Row of a key, or -1. */
  find (key: string): number {
    return this.#keys.find(key)
  }

  key (row: number): string {
    return this.#keys.get(row)
  }

  path (row: number): string {
    return this.key(row).slice(0, this.#pathLengths.get(row))
  }

  route (row: number): string {
    return JSON.parse(`"${this.#routes.get(this.#routeOf.get(row))}"`) as string
  }

  tags (row: number): string[] {
    return this.#tagSets.of(row)
  }

  bytes (row: number): number {
    return this.#bytes.get(row)
  }

  renderedAt (row: number): number {
    return this.#renderedAt.get(row)
  }

  /** Where its row of the manifest is. */
  span (row: number): { start: number, end: number } {
    return { start: this.#at.get(row), end: this.#at.get(row + 1) }
  }

  tagged (tag: string): Iterable<number> {
    return this.#tagSets.rowsWith(tag)
  }

  * ofRoute (pattern: string): IterableIterator<number> {
    const route = this.#routes.find(JSON.stringify(pattern).slice(1, -1))
    if (route === -1) return
    for (let row = 0; row < this.size; row++) if (this.#routeOf.get(row) === route) yield row
  }

  /** Those of a path, however many variants it has. */
  * ofPath (path: string): IterableIterator<number> {
    const row = this.find(path)
    if (row !== -1) yield row
    yield * this.#startingWith(`${path} `)
    yield * this.#startingWith(`${path}?`)
  }

  /** Those of a path with a query, however many variants it has. */
  * ofUrl (url: string): IterableIterator<number> {
    const row = this.find(url)
    if (row !== -1) yield row
    yield * this.#startingWith(`${url} `)
  }

  /** Those of a path without a trailing slash, and all below. */
  * below (path: string): IterableIterator<number> {
    const isAll = path === '/'
    for (const row of this.#startingWith(path)) {
      const next = this.#keys.byteOf(row, path.length)
      if (isAll || next === END || next === SLASH || next === QUESTION_MARK || next === SPACE) yield row
    }
  }

  /** Rows after a key, in the order of keys. */
  * after (key: string): IterableIterator<number> {
    let place = this.#placeOf(key)
    if (place < this.size && this.key(this.#rowAt(place)) === key) place++
    for (; place < this.size; place++) yield this.#rowAt(place)
  }

  pathsOf (pattern: string): PathSet {
    const route = this.#routes.find(JSON.stringify(pattern).slice(1, -1))
    const variants = this.#variants.get(route)
    const pages = this.#pagesOf[route] ?? 0
    const isPage = (path: string): boolean => {
      const row = this.#keys.find(path)
      return row !== -1 && this.#routeOf.get(row) === route && this.#pathLengths.get(row) === path.length
    }
    const rows = (): Iterable<number> => pages === 0 ? [] : this.ofRoute(pattern)
    const key = (row: number): string => this.key(row)
    const path = (row: number): string => this.path(row)
    return {
      size: pages + (variants?.size ?? 0),
      has: path => (pages > 0 && isPage(path)) || variants?.has(path) === true,
      * [Symbol.iterator] () {
        for (const row of rows()) if (key(row) === path(row)) yield path(row)
        for (const path of variants ?? []) if (!isPage(path)) yield path
      }
    }
  }

  #addVariant (route: number, source: Uint8Array, start: number, end: number): void {
    let variants = this.#variants.get(route)
    if (variants === undefined) this.#variants.set(route, variants = new ByteTable())
    variants.addBytes(source, start, end)
  }

  * #startingWith (prefix: string): IterableIterator<number> {
    const end = this.#placeOf(prefix + AFTER_ALL)
    for (let place = this.#placeOf(prefix); place < end; place++) yield this.#rowAt(place)
  }

  /** Of the first key that is not before this one. */
  #placeOf (key: string): number {
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.key(this.#rowAt(middle)) < key) low = middle + 1
      else high = middle
    }
    return low
  }

  #rowAt (place: number): number {
    return this.#order?.[place] ?? place
  }
}
