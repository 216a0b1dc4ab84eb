import { AsyncLocalStorage } from 'node:async_hooks'
import type { MessagePort } from 'node:worker_threads'
import { orAbort } from '../cache/or-abort.js'
import type { DataRequest } from '../data/source.js'
import { toError, toPlain, type Batch, type FromWorker, type Question, type Task, type TaskResult, type ToWorker } from './messages.js'
import { Outbox } from './outbox.js'

type RenderTask = Extract<Task, { type: 'render' }>

export interface TaskHandlers {
  /** Ids of the prerender routes. */
  routes (): string[]
  render (task: RenderTask, signal: AbortSignal): Promise<TaskResult>
}

interface Asked {
  resolve (value: unknown): void
  reject (error: Error): void
}

/** How long a datum that was asked for outside of every render can be fetched again behind (milliseconds). */
const REMEMBERED = 60_000

/** In a worker thread: takes tasks from the main thread, and asks it. */
export class MainPort {
  readonly #outbox: Outbox<FromWorker>
  readonly #asked = new Map<number, Asked>()
  /** What main may order to be fetched, by the question that it answers. */
  readonly #fetches = new Map<number, DataRequest>()
  readonly #tasks = new Map<number, AbortController>()
  /** The task that the running code belongs to. */
  readonly #inside = new AsyncLocalStorage<number>()
  readonly #onClose: () => Promise<void>
  #handlers: TaskHandlers | null = null
  #questions = 0
  #builds = 0

  constructor (port: MessagePort, onClose: () => Promise<void>) {
    this.#onClose = onClose
    this.#outbox = new Outbox(port)
    port.on('message', (messages: Batch<ToWorker>) => { for (const message of messages) this.#receive(message) })
  }

  /** What it renders is for a build. */
  get isBuilding (): boolean {
    return this.#builds > 0
  }

  /** The plugin is there. */
  attach (handlers: TaskHandlers): void {
    this.#handlers = handlers
  }

  get isAttached (): boolean {
    return this.#handlers !== null
  }

  ready (): void {
    this.#send({ type: 'ready', routes: this.#handlers?.routes() ?? [] })
  }

  refuse (error: unknown): void {
    this.#send({ type: 'unloadable', error: toPlain(error) })
  }

  log (line: string): void {
    this.#send({ type: 'log', line })
  }

  /** `request`: how the datum is fetched, should main decide so. */
  ask (question: Question, request?: DataRequest): Promise<unknown> {
    const id = ++this.#questions
    const task = this.#inside.getStore() ?? null
    const asked = new Promise((resolve, reject) => { this.#asked.set(id, { resolve, reject }) })
    try {
      this.#send({ type: 'ask', id, task, question })
    } catch (error) {
      // Something in it can't be sent.
      this.#take(id)?.reject(error as Error)
    }
    if (request !== undefined) {
      this.#fetches.set(id, request)
      const forget = (): void => { this.#fetches.delete(id) }
      // Within a render nothing stale is used, and nothing fetched behind.
      const later = task === null ? () => { setTimeout(forget, REMEMBERED).unref() } : forget
      asked.then(later, later)
    }
    return asked
  }

  #receive (message: ToWorker): void {
    switch (message.type) {
      case 'task': void this.#work(message.id, message.task); break
      case 'abort': this.#tasks.get(message.id)?.abort(); break
      case 'answer': this.#take(message.id)?.resolve(message.value); break
      case 'refusal': this.#take(message.id)?.reject(toError(message.error)); break
      case 'ping': this.#send({ type: 'pong' }); break
      case 'close': void this.#onClose()
    }
  }

  #take (id: number): Asked | undefined {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    return asked
  }

  async #work (id: number, task: Task): Promise<void> {
    const controller = new AbortController()
    const isBuild = task.type === 'render' && task.reason === 'build'
    this.#tasks.set(id, controller)
    if (isBuild) this.#builds++
    try {
      const result = await this.#inside.run(id, () => this.#run(task, controller.signal))
      const bytes = result.body?.buffer
      this.#outbox.post({ type: 'done', id, result }, bytes === undefined ? [] : [bytes as ArrayBuffer], error => {
        this.#send({ type: 'failed', id, error: toPlain(error) })
      })
    } catch (error) {
      this.#send({ type: 'failed', id, error: toPlain(error) })
    } finally {
      this.#tasks.delete(id)
      if (isBuild) this.#builds--
    }
  }

  async #run (task: Task, signal: AbortSignal): Promise<TaskResult> {
    if (task.type === 'render') {
      if (this.#handlers === null) throw new Error('the app has no fastify-isr')
      const rendered = await this.#handlers.render(task, signal)
      return { ...rendered, body: ownCopy(rendered.body) } as TaskResult
    }
    const request = this.#fetches.get(task.question)
    if (request === undefined) throw new Error('nobody waits for this any more')
    // One that ignores its signal has to end here all the same: a thread that says nothing is taken for one that computes.
    const fetched = await orAbort(request.fetch({ signal, hasOld: task.hasOld }), signal)
    return { ...fetched, body: ownCopy(fetched.body) } as TaskResult
  }

  #send (message: FromWorker): void {
    this.#outbox.send(message)
  }
}

/** Handed over, its memory is gone here: it must not be a slice of a pool, nor anything that the app still holds. */
function ownCopy (bytes: Uint8Array | null): Uint8Array | null {
  return bytes === null ? null : Uint8Array.prototype.slice.call(bytes) as Uint8Array
}
