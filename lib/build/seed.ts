import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Cache } from '../cache/cache.js'
import type { Lease } from '../cluster/coordinator.js'
import type { NewPages } from '../pages/prewarm.js'
import type { Rendered } from '../pages/render.js'
import type { PageView } from '../pages/view.js'

/** Pages on their way at the same time: what visitors cause goes first. */
const CONCURRENCY = 2
/** Milliseconds until a namespace is looked at again, so that what Redis has dropped comes back. */
const SEEDED_FOR = 24 * 3_600_000

export interface SeederOptions {
  cache: Cache<PageView, Rendered>
  /** The right to do it for all instances. */
  claim: (buildId: string, what: string) => Promise<Lease | null>
  isClosing: () => boolean
}

/** Puts the pages of a build where other instances find them: one instance does so for all, and nothing newer is replaced. */
export class Seeder {
  readonly #options: SeederOptions
  /** Pages that are not there yet, the latest first. */
  #waiting: NewPages[] = []
  #buildId = ''
  #running: Promise<void> | null = null
  /** Since the last run began. */
  #isAsked = false

  constructor (options: SeederOptions) {
    this.#options = options
  }

  /** Pages that are new on disk. */
  add (buildId: string, pages: NewPages): void {
    // Those of the same build that are not there yet come as well.
    const isMore = buildId === this.#buildId && pages.rows !== null
    this.#waiting = [pages, ...isMore ? this.#waiting : []]
    this.#buildId = buildId
    this.run()
  }

  /** Once more, if it could not be done before. */
  run (): void {
    this.#isAsked = true
    this.#running ??= this.#runAll().finally(() => { this.#running = null })
  }

  async close (): Promise<void> {
    await this.#running
  }

  async #runAll (): Promise<void> {
    while (this.#isAsked && this.#waiting.length > 0) {
      this.#isAsked = false
      for (const pages of this.#waiting) await this.#run(this.#buildId, pages)
    }
  }

  async #run (buildId: string, wanted: NewPages): Promise<void> {
    const { cache, claim } = this.#options
    const isOver = (): boolean => this.#options.isClosing() || !cache.isShared || this.#buildId !== buildId || cache.buildId !== buildId
    if (isOver()) return
    const { pages, rows } = wanted
    const size = rows?.size ?? pages.size
    if (size === 0) return
    // Later builds may write over the same namespace.
    const lease = await claim(buildId, `seed:${size}:${new Date(pages.newest).toISOString()}`)
    if (lease === null) return
    let next = 0
    const work = async (): Promise<void> => {
      while (next < size && !isOver()) {
        const row = next++
        await cache.seed(pages.key(rows?.get(row) ?? row))
        await nextTurn()
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, work))
    const isDone = !isOver()
    await lease.release(isDone ? { kind: 'done', forMs: SEEDED_FOR } : { kind: 'nothing' })
    if (isDone) this.#waiting = this.#waiting.filter(pages => pages !== wanted)
  }
}
