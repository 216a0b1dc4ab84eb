// The app of the tests of render workers: what `fastify start` would be given. Loaded by the
// test itself, and once more in every worker thread.
import { isMainThread, threadId } from 'node:worker_threads'
import type { FastifyInstance } from 'fastify'
import isr, { type IsrOptions } from '../../lib/index.js'

export interface WorkersAppOptions {
  isr?: IsrOptions
}

/** Answers with the thread that it runs in. */
function where (): string {
  return isMainThread ? 'main' : 'worker'
}

let fetches = 0

export default async function workersApp (app: FastifyInstance, { isr: options }: WorkersAppOptions): Promise<void> {
  await app.register(isr, { disk: false, ...options, render: { workers: 1, app: import.meta.url, ...options?.render } })
  app.addHook('onClose', async (instance) => { instance.log.info('closed') })
  const price = app.isr.cached('price', async (id: string) => {
    fetches++
    return { id, thread: where(), fetches }
  }, { tags: (_value, id) => [`price-${id}`], ttl: 1000 })
  const broken = app.isr.cached('broken', async (): Promise<string> => { throw Object.assign(new Error('no such row'), { code: 'E_ROW', statusCode: 404 }) })

  app.get('/where', { config: { prerender: { ttl: 10 } } }, async () => where())
  app.get('/thread/:id', { config: { prerender: { onDemand: true } } }, async () => {
    await new Promise(resolve => setTimeout(resolve, 20))
    return `${where()} ${threadId}`
  })
  app.get('/page/:id', { config: { prerender: { paths: Array.from({ length: 30 }, (_, id) => ({ id })), tags: ['pages'] } } }, async (request, reply) => {
    const { id } = request.params as { id: string }
    reply.type('text/html').header('x-page', id)
    reply.isr.tags(`page-${id}`)
    return `<!doctype html><title>${id}</title>${`<p>text of ${id}</p>`.repeat(200)}`
  })
  app.get('/render', { config: { prerender: true } }, async (request, reply) => {
    reply.isr.ttl(7)
    reply.isr.tags('said')
    return { where: where(), render: request.isrRender, host: request.host, agent: request.headers['user-agent'], warm: app.isr.building }
  })
  app.get('/private', { config: { prerender: true } }, async (_request, reply) => {
    reply.isr.noStore()
    return where()
  })
  app.get('/live', async () => where())
  app.get('/missing', { config: { prerender: true } }, async (_request, reply) => reply.code(404).send(where()))
  app.get('/throws', { config: { prerender: true } }, async () => { throw new Error(`thrown in ${where()}`) })

  app.get('/price/:id/:page', { config: { prerender: { onDemand: true } } }, async request => await price((request.params as { id: string }).id))
  app.get('/live-price/:id', async request => await price((request.params as { id: string }).id))
  app.get('/broken', { config: { prerender: true } }, async () => await broken().catch((error: Error & { code: string, statusCode: number }) => [error.message, error.code, error.statusCode]))
  app.get('/outer', { config: { prerender: true } }, async () => `outer (${(await app.inject('/inner')).body})`)
  app.get('/inner', { config: { prerender: { tags: ['inner'] } } }, async () => {
    fetches++
    return `inner ${fetches}`
  })

  app.get('/exit', { config: { prerender: true } }, async () => process.exit(3))
  app.get('/uncaught', { config: { prerender: true } }, async () => {
    setImmediate(() => { throw new Error('nobody catches this') })
    await new Promise(() => {})
  })
  app.get('/later', { config: { prerender: true } }, async () => {
    setTimeout(() => { throw new Error('after its end') }, 50)
    return where()
  })
  app.get('/hang', { config: { prerender: true } }, async () => { for (;;); })
  app.get('/memory', { config: { prerender: true } }, async () => {
    const kept: number[][] = []
    for (;;) kept.push(Array.from({ length: 10_000 }, Math.random))
  })
  app.get('/slow/:ms', { config: { prerender: { onDemand: true } } }, async request => {
    await new Promise(resolve => setTimeout(resolve, Number((request.params as { ms: string }).ms)))
    return where()
  })
  app.get('/cpu/:ms', { config: { prerender: { onDemand: true } } }, async request => {
    const end = Date.now() + Number((request.params as { ms: string }).ms)
    while (Date.now() < end);
    return where()
  })
}
