// The example app as a small server runs it, built, and built again whenever the parent says so.
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import example from '../example-app/app.js'
import type { Listening } from './server.js'

/** What became of a build. */
export interface Rebuilt {
  pages: number
  milliseconds: number
}

async function createApp (dir: string): Promise<FastifyInstance> {
  const app = fastify()
  await app.register(example, { dir, enabled: true })
  await app.ready()
  return app
}

async function build (app: FastifyInstance): Promise<Rebuilt> {
  const startedAt = performance.now()
  const report = await app.isr.prerender({ force: true })
  if (!report.ok) throw new Error('the example could not be built')
  return { pages: report.pages.length, milliseconds: performance.now() - startedAt }
}

const dir = await mkdtemp(join(tmpdir(), 'fastify-isr-bench-'))
const builder = await createApp(dir)
await build(builder)
await builder.close()

const app = await createApp(dir)
await app.listen({ host: '127.0.0.1', port: 0 })
process.on('message', async () => { process.send?.(await build(app)) })
process.on('disconnect', async () => {
  await app.close()
  await rm(dir, { recursive: true, force: true })
})
process.send?.({ port: (app.server.address() as AddressInfo).port } satisfies Listening)
