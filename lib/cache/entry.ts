/** One prepared form of a body. `identity` comes first, unless the producer encoded the body itself. */
export interface EncodedBody {
  readonly encoding: string
  readonly bytes: Buffer
}

/** JSON that the engine carries and never looks into. */
export type Meta = Readonly<Record<string, unknown>>

/**
 * A stored page or datum: one immutable record. Status, headers and body are
 * replaced together or not at all.
 */
export interface Entry {
  readonly key: string
  /** Namespace: entries of one build are never served by another. */
  readonly buildId: string
  /** Milliseconds. Freshness counts from here, whenever a tier loads the entry. */
  readonly renderedAt: number
  /** Logical time at which its render started. */
  readonly epoch: number
  /** Whose logical time: that of one life of Redis. Absent when it was rendered without. */
  readonly incarnation?: string | undefined
  /** Seconds; windows count from the end of the one before (RFC 5861). */
  readonly ttl: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  /** Part of `ttl` taken away, 0 to 0.1, so that pages rendered in one batch don't expire together. */
  readonly jitter: number
  readonly tags: readonly string[]
  /** Logical times of what it was made of, where they are before its own: tags by which it is that old. */
  readonly older?: Readonly<Record<string, number>>
  readonly meta: Meta
  /** sha256 of the body as rendered, base64url. */
  readonly hash: string
  readonly bodies: readonly EncodedBody[]
}

export type State = 'fresh' | 'stale' | 'stale-if-error' | 'expired'

/** Milliseconds at which an entry changes its state. */
export interface Deadlines {
  freshUntil: number
  staleUntil: number
  errorUntil: number
}

export function deadlines (entry: Entry): Deadlines {
  const freshUntil = entry.renderedAt + entry.ttl * (1 - entry.jitter) * 1000
  // Jitter only makes a page stale sooner; it takes nothing from the windows.
  const staleUntil = entry.renderedAt + (entry.ttl + entry.staleWhileRevalidate) * 1000
  return { freshUntil, staleUntil, errorUntil: staleUntil + entry.staleIfError * 1000 }
}

export function stateAt (at: Readonly<Deadlines>, now: number): State {
  if (now < at.freshUntil) return 'fresh'
  if (now < at.staleUntil) return 'stale'
  return now < at.errorUntil ? 'stale-if-error' : 'expired'
}

/** Logical time from which marks of a tag concern an entry. */
export function epochOf ({ epoch, older }: Pick<Entry, 'epoch' | 'older'>, tag: string): number {
  return older !== undefined && Object.hasOwn(older, tag) ? Math.min(epoch, older[tag] ?? epoch) : epoch
}

export type Version = Pick<Entry, 'epoch' | 'incarnation' | 'renderedAt'>

/** Newest wins between tiers and between renders: first by logical time, where both have the same, then by the clock. */
export function isNewer (a: Version, b: Version): boolean {
  return a.epoch !== b.epoch && a.incarnation === b.incarnation ? a.epoch > b.epoch : a.renderedAt > b.renderedAt
}

/** Bookkeeping per entry besides what it holds: records, header blocks, deadlines, slots in maps. Measured in test/security/limits. */
const OVERHEAD = 3584

/** What an entry costs in memory. */
export function sizeOf (entry: Entry): number {
  let bytes = OVERHEAD + entry.key.length * 2 + JSON.stringify(entry.meta).length
  for (const body of entry.bodies) bytes += body.bytes.length
  for (const tag of entry.tags) bytes += tag.length
  return bytes
}
