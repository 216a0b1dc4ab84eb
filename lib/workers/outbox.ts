import type { TransferListItem } from 'node:worker_threads'
import type { Batch } from './messages.js'

interface Port { postMessage (value: unknown, transfer?: readonly TransferListItem[]): void }

/**
 * Gathers what is said in one turn of the event loop: waking the other thread
 * costs more than most of what it is told.
 */
export class Outbox<T> {
  readonly #port: Port
  #messages: T[] = []
  #handedOver: TransferListItem[] = []

  constructor (port: Port) {
    this.#port = port
  }

  /** At the end of the turn. For what can be sent for sure: nobody hears of it otherwise. */
  post (message: T, handedOver: readonly TransferListItem[] = []): void {
    if (this.#messages.push(message) === 1) setImmediate(() => { this.#flush() })
    this.#handedOver.push(...handedOver)
  }

  /**
   * At once, after what was posted before.
   *
   * @throws DataCloneError
   */
  send (message: T): void {
    this.#flush()
    this.#port.postMessage([message] satisfies Batch<T>)
  }

  #flush (): void {
    const [messages, handedOver] = [this.#messages, this.#handedOver]
    if (messages.length === 0) return
    this.#messages = []
    this.#handedOver = []
    this.#port.postMessage(messages satisfies Batch<T>, handedOver)
  }
}
