// The example app as a small server runs it, built, and built again whenever the parent says so.
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import example from '../example-app/app.js'
import { siteRoot } from '../example-app/paths.js'
import { buildAssets } from '../lib/site/assets/build.js'
import type { Listening } from './server.js'

/** What became of a build. */
export interface Rebuilt {
  pages: number
  milliseconds: number
}

interface Example {
  app: FastifyInstance
  isr: FastifyInstance['isr']
}

async function createExample (dir: string): Promise<Example> {
  const app = fastify()
  const inner: FastifyInstance[] = []
  await app.register(async scope => {
    await example(scope, { dir: join(dir, 'pages'), assets: join(dir, 'static'), enabled: true })
    inner.push(scope)
  })
  await app.ready()
  const [scope] = inner
  if (scope === undefined) throw new Error('the example was not registered')
  return { app, isr: scope.isr }
}

async function build ({ isr }: Example): Promise<Rebuilt> {
  const startedAt = performance.now()
  const report = await isr.prerender({ force: true })
  if (!report.ok) throw new Error('the example could not be built')
  return { pages: report.pages.length, milliseconds: performance.now() - startedAt }
}

const dir = await mkdtemp(join(tmpdir(), 'fastify-isr-bench-'))
await buildAssets({ source: join(siteRoot, 'assets'), out: join(dir, 'static') })
const builder = await createExample(dir)
await build(builder)
await builder.app.close()

const served = await createExample(dir)
await served.app.listen({ host: '127.0.0.1', port: 0 })
process.on('message', async () => { process.send?.(await build(served)) })
process.on('disconnect', async () => {
  await served.app.close()
  await rm(dir, { recursive: true, force: true })
})
process.send?.({ port: (served.app.server.address() as AddressInfo).port } satisfies Listening)
