/** A point in logical time. Two of them compare within one incarnation only. */
export interface Moment {
  readonly epoch: number
  /** One life of Redis: it gets another when it has forgotten something. Absent without Redis. */
  readonly incarnation?: string | undefined
}

/**
 * An order to revalidate (soft) or purge (hard) everything with a tag. It
 * concerns what was rendered before its epoch.
 */
export interface Mark extends Moment {
  readonly kind: 'soft' | 'hard'
  readonly tag: string
  /** Soft only: milliseconds until which the old entry may be served; Infinity when only its own windows end it. */
  readonly deadline: number
}

export type Order = Pick<Mark, 'kind' | 'tag' | 'deadline'>

/** Older marks are forgotten: whatever is from before this epoch counts as marked. */
export type Floor = Omit<Mark, 'tag'>

export interface Ordered {
  /** Null when nobody but this process has heard of the orders. */
  readonly epoch: number | null
  /** The orders are not durable: they hold in this process only, for now. */
  readonly degraded: boolean
}

/** What replaces what, among renders of one key. */
export interface RenderedAt extends Moment {
  /** Milliseconds. */
  readonly renderedAt: number
}

export interface Listener {
  mark (mark: Mark): void
  floor (floor: Floor): void
  /** Whose logical time counts from now on: what was rendered in another is no longer known to be fresh. */
  begin (incarnation: string): void
  /** Another instance has stored something newer where all can find it. */
  refreshed (key: string, buildId: string, version: RenderedAt): void
  /** Another instance has found that what was rendered up to then is no longer true. */
  dropped (key: string, buildId: string, version: Moment): void
  /** The marks in force. */
  marks (): Iterable<Mark>
}

export interface TurnRequest {
  readonly key: string
  readonly buildId: string
  /** What the caller has. */
  readonly known: RenderedAt | null
  /** The newest mark that concerns the key: a render from before it is no use. */
  readonly marked: Moment
  /** Somebody wants a render that begins now, whatever there is. */
  readonly isForced: boolean
}

/** Who renders. */
export type Turn =
  /** The caller does. `failures`: how often it has failed in a row, wherever. */
  | { kind: 'granted', start: Moment, failures: number, lease: Lease | null }
  /** Another instance does; for so long unless it is heard of (milliseconds). */
  | { kind: 'elsewhere', retryAfterMs: number }
  /** Another instance has, just now: it is in the shared tier. */
  | { kind: 'done' }
  /** Another instance has tried in vain: not again before that time. */
  | { kind: 'failed', failures: number, retryAfterMs: number, reason: string }

export type LeaseEnd =
  | { kind: 'stored', version: RenderedAt }
  | { kind: 'dropped', version: Moment }
  | { kind: 'failed', failures: number, backoffMs: number, reason: string }
  /** Not to be done again for so long (milliseconds). */
  | { kind: 'done', forMs: number }
  /** Nothing that others should know. */
  | { kind: 'nothing' }

/** The right to render a key, for as long as it is not released. */
export interface Lease {
  /** Never rejects. */
  release (end: LeaseEnd): Promise<void>
}

/** Logical time, orders that reach everybody who shares the pages, and one render at a time. */
export interface Coordinator {
  /** Others share the pages and can't be asked. */
  readonly isDisconnected: boolean
  /** A moment for a render to start from: every mark known by now is at or below it, every later one above. */
  now (): Moment
  /** An entry of that moment exists: time has been there. */
  observe (moment: Moment): void
  /** Resolves when the orders are durable, or `degraded`. Applied in this process before it returns. */
  order (orders: readonly Order[]): Promise<Ordered>
  turn (request: TurnRequest): Turn | Promise<Turn>
  /** Resolves when a render elsewhere is heard to have ended, or after that time. */
  ended (key: string, buildId: string, ms: number, signal: AbortSignal): Promise<void>
  /** Delivers the marks of the past and, from then on, of others. */
  start (listener: Listener): Promise<void>
  /** Looks for marks of others now. */
  catchUp (): Promise<void>
  close (): Promise<void>
}
