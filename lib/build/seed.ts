import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Cache } from '../cache/cache.js'
import { Column } from '../cache/column.js'
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
  /** What is not there yet. */
  #pages: NewPages | null = null
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
    this.#pages = buildId === this.#buildId && this.#pages !== null ? union(pages, this.#pages) : pages
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
    while (this.#isAsked && this.#pages !== null) {
      this.#isAsked = false
      await this.#run(this.#buildId, this.#pages)
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
    if (isDone && this.#pages === wanted) this.#pages = null
  }
}

/** Pages of the later list that are in either. */
function union (later: NewPages, earlier: NewPages): NewPages {
  const { pages } = later
  if (later.rows === null || earlier.rows === null) return { pages, rows: null }
  const found = new Set([...later.rows, ...Array.from(earlier.rows, row => pages.find(earlier.pages.key(row)))])
  const rows = new Column(Uint32Array)
  for (const row of found) if (row !== -1) rows.push(row)
  return { pages, rows }
}
