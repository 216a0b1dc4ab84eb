import type { RenderReason } from '../../types/index.js'
import type { Fetched } from '../data/source.js'
import type { LoadOptions } from '../load/load-options.js'
import type { PageKey } from '../pages/key.js'
import type { Headers, RenderJob } from '../pages/render.js'

/*
 * What the main thread and a worker thread say to each other. Plain data: all
 * of it is copied, bodies are handed over.
 *
 * The main thread gives tasks (render a page, fetch a datum); the worker asks
 * questions while it works on one (give me a datum, answer a request).
 */

/** What a worker thread starts with. */
export interface WorkerSetup {
  readonly load: LoadOptions
  /** Options of the main thread's server that decide how URLs are read. */
  readonly server: Readonly<Record<string, unknown>>
  /** Of the app's log, whose lines go to the main thread. */
  readonly logLevel: string
  /** Levels of that log beside those that every log has. */
  readonly customLevels: Readonly<Record<string, number>>
}

/** The app's URL of a page, rendered: `Rendered`, without what only the main thread knows. */
export interface RenderedAway extends Pick<RenderJob, 'snapshot' | 'isMisrouted' | 'sawOnSend' | 'date' | 'tags' | 'ttl' | 'noStore' | 'failure'> {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array | null
}

export type Task =
  | { readonly type: 'render', readonly route: string, readonly page: PageKey, readonly reason: RenderReason, readonly baseUrl: string }
  /** Runs the fetch that belongs to a question of this worker. */
  | { readonly type: 'fetch', readonly question: number, readonly hasOld: boolean }

export type TaskResult = RenderedAway | Fetched

export type Question =
  /** The value as bytes, from the one engine. */
  | { readonly type: 'data', readonly name: string, readonly key: string, readonly tags: readonly string[], readonly isRefresh: boolean }
  /** An order for a datum. */
  | { readonly type: 'order', readonly kind: 'soft' | 'hard', readonly key: string }
  /** The app's own request for a page. */
  | { readonly type: 'visit', readonly method: string, readonly url: string, readonly headers: Readonly<Record<string, string | string[] | undefined>> }
  | { readonly type: 'call', readonly method: 'revalidate' | 'purge' | 'refresh' | 'inspect' | 'entries', readonly args: readonly unknown[] }

export interface Visited {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array
}

/** What is said in one turn of the event loop goes in one message: sending one costs more than what is in it. */
export type Batch<T> = readonly T[]

export type ToWorker =
  | { type: 'task', id: number, task: Task }
  | { type: 'abort', id: number }
  | { type: 'answer', id: number, value: unknown }
  | { type: 'refusal', id: number, error: PlainError }
  | { type: 'ping' }
  | { type: 'close' }

export type FromWorker =
  /** The app is loaded, with these prerender routes. */
  | { type: 'ready', routes: string[] }
  | { type: 'unloadable', error: PlainError }
  | { type: 'done', id: number, result: TaskResult }
  | { type: 'failed', id: number, error: PlainError }
  /** `task`: the one whose code asks; null outside of all. */
  | { type: 'ask', id: number, task: number | null, question: Question }
  | { type: 'log', line: string }
  | { type: 'pong' }

/** An error on its way between two threads, where its class can't go. */
export interface PlainError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** `code`, `statusCode` and whatever else it carries that is plain. */
  readonly more: Readonly<Record<string, unknown>>
  readonly cause: PlainError | null
}

const MOST_CAUSES = 5

export function toPlain (thrown: unknown, depth = 0): PlainError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const more: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(error)) {
    if (['string', 'number', 'boolean'].includes(typeof value)) more[name] = value
  }
  const hasCause = error.cause !== undefined && error.cause !== null && depth < MOST_CAUSES
  return { name: error.name, message: error.message, stack: error.stack, more, cause: hasCause ? toPlain(error.cause, depth + 1) : null }
}

export function toError ({ name, message, stack, more, cause }: PlainError): Error {
  const error = new Error(message, cause === null ? {} : { cause: toError(cause) })
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
  if (stack !== undefined) error.stack = stack
  return Object.assign(error, more)
}
