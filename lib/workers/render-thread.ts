import { AsyncResource } from 'node:async_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Fetched } from '../data/source.js'
import { loadBound } from '../load/load-app.js'
import { toError, toPlain, type Batch, type FromWorker, type Question, type RenderedAway, type Task, type TaskResult, type ToWorker, type WorkerSetup } from './messages.js'
import { Outbox } from './outbox.js'

/** Who asks, for those who answer. */
export interface Asker {
  readonly isAlive: boolean
  /** Runs code as a part of the task that asks: what it uses, that task depends on. */
  within<T> (code: () => Promise<T>): Promise<T>
  /** Lets the worker fetch what it asks for. */
  fetch (hasOld: boolean, signal: AbortSignal): Promise<Fetched>
}

export interface RenderThreadOptions {
  setup: WorkerSetup
  /** MiB. */
  memory: number
  answer (question: Question, asker: Asker): Promise<unknown>
  onReady (routes: string[]): void
  onLog (line: string): void
  /** Once, whatever ended it. `refusal`: why the app can't be loaded there. */
  onEnd (reason: string, refusal: Error | null): void
}

/** It ended with the worker. */
export class ThreadEnded extends Error {
  /** By the doing of the one render that was under way there. */
  readonly isSure: boolean

  constructor (reason: string, renders: number) {
    super(reason)
    this.isSure = renders <= 1 && reason !== SILENT
  }
}

interface Running {
  readonly type: Task['type']
  readonly scope: AsyncResource
  resolve (result: TaskResult): void
  reject (error: Error): void
}

/** Why a thread is ended that others wait for. */
export const SILENT = 'a page computed for so long that others had to wait'
/** What an aborted task has to say that it has ended; a thread that is silent for longer computes, and can't be interrupted (milliseconds). */
const LAST_WORD = 500
/** Beyond what the thread itself takes for too long: it can't say so while it computes (milliseconds). */
const LOAD_GRACE = 5000
/** For the app's own onClose hooks (milliseconds). */
const CLOSE_BOUND = 5000

/** A worker thread as the main thread sees it: takes tasks, asks questions, and may end at any time. */
export class RenderThread {
  readonly #options: RenderThreadOptions
  readonly #worker: Worker
  readonly #outbox: Outbox<ToWorker>
  readonly #running = new Map<number, Running>()
  readonly #exited: Promise<void>
  readonly #loadTimer: NodeJS.Timeout | null
  #tasks = 0
  #end: string | null = null
  #refusal: Error | null = null
  #isReady = false
  #ended: ThreadEnded | null = null
  /** How often it was asked whether it is there since it was heard of last. */
  unanswered = 0

  constructor (options: RenderThreadOptions) {
    this.#options = options
    this.#worker = new Worker(new URL('./thread.js', import.meta.url), {
      name: 'fastify-isr',
      workerData: options.setup,
      resourceLimits: { maxOldGenerationSizeMb: options.memory }
    })
    this.#outbox = new Outbox(this.#worker)
    this.#worker.on('message', (messages: Batch<FromWorker>) => { for (const message of messages) this.#receive(message) })
    this.#worker.on('error', (error: unknown) => { this.#end ??= (error as { code?: string }).code === 'ERR_WORKER_OUT_OF_MEMORY' ? `it needed more than ${options.memory} MiB` : messageOf(error) })
    const bound = loadBound(options.setup.load)
    this.#loadTimer = bound === 0 ? null : setTimeout(() => { this.kill(`the app was not loaded after ${bound + LOAD_GRACE} ms`) }, bound + LOAD_GRACE).unref()
    this.#exited = new Promise(resolve => {
      this.#worker.once('exit', (code) => {
        this.#finish(this.#end ?? `it ended with code ${code}`)
        resolve()
      })
    })
  }

  /** Renders under way. */
  get renders (): number {
    let count = 0
    for (const task of this.#running.values()) if (task.type === 'render') count++
    return count
  }

  /** @throws ThreadEnded, the reason of `signal`, or what the task failed with */
  async run (task: Task, signal: AbortSignal, scope = new AsyncResource('fastify-isr.task')): Promise<TaskResult> {
    signal.throwIfAborted()
    if (this.#ended !== null) throw this.#ended
    const id = ++this.#tasks
    const onAbort = (): void => { void this.#abort(id) }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#keepAlive()
    try {
      return await new Promise<TaskResult>((resolve, reject) => {
        this.#running.set(id, { type: task.type, scope, resolve, reject })
        this.#send({ type: 'task', id, task })
      })
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#keepAlive()
    }
  }

  ping (): void {
    this.unanswered++
    this.#send({ type: 'ping' })
  }

  /** Whatever it does at the moment. */
  kill (reason: string): void {
    this.#end ??= reason
    void this.#worker.terminate()
  }

  /** Lets the app close itself, within bounds. */
  async close (): Promise<void> {
    if (this.#ended !== null) return
    this.#end ??= 'the app is closing'
    const bound = new AbortController()
    if (this.#isReady) {
      this.#send({ type: 'close' })
      await Promise.race([this.#exited, delay(CLOSE_BOUND, undefined, { signal: bound.signal }).catch(() => {})])
      bound.abort()
    }
    await this.#worker.terminate()
    await this.#exited
  }

  #receive (message: FromWorker): void {
    this.unanswered = 0
    switch (message.type) {
      case 'ready':
        this.#isReady = true
        this.#forgetTimer()
        this.#keepAlive()
        this.#options.onReady(message.routes)
        break
      case 'unloadable':
        this.#refusal = toError(message.error)
        this.kill(this.#refusal.message)
        break
      case 'done': this.#settle(message.id)?.resolve(withBuffer(message.result)); break
      case 'failed': this.#settle(message.id)?.reject(toError(message.error)); break
      case 'ask': void this.#answer(message.id, message.task, message.question); break
      case 'log': this.#options.onLog(message.line)
    }
  }

  async #answer (id: number, taskId: number | null, question: Question): Promise<void> {
    const task = taskId === null ? undefined : this.#running.get(taskId)
    const thread = this
    const asker: Asker = {
      get isAlive () { return thread.#ended === null },
      within: async code => task === undefined ? await code() : await task.scope.runInAsyncScope(code),
      fetch: async (hasOld, signal) => await thread.run({ type: 'fetch', question: id, hasOld }, signal) as Fetched
    }
    try {
      const value = await this.#options.answer(question, asker)
      this.#send({ type: 'answer', id, value })
    } catch (error) {
      this.#send({ type: 'refusal', id, error: toPlain(error) })
    }
  }

  async #abort (id: number): Promise<void> {
    this.#send({ type: 'abort', id })
    await delay(LAST_WORD, undefined, { ref: false })
    if (this.#running.has(id)) this.kill('it did not answer any more')
  }

  #settle (id: number): Running | undefined {
    const task = this.#running.get(id)
    this.#running.delete(id)
    return task
  }

  #forgetTimer (): void {
    if (this.#loadTimer !== null) clearTimeout(this.#loadTimer)
  }

  #finish (reason: string): void {
    this.#forgetTimer()
    const ended = this.#ended = new ThreadEnded(reason, this.renders)
    for (const task of this.#running.values()) task.reject(ended)
    this.#running.clear()
    this.#options.onEnd(reason, this.#refusal ?? (this.#isReady ? null : new Error(reason)))
  }

  /** An idle thread keeps no process alive. */
  #keepAlive (): void {
    if (this.#ended !== null) return
    if (this.#running.size > 0 || !this.#isReady) this.#worker.ref()
    else this.#worker.unref()
  }

  #send (message: ToWorker): void {
    if (this.#ended !== null) return
    if (message.type === 'task') this.#outbox.post(message, [], error => { this.#settle(message.id)?.reject(error) })
    else this.#outbox.send(message)
  }
}

/** Bytes cross as a Uint8Array. */
function withBuffer (result: TaskResult): TaskResult {
  const { body } = result
  return body === null ? result : { ...result, body: Buffer.from(body.buffer, body.byteOffset, body.byteLength) } as RenderedAway | Fetched
}

function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
