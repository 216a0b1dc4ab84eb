import type { Moment } from '../cluster/coordinator.js'
import { epochOf, type Entry } from './entry.js'
import type { Draft } from './source.js'

/** What a render was made of, besides its own code. */
export interface Used {
  /** Tags, each with the logical time of the oldest thing that has it. */
  readonly tags: Map<string, number>
  /** Milliseconds until which all of it is fresh. */
  freshUntil: number
}

export function nothingUsed (): Used {
  return { tags: new Map(), freshUntil: Infinity }
}

/** `start`: of the render that uses it. An epoch of another incarnation says nothing there. */
export function noteUse (used: Used, entry: Entry, freshUntil: number, start: Moment | null): void {
  const isComparable = start === null || start.incarnation === entry.incarnation
  for (const tag of entry.tags) noteTag(used, tag, isComparable ? epochOf(entry, tag) : 0)
  used.freshUntil = Math.min(used.freshUntil, freshUntil)
}

export function noteTag (used: Used, tag: string, epoch: number): void {
  used.tags.set(tag, Math.min(used.tags.get(tag) ?? Infinity, epoch))
}

/** What makes its data stale makes it stale. Its lifetime stays its own, unless it says otherwise. */
export function dependingOn (draft: Draft, used: Used, now: number): Draft {
  if (used.tags.size === 0) return draft
  // Sorted, for data may be asked for in any order: equal pages have equal tags.
  const inherited = [...used.tags.keys()].filter(tag => !draft.tags.includes(tag)).sort()
  return {
    ...draft,
    tags: [...draft.tags, ...inherited],
    ttl: draft.inheritTtl === true ? Math.min(draft.ttl, Math.max(0, (used.freshUntil - now) / 1000)) : draft.ttl,
    encode: async () => await draft.encode()
  }
}

/**
 * A datum knows the marks of its own tags up to its own time, not to that of
 * the page. Only these tags: a page that was purged is new when it is rendered
 * again, however old its data are.
 */
export function olderThan (epoch: number, used: Used): Record<string, number> | null {
  const older = [...used.tags].filter(([, at]) => at < epoch)
  return older.length === 0 ? null : Object.fromEntries(older)
}
