import { channel } from 'node:diagnostics_channel'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { PathTimings } from '../../../types/site.js'

/** Of each path, the last so many count for median and percentile. */
const SAMPLES = 256
/** Paths that have figures of their own: visitors can't make up more. */
const MOST_PATHS = 1000

/** Milliseconds of one path: the mean of all, and the last of them. */
export class Samples {
  readonly #ring = new Float64Array(SAMPLES)
  #count = 0
  #sum = 0

  add (ms: number): void {
    this.#ring[this.#count % SAMPLES] = ms
    this.#count++
    this.#sum += ms
  }

  read (): PathTimings {
    const sorted = this.#ring.slice(0, Math.min(this.#count, SAMPLES)).sort()
    const middle = sorted.length / 2
    return {
      count: this.#count,
      mean: this.#count === 0 ? 0 : this.#sum / this.#count,
      median: ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2,
      p95: sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0
    }
  }
}

interface Exchange { request: IncomingMessage, response: ServerResponse, server: Server }

/**
 * How long answers took, by path. Node itself tells of each request and
 * response, so there is no hook that a cached answer would have to pass: what
 * is not switched on costs nothing.
 */
export class Timings {
  readonly #server: unknown
  readonly #isKnown: (path: string) => boolean
  readonly #now: () => number
  readonly #startedAt = new Date().toISOString()
  readonly #total = new Samples()
  readonly #others = new Samples()
  readonly #paths = new Map<string, Samples>()
  readonly #starts = new WeakMap<ServerResponse, number>()

  constructor (options: { server: unknown, isKnown: (path: string) => boolean, now?: () => number }) {
    this.#server = options.server
    this.#isKnown = options.isKnown
    this.#now = options.now ?? (() => performance.now())
  }

  /** Listens from now on; the function returned ends it. */
  start (): () => void {
    const started = channel('http.server.request.start')
    const finished = channel('http.server.response.finish')
    started.subscribe(this.#onStart)
    finished.subscribe(this.#onFinish)
    return () => {
      started.unsubscribe(this.#onStart)
      finished.unsubscribe(this.#onFinish)
    }
  }

  add (path: string, ms: number): void {
    this.#total.add(ms)
    this.#samplesOf(path).add(ms)
  }

  read (): { startedAt: string, total: PathTimings, others: PathTimings, paths: Record<string, PathTimings> } {
    const paths = Object.fromEntries(Array.from(this.#paths, ([path, samples]) => [path, samples.read()]))
    return { startedAt: this.#startedAt, total: this.#total.read(), others: this.#others.read(), paths }
  }

  #samplesOf (path: string): Samples {
    const known = this.#paths.get(path)
    if (known !== undefined) return known
    if (this.#paths.size >= MOST_PATHS || !this.#isKnown(path)) return this.#others
    const samples = new Samples()
    this.#paths.set(path, samples)
    return samples
  }

  readonly #onStart = (message: unknown): void => {
    const { response, server } = message as Exchange
    // The channel is that of all servers of this process.
    if (server === this.#server) this.#starts.set(response, this.#now())
  }

  readonly #onFinish = (message: unknown): void => {
    const { request, response } = message as Exchange
    const start = this.#starts.get(response)
    if (start === undefined) return
    const { url = '' } = request
    const mark = url.indexOf('?')
    this.add(mark === -1 ? url : url.slice(0, mark), this.#now() - start)
  }
}
