import type { TransferListItem } from 'node:worker_threads'
import type { Batch } from './messages.js'

interface Port { postMessage (value: unknown, transfer?: readonly TransferListItem[]): void }

interface Posted<T> {
  readonly message: T
  readonly handedOver: readonly TransferListItem[]
  readonly onRefused: (error: Error) => void
}

/**
 * Gathers what is said in one turn of the event loop: waking the other thread
 * costs more than most of what it is told.
 */
export class Outbox<T> {
  readonly #port: Port
  #posted: Posted<T>[] = []

  constructor (port: Port) {
    this.#port = port
  }

  /** At the end of the turn. `onRefused` hears of what can't be sent, which keeps back nothing else. */
  post (message: T, handedOver: readonly TransferListItem[], onRefused: (error: Error) => void): void {
    if (this.#posted.push({ message, handedOver, onRefused }) === 1) setImmediate(() => { this.#flush() })
  }

  /**
   * At once, after what was posted before.
   *
   * @throws DataCloneError
   */
  send (message: T): void {
    this.#flush()
    this.#deliver([message], [])
  }

  #flush (): void {
    const posted = this.#posted
    if (posted.length === 0) return
    this.#posted = []
    try {
      this.#deliver(posted.map(({ message }) => message), posted.flatMap(({ handedOver }) => handedOver))
    } catch {
      // Nothing of it has been sent, or handed over.
      for (const { message, handedOver, onRefused } of posted) {
        try {
          this.#deliver([message], handedOver)
        } catch (error) {
          onRefused(error as Error)
        }
      }
    }
  }

  #deliver (messages: Batch<T>, handedOver: readonly TransferListItem[]): void {
    this.#port.postMessage(messages, handedOver)
  }
}
