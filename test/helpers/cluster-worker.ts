// A worker of node:cluster for tests: one of several processes that serve the same pages from
// one directory through one port. Tells the primary of each render, and does what it is told.
//   env: ISR_DIR
import cluster from 'node:cluster'
import Fastify from 'fastify'
import isr from '../../lib/index.js'

export interface Command {
  readonly id: number
  readonly what: 'visit' | 'revalidate' | 'purge' | 'refresh' | 'refresh-on-and-on'
  readonly path: string
}

export type Message =
  | { readonly type: 'listening', readonly port: number }
  | { readonly type: 'render', readonly path: string }
  | { readonly type: 'done', readonly id: number, readonly status: number, readonly body: string, readonly how: string }

/** Which render made a body; throws for a torn one. */
export function renderOf (body: string): string {
  const [first = '', ...others] = body.split('\n').slice(0, -1)
  if (first === '' || others.length !== LINES - 1 || others.some(line => line !== first)) throw new Error(`a torn page: ${body.length} bytes, ${body.slice(0, 100)}`)
  return first
}

/** Enough that a write of them takes a while. */
const LINES = 5000

function tell (message: Message): void {
  process.send?.(message)
}

if (process.argv[1]?.endsWith('cluster-worker.js') && cluster.worker !== undefined) {
  let renders = 0
  const app = Fastify()
  await app.register(isr, { dir: process.env.ISR_DIR ?? '', buildId: 'one', encodings: [] })
  app.get('/:id', { config: { prerender: { ttl: 3600, onDemand: true } } }, async (request, reply) => {
    if (request.isrRender !== null) tell({ type: 'render', path: request.url })
    return reply.type('text/plain').send(`render ${++renders} of ${process.pid}\n`.repeat(LINES))
  })
  const work: Record<Command['what'], (path: string) => Promise<unknown>> = {
    visit: async path => await app.inject(path),
    revalidate: async path => await app.isr.revalidate({ path }),
    purge: async path => await app.isr.purge({ path }),
    refresh: async path => await app.isr.refresh({ path }),
    async 'refresh-on-and-on' (path) {
      for (;;) await app.isr.refresh({ path })
    }
  }
  process.on('message', ({ id, what, path }: Command) => {
    void work[what](path).then((answer) => {
      const { statusCode = 0, body = '', headers = {} } = answer as { statusCode?: number, body?: string, headers?: Record<string, unknown> }
      tell({ type: 'done', id, status: statusCode, body, how: String(headers['cache-status'] ?? '') })
    })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  tell({ type: 'listening', port: (app.server.address() as { port: number }).port })
}
