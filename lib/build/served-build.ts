import path from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { Manifest, ManifestPage } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import { DiskTier } from '../cache/disk-tier.js'
import type { Settings } from '../options.js'
import type { KnownPages } from '../pages/known.js'
import type { Rendered } from '../pages/render.js'
import type { PageView } from '../pages/view.js'
import { channels } from '../telemetry.js'

export interface ServedBuildOptions {
  settings: Settings
  cache: Cache<PageView, Rendered>
  known: KnownPages
  log: FastifyBaseLogger
}

/** The build whose pages this process serves, and the change from one to the next. */
export class ServedBuild {
  readonly #options: ServedBuildOptions
  /** Troubles reported and not over yet: once per outage, not per page. */
  readonly #reported = new Set<string>()
  readonly #closing: Promise<void>[] = []
  #pages = new Map<string, ManifestPage>()
  #onPages: (pages: readonly ManifestPage[]) => void = () => {}

  constructor (options: ServedBuildOptions) {
    this.#options = options
  }

  get buildId (): string | null {
    const { buildId } = this.#options.cache
    return buildId === '' ? null : buildId
  }

  /** Told of pages that are new on disk, the most recent first. */
  onPages (listener: (pages: readonly ManifestPage[]) => void): void {
    this.#onPages = listener
  }

  /** Before any manifest: a namespace of the user's own needs none. */
  begin (): void {
    const { settings, log } = this.#options
    if (settings.buildId !== null) return this.#serve(settings.buildId, [])
    if (settings.disk !== false) log.warn(`nothing is written to disk: there is no build in ${settings.dir} and no option 'buildId'; run 'fastify-isr prerender'`)
  }

  /** The new pages replace the old ones as one generation. Marks stay in force. */
  adopt (manifest: Manifest): void {
    const { settings, log, known } = this.#options
    if (settings.buildId !== null && manifest.buildId !== settings.buildId) {
      log.info({ build: manifest.buildId, serving: settings.buildId }, 'there is another build in the output directory; restart to use the new build')
      return
    }
    const old = this.#pages
    const isSame = manifest.buildId === this.buildId
    this.#pages = new Map(manifest.pages.map(page => [page.key, page]))
    if (isSame) this.#update(manifest.pages, old)
    else this.#serve(manifest.buildId, manifest.pages)
    known.setBuilt(manifest.pages)
    log.debug({ build: manifest.buildId, pages: manifest.pages.length }, 'build in force')
    const changed = manifest.pages.filter(page => !isSame || old.get(page.key)?.renderedAt !== page.renderedAt)
    this.#onPages(changed.sort((a, b) => a.renderedAt < b.renderedAt ? 1 : -1))
  }

  async close (): Promise<void> {
    await Promise.all([this.#options.cache.disk?.close(), ...this.#closing])
  }

  /** A build wrote over the namespace in use: only what changed is read again. */
  #update (pages: readonly ManifestPage[], old: ReadonlyMap<string, ManifestPage>): void {
    const { cache } = this.#options
    const changed = pages.filter(page => old.get(page.key)?.renderedAt !== page.renderedAt)
    cache.disk?.addBuilt(changed.map(sized))
    for (const { key, renderedAt } of changed) {
      const held = cache.memory.peek(key)
      if (held === undefined || held.entry.renderedAt < Date.parse(renderedAt)) cache.reload(key)
      // Rendered since the build rendered it, whose file now lies over the newer one.
      else if (held.entry.renderedAt > Date.parse(renderedAt)) void cache.disk?.write(held.entry)
    }
    for (const key of old.keys()) if (!this.#pages.has(key)) cache.drop(key)
  }

  #serve (buildId: string, pages: readonly ManifestPage[]): void {
    const { settings, cache } = this.#options
    if (cache.disk !== null) this.#closing.push(cache.disk.close())
    const disk = settings.disk === false ? null : this.#openDisk(buildId, settings.disk)
    cache.adopt(buildId, disk)
    disk?.open(pages.map(sized))
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

function sized (page: ManifestPage): { key: string, bytes: number } {
  return { key: page.key, bytes: page.bytes + (page.encodings.br ?? 0) + (page.encodings.gzip ?? 0) }
}
