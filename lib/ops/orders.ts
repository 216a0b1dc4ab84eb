import type { FastifyBaseLogger } from 'fastify'
import type { OrderResult, Target } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import type { Coordinator } from '../cluster/coordinator.js'
import { InvalidTarget } from '../errors.js'
import { isSeconds, show, type Settings } from '../options.js'
import type { KnownPage, KnownPages } from '../pages/known.js'
import type { Registry } from '../pages/registry.js'
import type { Rendered } from '../pages/render.js'
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

  async #give (kind: 'soft' | 'hard', targets: CheckedTarget[], deadline: number, isDryRun: boolean): Promise<OrderResult> {
    const { settings, coordinator, registry } = this.#options
    const matched = settings.enabled ? this.#match(targets) : []
    if (isDryRun || targets.length === 0) return { epoch: coordinator.now(), matched: matched.length, degraded: false }
    const { epoch, degraded } = await coordinator.order(targets.map(({ tag }) => ({ kind, tag, deadline })))
    if (kind === 'hard') await this.#remove(matched)
    // What a route lists may have changed with what it shows.
    for (const { item } of targets) if ('route' in item) for (const route of registry.withPattern(item.route)) route.paths.relist()
    const tags = targets.map(({ tag }) => tag)
    if (channels.invalidate.hasSubscribers) channels.invalidate.publish({ kind, tags, epoch, matched: matched.length })
    this.#options.log.debug({ kind, targets: targets.map(({ item }) => item), matched: matched.length }, 'pages invalidated')
    return { epoch, matched: matched.length, degraded }
  }

  #match (targets: CheckedTarget[]): KnownPage[] {
    return [...this.#options.known].filter(page => targets.some(target => target.matches(page)))
  }

  /** A purged page leaves the disk, and, as far as possible, the readable tree. */
  async #remove (pages: KnownPage[]): Promise<void> {
    const { cache, removeExport, log } = this.#options
    for (const { key, built } of pages) {
      cache.drop(key)
      if (built?.export == null) continue
      await removeExport(built.export).catch((err: unknown) => { log.warn({ err, path: built.path }, 'the exported file of a purged page could not be removed') })
    }
  }
}
