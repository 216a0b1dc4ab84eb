import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Column } from '../cache/column.js'
import type { PageTable } from './page-table.js'

/** Steps of work before others have their turn. */
const AT_ONCE = 20_000

/**
 * Rows of pages, the most recently rendered first, without sorting those that
 * nobody asks for: a heap, made a piece at a time.
 */
export async function newestFirst (pages: PageTable, rows: Column | null): Promise<IterableIterator<number>> {
  const heap = new Uint32Array(rows?.size ?? pages.size)
  for (let at = 0; at < heap.length; at++) heap[at] = rows?.get(at) ?? at
  let size = heap.length
  const timeAt = (at: number): number => pages.renderedAt(heap[at] ?? 0)
  const sink = (from: number): void => {
    const row = heap[from] ?? 0
    const time = pages.renderedAt(row)
    let at = from
    for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && timeAt(child + 1) > timeAt(child)) child++
      if (timeAt(child) <= time) break
      heap[at] = heap[child] ?? 0
      at = child
    }
    heap[at] = row
  }
  for (let at = (size >> 1) - 1; at >= 0; at--) {
    sink(at)
    if (at % AT_ONCE === 0) await nextTurn()
  }
  return (function * () {
    while (size > 0) {
      const newest = heap[0] ?? 0
      heap[0] = heap[--size] ?? 0
      sink(0)
      yield newest
    }
  })()
}
