import path from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Response as Injected } from 'light-my-request'
import type { IsrOptions } from '../../lib/index.js'
import { TestClock } from './engine.js'
import workersApp from './workers-app.js'

export interface Line { level: number, msg: string, [field: string]: unknown }

export interface WorkersSite {
  readonly app: FastifyInstance
  readonly clock: TestClock
  readonly logs: Line[]
  warnings (): string[]
  /** Resolves when a worker renders. */
  warm (): Promise<void>
  get (url: string, headers?: Record<string, string>): Promise<Injected>
}

/** A ready app whose pages are rendered in worker threads. */
export async function startWorkers (t: { teardown (fn: () => unknown): void }, options: IsrOptions = {}, plugin = workersApp): Promise<WorkersSite> {
  const clock = new TestClock()
  const logs: Line[] = []
  const logger = { level: 'debug', stream: { write: (line: string) => { logs.push(JSON.parse(line) as Line) } } }
  const root: FastifyInstance = Fastify({ logger })
  t.teardown(() => root.close())
  let app: FastifyInstance = root
  await root.register(async (instance) => {
    // A busy machine may take long to load an app.
    await plugin(instance, { isr: { clock: clock.read, ...options, render: { timeout: 60_000, ...options.render } } })
    app = instance
  })
  await root.ready()
  return {
    app,
    clock,
    logs,
    warnings: () => logs.filter(line => line.level >= 40).map(line => line.msg),
    async warm () {
      for (let id = 0; !(await root.inject(`/thread/warm-${id}`)).body.startsWith('worker'); id++);
    },
    get: async (url, headers = {}) => await root.inject({ url, headers })
  }
}

/** Of an app of the tests. */
export function appFile (name: string): string {
  return path.join(path.dirname(fileURLToPath(import.meta.url)), name)
}
