import type { FastifyBaseLogger } from 'fastify'
import type { ManifestPage, OrderResult, Target } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import type { Version } from '../cache/entry.js'
import type { Coordinator } from '../cluster/coordinator.js'
import { InvalidTarget } from '../errors.js'
import { isSeconds, show, type Settings } from '../options.js'
import { isPageKey, type KnownPages, type OrderTarget } from '../pages/known.js'
import type { MatchedPages } from '../pages/matched-pages.js'
import type { Registry } from '../pages/registry.js'
import type { Rendered } from '../pages/render.js'
import { dataTag } from '../pages/tags.js'
import { readTargets } from '../pages/targets.js'
import type { PageView } from '../pages/view.js'
import { channels } from '../telemetry.js'

export interface OrdersOptions {
  settings: Settings
  coordinator: Coordinator
  known: KnownPages
  registry: Registry
  cache: Cache<PageView, Rendered>
  log: FastifyBaseLogger
  /** Removes a file of the readable tree. */
  removeExport: (file: string) => Promise<void>
}

/** Pages that are removed at once; of an order for more, the others are removed behind. */
const AT_ONCE = 1000

/** Orders to revalidate or purge pages. Nothing is rendered by an order itself. */
export class Orders {
  readonly #options: OrdersOptions
  #cleaning: Promise<void> = Promise.resolve()
  #isClosing = false

  constructor (options: OrdersOptions) {
    this.#options = options
  }

  async revalidate (target: Target, { expire = Infinity, dryRun = false }: { expire?: number, dryRun?: boolean } = {}): Promise<OrderResult> {
    const targets = readTargets(target)
    if (!isSeconds(expire)) throw new InvalidTarget(`expire must be a number of seconds, 0 or more, got ${show(expire)}`)
    return await this.#give('soft', targets, this.#options.settings.clock() + expire * 1000, dryRun)
  }

  /** Resolves when nothing more is removed behind. */
  async close (): Promise<void> {
    this.#isClosing = true
    await this.#cleaning
  }

  async purge (target: Target, { dryRun = false }: { dryRun?: boolean } = {}): Promise<OrderResult> {
    return await this.#give('hard', readTargets(target), 0, dryRun)
  }

  /** For one datum, and so for the pages that were made of it. */
  async orderData (kind: 'soft' | 'hard', key: string): Promise<OrderResult> {
    const { cache, settings } = this.#options
    const tag = dataTag(key)
    // Of what is on disk only the name is known: enough for this one.
    const isOnDisk = settings.enabled && cache.memory.peek(key) === undefined && cache.disk?.mayHave(key) === true
    const ordered = this.#give(kind, [{ item: null, tag }], kind === 'soft' ? Infinity : 0, false)
    if (isOnDisk && kind === 'hard') cache.drop(key)
    const { matched, ...result } = await ordered
    return { ...result, matched: matched + (isOnDisk ? 1 : 0) }
  }

  async #give (kind: 'soft' | 'hard', targets: OrderTarget[], deadline: number, isDryRun: boolean): Promise<OrderResult> {
    const { settings, cache, coordinator, known, registry } = this.#options
    const pages = settings.enabled ? known.match(targets) : null
    const matched = (pages?.size ?? 0) + (settings.enabled ? this.#countData(targets) : 0)
    if (isDryRun || targets.length === 0) return { epoch: Math.floor(coordinator.now().epoch), matched, degraded: false }
    const ordered = coordinator.order(targets.map(({ tag }) => ({ kind, tag, deadline })))
    const parts = kind === 'hard' ? pages?.parts(AT_ONCE) : undefined
    const first = parts?.next().value
    // Before anything is awaited: what is rendered from here on stays.
    for (const key of first?.keys ?? []) cache.drop(key)
    const upTo = { ...coordinator.now(), renderedAt: settings.clock() }
    const { epoch, degraded } = await ordered
    if (first !== undefined) await this.#removeExports(await first.read())
    // No mark lets them be served: that so many are still there is nobody's business but the disk's.
    if (parts !== undefined) this.#cleaning = this.#cleaning.then(async () => { await this.#clean(parts, upTo) })
    // What a route lists may have changed with what it shows.
    for (const { item } of targets) if (item !== null && 'route' in item) for (const route of registry.withPattern(item.route)) route.paths.relist()
    const tags = targets.map(({ tag }) => tag)
    if (channels.invalidate.hasSubscribers) channels.invalidate.publish({ kind, tags, epoch, matched })
    this.#options.log.debug({ kind, targets: targets.map(({ item, tag }) => item ?? { tag }), matched }, 'pages invalidated')
    return { epoch, matched, degraded }
  }

  /** Removes purged pages, behind. */
  async #clean (parts: ReturnType<MatchedPages['parts']>, upTo: Version): Promise<void> {
    for (const { keys, read } of parts) {
      if (this.#isClosing) return
      await Promise.all(keys.map(async (key) => { await this.#options.cache.clean(key, upTo) }))
      await this.#removeExports(await read())
    }
  }

  /** Data are in the same memory, and orders by tag concern them just so. */
  #countData (targets: OrderTarget[]): number {
    const keys = new Set<string>()
    for (const { tag } of targets) {
      for (const key of this.#options.cache.keysTagged(tag)) if (!isPageKey(key)) keys.add(key)
    }
    return keys.size
  }

  /** As far as possible, a purged page leaves the readable tree, too. */
  async #removeExports (pages: readonly ManifestPage[]): Promise<void> {
    const { removeExport, log } = this.#options
    for (const { export: file, path } of pages) {
      if (file !== null) await removeExport(file).catch((err: unknown) => { log.warn({ err, path }, 'the exported file of a purged page could not be removed') })
    }
  }
}
