import Fastify, { type FastifyInstance } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import isr from '../../lib/index.js'
import { TestClock } from '../helpers/app.js'

/*
 * Visits, orders and restarts in random order, on a real disk. Each page says
 * which run of its handler made it; what a visitor gets is held against the
 * orders that had been acknowledged when he came.
 */

const PATHS = ['/a', '/b'] as const
type Step =
  | { type: 'visit' | 'refresh', path: string }
  | { type: 'revalidate' | 'purge', path: string, isByTag: boolean }
  | { type: 'restart' }
  | { type: 'wait', seconds: number }

const path = fc.constantFrom(...PATHS)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('visit' as const), path }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('refresh' as const), path }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('revalidate' as const, 'purge' as const), path, isByTag: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('wait' as const), seconds: fc.constantFrom(1, 20) }) }
)

class World {
  runs = 0
  readonly #clock = new TestClock()
  readonly #dir: string
  #app!: FastifyInstance
  /** Runs of the handler that an order has overtaken, per path. */
  readonly #stale = new Map<string, number>()
  readonly #purged = new Map<string, number>()
  readonly #newest = new Map<string, number>()

  constructor (dir: string) {
    this.#dir = dir
  }

  async open (): Promise<void> {
    this.#app = Fastify()
    await this.#app.register(isr, { dir: this.#dir, buildId: 'one', clock: this.#clock.read })
    for (const path of PATHS) {
      this.#app.get(path, { config: { prerender: { ttl: 10, tags: [`tag:${path}`] } } }, async () => String(++this.runs))
    }
    await this.#app.ready()
  }

  async close (): Promise<void> {
    await this.#app.close()
  }

  async take (step: Step): Promise<void> {
    switch (step.type) {
      case 'wait': return this.#clock.forward(step.seconds)
      case 'restart':
        await this.close()
        return await this.open()
      case 'visit': return await this.#visit(step.path)
      case 'refresh':
        await this.#app.isr.refresh({ path: step.path })
        return
      default: await this.#order(step)
    }
  }

  async #order ({ type, path, isByTag }: Extract<Step, { isByTag: boolean }>): Promise<void> {
    // Whatever begins to render from here on knows of it.
    const { runs } = this
    const { degraded } = await this.#app.isr[type](isByTag ? { tag: `tag:${path}` } : { path })
    if (degraded) throw new Error('an order was not kept')
    const overtaken = type === 'purge' ? this.#purged : this.#stale
    overtaken.set(path, runs)
  }

  async #visit (path: string): Promise<void> {
    const { body, headers, statusCode } = await this.#app.inject(path)
    const run = Number(body)
    const status = String(headers['cache-status'])
    const isFresh = /; hit(?:; ttl=\d+)?$/.test(status)
    const facts = `${path}: run ${run} of ${this.runs}, ${status}`
    if (statusCode !== 200) throw new Error(`no page: ${facts}`)
    if (run <= (this.#purged.get(path) ?? 0)) throw new Error(`served after a purge: ${facts}`)
    if (isFresh && run <= (this.#stale.get(path) ?? 0)) throw new Error(`fresh after an order: ${facts}`)
    if (run < (this.#newest.get(path) ?? 0)) throw new Error(`older than what was served before: ${facts}`)
    this.#newest.set(path, run)
  }
}

t.test('no restart makes an order forgotten, or an older page come back', async (t) => {
  const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31)
  t.comment(`seed ${seed}`)
  const root = t.testdir({})
  let worlds = 0
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
    const world = new World(`${root}/${worlds++}`)
    await world.open()
    try {
      for (const step of steps) await world.take(step)
    } finally {
      await world.close()
    }
  }), { seed, numRuns: 200 })
  t.ok(worlds >= 200)
})
