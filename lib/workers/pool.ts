import { AsyncResource } from 'node:async_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { orAbort } from '../cache/or-abort.js'
import { Closing, RenderFailed, WorkerDied, WorkerLoad } from '../errors.js'
import type { PageRoute } from '../pages/registry.js'
import type { Rendered, RenderRequest } from '../pages/render.js'
import type { Question, RenderedAway, WorkerSetup } from './messages.js'
import { RenderThread, SILENT, ThreadEnded, type Asker } from './render-thread.js'

export interface WorkerPoolOptions {
  count: number
  /** MiB of heap per thread. */
  memory: number
  setup: WorkerSetup
  /** Milliseconds that a render may take. */
  timeout: number
  log: FastifyBaseLogger
  /** For the lines of the app in the threads. */
  appLog: FastifyBaseLogger
  answer (question: Question, asker: Asker): Promise<unknown>
}

/** One render, until it has ended in whatever thread. */
interface Job {
  readonly request: RenderRequest
  readonly scope: AsyncResource
  /** Took part in the end of a thread, with others: which one was it? */
  isSuspect: boolean
  resolve (rendered: Rendered): void
  reject (error: Error): void
}

/** The place of one thread, which may be replaced. */
interface Slot {
  thread: RenderThread | null
  isReady: boolean
  /** The app could not be loaded when that was tried last. */
  isRefused: boolean
  /** Ends of threads since a render went well here. */
  ends: number
  /** Renders that are done again here, each alone, before the thread is there for others. */
  readonly suspects: Job[]
  /** It does one of them at the moment. */
  isAlone: boolean
  timer: NodeJS.Timeout | null
}

/** No thread has the app: where it is, its pages have to be rendered. */
export class NotLoaded extends Error {}

/** Between the second end of a thread and its next start (milliseconds); doubled each time. */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 10_000
/** A thread may say nothing for a quarter of a render's time while others wait for it: so many pings of so many in that time. */
const PINGS = 16
const UNANSWERED = PINGS / 4

/**
 * Worker threads that render pages. The end of a thread costs the one render
 * that caused it: where several ran in it, they are done again one by one.
 */
export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #slots: Slot[]
  readonly #waiting: Job[] = []
  /** Prerender routes of the app in the threads; null until one is ready. */
  #routes: ReadonlySet<string> | null = null
  readonly #missing = new Set<string>()
  readonly #loaded: Promise<void>
  #setLoaded!: () => void
  readonly #customLevels: Readonly<Record<string, keyof FastifyBaseLogger>>
  #isOver = false
  /** What becomes of renders that were under way then. */
  #whyOver = (_job: Job): Error => new NotLoaded()
  #watch: NodeJS.Timeout | null = null

  constructor (options: WorkerPoolOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.count }, () => ({ thread: null, isReady: false, isRefused: false, ends: 0, suspects: [], isAlone: false, timer: null }))
    this.#customLevels = Object.fromEntries(Object.entries(options.setup.customLevels).map(([name, value]) => [value, name as keyof FastifyBaseLogger]))
    this.#loaded = new Promise(resolve => { this.#setLoaded = resolve })
  }

  /** Not closed, and not without the app. */
  get isAble (): boolean {
    return !this.#isOver && !this.#slots.every(slot => slot.isRefused)
  }

  /** Resolves when a thread has loaded the app, or it is clear that none can. */
  get loaded (): Promise<void> {
    return this.#loaded
  }

  start (): void {
    for (const slot of this.#slots) this.#open(slot)
    const { timeout } = this.#options
    this.#watch = setInterval(() => { this.#lookForSilent() }, Math.max(10, timeout / PINGS))
    this.#watch.unref()
  }

  /** Whether pages of a route can be rendered here; waits until the app has been loaded, for half the time that a render has. */
  async knows (route: PageRoute, signal: AbortSignal): Promise<boolean> {
    if (this.#routes === null && !this.#isOver) await this.#whenLoaded(signal)
    if (!this.isAble || this.#routes === null) return false
    if (this.#routes.has(route.id)) return true
    if (!this.#missing.has(route.id)) {
      this.#missing.add(route.id)
      this.#options.log.warn(`route GET ${route.pattern} isn't there in the worker threads: its pages are rendered in the main thread; declare it in the module of render.app`)
    }
    return false
  }

  async #whenLoaded (signal: AbortSignal): Promise<void> {
    const bound = new AbortController()
    const late = delay(this.#options.timeout / 2, undefined, { signal: bound.signal }).catch(() => {})
    await orAbort(Promise.race([this.#loaded, late]), signal).finally(() => { bound.abort() })
  }

  /** @throws NotLoaded, when another thread has to do it, or the reason of the request's signal */
  async render (request: RenderRequest): Promise<Rendered> {
    const { signal } = request
    signal.throwIfAborted()
    let forget = (): void => {}
    try {
      return await new Promise((resolve, reject) => {
        const job: Job = { request, scope: new AsyncResource('fastify-isr.render'), isSuspect: false, resolve, reject }
        forget = () => { this.#forget(job) }
        signal.addEventListener('abort', forget, { once: true })
        this.#dispatch(job)
      })
    } finally {
      signal.removeEventListener('abort', forget)
    }
  }

  /** Nobody waits for it any more: it is not to be kept until a thread has time for it. What a thread does already, that thread ends. */
  #forget (job: Job): void {
    for (const queue of [this.#waiting, ...this.#slots.map(slot => slot.suspects)]) {
      const at = queue.indexOf(job)
      if (at === -1) continue
      queue.splice(at, 1)
      job.reject(job.request.signal.reason as Error)
    }
  }

  /** Resolves when every thread has ended. */
  async close (): Promise<void> {
    this.#giveUp(({ request }) => new Closing(request.page.key))
    await Promise.all(this.#slots.map(async ({ thread }) => { await thread?.close() }))
  }

  #giveUp (why: (job: Job) => Error): void {
    this.#isOver = true
    this.#whyOver = why
    this.#setLoaded()
    if (this.#watch !== null) clearInterval(this.#watch)
    for (const slot of this.#slots) {
      if (slot.timer !== null) clearTimeout(slot.timer)
      for (const job of slot.suspects.splice(0)) job.reject(why(job))
    }
    for (const job of this.#waiting.splice(0)) job.reject(why(job))
  }

  #open (slot: Slot): void {
    const { setup, memory, answer } = this.#options
    slot.timer = null
    const thread = new RenderThread({
      setup,
      memory,
      answer,
      onReady: (routes) => {
        slot.isReady = true
        slot.isRefused = false
        this.#routes ??= new Set(routes)
        this.#setLoaded()
        this.#next(slot)
      },
      onLog: line => { this.#log(line) },
      onEnd: (reason, refusal) => { this.#onEnd(slot, reason, refusal) }
    })
    slot.thread = thread
  }

  #onEnd (slot: Slot, reason: string, refusal: Error | null): void {
    const wasReady = slot.isReady
    slot.thread = null
    slot.isReady = false
    if (this.#isOver) return
    const { log } = this.#options
    const wasAble = this.isAble
    slot.isRefused = !wasReady
    if (wasAble && !this.isAble) {
      this.#warnOf(reason, refusal)
      for (const job of this.#waiting.splice(0)) job.reject(new NotLoaded())
    }
    if (this.#routes === null || (wasReady && refusal !== null)) {
      if (this.isAble) this.#warnOf(reason, refusal)
      this.#giveUp(() => new NotLoaded())
      for (const { thread } of this.#slots) thread?.kill('not needed')
      return
    }
    slot.ends++
    if (wasReady || slot.ends <= 2) log.warn({ reason }, `a worker thread has ended: ${reason}; another one takes its place`)
    // The first replacement at once: pages wait for it.
    const pause = slot.ends === 1 ? 0 : Math.min(FIRST_PAUSE * 2 ** (slot.ends - 2), LONGEST_PAUSE)
    slot.timer = setTimeout(() => { this.#open(slot) }, pause)
    slot.timer.unref()
  }

  #warnOf (reason: string, refusal: Error | null): void {
    const error = new WorkerLoad(refusal?.message ?? reason, { cause: refusal })
    // The command line shows what is no error of a page.
    this.#options.log.warn({ code: error.code, reason: refusal?.stack ?? reason }, error.message)
  }

  #dispatch (job: Job): void {
    // Those who wait for a nested one may be what keeps a thread for itself.
    const open = this.#slots.filter(slot => slot.isReady && (job.request.isNested || !slot.isAlone))
    const [least] = open.sort((a, b) => (a.thread?.renders ?? 0) - (b.thread?.renders ?? 0))
    if (least === undefined) this.#waiting.push(job)
    else void this.#run(least, job)
  }

  /** What a thread does when it has become ready, or has ended what it did alone. */
  #next (slot: Slot): void {
    const suspect = slot.isReady ? slot.suspects.shift() : undefined
    slot.isAlone = suspect !== undefined
    if (suspect !== undefined) void this.#run(slot, suspect).then(() => { this.#next(slot) })
    else if (slot.isReady) for (const job of this.#waiting.splice(0)) this.#dispatch(job)
  }

  async #run (slot: Slot, job: Job): Promise<void> {
    const { request, scope } = job
    const { route, page, reason, settings, signal } = request
    const { thread } = slot
    if (thread === null || signal.aborted) return job.reject(signal.aborted ? signal.reason as Error : this.#whyOver(job))
    if (thread.renders === 0) thread.unanswered = 0
    try {
      const away = await thread.run({ type: 'render', route: route.id, page, reason, baseUrl: settings.baseUrl.href }, signal, scope) as RenderedAway
      slot.ends = 0
      job.resolve(rendered(request, away))
    } catch (error) {
      if (error instanceof ThreadEnded) this.#afterEnd(slot, job, error)
      else job.reject(signal.aborted ? signal.reason as Error : failureOf(page.key, error as Error))
    }
  }

  /** Its thread has ended: by its doing, if it was alone there. */
  #afterEnd (slot: Slot, job: Job, end: ThreadEnded): void {
    const { page, isNested } = job.request
    if (this.#isOver) job.reject(this.#whyOver(job))
    else if (end.isSure || (isNested && job.isSuspect)) job.reject(new WorkerDied(page.key, end.message))
    else {
      job.isSuspect = true
      // A render that others wait for has no time to wait for its turn.
      if (isNested) this.#dispatch(job)
      else slot.suspects.push(job)
    }
  }

  /** A thread that computes can't be asked anything: if others wait for it, it has to end. */
  #lookForSilent (): void {
    for (const { thread, suspects, isReady } of this.#slots) {
      if (thread === null || !isReady || thread.renders === 0) continue
      const isWaitedFor = thread.renders > 1 || suspects.length > 0
      if (isWaitedFor && thread.unanswered >= UNANSWERED) thread.kill(SILENT)
      else thread.ping()
    }
  }

  /** The app's log is one: a line of a worker goes where those of the main thread go. */
  #log (line: string): void {
    const { appLog: log } = this.#options
    try {
      const { level, time, pid, hostname, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
      const write = LEVELS[String(level)] ?? this.#customLevels[String(level)]
      if (write !== undefined) (log[write] as FastifyBaseLogger['info'])({ ...fields, worker: true }, ...typeof msg === 'string' ? [msg] : [])
    } catch {
      log.info({ worker: true }, line)
    }
  }
}

const LEVELS: Readonly<Record<string, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }

function rendered ({ route, page, reason }: RenderRequest, { status, headers, body, ...said }: RenderedAway): Rendered {
  return { job: { route, page, reason, ...said }, status, headers, body: body as Buffer | null }
}

/** As it would look in this thread. */
function failureOf (key: string, error: Error): Error {
  return (error as { code?: unknown }).code === 'FST_ISR_ERR_RENDER_FAILED' ? new RenderFailed(key, { cause: error.cause }) : error
}
