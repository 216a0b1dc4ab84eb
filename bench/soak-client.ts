// A client that takes little of the machine: bytes out, and of the answer only what is needed.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Asked {
  method: 'GET' | 'HEAD' | 'POST'
  path: string
  /** Lines of headers, each with its end. */
  headers: string
  body: string
}

export interface Answered {
  status: number
  etag: string | null
}

const END = '\r\n\r\n'

export function bytesOf ({ method, path, headers, body }: Asked): string {
  const length = body === '' ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`
  return `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}${length}\r\n${body}`
}

/** One connection, one request at a time. */
export class SoakClient {
  readonly #port: number
  #socket: Socket | null = null
  #chunks: Buffer[] = []
  #length = 0
  /** Of the whole answer, once its head is there. */
  #needed = 0
  #isHead = false
  #answered: Answered = { status: 0, etag: null }
  #resolve: (answered: Answered) => void = () => {}
  #reject: (error: Error) => void = () => {}

  constructor (port: number) {
    this.#port = port
  }

  /** @throws if the server closes the connection before the end of the answer */
  async ask (asked: Asked): Promise<Answered> {
    this.#socket ??= await this.#connect()
    this.#isHead = asked.method === 'HEAD'
    this.#chunks = []
    this.#length = this.#needed = 0
    const answer = new Promise<Answered>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#socket.write(bytesOf(asked))
    return await answer
  }

  async close (): Promise<void> {
    const socket = this.#socket
    if (socket === null) return
    const closed = once(socket, 'close')
    socket.end()
    await closed
  }

  async #connect (): Promise<Socket> {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    socket.on('data', (chunk: Buffer) => { this.#take(chunk) })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#socket = null
      this.#reject(new Error('the connection was closed'))
    })
    return socket
  }

  #take (chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#needed === 0) this.#readHead()
    if (this.#needed > 0 && this.#length >= this.#needed) this.#resolve(this.#answered)
  }

  #readHead (): void {
    const text = (this.#chunks.length === 1 ? this.#chunks[0] as Buffer : Buffer.concat(this.#chunks)).toString('latin1')
    const end = text.indexOf(END)
    if (end === -1) return
    const head = text.slice(0, end)
    const status = Number(head.slice(9, 12))
    this.#answered = { status, etag: /\r\netag: ([^\r]+)/i.exec(head)?.[1] ?? null }
    const length = this.#isHead || status === 304 ? '0' : /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
    if (length === undefined) return this.#reject(new Error(`an answer without a length: ${head}`))
    this.#needed = end + END.length + Number(length)
  }
}

/** A connection for one request, which is broken off after some milliseconds. */
export async function abort (port: number, asked: Asked, milliseconds: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  const text = bytesOf(asked)
  // Some of them within the head.
  socket.write(milliseconds === 0 ? text.slice(0, text.length >> 1) : text)
  socket.resume()
  setTimeout(() => { socket.resetAndDestroy() }, milliseconds)
  await closed
}
