import { channel, type Channel } from 'node:diagnostics_channel'
import type { BuildReport, RenderReason, TierName } from '../types/index.js'

/** What each channel carries. All durations are milliseconds. */
export interface IsrEvents {
  /** A build ended. */
  build: { buildId: string, durationMs: number, pages: number, failures: number, ok: boolean, report: BuildReport }
  /** A render ended, whoever asked for it. */
  render: { key: string, path: string, route: string, reason: RenderReason, outcome: RenderOutcome, detail?: string, durationMs: number, queuedMs: number, error?: Error }
  /**
   * A request of a prerender route was answered, or handed to the live handler
   * (`bypass`, `unstorable`). `lane: 'express'`: no hook and no log saw it.
   */
  serve: { key: string | null, path: string, outcome: ServeOutcome, source: TierName | 'render' | 'live', detail?: string, lane?: 'express', durationMs: number }
  /** An older page was rendered again. */
  regenerate: { key: string, path: string, reason: RenderReason, outcome: RenderOutcome | 'renewed', durationMs: number, error?: Error }
  /** A datum was asked for. Values never appear. */
  data: { name: string, key: string, outcome: DataOutcome, durationMs: number }
  /** Built pages were loaded into memory. */
  prewarm: { pages: number, bytes: number, durationMs: number }
  /** Pages were ordered stale (`soft`) or gone (`hard`). */
  invalidate: { kind: 'soft' | 'hard', tags: string[], epoch: number, matched: number }
  /** Whose turn it is to render a page was decided in Redis. */
  lease: LeaseEvent
  /** A tier refused to read or write; the page was served without it. */
  'tier-error': { tier: TierName, operation: 'read' | 'write' | 'delete' | 'scan', key: string | null, error: Error }
  /** Anything else that went wrong and that no visitor saw. */
  error: { error: Error, path?: string, route?: string }
}

/** `elsewhere`, `done`, `failed`: another instance renders it, has just done so, or has tried in vain. `alone`: nobody could be asked. */
export interface LeaseEvent { key: string, outcome: 'granted' | 'elsewhere' | 'done' | 'failed' | 'alone', durationMs: number }

export type RenderOutcome = 'storable' | 'unstorable' | 'failure'
export type ServeOutcome = 'hit' | 'stale' | 'miss' | 'stale-if-error' | 'bypass' | 'unstorable' | 'failed'

export type DataOutcome = 'fresh' | 'stale' | 'miss' | 'stale-if-error' | 'failed'

/** Listeners are told what they get, which the types of Node leave open. */
export interface EventChannel<Event> extends Omit<Channel<unknown, Event>, 'subscribe' | 'unsubscribe'> {
  subscribe (listener: (event: Event, name: string | symbol) => void): void
  unsubscribe (listener: (event: Event, name: string | symbol) => void): boolean
}

type Channels = { readonly [Name in keyof IsrEvents]: EventChannel<IsrEvents[Name]> }

const names = ['build', 'render', 'serve', 'regenerate', 'data', 'prewarm', 'invalidate', 'lease', 'tier-error', 'error'] as const satisfies readonly (keyof IsrEvents)[]

/**
 * The `node:diagnostics_channel` channels, named `fastify-isr:<event>`. Nothing
 * is measured or allocated for a channel that nobody listens to.
 */
export const channels = Object.freeze(
  Object.fromEntries(names.map(name => [name, channel(`fastify-isr:${name}`)]))
) as Channels

/** The least a logger must offer, e.g. pino. */
export interface DebugLogger { debug (event: object, message: string): void }

/** Logs every event at debug level. Returns a function that stops it. */
export function logAll (logger: DebugLogger): () => void {
  const stops = names.map((name) => {
    const listener = (event: unknown): void => {
      logger.debug(event as object, `fastify-isr:${name}`)
    }
    channels[name].subscribe(listener)
    return () => { channels[name].unsubscribe(listener) }
  })
  return () => { for (const stop of stops) stop() }
}
