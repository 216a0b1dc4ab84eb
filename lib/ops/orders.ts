import type { FastifyBaseLogger } from 'fastify'
import type { OrderResult, Target } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import type { Coordinator } from '../cluster/coordinator.js'
import { InvalidTarget } from '../errors.js'
import { isSeconds, show, type Settings } from '../options.js'
import { isPageKey, type KnownPage, type KnownPages } from '../pages/known.js'
import type { Registry } from '../pages/registry.js'
import type { Rendered } from '../pages/render.js'
import { dataTag } from '../pages/tags.js'
import { readTargets, type CheckedTarget } from '../pages/targets.js'
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

/** A datum has no form that a user could write. */
type OrderTarget = Omit<CheckedTarget, 'item'> & { readonly item: CheckedTarget['item'] | null }

/** Orders to revalidate or purge pages. Nothing is rendered by an order itself. */
export class Orders {
  readonly #options: OrdersOptions

  constructor (options: OrdersOptions) {
    this.#options = options
  }

  async revalidate (target: Target, { expire = Infinity, dryRun = false }: { expire?: number, dryRun?: boolean } = {}): Promise<OrderResult> {
    const targets = readTargets(target)
    if (!isSeconds(expire)) throw new InvalidTarget(`expire must be a number of seconds, 0 or more, got ${show(expire)}`)
    return await this.#give('soft', targets, this.#options.settings.clock() + expire * 1000, dryRun)
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
    const ordered = this.#give(kind, [{ item: null, tag, matches: page => page.tags.includes(tag) }], kind === 'soft' ? Infinity : 0, false)
    if (isOnDisk && kind === 'hard') cache.drop(key)
    const { matched, ...result } = await ordered
    return { ...result, matched: matched + (isOnDisk ? 1 : 0) }
  }

  async #give (kind: 'soft' | 'hard', targets: OrderTarget[], deadline: number, isDryRun: boolean): Promise<OrderResult> {
    const { settings, coordinator, registry } = this.#options
    const pages = settings.enabled ? this.#match(targets) : []
    const matched = pages.length + (settings.enabled ? this.#countData(targets) : 0)
    if (isDryRun || targets.length === 0) return { epoch: Math.floor(coordinator.now().epoch), matched, degraded: false }
    const ordered = coordinator.order(targets.map(({ tag }) => ({ kind, tag, deadline })))
    // Before anything is awaited: what is rendered from here on stays.
    if (kind === 'hard') for (const { key } of pages) this.#options.cache.drop(key)
    const { epoch, degraded } = await ordered
    if (kind === 'hard') await this.#removeExports(pages)
    // What a route lists may have changed with what it shows.
    for (const { item } of targets) if (item !== null && 'route' in item) for (const route of registry.withPattern(item.route)) route.paths.relist()
    const tags = targets.map(({ tag }) => tag)
    if (channels.invalidate.hasSubscribers) channels.invalidate.publish({ kind, tags, epoch, matched })
    this.#options.log.debug({ kind, targets: targets.map(({ item, tag }) => item ?? { tag }), matched }, 'pages invalidated')
    return { epoch, matched, degraded }
  }

  #match (targets: OrderTarget[]): KnownPage[] {
    const { known } = this.#options
    const found = new Map<string, KnownPage>()
    const others: OrderTarget[] = []
    for (const target of targets) {
      if (target.item !== null && !('tag' in target.item)) others.push(target)
      else for (const page of known.tagged(target.tag)) found.set(page.key, page)
    }
    if (others.length === 0) return [...found.values()]
    for (const page of known) if (others.some(target => target.matches(page))) found.set(page.key, page)
    return [...found.values()]
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
  async #removeExports (pages: KnownPage[]): Promise<void> {
    const { removeExport, log } = this.#options
    for (const { path, built } of pages) {
      if (built?.export == null) continue
      await removeExport(built.export).catch((err: unknown) => { log.warn({ err, path }, 'the exported file of a purged page could not be removed') })
    }
  }
}
