// The app of the tests of data whose fetch ends the worker that it runs in. Loaded by the test
// itself, and once more in every worker thread.
import { setTimeout as sleep } from 'node:timers/promises'
import { getEnvironmentData, isMainThread, threadId } from 'node:worker_threads'
import type { FastifyInstance } from 'fastify'
import isr from '../../lib/index.js'
import type { WorkersAppOptions } from './workers-app.js'

/** Where all threads count together: names of environment data, and of its numbers. */
export const SHARED = 'fetch-app'
export const Count = { fetches: 0, asked: 1, fetched: 2, exit: 3 } as const

function shared (): Int32Array {
  return getEnvironmentData(SHARED) as Int32Array
}

/** Resolves when the test says so. */
async function gate (which: 'fetched' | 'exit'): Promise<void> {
  while (Atomics.load(shared(), Count[which]) === 0) await sleep(5)
}

function takeAllMemory (): never {
  const kept: number[][] = []
  for (;;) kept.push(Array.from({ length: 10_000 }, Math.random))
}

export default async function fetchApp (app: FastifyInstance, { isr: options }: WorkersAppOptions): Promise<void> {
  await app.register(isr, { disk: false, ...options, render: { workers: 2, app: import.meta.url, ...options?.render } })
  /** What ends the thread, and how often: `exit-1`. The first fetch takes as long as the test wants. */
  const stock = app.isr.cached('stock', async (how: string) => {
    const [end, times] = how.split('-')
    const nth = Atomics.add(shared(), Count.fetches, 1) + 1
    if (nth === 1) await gate('fetched')
    if (nth <= Number(times)) {
      if (end === 'exit') process.exit(3)
      if (end === 'memory') takeAllMemory()
    }
    return { nth, thread: isMainThread ? 'main' : 'worker' }
    // A busy machine may take long to load an app again.
  }, { timeout: 60_000 })
  const endless = app.isr.cached('endless', async () => await new Promise<string>(() => {}), { timeout: 100 })

  app.get<{ Params: { how: string } }>('/stock/:how/:page', { config: { prerender: { onDemand: true } } }, async request => await stock(request.params.how))
  app.get<{ Params: { how: string } }>('/live/:how', async (request) => {
    const value = stock(request.params.how)
    Atomics.add(shared(), Count.asked, 1)
    return await value
  })
  app.get('/exit', { config: { prerender: true } }, async () => {
    Atomics.add(shared(), Count.asked, 1)
    await gate('exit')
    process.exit(3)
  })
  app.get('/endless', { config: { prerender: true } }, async () => await endless().catch((error: Error & { code: string }) => [error.code, threadId]))
  app.get<{ Params: { ms: string } }>('/slow/:ms', { config: { prerender: { onDemand: true } } }, async (request) => {
    await sleep(Number(request.params.ms))
    return ['slow', threadId]
  })
  app.get<{ Params: { id: string } }>('/thread/:id', { config: { prerender: { onDemand: true } } }, async () => {
    await sleep(20)
    return `${isMainThread ? 'main' : 'worker'} ${threadId}`
  })
}
