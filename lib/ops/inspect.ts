import type { EntriesPage, EntryInfo, Inspection, ManifestPage, RouteInfo, Stats } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import type { RenderQueue } from '../cache/render-queue.js'
import { InvalidTarget } from '../errors.js'
import { show, type Settings } from '../options.js'
import { isSpelling, pageKey } from '../pages/key.js'
import type { KnownPage, KnownPages } from '../pages/known.js'
import type { Matcher } from '../pages/matcher.js'
import { metaOf } from '../pages/page.js'
import type { PageRoute, Registry } from '../pages/registry.js'
import type { Rendered } from '../pages/render.js'
import type { ServeCounts } from '../pages/serve.js'
import { infoOf, type PageView } from '../pages/view.js'

export interface InspectOptions {
  settings: Settings
  cache: Cache<PageView, Rendered>
  queue: RenderQueue
  registry: Registry
  matcher: Matcher
  known: KnownPages
  served: ServeCounts
}

const DEFAULT_LIMIT = 100
const MOST_LIMIT = 1000

/** Looks in, changes nothing. */
export class Inspector {
  readonly #options: InspectOptions

  constructor (options: InspectOptions) {
    this.#options = options
  }

  async inspect (url: string): Promise<Inspection> {
    const { settings, matcher } = this.#options
    if (typeof url !== 'string' || !url.startsWith('/')) throw new InvalidTarget(`inspect() wants a path such as '/about?page=2', got ${show(url)}`)
    const [path = '', search = ''] = url.split('?')
    const match = matcher.find(path)
    const nothing = { url, key: null, cached: false, state: null, age: null, tier: null, tags: [], entry: null }
    if (match === null) return { ...nothing, route: null, reasons: ['no GET route answers this path'] }
    if (match.kind === 'other') return { ...nothing, route: match.pattern, reasons: [`route ${match.pattern} has no config.prerender`] }
    const { route, params } = match
    if (!isSpelling(route, path, params)) {
      return { ...nothing, route: route.pattern, reasons: ['this is not the one spelling that the page is stored under (canonical path, no alias): the live handler answers'] }
    }
    const query = [...new URLSearchParams(search)].filter(([name]) => route.policy.query.includes(name)).sort(([a], [b]) => a < b ? -1 : 1)
    const page = pageKey(route, { path, params, query, ...(route.policy.hosts?.[0] === undefined ? {} : { host: route.policy.hosts[0] }) })
    const held = await this.#options.cache.load(page.key)
    const entry = held === null ? null : this.#infoOf(held)
    const reasons = entry === null ? this.#whyNot(route, page) : whyServed(entry, held?.isMarked === true)
    if (!settings.enabled) reasons.unshift("'enabled' is false: every request is rendered anew")
    return {
      url,
      key: page.key,
      route: route.pattern,
      cached: settings.enabled && entry !== null && entry.state !== 'expired',
      state: entry?.state ?? null,
      age: entry?.age ?? null,
      tier: entry?.tier ?? null,
      tags: entry?.tags ?? [],
      entry,
      reasons
    }
  }

  async entries ({ cursor = '', limit = DEFAULT_LIMIT, filter = '' }: { cursor?: string, limit?: number, filter?: string } = {}): Promise<EntriesPage> {
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_LIMIT) throw new InvalidTarget(`limit must be a whole number from 1 to ${MOST_LIMIT}, got ${show(limit)}`)
    const { known } = this.#options
    const pages = await known.after(cursor, filter, limit + 1)
    const shown = pages.slice(0, limit)
    // What is only on disk is told from the manifest, without reading it.
    const rows = await known.rowsOf(shown)
    return {
      entries: shown.flatMap((page, nth) => this.#infoOfKnown(page, rows[nth] ?? null) ?? []),
      cursor: pages.length > limit ? shown.at(-1)?.key ?? null : null
    }
  }

  stats (): Omit<Stats, 'redis' | 'expressLane'> {
    const { cache, queue, settings, served } = this.#options
    const { disk, memory } = cache
    return {
      requests: { ...served },
      renders: { ...cache.counts, running: queue.running, queued: queue.queued },
      memory: { entries: memory.size, bytes: memory.bytes, maxBytes: memory.maxBytes, evictions: memory.evictions },
      disk: disk === null ? null : { entries: disk.entries, bytes: disk.bytes, maxBytes: settings.disk === false ? 0 : settings.disk.maxBytes, errors: disk.errors },
      buildId: cache.buildId === '' ? null : cache.buildId
    }
  }

  routes (): RouteInfo[] {
    return this.#options.registry.routes.map(route => ({
      route: route.pattern,
      prefix: route.prefix,
      constraints: { ...route.constraints },
      static: route.path.isStatic,
      onDemand: route.policy.onDemand,
      listed: route.path.isStatic ? 1 : route.paths.size,
      policy: route.policy
    }))
  }

  #infoOf (held: NonNullable<Awaited<ReturnType<Cache<PageView, Rendered>['load']>>>): EntryInfo {
    // That another instance is to be asked makes it no older.
    const at = held.freshAgainUntil === null ? held : { ...held, freshUntil: held.freshAgainUntil }
    return infoOf(held.entry, metaOf(held.entry), held.view.route, this.#options.settings.clock(), at, held.tier)
  }

  /** Null for what has gone in the meantime. */
  #infoOfKnown ({ key }: KnownPage, built: ManifestPage | null): EntryInfo | null {
    const held = this.#options.cache.memory.peek(key)
    if (held !== undefined) return this.#infoOf(held)
    if (built === null) return null
    const now = this.#options.settings.clock()
    const renderedAt = Date.parse(built.renderedAt)
    const policy = this.#options.registry.withPattern(built.route)[0]?.policy
    const ttl = built.ttl ?? Infinity
    const age = Math.max(0, Math.floor((now - renderedAt) / 1000))
    return {
      key,
      path: built.path,
      route: built.route,
      state: age < ttl ? 'fresh' : 'stale',
      status: built.status,
      renderedAt,
      age,
      ttl,
      staleWhileRevalidate: policy?.staleWhileRevalidate ?? Infinity,
      staleIfError: policy?.staleIfError ?? Infinity,
      tags: built.tags,
      bytes: built.bytes,
      encodings: { ...built.encodings },
      tier: 'disk'
    }
  }

  #whyNot (route: PageRoute, page: { key: string, path: string, hasQuery: boolean }): string[] {
    const reasons = ['no entry is stored under this key']
    const failure = this.#options.cache.whyNot(page.key)
    if (failure !== null) reasons.push(failure)
    if (route.paths.has(page.path) && !page.hasQuery) reasons.push('the path is listed: the first visit renders and stores it')
    else if (route.policy.onDemand) reasons.push('onDemand is on: the first visit renders and stores it')
    else reasons.push(`${page.hasQuery ? 'query variants' : 'unlisted paths'} are answered live, for onDemand is off`)
    return reasons
  }
}

/** Of an entry that is there. */
export function whyServed (entry: EntryInfo, isMarked: boolean): string[] {
  const age = `rendered ${entry.age} s ago`
  if (entry.state === 'fresh') return [`${age}, fresh${entry.ttl === Infinity ? ' until it is revalidated or rebuilt' : ` for ${entry.ttl} s`}: served from the cache`]
  const why = isMarked ? 'marked stale by revalidate()' : `older than its ttl of ${entry.ttl} s`
  if (entry.state === 'stale') return [`${age}, ${why}: served at once, rendered again behind`]
  if (entry.state === 'stale-if-error') return [`${age}, ${why}, beyond its stale window: visitors wait for a render; served only if that fails`]
  return [`${age}, ${why}, beyond all its windows: visitors wait for a render`]
}
