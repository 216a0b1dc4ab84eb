// A site whose pages are rendered in a worker thread: loaded by the test itself, and once more in the thread.
import type { FastifyInstance } from 'fastify'
import isr, { type IsrOptions } from '../../lib/index.js'
import site from '../../lib/site/index.js'

export default async function siteWorkersApp (app: FastifyInstance, { isr: options }: { isr?: IsrOptions }): Promise<void> {
  await app.register(isr, { disk: false, ...options, render: { workers: 1, app: import.meta.url, ...options?.render } })
  // Threads share the environment that they were started with.
  await app.register(site, { root: process.env['SITE_ROOT'] ?? '', static: false, check: { every: 0 } })
}
