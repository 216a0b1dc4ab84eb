import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ManifestPage } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import type { Lease } from '../cluster/coordinator.js'
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
  #pages: readonly ManifestPage[] = []
  #buildId = ''
  #running: Promise<void> | null = null
  /** Since the last run began. */
  #isAsked = false

  constructor (options: SeederOptions) {
    this.#options = options
  }

  /** Pages that are new on disk. */
  add (buildId: string, pages: readonly ManifestPage[]): void {
    // Those of the same build that are not there yet come as well.
    const keys = new Set(pages.map(({ key }) => key))
    const waiting = buildId === this.#buildId ? this.#pages.filter(({ key }) => !keys.has(key)) : []
    this.#buildId = buildId
    this.#pages = [...pages, ...waiting]
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
    while (this.#isAsked && this.#pages.length > 0) {
      this.#isAsked = false
      await this.#run(this.#buildId, this.#pages)
    }
  }

  async #run (buildId: string, pages: readonly ManifestPage[]): Promise<void> {
    const { cache, claim } = this.#options
    const isOver = (): boolean => this.#options.isClosing() || !cache.isShared || this.#buildId !== buildId || cache.buildId !== buildId
    if (isOver()) return
    // Later builds may write over the same namespace.
    const newest = pages.reduce((latest, { renderedAt }) => renderedAt > latest ? renderedAt : latest, '')
    const lease = await claim(buildId, `seed:${pages.length}:${newest}`)
    if (lease === null) return
    const left = pages.values()
    const work = async (): Promise<void> => {
      for (const { key } of left) {
        if (isOver()) return
        await cache.seed(key)
        await nextTurn()
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, work))
    const isDone = !isOver()
    await lease.release(isDone ? { kind: 'done', forMs: SEEDED_FOR } : { kind: 'nothing' })
    if (isDone && this.#pages === pages) this.#pages = []
  }
}
