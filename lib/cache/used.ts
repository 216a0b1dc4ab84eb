import type { Entry } from './entry.js'
import type { Draft } from './source.js'

/** What a render was made of, besides its own code. */
export interface Used {
  readonly tags: Set<string>
  /** Logical time of the oldest. */
  epoch: number
  /** Milliseconds until which all of it is fresh. */
  freshUntil: number
}

export function nothingUsed (): Used {
  return { tags: new Set(), epoch: Infinity, freshUntil: Infinity }
}

export function noteUse (used: Used, entry: Entry, freshUntil: number): void {
  for (const tag of entry.tags) used.tags.add(tag)
  used.epoch = Math.min(used.epoch, entry.epoch)
  used.freshUntil = Math.min(used.freshUntil, freshUntil)
}

/** What makes its data stale makes it stale. Its lifetime stays its own, unless it says otherwise. */
export function dependingOn (draft: Draft, used: Used, now: number): Draft {
  if (used.tags.size === 0) return draft
  // Sorted, for data may be asked for in any order: equal pages have equal tags.
  const inherited = [...used.tags].filter(tag => !draft.tags.includes(tag)).sort()
  return {
    ...draft,
    tags: [...draft.tags, ...inherited],
    ttl: draft.inheritTtl === true ? Math.min(draft.ttl, Math.max(0, (used.freshUntil - now) / 1000)) : draft.ttl,
    encode: async () => await draft.encode()
  }
}
