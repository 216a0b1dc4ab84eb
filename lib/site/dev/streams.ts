import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'

export interface News {
  event: 'hello' | 'css' | 'reload' | 'fail' | 'ok'
  data: unknown
}

/** Milliseconds after which a browser asks again. */
const RETRY = 500
/** Milliseconds between signs of life: less than any proxy waits. */
const PING = 15_000
/** Streams at the same time: a developer's tabs, with much to spare. */
const MOST_STREAMS = 100
/** Bytes that wait for a browser that does not read. */
const MOST_UNREAD = 64 * 1024

/** The open event streams (server-sent events) of browsers, by the page they show. */
export class Streams {
  readonly #streams = new Map<ServerResponse, string>()
  readonly #ping: NodeJS.Timeout
  #isClosed = false

  constructor () {
    this.#ping = setInterval(() => {
      for (const raw of this.#streams.keys()) this.#write(raw, ':\n\n')
    }, PING).unref()
  }

  get size (): number {
    return this.#streams.size
  }

  get isFull (): boolean {
    return this.#isClosed || this.#streams.size >= MOST_STREAMS
  }

  /** Pages that some browser shows. */
  pages (): Set<string> {
    return new Set(this.#streams.values())
  }

  /** Takes the answer out of Fastify's hands: nothing may compress or hold back what is sent. */
  open (reply: FastifyReply, page: string): ServerResponse {
    reply.hijack()
    const { raw, request } = reply
    request.raw.socket.setTimeout(0)
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      // HTTP/2 has no such header; in HTTP/1 it lets a closing server go at once.
      ...(request.raw.httpVersionMajor === 1 ? { connection: 'close' } : {})
    })
    this.#streams.set(raw, page)
    raw.on('close', () => { this.#streams.delete(raw) })
    // The browser is gone, and "close" follows.
    raw.on('error', () => {})
    this.#write(raw, `retry: ${RETRY}\n\n`)
    return raw
  }

  send (raw: ServerResponse, id: string, { event, data }: News): void {
    this.#write(raw, `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  /** To every browser that shows the page. */
  tell (page: string, id: string, news: Iterable<News>): void {
    for (const one of news) {
      for (const [raw, shown] of this.#streams) {
        if (shown === page) this.send(raw, id, one)
      }
    }
  }

  close (): void {
    this.#isClosed = true
    clearInterval(this.#ping)
    for (const raw of this.#streams.keys()) raw.end()
    this.#streams.clear()
  }

  #write (raw: ServerResponse, text: string): void {
    if (raw.writableLength > MOST_UNREAD) raw.destroy()
    else raw.write(text)
  }
}
