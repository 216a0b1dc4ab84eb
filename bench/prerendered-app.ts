import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import isr, { type IsrOptions } from 'fastify-isr'
import { renderPage } from './page.js'

/** The page of `uncached`, behind the plugin and built in a directory of its own. */
export async function createPrerenderedApp (options: IsrOptions): Promise<FastifyInstance> {
  const dir = await mkdtemp(join(tmpdir(), 'fastify-isr-bench-'))

  async function createApp (): Promise<FastifyInstance> {
    const app = fastify()
    await app.register(isr, { ...options, dir })
    app.get('/', { config: { prerender: true } },
      async (request, reply) => reply.type('text/html; charset=utf-8').send(renderPage()))
    await app.ready()
    return app
  }

  const builder = await createApp()
  const report = await builder.isr.prerender()
  await builder.close()
  if (!report.ok) throw new Error('the page could not be built')

  const app = await createApp()
  // The server outlives nobody who could remove it later.
  app.server.once('close', () => { rm(dir, { recursive: true, force: true }) })
  return app
}
