import type { IncomingMessage } from 'node:http'
import type { ExpressLane } from './express-lane.js'
import { idleTimeout, type HttpServer, type HttpSocket, type NodeParser } from './node-http.js'

const NOTHING = Buffer.alloc(0)

/**
 * One connection: keeps the answers in order, and the timer as Node does,
 * which begins to count when an answer is through.
 */
export class ExpressConnection {
  readonly #lane: ExpressLane
  readonly #server: HttpServer
  readonly #socket: HttpSocket
  readonly #parser: NodeParser
  readonly #onIncoming: NonNullable<NodeParser['onIncoming']>
  /** The timer of an idle connection was set here. */
  #isIdle = false
  #isWaiting = false

  constructor (lane: ExpressLane, server: HttpServer, socket: HttpSocket, parser: NodeParser & { onIncoming: NonNullable<NodeParser['onIncoming']> }) {
    this.#lane = lane
    this.#server = server
    this.#socket = socket
    this.#parser = parser
    this.#onIncoming = parser.onIncoming
  }

  /** In the place of Node's own `onIncoming`: takes the request, or hands it on untouched. */
  take (request: IncomingMessage, keepAlive: boolean): number {
    if (keepAlive && this.#isFree() && this.#lane.take(request, this.#server)) {
      this.#write(this.#lane.head, this.#lane.body)
      return 0
    }
    this.#lane.counts.fallThrough++
    this.#wake()
    return this.#onIncoming.call(this.#parser, request, keepAlive)
  }

  /** Nothing else is being answered, and what was answered has been read: Node stops reading otherwise. */
  #isFree (): boolean {
    const socket = this.#socket
    return !socket._httpMessage && socket.writable && !socket.writableNeedDrain
  }

  #write (head: Buffer, body: Buffer | null): void {
    const socket = this.#socket
    // Nobody reads the request, and here it has no body: it can be forgotten at once.
    this.#parser.incoming = null
    if (body === null) socket.write(head)
    else {
      socket.cork()
      socket.write(head)
      socket.write(body)
      socket.uncork()
    }
    if (socket.writableLength > 0) this.#wait()
    else if (!this.#isIdle) this.#rest()
  }

  /** Idle from now on, until the next request. */
  #rest (): void {
    const timeout = idleTimeout(this.#server)
    if (timeout === 0) return
    this.#socket.setTimeout(timeout)
    this.#isIdle = true
  }

  #wake (): void {
    if (!this.#isIdle) return
    this.#isIdle = false
    this.#socket.setTimeout(this.#server.timeout || 0)
  }

  /** A slow reader: not idle before all of it is on its way. */
  #wait (): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#isIdle = false
    this.#socket.setTimeout(this.#server.timeout || 0)
    // Comes after all that is written before it.
    this.#socket.write(NOTHING, (error) => {
      this.#isWaiting = false
      if (error != null || this.#socket._httpMessage) return
      if (this.#socket.writableLength > 0) this.#wait()
      else if (!this.#isIdle) this.#rest()
    })
  }
}
