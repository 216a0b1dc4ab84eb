import type { Cache } from '../cache/cache.js'
import type { Column } from '../cache/column.js'
import { channels } from '../telemetry.js'
import type { PageTable } from './page-table.js'
import { newestFirst } from './newest-first.js'
import type { Rendered } from './render.js'
import type { PageView } from './view.js'

/** Reads at the same time: enough to keep the disk busy, not enough to keep visitors from it. */
const CONCURRENCY = 4
/** Some room is left for pages that visitors ask for. */
const FILL = 0.9
/** So many pages in a row that don't fit: what is left is not worth looking for smaller ones. */
const MOST_TOO_LARGE = 1000

/** Pages of a build that are new on disk: these rows, or all. */
export interface NewPages {
  readonly pages: PageTable
  readonly rows: Column | null
}

export interface PrewarmOptions {
  /** Keys of pages that were asked for most, the hottest first; of any build. */
  hottest: readonly string[]
  /** Ends it early. */
  isOver: () => boolean
}

/**
 * Loads pages into memory behind until the budget is nearly used: the hottest
 * first, then the most recent.
 */
export async function prewarm (cache: Cache<PageView, Rendered>, { pages, rows }: NewPages, { hottest, isOver }: PrewarmOptions): Promise<void> {
  const startedAt = performance.now()
  const budget = cache.memory.maxBytes * FILL
  const wanted = inTurn(hottest.map(key => pages.find(key)).filter(row => row !== -1), await newestFirst(pages, rows))
  let loaded = 0
  let tooLarge = 0
  /** Bytes of pages that are being read. */
  let expected = 0
  const work = async (): Promise<void> => {
    for (const row of wanted) {
      if (cache.memory.bytes >= budget || tooLarge > MOST_TOO_LARGE || isOver()) return
      const key = pages.key(row)
      if (cache.memory.peek(key) !== undefined) continue
      const bytes = pages.bytes(row)
      if (cache.memory.bytes + expected + bytes > budget) {
        tooLarge++
        continue
      }
      tooLarge = 0
      expected += bytes
      if (await cache.load(key) !== null) loaded++
      expected -= bytes
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  if (channels.prewarm.hasSubscribers) channels.prewarm.publish({ pages: loaded, bytes: cache.memory.bytes, durationMs: performance.now() - startedAt })
}

/** Several workers take from it: the end of one must not be the end of all. */
function inTurn (first: number[], then: IterableIterator<number>): Iterable<number> {
  const all = [first.values(), then]
  const iterator = {
    next (): IteratorResult<number> {
      for (;;) {
        const result = all[0]?.next() ?? { value: undefined, done: true as const }
        if (result.done !== true || all.length === 0) return result
        all.shift()
      }
    }
  }
  return { [Symbol.iterator]: () => iterator }
}
