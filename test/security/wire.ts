import net from 'node:net'
import { parseAnswer, type RawAnswer } from '../helpers/app.js'

/** Nothing more comes from a server that has been silent for so long (milliseconds). */
const SILENCE = 60
/** A server that waits for the rest of a request says nothing at all; a busy machine takes its time. */
const PATIENCE = 400

/**
 * Sends bytes on a connection of their own, as they are, and leaves when the
 * server closes or has nothing more to say. What it answers is not the point.
 */
export function strike (port: number, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    let timer = setTimeout(leave, PATIENCE)
    function leave (): void {
      clearTimeout(timer)
      socket.destroy()
      resolve()
    }
    socket.on('connect', () => { socket.write(bytes) })
    socket.on('data', () => {
      clearTimeout(timer)
      timer = setTimeout(leave, SILENCE)
    })
    socket.on('error', leave)
    socket.on('close', leave)
  })
}

/** Requests without a body, all written at once, and their answers in order. */
export class Connection {
  readonly #socket: net.Socket
  #received = Buffer.alloc(0)
  #waiting: { count: number, answers: RawAnswer[], resolve: (answers: RawAnswer[]) => void, reject: (error: Error) => void } | null = null

  constructor (port: number) {
    this.#socket = net.connect(port, '127.0.0.1')
    this.#socket.setNoDelay(true)
    this.#socket.on('data', (chunk) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      this.#cut()
    })
    const fail = (error: Error): void => { this.#waiting?.reject(error) }
    this.#socket.on('error', fail)
    this.#socket.on('close', () => { fail(new Error('the server has closed the connection')) })
  }

  send (requests: readonly string[]): Promise<RawAnswer[]> {
    if (requests.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      this.#waiting = { count: requests.length, answers: [], resolve, reject }
      this.#socket.write(Buffer.from(requests.join(''), 'latin1'))
    })
  }

  close (): void {
    this.#socket.removeAllListeners('close')
    this.#socket.destroy()
  }

  #cut (): void {
    while (this.#waiting !== null) {
      const length = lengthOf(this.#received)
      if (length === null) return
      this.#waiting.answers.push(parseAnswer(this.#received.subarray(0, length)))
      this.#received = this.#received.subarray(length)
      if (this.#waiting.answers.length < this.#waiting.count) continue
      const { answers, resolve } = this.#waiting
      this.#waiting = null
      resolve(answers)
    }
  }
}

/** Bytes of the first answer, or null while it is not all there. */
function lengthOf (bytes: Buffer): number | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return null
  const head = bytes.toString('latin1', 0, end)
  const body = end + 4
  if (/^HTTP\/1\.1 (?:1\d\d|204|304)/.test(head)) return body
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    const last = bytes.indexOf('0\r\n\r\n', body)
    return last === -1 ? null : last + 5
  }
  const length = body + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
  return bytes.length < length ? null : length
}
