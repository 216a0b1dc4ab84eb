import type { ManifestPage } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import { channels } from '../telemetry.js'
import type { Rendered } from './render.js'
import type { PageView } from './view.js'

/** Reads at the same time: enough to keep the disk busy, not enough to keep visitors from it. */
const CONCURRENCY = 4
/** Some room is left for pages that visitors ask for. */
const FILL = 0.9

/**
 * Loads pages into memory behind, in the order given, until the budget is
 * nearly used. `isOver` ends it early.
 */
export async function prewarm (cache: Cache<PageView, Rendered>, pages: readonly ManifestPage[], isOver: () => boolean): Promise<void> {
  const startedAt = performance.now()
  const budget = cache.memory.maxBytes * FILL
  let next = 0
  let loaded = 0
  /** Bytes of pages that are being read. */
  let expected = 0
  const work = async (): Promise<void> => {
    while (next < pages.length && cache.memory.bytes < budget && !isOver()) {
      const page = pages[next++]
      if (page === undefined || cache.memory.peek(page.key) !== undefined) continue
      const bytes = page.bytes + (page.encodings.br ?? 0) + (page.encodings.gzip ?? 0)
      if (cache.memory.bytes + expected + bytes > budget) continue
      expected += bytes
      if (await cache.load(page.key) !== null) loaded++
      expected -= bytes
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  if (channels.prewarm.hasSubscribers) channels.prewarm.publish({ pages: loaded, bytes: cache.memory.bytes, durationMs: performance.now() - startedAt })
}
