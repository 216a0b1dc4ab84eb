// An app that can't be loaded a second time: its module listens on a port.
import { createServer } from 'node:net'
import { isMainThread, threadId } from 'node:worker_threads'
import type { FastifyInstance } from 'fastify'
import isr, { type IsrOptions } from '../../lib/index.js'

const server = createServer()
await new Promise<void>((resolve, reject) => {
  server.once('error', reject)
  server.listen(Number(process.env.REFUSING_PORT), '127.0.0.1', resolve)
})

export function release (): void {
  server.close()
}

export default async function refusingApp (app: FastifyInstance, options: IsrOptions): Promise<void> {
  await app.register(isr, { disk: false, ...options, render: { workers: 2, app: import.meta.url } })
  app.get('/where', { config: { prerender: true } }, async () => isMainThread ? 'main' : `worker ${threadId}`)
}
