// The app of bench/workers.ts and bench/build.ts: a page that is there, and pages that cost CPU
// time. Worker threads load it from here.
import type { FastifyInstance } from 'fastify'
import isr from 'fastify-isr'
import { renderPage } from './page.js'

/** From the environment, which worker threads share. */
const { BENCH_WORKERS = '0', BENCH_WORK = '1', BENCH_PAGES = '0', BENCH_DIR } = process.env

export default async function workersApp (app: FastifyInstance): Promise<void> {
  const disk = BENCH_DIR === undefined ? false : {}
  await app.register(isr, { disk, ...BENCH_DIR !== undefined && { dir: BENCH_DIR }, render: { workers: Number(BENCH_WORKERS), app: import.meta.url } })
  app.get('/', { config: { prerender: true } }, async (_request, reply) => reply.type('text/html; charset=utf-8').send(renderPage()))
  app.get('/work/:id', { config: { prerender: { onDemand: true, maxPaths: 1000, paths: Array.from({ length: Number(BENCH_PAGES) }, (_, id) => ({ id })) } } }, async (request, reply) => {
    const { id } = request.params as { id: string }
    return reply.type('text/html; charset=utf-8').send(work(Number(BENCH_WORK)).replace('</title>', ` ${id}</title>`))
  })
}

/** The same page many times over: a measure that does not depend on who else has the processor. */
export function work (times: number): string {
  let page = ''
  for (let i = 0; i < times; i++) page = renderPage()
  return page
}

/** How often that is to be for a page that takes some milliseconds of an undisturbed processor. */
export function timesFor (milliseconds: number): number {
  let best = Infinity
  for (let round = 0; round < 30; round++) {
    const startedAt = performance.now()
    work(20)
    best = Math.min(best, (performance.now() - startedAt) / 20)
  }
  return Math.max(1, Math.round(milliseconds / best))
}
