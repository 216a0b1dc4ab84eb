import type { EncodedBody, Entry, Meta } from './entry.js'

/** Why something is rendered. */
export type Reason = 'miss' | 'ttl' | 'revalidate' | 'refresh'

/** What the engine is asked for: a key, and how to make its entry. `R` is what a caller gets when nothing can be stored. */
export interface Source<R> {
  readonly key: string
  /** Tags known before rendering, so that marks concern the key even while nothing is stored. */
  readonly tags: readonly string[]
  /** Spread what is rendered in a batch. */
  readonly jitter?: boolean
  /** What is rendered with it depends on it: its tags are theirs, and it is never stale in there while it can be had new. */
  readonly isShared?: boolean
  /** False: kept in memory only. */
  readonly isPersistent?: boolean
  /** Takes no slot and has a bound of its own: it waits for others rather than computing. */
  readonly limits?: { timeoutMs: number, makeError: () => Error }
  render (attempt: Attempt): Promise<Outcome<R>>
  /** Told once per render, whoever waited for it. */
  onSettled? (report: RenderReport): void
}

export interface Attempt {
  readonly reason: Reason
  /** Aborts at the render's deadline. */
  readonly signal: AbortSignal
  /** What stands. */
  readonly old: Entry | null
  /** Another render waits for it, and holds what that one needs. */
  readonly isNested: boolean
}

export type Outcome<R> =
  | { type: 'storable', draft: Draft }
  /** Rendered well, but must not be stored. */
  | { type: 'unstorable', reason: string, response: R }
  /** `bytes`: what keeping the response costs. */
  | { type: 'failure', error: Error, response?: R, bytes?: number }

/** An entry before its body is encoded. */
export interface Draft {
  readonly meta: Meta
  readonly tags: readonly string[]
  readonly ttl: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  /** Not fresh for longer than what it was made of. */
  readonly inheritTtl?: boolean
  readonly body: Buffer
  /** Only called when the bytes differ from the entry that stands. */
  encode (): Promise<EncodedBody[]>
}

export interface RenderReport {
  readonly reason: Reason
  readonly outcome: 'stored' | 'renewed' | 'unstorable' | 'failed'
  readonly detail?: string
  readonly error?: Error
  /** How often it has failed in a row, this time included; 0 when it is not remembered. */
  readonly failures: number
  readonly hadOld: boolean
  readonly durationMs: number
  readonly queuedMs: number
}

/** An entry in memory, with its deadlines as the marks left them. */
export interface Held<View> {
  readonly entry: Entry
  readonly view: View
  readonly tier: TierName
  freshUntil: number
  staleUntil: number
  errorUntil: number
  /** A soft mark made it stale before its time. */
  isMarked: boolean
  /** Set while another instance is known to have something newer, which is asked for at the next use. */
  freshAgainUntil: number | null
}

export type TierName = 'memory' | 'disk' | 'redis' | (string & {})

export type Answer<View, R> =
  | {
    kind: 'held'
    held: Held<View>
    /** `rendered`: made for this call, or for one that it joined. */
    how: 'fresh' | 'stale' | 'rendered' | 'stale-if-error'
    /** Joined a render that somebody else caused. */
    isCollapsed: boolean
    /** There was an older entry that might not be served. */
    hadOld: boolean
    /** Set when rendering failed just now. */
    error?: Error
  }
  | {
    kind: 'unstorable'
    reason: string
    /** Only for the call that caused the render. */
    response: R | null
  }
  | { kind: 'failed', error: Error, response: R | null, retryAfterMs: number }
