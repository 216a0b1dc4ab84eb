import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Cache } from '../cache/cache.js'
import { DiskTier } from '../cache/disk-tier.js'
import type { Settings } from '../options.js'
import { NOTHING, type KnownPages } from '../pages/known.js'
import type { PageTable } from '../pages/page-table.js'
import type { NewPages } from '../pages/prewarm.js'
import type { Rendered } from '../pages/render.js'
import type { PageView } from '../pages/view.js'
import { channels } from '../telemetry.js'
import { compareBuilds, isChanged } from './build-change.js'
import type { Build, ManifestHead } from './manifest.js'

export interface ServedBuildOptions {
  settings: Settings
  cache: Cache<PageView, Rendered>
  known: KnownPages
  log: FastifyBaseLogger
}

/** Files that are noted before others have their turn. */
const AT_ONCE = 1000

/** The build whose pages this process serves, and the change from one to the next. */
export class ServedBuild {
  readonly #options: ServedBuildOptions
  /** Troubles reported and not over yet: once per outage, not per page. */
  readonly #reported = new Set<string>()
  readonly #closing: Promise<void>[] = []
  #build: Build | null = null
  /** Its pages are served, and not all known yet. */
  #isExpected = false
  #onPages: (pages: NewPages) => void = () => {}

  constructor (options: ServedBuildOptions) {
    this.#options = options
  }

  get buildId (): string | null {
    const { buildId } = this.#options.cache
    return buildId === '' ? null : buildId
  }

  /** All pages of a build are known. */
  get isBuilt (): boolean {
    return this.#build !== null
  }

  /** Told of pages that are new on disk. */
  onPages (listener: (pages: NewPages) => void): void {
    this.#onPages = listener
  }

  /** Before any manifest: a namespace of the user's own needs none. */
  begin (): void {
    const { settings, log } = this.#options
    if (settings.buildId !== null) return this.#serve(settings.buildId)?.open()
    if (settings.disk !== false) log.warn(`nothing is written to disk: there is no build in ${settings.dir} and no option 'buildId'; run 'fastify-isr prerender'`)
  }

  /** The first build, whose pages are still being read: what is asked for in the meantime is looked for on disk. */
  expect ({ buildId }: ManifestHead): void {
    const { settings, known } = this.#options
    if (this.buildId !== null || (settings.buildId !== null && buildId !== settings.buildId)) return
    this.#isExpected = true
    this.#serve(buildId)
    known.expectBuilt()
  }

  /** The pages could not be read: those that are there are served, and no others are taken for listed. */
  forgo (): void {
    if (this.#isExpected) this.#options.known.setBuilt(NOTHING)
  }

  /** The new pages replace the old ones as one generation. Marks stay in force. */
  async adopt (build: Build): Promise<void> {
    const { settings, log, known } = this.#options
    const { head: { buildId }, pages } = build
    if (settings.buildId !== null && buildId !== settings.buildId) {
      log.info({ build: buildId, serving: settings.buildId }, 'there is another build in the output directory; restart to use the new build')
      await build.rows.close()
      return
    }
    const old = this.#build
    const isSame = buildId === this.buildId && !this.#isExpected
    const rows = isSame ? await this.#update(build, old?.pages ?? NOTHING.pages) : null
    if (rows === null) this.#open(build)
    this.#build = build
    this.#isExpected = false
    known.setBuilt(build)
    log.debug({ build: buildId, pages: pages.size }, 'build in force')
    this.#onPages({ pages, rows })
    await old?.rows.close()
  }

  async close (): Promise<void> {
    await Promise.all([this.#options.cache.disk?.close(), this.#build?.rows.close(), ...this.#closing])
  }

  /** A build wrote over the namespace in use: only what changed is read again. Resolves with what that is. */
  async #update ({ pages }: Build, old: PageTable): Promise<NewPages['rows']> {
    const { cache } = this.#options
    const { changed, gone } = await compareBuilds(old, pages)
    // They are there already, and no others of their names.
    for (let nth = 0; nth < changed.size; nth++) {
      cache.disk?.addBuilt([pages.key(changed.get(nth))])
      if (nth % AT_ONCE === AT_ONCE - 1) await nextTurn()
    }
    this.#reload(old, pages)
    for (const key of gone) cache.drop(key)
    return changed
  }

  /** Memory has nothing that is older than what the build has changed. */
  #reload (old: PageTable, pages: PageTable): void {
    const { cache } = this.#options
    for (const key of cache.keysAtHand()) {
      const row = pages.find(key)
      if (row === -1 || !isChanged(old, pages, row)) continue
      const held = cache.memory.peek(key)
      if (held === undefined || held.entry.renderedAt < pages.renderedAt(row)) cache.reload(key)
      // Rendered since the build rendered it, whose file now lies over the newer one.
      else if (held.entry.renderedAt > pages.renderedAt(row)) void cache.disk?.write(held.entry)
    }
  }

  #open ({ head: { buildId }, names, pages }: Build): void {
    const isInUse = this.#isExpected && buildId === this.buildId
    const disk = isInUse ? this.#options.cache.disk : this.#serve(buildId)
    disk?.open(names)
    // Somebody may have built once more since the first pages were read.
    if (isInUse) this.#reload(NOTHING.pages, pages)
  }

  #serve (buildId: string): DiskTier | null {
    const { settings, cache } = this.#options
    if (cache.disk !== null) this.#closing.push(cache.disk.close())
    const disk = settings.disk === false ? null : this.#openDisk(buildId, settings.disk)
    cache.adopt(buildId, disk)
    return disk
  }

  #openDisk (buildId: string, { maxBytes, writeBack }: { maxBytes: number, writeBack: boolean }): DiskTier {
    return new DiskTier({
      root: path.join(this.#options.settings.dir, '.isr'),
      buildId,
      maxBytes,
      writeBack,
      comparable: entry => this.#options.cache.comparable(entry),
      onError: (operation, key, error) => {
        if (channels['tier-error'].hasSubscribers) channels['tier-error'].publish({ tier: 'disk', operation, key, error })
        const trouble = `${operation} ${(error as NodeJS.ErrnoException).code ?? error.message}`
        if (this.#reported.has(trouble)) return
        this.#reported.add(trouble)
        this.#options.log.warn({ err: error, key, operation }, `the disk tier could not ${operation}; pages are served without it`)
      },
      onWorking: (operation) => {
        for (const trouble of this.#reported) if (trouble.startsWith(`${operation} E`)) this.#reported.delete(trouble)
      }
    })
  }
}
