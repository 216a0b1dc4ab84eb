// One instance of a site in a process of its own, for tests of several instances on one Redis:
// see cluster-app.ts, which starts it and talks to it.
import { randomUUID } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import type { AddressInfo } from 'node:net'
import Fastify, { LogController, type FastifyReply, type FastifyRequest } from 'fastify'
import type { RedisOptions as IoredisOptions } from 'ioredis'
import isr, { type Health, type Inspection, type IsrOptions, type OrderResult, type RedisOptions, type RedisTemplate, type RefreshResult, type RoutePolicy, type Stats, type Target } from '../../lib/index.js'
import type { LeaseEvent } from '../../lib/telemetry.js'
import { showPage } from './cluster-page.js'

/** What can be cloned of a client's options. */
export type ClientOptions = Pick<IoredisOptions, 'host' | 'port' | 'path' | 'sentinels' | 'name' | 'username' | 'password' | 'tls' | 'keyPrefix' | 'db' | 'lazyConnect' | 'connectionName'>

/** Which client the app brings, and what it is made of. */
export interface ClientSettings {
  /** @default 'ioredis' */
  library?: 'ioredis' | 'ioredis5' | 'iovalkey'
  /** Of the client, or of each of a cluster's. */
  options?: ClientOptions
  /** Makes the client that of a Redis Cluster. */
  nodes?: readonly { host: string, port: number }[]
}

/** What goes to the child: only what can be cloned, no functions. */
export interface ChildSettings {
  name: string
  originPort: number
  client: ClientSettings | null
  /** The option `redis`, but for its client. */
  redis: Omit<RedisOptions, 'client'>
  isr: Omit<IsrOptions, 'clock' | 'redis' | 'tier'>
  policy: Omit<RoutePolicy, 'paths'>
  /** More routes: `<name>/:id` with a policy of its own, otherwise the same. */
  routes: Readonly<Record<string, Omit<RoutePolicy, 'paths'>>>
  /** Milliseconds that this instance's clock is ahead. */
  clockOffset: number
  /** Telemetry channels to report, without `fastify-isr:`. */
  events: readonly string[]
}

/** Methods that the parent may call. */
export interface ChildCalls {
  purge (target: Target): Promise<OrderResult>
  revalidate (target: Target, options?: { expire?: number }): Promise<OrderResult>
  refresh (target: Target): Promise<RefreshResult>
  inspect (url: string): Promise<Inspection>
  stats (): Stats
  health (): Health
  setClock (offset: number): void
  close (): Promise<void>
}

/** What is left of an error that goes to another process, its code included. */
export interface SentError { message: string, code: string | undefined, stack: string | undefined }

export type ToChild =
  | { type: 'start', settings: ChildSettings }
  | { type: 'call', id: number, name: keyof ChildCalls, args: unknown[] }
export type ToParent =
  | { type: 'ready', port: number }
  | { type: 'failed', error: SentError }
  | { type: 'result', id: number, value?: unknown, error?: SentError }
  | { type: 'event', name: string, event: unknown }
/** What the origin is asked for, and what it answers. */
export interface OriginQuery {
  id: string
  render: string
  instance: string
  isLive: boolean
  /** Rendered without asking the others. */
  isAlone: boolean
}
export interface OriginAnswer { version: number, render: string, instance: string }

interface Client extends RedisTemplate {
  on (name: 'error', listener: () => void): unknown
  disconnect (): void
}

async function makeClient ({ library = 'ioredis', options = {}, nodes }: ClientSettings): Promise<Client> {
  // Three packages, one interface.
  const { Cluster, Redis } = await import(library) as typeof import('ioredis')
  if (nodes === undefined) return new Redis({ ...options } as object)
  const { lazyConnect = false, ...redisOptions } = options
  return new Cluster([...nodes], { lazyConnect, redisOptions: redisOptions as object })
}

function send (message: ToParent, sent?: () => void): void {
  if (process.connected) process.send?.(message, undefined, undefined, sent)
}

function toSend (error: unknown): SentError {
  const { message, code, stack } = error as NodeJS.ErrnoException
  return { message, code, stack }
}

async function askOrigin (port: number, query: OriginQuery): Promise<{ status: number, answer: OriginAnswer }> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: JSON.stringify(query) })
  return { status: response.status, answer: await response.json() as OriginAnswer }
}

async function start (settings: ChildSettings): Promise<{ port: number, calls: ChildCalls }> {
  let { clockOffset } = settings
  const app = Fastify({ logger: { level: 'info' }, logController: new LogController({ disableRequestLogging: true }) })
  const client = settings.client === null ? null : await makeClient(settings.client)
  // An app that listens to none of them has them printed by the client.
  client?.on('error', () => {})
  /** Who was to render, as it was decided last. */
  const turns = new Map<string, string>()
  channel('fastify-isr:lease').subscribe(event => {
    const { key, outcome } = event as LeaseEvent
    turns.set(key, outcome)
  })
  for (const name of settings.events) channel(`fastify-isr:${name}`).subscribe(event => { report(name, event) })

  await app.register(isr, {
    ...settings.isr,
    clock: () => Date.now() + clockOffset,
    ...(client === null ? {} : { redis: { ...settings.redis, client } })
  })
  // What it knows of itself when a request begins; no part of a page.
  app.addHook('onRequest', async (request, reply) => {
    if (request.isrRender === null) reply.header('x-redis', app.isr.health().redis)
  })
  for (const [name, policy] of Object.entries({ '/page': settings.policy, ...settings.routes })) {
    app.get<{ Params: { id: string } }>(`${name}/:id`, {
      config: { prerender: { onDemand: true, tags: ({ id }) => ['pages', `page-${id}`], ...policy } }
    }, async (request, reply) => await answerPage(request, reply))
  }

  async function answerPage (request: FastifyRequest<{ Params: { id: string } }>, reply: FastifyReply): Promise<FastifyReply> {
    const { id } = request.params
    const key = request.isrRender?.key
    const isAlone = key !== undefined && (turns.get(key) !== 'granted' || app.isr.health().redis !== 'connected')
    if (key !== undefined) turns.delete(key)
    const { status, answer } = await askOrigin(settings.originPort, {
      id,
      render: randomUUID(),
      instance: settings.name,
      isLive: key === undefined,
      isAlone
    })
    if (status === 404) return reply.code(404).type('text/html').send(`no page ${id}`)
    if (status !== 200) throw new Error(`the origin answers ${status}`)
    return reply.type('text/html; charset=utf-8').send(showPage({ key: request.routeOptions.url?.replace(':id', id) ?? '', ...answer }))
  }
  await app.listen({ port: 0, host: '127.0.0.1' })

  const calls: ChildCalls = {
    purge: async target => await app.isr.purge(target),
    revalidate: async (target, options) => await app.isr.revalidate(target, options),
    refresh: async target => await app.isr.refresh(target),
    inspect: async url => await app.isr.inspect(url),
    stats: () => app.isr.stats(),
    health: () => app.isr.health(),
    setClock (offset) { clockOffset = offset },
    async close () {
      await app.close()
      client?.disconnect()
    }
  }
  return { port: (app.server.address() as AddressInfo).port, calls }
}

function report (name: string, event: unknown): void {
  try {
    send({ type: 'event', name, event })
  } catch {
    // Something in it can't be cloned.
    send({ type: 'event', name, event: JSON.parse(JSON.stringify(event)) as unknown })
  }
}

async function answer (calls: ChildCalls, { id, name, args }: Extract<ToChild, { type: 'call' }>): Promise<void> {
  // After the last answer nothing but what the app has left open keeps the process alive.
  const sent = name === 'close' ? () => { process.disconnect() } : undefined
  try {
    const value = await (calls[name] as (...args: unknown[]) => unknown)(...args)
    send({ type: 'result', id, value }, sent)
  } catch (error) {
    send({ type: 'result', id, error: toSend(error) }, sent)
  }
}

if (process.argv[1]?.endsWith('cluster-child.js')) {
  let calls: ChildCalls | null = null
  process.on('message', (message: ToChild) => {
    if (message.type === 'call') {
      if (calls !== null) void answer(calls, message)
      return
    }
    start(message.settings).then(started => {
      calls = started.calls
      send({ type: 'ready', port: started.port })
    }, (error: unknown) => {
      send({ type: 'failed', error: toSend(error) }, () => { process.exit(1) })
    })
  })
}
