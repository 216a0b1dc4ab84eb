import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import isr, { type IsrOptions, type RoutePolicy } from 'fastify-isr'
import { productsOf, renderPage } from './page.js'
import { SETTING } from './running.js'

export interface PrerenderedApp {
  kilobytes?: number
  server?: FastifyServerOptions
  /** What else the app registers, before fastify-isr. */
  setUp?: (app: FastifyInstance) => Promise<unknown>
  policy?: RoutePolicy
  /** @default the page of `uncached` */
  render?: () => string
}

/** The page of `uncached`, behind the plugin and built in a directory of its own. */
export async function createPrerenderedApp (options: IsrOptions, others: PrerenderedApp = {}): Promise<FastifyInstance> {
  const { kilobytes = SETTING.kilobytes, server = {}, setUp, policy = {}, render } = others
  const dir = await mkdtemp(join(tmpdir(), 'fastify-isr-bench-'))
  const products = productsOf(kilobytes)

  async function createApp (): Promise<FastifyInstance> {
    const app = fastify(server)
    await setUp?.(app)
    await app.register(isr, { ...options, dir })
    app.get('/', { config: { prerender: policy } },
      async (request, reply) => reply.type('text/html; charset=utf-8').send(render?.() ?? renderPage(products)))
    await app.ready()
    return app
  }

  try {
    const builder = await createApp()
    const report = await builder.isr.prerender()
    await builder.close()
    if (!report.ok) throw new Error('the page could not be built')

    const app = await createApp()
    // The server outlives nobody who could remove it later.
    app.server.once('close', () => { rm(dir, { recursive: true, force: true }) })
    return app
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }
}
