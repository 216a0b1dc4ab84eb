import { setImmediate as nextTurn } from 'node:timers/promises'
import { Column } from '../cache/column.js'
import type { PageTable } from '../pages/page-table.js'

/** Rows that are compared before others have their turn. */
const AT_ONCE = 5000

/** What a build has changed in the namespace that it wrote over. */
export interface BuildChange {
  /** Rows of its own, new or rendered again. */
  readonly changed: Column
  /** Keys of the build before that it has no more. */
  readonly gone: string[]
}

/** Compares two builds, a piece at a time. */
export async function compareBuilds (old: PageTable, pages: PageTable): Promise<BuildChange> {
  const changed = new Column(Uint32Array)
  for (let row = 0; row < pages.size; row++) {
    if (isChanged(old, pages, row)) changed.push(row)
    if (row % AT_ONCE === 0) await nextTurn()
  }
  const gone: string[] = []
  for (let row = 0; row < old.size; row++) {
    const key = old.key(row)
    if (pages.find(key) === -1) gone.push(key)
    if (row % AT_ONCE === 0) await nextTurn()
  }
  return { changed, gone }
}

export function isChanged (old: PageTable, pages: PageTable, row: number): boolean {
  const before = old.find(pages.key(row))
  return before === -1 || old.renderedAt(before) !== pages.renderedAt(row)
}
