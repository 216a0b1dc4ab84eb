// Instances of one site in processes of their own, and the origin that they all render from.
// The origin is in the test's process: it counts the renders of the whole cluster exactly, and
// decides how long one takes and whether it works.
import { once } from 'node:events'
import { Agent, createServer, request, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import type { ChildProcess } from 'node:child_process'
import type { ChildCalls, ChildSettings, ClientSettings, OriginAnswer, OriginQuery, SentError, ToChild, ToParent } from './cluster-child.js'
import { parsePage, type ShownPage } from './cluster-page.js'
import type { Gate } from './engine.js'
import { killed, spawnGuarded, type Test } from './guarded.js'

export { parsePage, type ShownPage } from './cluster-page.js'
export { makeGate, type Gate } from './engine.js'

const CHILD = fileURLToPath(new URL('cluster-child.js', import.meta.url))
/** Milliseconds. Generous: only a process that will never answer is given up. */
const DEADLINE = 30_000

/** One run of a page's handler. Times are those of `performance.now()` in the test. */
export interface RenderRecord extends OriginQuery {
  /** The data that it is made from. */
  readonly version: number
  readonly beganAt: number
  /** Null while it runs. */
  endedAt: number | null
  /** `aborted`: nobody waited for it any more. */
  outcome: 'running' | OriginOutcome | 'aborted'
}

/** `gone` makes the page a 404, `failure` makes its handler throw. */
export type OriginOutcome = 'page' | 'failure' | 'gone'

/** Where the pages of all instances come from. Its fields may be changed at any time and hold for what is asked from then on. */
export class ClusterOrigin {
  /** Milliseconds that a render takes. */
  delay = 0
  /** While it is set, renders wait for it. */
  gate: Gate | null = null
  outcome: (id: string) => OriginOutcome = () => 'page'
  /** Renders of one version have equal bytes. */
  isStable = false
  /** In the order in which they began. */
  readonly renders: RenderRecord[] = []
  running = 0
  mostRunning = 0
  readonly #versions = new Map<string, number>()
  readonly #server: Server
  #base = 1

  constructor () {
    this.#server = createServer((request, response) => {
      text(request).then(async body => { await this.#answer(JSON.parse(body) as OriginQuery, response) }).catch(() => { response.destroy() })
    })
  }

  get port (): number {
    return (this.#server.address() as AddressInfo).port
  }

  async listen (): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async close (): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  versionOf (id: string | number): number {
    return this.#base + (this.#versions.get(String(id)) ?? 0)
  }

  /** Changes the data of a page, or of all; returns the new version of the page. */
  bump (id?: string | number): number {
    if (id === undefined) return ++this.#base
    this.#versions.set(String(id), (this.#versions.get(String(id)) ?? 0) + 1)
    return this.versionOf(id)
  }

  /** How often a page has been rendered, in the whole cluster; live runs of its handler are none. */
  rendersOf (id: string | number): number {
    return this.renders.filter(render => render.id === String(id) && !render.isLive).length
  }

  async #answer (query: OriginQuery, response: ServerResponse): Promise<void> {
    // As the data were when they were asked for.
    const record: RenderRecord = { ...query, version: this.versionOf(query.id), beganAt: performance.now(), endedAt: null, outcome: 'running' }
    const { delay, gate, isStable, outcome: outcomeOf } = this
    const outcome = outcomeOf(query.id)
    const gone = new AbortController()
    const left = new Promise<void>(resolve => {
      response.once('close', () => {
        gone.abort()
        resolve()
      })
    })
    this.renders.push(record)
    this.running++
    this.mostRunning = Math.max(this.mostRunning, this.running)
    if (gate !== null) await Promise.race([gate.opened, left])
    if (delay > 0) await sleep(delay, undefined, { signal: gone.signal }).catch(() => {})
    this.running--
    record.endedAt = performance.now()
    record.outcome = gone.signal.aborted ? 'aborted' : outcome
    const answer: OriginAnswer = isStable
      ? { version: record.version, render: `of ${record.version}`, instance: '' }
      : { version: record.version, render: query.render, instance: query.instance }
    response.writeHead({ page: 200, failure: 500, gone: 404 }[outcome], { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  }
}

export async function startOrigin (t: Test): Promise<ClusterOrigin> {
  const origin = new ClusterOrigin()
  await origin.listen()
  t.teardown(() => origin.close())
  return origin
}

export interface InstanceOptions {
  origin: ClusterOrigin
  /** @default 'a' */
  name?: string
  /** The port of the app's Redis client, or all about it; without it there is no Redis. */
  client?: number | ClientSettings
  /** The option `redis`, but for its client. */
  redis?: ChildSettings['redis']
  /** Where pages are kept, for this instance alone unless the test says otherwise; without it there is no disk tier. */
  dir?: string
  /** @default 'b1' */
  buildId?: string
  /** More register options. */
  isr?: Omit<ChildSettings['isr'], 'dir' | 'buildId'>
  /** Of `/page/:id`, which is rendered on demand and has the tags `pages` and `page-<id>`. */
  policy?: ChildSettings['policy']
  /** More routes like it, each with a policy of its own. */
  routes?: ChildSettings['routes']
  /** Milliseconds that its clock is ahead. */
  clockOffset?: number
  /** Telemetry channels to record, without `fastify-isr:`. */
  events?: readonly string[]
}

export interface InstanceAnswer {
  status: number
  headers: IncomingHttpHeaders
  /** Decoded. */
  body: string
  /** What the body shows, for a 200; a torn body has made the request fail. */
  page: ShownPage | null
  /** `performance.now()`. */
  startedAt: number
  endedAt: number
}

export interface InstanceLog {
  level: number
  msg: string
  [field: string]: unknown
}

type Result<Name extends keyof ChildCalls> = Promise<Awaited<ReturnType<ChildCalls[Name]>>>

/** A running instance, as seen from the test. What is asked of a process that dies is rejected. */
export class Instance {
  readonly name: string
  readonly logs: InstanceLog[] = []
  readonly events: { name: string, event: unknown }[] = []
  #port = 0
  readonly #child: ChildProcess
  readonly #agent = new Agent({ keepAlive: true })
  readonly #waiting = new Map<number, { resolve (value: unknown): void, reject (error: Error): void }>()
  readonly #exited: Promise<number | null>
  #calls = 0

  constructor (name: string) {
    this.name = name
    this.#child = spawnGuarded('env', ['-u', 'NODE_OPTIONS', process.execPath, CHILD], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], serialization: 'advanced' })
    if (this.#child.stdout !== null) createInterface(this.#child.stdout).on('line', line => { this.#log(line) })
    this.#child.on('message', message => { this.#hear(message as ToParent) })
    // Not its exit: that may be known before its last words have been read.
    this.#child.on('disconnect', () => { this.#giveUp(new Error(`instance ${name} has gone`)) })
    this.#child.on('error', error => { this.#giveUp(error) })
    this.#exited = new Promise(resolve => { this.#child.once('exit', resolve) })
  }

  get pid (): number {
    return this.#child.pid as number
  }

  get port (): number {
    return this.#port
  }

  /** Messages of warnings and errors. */
  get warnings (): string[] {
    return this.logs.filter(({ level }) => level >= 40).map(({ msg }) => msg)
  }

  async start (settings: ChildSettings): Promise<void> {
    const ready = new Promise<unknown>((resolve, reject) => { this.#waiting.set(0, { resolve, reject }) })
    this.#tell({ type: 'start', settings })
    this.#port = await ready as number
  }

  async get (path: string, headers: Record<string, string> = {}, { timeout = DEADLINE }: { timeout?: number } = {}): Promise<InstanceAnswer> {
    const startedAt = performance.now()
    const outgoing = request({ host: '127.0.0.1', port: this.#port, path, headers, agent: this.#agent, signal: AbortSignal.timeout(timeout) })
    outgoing.end()
    const [response] = await once(outgoing, 'response') as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    const endedAt = performance.now()
    const status = response.statusCode ?? 0
    const body = decoded(Buffer.concat(chunks), response.headers['content-encoding'])
    return { status, headers: response.headers, body, page: status === 200 ? parsePage(body) : null, startedAt, endedAt }
  }

  async purge (...args: Parameters<ChildCalls['purge']>): Result<'purge'> {
    return await this.#call('purge', args)
  }

  async revalidate (...args: Parameters<ChildCalls['revalidate']>): Result<'revalidate'> {
    return await this.#call('revalidate', args)
  }

  async refresh (...args: Parameters<ChildCalls['refresh']>): Result<'refresh'> {
    return await this.#call('refresh', args)
  }

  async inspect (...args: Parameters<ChildCalls['inspect']>): Result<'inspect'> {
    return await this.#call('inspect', args)
  }

  async stats (): Result<'stats'> {
    return await this.#call('stats', [])
  }

  async health (): Result<'health'> {
    return await this.#call('health', [])
  }

  /** Milliseconds that its clock is ahead from now on. */
  async setClock (offset: number): Result<'setClock'> {
    await this.#call('setClock', [offset])
  }

  /** Freezes the process: the system goes on to accept connections for it. */
  pause (): void {
    this.#child.kill('SIGSTOP')
  }

  resume (): void {
    this.#child.kill('SIGCONT')
  }

  /** SIGKILL. */
  async kill (): Promise<void> {
    await killed(this.#child)
    await this.#exited
    this.#agent.destroy()
  }

  /** Closes the app and resolves when nothing keeps the process alive any more. */
  async close (): Promise<void> {
    await this.#call('close', [])
    const code = await Promise.race([this.#exited, sleep(DEADLINE, 'open' as const, { ref: false })])
    this.#agent.destroy()
    if (code === 'open') throw new Error(`instance ${this.name} has closed, but something keeps its process alive`)
    if (code !== 0) throw new Error(`instance ${this.name} exited with ${code}`)
  }

  async #call<Name extends keyof ChildCalls> (name: Name, args: unknown[]): Result<Name> {
    const id = ++this.#calls
    return await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#tell({ type: 'call', id, name, args })
    }) as Awaited<ReturnType<ChildCalls[Name]>>
  }

  #tell (message: ToChild): void {
    if (!this.#child.connected) {
      this.#giveUp(new Error(`instance ${this.name} does not run`))
      return
    }
    this.#child.send(message, error => { if (error !== null) this.#giveUp(error) })
  }

  #hear (message: ToParent): void {
    if (message.type === 'event') this.events.push({ name: message.name, event: message.event })
    else if (message.type === 'ready') this.#settle(0, message.port)
    else if (message.type === 'failed') this.#settle(0, undefined, message.error)
    else this.#settle(message.id, message.value, message.error)
  }

  #settle (id: number, value: unknown, error?: SentError): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(Object.assign(new Error(error.message), error))
  }

  #giveUp (error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }

  #log (line: string): void {
    // A warning of a library may not be JSON.
    this.logs.push(line.startsWith('{') ? JSON.parse(line) as InstanceLog : { level: 40, msg: line })
  }
}

function decoded (bytes: Buffer, encoding: string | undefined): string {
  if (encoding === 'br') return brotliDecompressSync(bytes).toString()
  if (encoding === 'gzip') return gunzipSync(bytes).toString()
  return bytes.toString()
}

/** Starts an instance; it is killed when the test ends, unless it has been closed. */
export async function startInstance (t: Test, options: InstanceOptions): Promise<Instance> {
  const { origin, name = 'a', client, redis = {}, dir, buildId = 'b1', isr = {}, policy = {}, routes = {}, clockOffset = 0, events = [] } = options
  const instance = new Instance(name)
  t.teardown(() => instance.kill())
  await instance.start({
    name,
    originPort: origin.port,
    client: client === undefined ? null : typeof client === 'number' ? { options: { host: '127.0.0.1', port: client } } : client,
    redis,
    isr: { ...(dir === undefined ? { disk: false } : { dir }), buildId, ...isr },
    policy,
    routes,
    clockOffset,
    events
  })
  return instance
}

/** Starts `count` instances with the same options, named a, b, c …; each has a directory of its own below `dir`. */
export async function startInstances (t: Test, count: number, options: Omit<InstanceOptions, 'name'>): Promise<Instance[]> {
  const names = Array.from({ length: count }, (_, index) => index < 26 ? String.fromCharCode(97 + index) : `i${index}`)
  return await Promise.all(names.map(async name => await startInstance(t, {
    ...options,
    name,
    ...(options.dir === undefined ? {} : { dir: path.join(options.dir, name) })
  })))
}
