// Several instances of one site in this process: the faults of Redis and of the network reach them
// as they do processes, and hundreds of visitors cost nothing. What is killed needs cluster-app.ts.
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import isr, { type IsrOptions, type RedisOptions, type RedisTemplate, type RoutePolicy } from '../../lib/index.js'
import { parsePage, showPage, type ShownPage } from './cluster-page.js'
import type { Gate } from './engine.js'
import type { Test } from './guarded.js'
import { eventually } from './links.js'

export { eventually } from './links.js'
export { makeGate } from './engine.js'

export interface Rendered {
  readonly id: string
  readonly node: string
  readonly version: number
  /** `performance.now()`. */
  readonly beganAt: number
}

/** Where the pages of all nodes come from; counts the renders of the whole cluster. */
export class Pages {
  version = 1
  /** Milliseconds that a render takes. */
  delay = 0
  /** While it is set, renders wait for it. */
  gate: Gate | null = null
  fails: (id: string) => boolean = () => false
  isGone: (id: string) => boolean = () => false
  readonly renders: Rendered[] = []
  readonly running: Record<string, number> = {}
  readonly mostRunning: Record<string, number> = {}

  rendersOf (id: string | number): number {
    return this.renders.filter(render => render.id === String(id)).length
  }

  async render (id: string, node: string): Promise<ShownPage | null> {
    const { version } = this
    const isFailing = this.fails(id)
    const isGone = this.isGone(id)
    this.renders.push({ id, node, version, beganAt: performance.now() })
    const running = this.running[node] = (this.running[node] ?? 0) + 1
    this.mostRunning[node] = Math.max(running, this.mostRunning[node] ?? 0)
    try {
      await this.gate?.opened
      if (this.delay > 0) await new Promise(resolve => { setTimeout(resolve, this.delay) })
    } finally {
      this.running[node]!--
    }
    if (isFailing) throw new Error(`${id} can't be rendered`)
    return isGone ? null : { key: `/p/${id}`, version, render: String(this.renders.length), instance: node }
  }
}

/**
 * A client whose connections go different ways: the first that is made is the one that commands
 * take, all others the one that listens, as long as the first is not lost.
 */
export function forkedClient (commands: number, subscriber: number): RedisTemplate {
  const template = new Redis({ host: '127.0.0.1', port: commands, lazyConnect: true })
  let port = commands
  const duplicate = (options: object): Redis => {
    const client = new Redis({ ...template.options, ...options, port } as object)
    port = subscriber
    return client
  }
  return Object.assign(template, { duplicate })
}

export interface Answered {
  readonly status: number
  readonly body: string
  /** What a page shows of itself; a torn one has made the request fail. */
  readonly page: ShownPage | null
  readonly cacheStatus: string
  readonly headers: Record<string, unknown>
  readonly ms: number
}

export interface NodeOptions {
  pages: Pages
  /** Of Redis, or of a proxy before it. */
  port: number
  name?: string
  /** The client that the app brings, in place of one for the port. */
  client?: RedisTemplate
  redis?: Omit<RedisOptions, 'client'>
  isr?: IsrOptions
  policy?: RoutePolicy
}

export interface ClusterNode {
  readonly name: string
  readonly app: FastifyInstance
  /** Messages of warnings and errors. */
  readonly warnings: string[]
  get (id: string | number): Promise<Answered>
  isConnected (): boolean
}

/** A ready app with `/p/:id`, whose pages have the tags `all` and `p<id>`. */
export async function startNode (t: Test, { pages, port, name = 'a', client, redis = {}, isr: more = {}, policy = {} }: NodeOptions): Promise<ClusterNode> {
  const warnings: string[] = []
  const app = Fastify({
    logger: {
      level: 'warn',
      stream: { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } }
    }
  })
  t.teardown(() => app.close())
  await app.register(isr, {
    buildId: 'b1',
    disk: false,
    strictPaths: false,
    ...more,
    redis: {
      client: client ?? new Redis({ host: '127.0.0.1', port, lazyConnect: true }),
      heartbeat: 100,
      commandTimeout: 500,
      ...redis
    }
  })
  app.get<{ Params: { id: string } }>('/p/:id', {
    config: { prerender: { ttl: 60, tags: params => ['all', `p${(params as { id: string }).id}`], ...policy } }
  }, async ({ params }, reply) => {
    const page = await pages.render(params.id, name)
    reply.type('text/html; charset=utf-8')
    return page === null ? await reply.code(404).send('gone') : showPage(page)
  })
  await app.ready()
  return {
    name,
    app,
    warnings,
    async get (id) {
      const startedAt = performance.now()
      const { statusCode: status, body, headers } = await app.inject({ url: `/p/${id}` })
      return { status, body, page: status === 200 ? parsePage(body) : null, cacheStatus: String(headers['cache-status']), headers, ms: performance.now() - startedAt }
    },
    isConnected: () => app.isr.health().redis === 'connected'
  }
}

/** Nodes with the same options, named a, b, c …, all connected. */
export async function startNodes (t: Test, count: number, options: Omit<NodeOptions, 'name'>): Promise<ClusterNode[]> {
  const nodes = await Promise.all(Array.from({ length: count }, async (_, index) => await startNode(t, { ...options, name: String.fromCharCode(97 + index) })))
  await connected(...nodes)
  return nodes
}

export async function connected (...nodes: ClusterNode[]): Promise<void> {
  await eventually('all are connected', () => nodes.every(node => node.isConnected()))
}

export async function disconnected (...nodes: ClusterNode[]): Promise<void> {
  await eventually('all know that Redis is away', () => nodes.every(node => !node.isConnected()))
}
