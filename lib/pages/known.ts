import type { ManifestPage } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import { TagIndex } from '../cache/tag-index.js'
import { metaOf } from './page.js'
import type { Registry } from './registry.js'
import type { Rendered } from './render.js'
import type { PageView } from './view.js'

export interface KnownPage {
  readonly key: string
  readonly path: string
  /** Pattern of its route. */
  readonly route: string
  readonly tags: readonly string[]
  /** Its row of the last build, if it was built. */
  readonly built: ManifestPage | null
}

/** The pages that this instance knows of: those of the build and those in memory. */
export class KnownPages {
  readonly #cache: Cache<PageView, Rendered>
  readonly #registry: Registry
  #built: ReadonlyMap<string, ManifestPage> = new Map()
  /** Tags of the build; memory has an index of its own. */
  #tags = new TagIndex()

  constructor (cache: Cache<PageView, Rendered>, registry: Registry) {
    this.#cache = cache
    this.#registry = registry
  }

  /** The pages of the build that is served from now on. */
  setBuilt (pages: readonly ManifestPage[]): void {
    this.#built = new Map(pages.map(page => [page.key, page]))
    this.#tags = new TagIndex()
    for (const { key, tags } of pages) this.#tags.add(key, tags)
    const paths = new Map<string, Set<string>>()
    for (const { route, path } of pages) {
      const ofRoute = paths.get(route)
      if (ofRoute === undefined) paths.set(route, new Set([path]))
      else ofRoute.add(path)
    }
    for (const route of this.#registry.routes) route.paths.setBuilt(paths.get(route.pattern) ?? new Set())
  }

  get (key: string): KnownPage | null {
    const built = this.#built.get(key)
    if (built !== undefined) return knownFrom(built)
    const held = this.#cache.memory.peek(key)
    return held === undefined ? null : { key, path: metaOf(held.entry).path, route: held.view.route.pattern, tags: held.entry.tags, built: null }
  }

  /** Those with a tag, by index: however many pages there are. */
  * tagged (tag: string): IterableIterator<KnownPage> {
    for (const key of new Set([...this.#tags.keysOf(tag), ...this.#cache.keysTagged(tag)])) {
      const page = isPageKey(key) ? this.get(key) : null
      if (page !== null) yield page
    }
  }

  * [Symbol.iterator] (): IterableIterator<KnownPage> {
    for (const built of this.#built.values()) yield knownFrom(built)
    for (const key of this.#cache.memory.keys()) {
      if (!isPageKey(key)) continue
      const page = this.#built.has(key) ? null : this.get(key)
      if (page !== null) yield page
    }
  }
}

/** Data live in the same memory, under keys that no path can be. */
export function isPageKey (key: string): boolean {
  return key.startsWith('/')
}

export function knownFrom (built: ManifestPage): KnownPage & { built: ManifestPage } {
  return { key: built.key, path: built.path, route: built.route, tags: built.tags, built }
}
