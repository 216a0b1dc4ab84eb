/**
 * An order to revalidate (soft) or purge (hard) everything with a tag. It
 * concerns what was rendered before its epoch.
 */
export interface Mark {
  readonly kind: 'soft' | 'hard'
  readonly tag: string
  readonly epoch: number
  /** Soft only: milliseconds until which the old entry may be served; Infinity when only its own windows end it. */
  readonly deadline: number
}

export type Order = Omit<Mark, 'epoch'>

/** Logical time, and orders that reach everybody who shares the pages. */
export interface Coordinator {
  /** A moment for a render to start from: every mark known by now is at or below it, every later one above. */
  now (): number
  /** Resolves when the orders are durable, or `degraded` when they hold in this process only. */
  order (orders: readonly Order[]): Promise<{ marks: Mark[], epoch: number, degraded: boolean }>
  /** Delivers the marks of the past and, from then on, of others. */
  start (deliver: (mark: Mark) => void): Promise<void>
  /** Looks for marks of others now. */
  catchUp (): Promise<void>
  close (): Promise<void>
}
