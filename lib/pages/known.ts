import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ManifestPage } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import { MatchedPages } from './matched-pages.js'
import { metaOf } from './page.js'
import { PageTable } from './page-table.js'
import type { Registry } from './registry.js'
import type { Rendered } from './render.js'
import { trimPrefix } from './tags.js'
import type { CheckedTarget } from './targets.js'
import type { PageView } from './view.js'

export interface KnownPage {
  readonly key: string
  readonly path: string
  /** Pattern of its route. */
  readonly route: string
  readonly tags: readonly string[]
  /** Its row of the last build, if it was built. */
  readonly row: number | null
}

/** The pages of a build, and where there is more to read about them. */
export interface BuiltPages {
  readonly pages: PageTable
  readonly rows: { read (spans: readonly { start: number, end: number }[]): Promise<(ManifestPage | null)[]> }
}

/** A target, or, without an item, a datum, which has no form that a user could write. */
export type OrderTarget = Pick<CheckedTarget, 'tag'> & { readonly item: CheckedTarget['item'] | null }

/** Rows that are looked at before others have their turn. */
const AT_ONCE = 5000

/** No build. */
export const NOTHING: BuiltPages = { pages: new PageTable().seal(0), rows: { read: async () => [] } }

/** The pages that this instance knows of: those of the build and those in memory. */
export class KnownPages {
  readonly #cache: Cache<PageView, Rendered>
  readonly #registry: Registry
  #built: BuiltPages = NOTHING

  constructor (cache: Cache<PageView, Rendered>, registry: Registry) {
    this.#cache = cache
    this.#registry = registry
  }

  /** There is a build, and its pages are still being read. */
  expectBuilt (): void {
    for (const route of this.#registry.routes) route.paths.setBuilt(null)
  }

  /** The pages of the build that is served from now on. */
  setBuilt (built: BuiltPages): void {
    this.#built = built
    for (const route of this.#registry.routes) route.paths.setBuilt(built.pages.pathsOf(route.pattern))
  }

  get (key: string): KnownPage | null {
    const { pages } = this.#built
    const row = pages.find(key)
    return row === -1 ? this.#held(key) : pageAt(pages, row)
  }

  /** Those that any of the targets means; only those are looked at. */
  match (targets: readonly OrderTarget[]): MatchedPages {
    const { pages } = this.#built
    const matched = new MatchedPages(this.#built)
    for (const target of targets) {
      if (target.item !== null && 'all' in target.item) matched.addAllRows()
      else for (const row of rowsOf(pages, target)) matched.addRow(row)
      // What has the tag of an order is what the order means.
      for (const key of this.#cache.keysTagged(target.tag)) if (isPageKey(key)) matched.add(key)
    }
    return matched
  }

  /** Those whose keys come after one and have a text in them, in order, at most so many. */
  async after (cursor: string, filter: string, limit: number): Promise<KnownPage[]> {
    const { pages } = this.#built
    const unbuilt = await this.#unbuilt(pages, cursor, filter)
    const found: KnownPage[] = []
    let looked = 0
    for (const row of pages.after(cursor)) {
      if (found.length === limit) break
      if (++looked % AT_ONCE === 0) await nextTurn()
      if (filter === '' || pages.key(row).includes(filter)) found.push(pageAt(pages, row))
    }
    // None of the pages that were not built comes in between, beyond the last one found.
    return [...found, ...unbuilt].sort((a, b) => a.key < b.key ? -1 : 1).slice(0, limit)
  }

  /** What the manifest says of pages; null for those that it does not name. */
  async rowsOf (known: readonly KnownPage[]): Promise<(ManifestPage | null)[]> {
    const { pages, rows } = this.#built
    const at = known.map(({ key }) => pages.find(key))
    const read = (await rows.read(at.filter(row => row !== -1).map(row => pages.span(row)))).values()
    return at.map((row, nth) => {
      const page = row === -1 ? null : read.next().value ?? null
      return page?.key === known[nth]?.key ? page : null
    })
  }

  async #unbuilt (pages: PageTable, cursor: string, filter: string): Promise<KnownPage[]> {
    const found: KnownPage[] = []
    let looked = 0
    for (const key of this.#cache.memory.keys()) {
      if (++looked % AT_ONCE === 0) await nextTurn()
      if (key <= cursor || !isPageKey(key) || !key.includes(filter) || pages.find(key) !== -1) continue
      const page = this.#held(key)
      if (page !== null) found.push(page)
    }
    return found
  }

  #held (key: string): KnownPage | null {
    const held = this.#cache.memory.peek(key)
    return held === undefined ? null : { key, path: metaOf(held.entry).path, route: held.view.route.pattern, tags: held.entry.tags, row: null }
  }
}

/** Data live in the same memory, under keys that no path can be. */
export function isPageKey (key: string): boolean {
  return key.startsWith('/')
}

export function pageAt (pages: PageTable, row: number): KnownPage {
  return { key: pages.key(row), path: pages.path(row), route: pages.route(row), tags: pages.tags(row), row }
}

function rowsOf (pages: PageTable, { item, tag }: OrderTarget): Iterable<number> {
  if (item === null || 'tag' in item) return pages.tagged(tag)
  if ('route' in item) return pages.ofRoute(item.route)
  if ('prefix' in item) return pages.below(trimPrefix(item.prefix))
  if (!('path' in item)) return []
  return item.path.includes('?') ? pages.ofUrl(item.path) : pages.ofPath(item.path)
}
