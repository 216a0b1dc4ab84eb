import { channel } from 'node:diagnostics_channel'
import net, { type AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import type { Response as Injected } from 'light-my-request'
import isr, { type IsrOptions } from '../../lib/index.js'
import type { IsrEvents } from '../../lib/telemetry.js'
import { TestClock } from './engine.js'

export { TestClock, makeGate, settle, until } from './engine.js'

/** What is needed of a test: tap's `t` fits. */
interface Test {
  teardown (fn: () => unknown): void
}

export interface LogLine {
  level: number
  msg: string
  [field: string]: unknown
}

export const WARN = 40
export const ERROR = 50

export interface SiteOptions {
  isr?: IsrOptions
  fastify?: FastifyServerOptions
  /** Runs before the plugin is registered. */
  before?: (app: FastifyInstance) => unknown
  clock?: TestClock
}

/** A ready app with the plugin, time that the test moves, and what it logged. */
export interface Site {
  readonly app: FastifyInstance
  readonly clock: TestClock
  readonly logs: LogLine[]
  /** Messages of warnings and errors. */
  warnings (): string[]
  get (url: string, headers?: Record<string, string>): Promise<Injected>
  head (url: string, headers?: Record<string, string>): Promise<Injected>
  /** Listens on a free port and resolves with it. */
  listen (): Promise<number>
}

/** Without a disk unless the options say so. */
export async function start (t: Test, declare: (app: FastifyInstance) => unknown, options: SiteOptions = {}): Promise<Site> {
  const { clock = new TestClock() } = options
  const logs: LogLine[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line: string) => { logs.push(JSON.parse(line) as LogLine) } } }, ...options.fastify })
  t.teardown(() => app.close())
  await options.before?.(app)
  await app.register(isr, { disk: false, clock: clock.read, ...options.isr })
  await declare(app)
  await app.ready()
  return {
    app,
    clock,
    logs,
    warnings: () => logs.filter(line => line.level >= WARN).map(line => line.msg),
    get: async (url, headers = {}) => await app.inject({ url, headers }),
    head: async (url, headers = {}) => await app.inject({ method: 'HEAD', url, headers }),
    async listen () {
      await app.listen({ port: 0, host: '127.0.0.1' })
      return (app.server.address() as AddressInfo).port
    }
  }
}

export interface Counted {
  (request: FastifyRequest, reply: FastifyReply): Promise<unknown>
  /** Runs for internal renders. */
  renders: number
  /** Runs for visitors. */
  live: number
}

/** A handler that counts its runs. `answer` gets the number of this run, from 1. */
export function counted (answer: (nth: number, request: FastifyRequest, reply: FastifyReply) => unknown = nth => `#${nth}`): Counted {
  const handler: Counted = async (request, reply) => {
    if (request.isrRender === null) handler.live++
    else handler.renders++
    return await answer(handler.renders + handler.live, request, reply)
  }
  handler.renders = 0
  handler.live = 0
  return handler
}

/** The events of a channel from now until the test ends. */
export function record<Name extends keyof IsrEvents> (t: Test, name: Name): IsrEvents[Name][] {
  const events: IsrEvents[Name][] = []
  const listener = (event: unknown): void => { events.push(event as IsrEvents[Name]) }
  channel(`fastify-isr:${name}`).subscribe(listener)
  t.teardown(() => channel(`fastify-isr:${name}`).unsubscribe(listener))
  return events
}

export function cacheStatus (response: { headers: Record<string, unknown> }): string {
  return String(response.headers['cache-status'] ?? '').replace('fastify-isr; ', '')
}

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: Buffer
  /** As it came, for what a parser would hide. */
  bytes: Buffer
}

/** Sends bytes to a port and reads until the server closes: no client library in between mends what is sent. */
export function exchange (port: number, request: string | Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = net.connect(port, '127.0.0.1', () => { socket.write(request) })
    socket.setTimeout(5000, () => { socket.destroy(new Error('no answer')) })
    socket.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    socket.on('error', reject)
    socket.on('close', () => { resolve(Buffer.concat(chunks)) })
  })
}

/** One raw request, whatever its target looks like. */
export async function rawGet (port: number, target: string, headers: string[] = [], method = 'GET'): Promise<RawAnswer> {
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: visitor.example', 'Connection: close', ...headers, '', '']
  return parseAnswer(await exchange(port, Buffer.from(lines.join('\r\n'), 'latin1')))
}

export function parseAnswer (bytes: Buffer): RawAnswer {
  const end = bytes.indexOf('\r\n\r\n')
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return { status: Number(first.split(' ')[1]), headers, body: bytes.subarray(end + 4), bytes }
}
