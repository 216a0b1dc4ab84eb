/**
 * The public contract of fastify-isr, written by hand. `lib/` is checked
 * against it, so the two can't drift apart.
 *
 * Durations in options are **seconds** unless a name or comment says otherwise;
 * freshness windows are named as in RFC 5861.
 */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'

// ── register options ────────────────────────────────────────────────────────

export interface IsrOptions {
  /**
   * `false` is the development mode: every request is answered by a new
   * anonymous render, nothing is kept and no tier is opened. Policies are
   * validated all the same and `prerender()` still builds.
   * @default true
   */
  enabled?: boolean
  /**
   * Where builds and regenerated pages live. A relative path is taken from the
   * package root of the app (the nearest `package.json` above the module that
   * started the process), not from the working directory.
   * @default '.prerender'
   */
  dir?: string
  /**
   * How the export names HTML files: `about/index.html` or `about.html`.
   * @default 'directory'
   */
  urlStyle?: UrlStyle
  /**
   * Origin of the site. Gives renders their host and protocol, and the sitemap
   * its absolute URLs. Without it a build writes no sitemap.
   * @default 'http://localhost'
   */
  baseUrl?: string
  /**
   * Serve the built sitemap at `/sitemap.xml` (and its parts). A route of the
   * app with that path wins.
   * @default false
   */
  sitemap?: boolean
  /** Defaults of every route policy. */
  defaults?: PolicyDefaults
  /** Memory tier. `maxBytes: 0` turns it off. */
  memory?: { /** @default 67108864 (64 MiB) */ maxBytes?: number }
  /**
   * Disk tier, or `false` for none. `writeBack: false` reads the build and
   * writes nothing. `maxBytes` bounds unlisted and regenerated entries; built
   * pages are never evicted.
   */
  disk?: false | { /** @default true */ writeBack?: boolean, /** @default 1073741824 (1 GiB) */ maxBytes?: number }
  /** Limits of rendering. */
  render?: RenderOptions
  /**
   * Encodings prepared when a page is stored, in order of preference.
   * @default ['br', 'gzip']
   */
  encodings?: Encoding[]
  /**
   * Load built pages into memory after start, newest first, without delaying
   * `ready`.
   * @default true
   */
  prewarm?: boolean
  /**
   * Whether parametric routes serve listed paths only. It is the opposite of
   * the default of a policy's `onDemand`.
   * @default true
   */
  strictPaths?: boolean
  /**
   * Namespace of stored entries. Default: the id of the build in `dir`. With
   * neither, nothing is written to disk at run time.
   */
  buildId?: string
  /**
   * Many instances, one truth: pages, one render per page, and orders that
   * reach all. A client of ioredis (5.4 or later) or iovalkey, as a template:
   * connections of its own are made from its options, it is neither used nor
   * closed. Needs a `buildId` or a build.
   * @default none
   */
  redis?: RedisTemplate | RedisOptions
  /**
   * Where instances share pages, in place of Redis. With `redis` as well,
   * Redis sees to orders and leases only.
   * @default Redis, if there is one
   */
  tier?: IsrTier
  /** Requests that the live handler answers and nothing is stored for. */
  bypass?: Bypass
  /**
   * Takes orders over HTTP: POST, JSON, `Authorization: Bearer <secret>` or a
   * signature. A secret has 32 characters or more; give an array to replace one.
   * @default off
   */
  revalidateEndpoint?: { path: string, secret: string | string[] }
  /**
   * Send the `Cache-Status` header (RFC 9211).
   * @default true
   */
  cacheStatus?: boolean
  /**
   * `cacheControl: true` sends `CDN-Cache-Control` (RFC 9213) with the page's
   * own lifetime, for CDNs that are purged when pages change.
   * @default { cacheControl: false }
   */
  cdn?: { cacheControl?: boolean }
  /**
   * Answers plain hits (GET and HEAD, no query, no body, keep-alive) before
   * Fastify, at about 0.7 of what node:http itself costs. **No hook
   * runs for them and nothing is logged.** Refused at `ready`, with the
   * reasons, if that would change an answer: hooks, a `bypass` function,
   * `vary`, constraints, `rewriteUrl`, http2, `serverFactory`.
   * `{ ignoreHooks: true }` accepts that hooks don't run.
   * @default false
   */
  expressLane?: boolean | { ignoreHooks?: boolean }
  /** Milliseconds since the epoch; injected by tests. @default Date.now */
  clock?: () => number
}

export interface RedisOptions {
  client: RedisTemplate
  /** Of all keys and channels; instances with the same one belong together. @default 'isr' */
  prefix?: string
  /** Milliseconds that anything waits for Redis. @default 500 */
  commandTimeout?: number
  /** Milliseconds between two looks at what others have ordered. @default 1000 */
  heartbeat?: number
  /** Milliseconds after which another instance renders what one has died over. @default 3000 */
  leaseTtl?: number
  /** Seconds that a page stays in Redis at most, unless it is stored again. @default 604800 (a week) */
  maxAge?: number
  /** Seals what is stored in Redis, so that others with access to it can't alter it. 32 characters or more. */
  secret?: string
}

/** What says how Redis is reached: `Redis` or `Cluster` of ioredis or iovalkey. */
export interface RedisTemplate {
  readonly status: string
  duplicate (...args: never[]): unknown
  call (...args: never[]): unknown
}

export type UrlStyle = 'directory' | 'file'
export type Encoding = 'br' | 'gzip'

export interface RenderOptions {
  /** Milliseconds for waiting in the queue and rendering together. @default 10000 */
  timeout?: number
  /** Renders at the same time. @default 4 */
  concurrency?: number
  /** Renders waiting at the same time; beyond it a cold page is a 503. @default 1000 */
  maxQueue?: number
  /**
   * Threads that render, so that rendering never delays the answers to others.
   * Each loads the app once more, from `app`, and never listens. If the app
   * can't be loaded twice, the reason is logged and pages are rendered in the
   * main thread.
   * @default 0
   */
  workers?: number
  /**
   * The module that exports the app: what `fastify start` and
   * `fastify-isr prerender` are given. A file URL, or a path relative to the
   * package root of the app.
   */
  app?: string | URL
  /** MiB of JavaScript heap per worker thread; a render that needs more fails, and the thread is replaced. @default 512 */
  workerMemory?: number
}

export interface PolicyDefaults {
  /** @default Infinity */
  ttl?: number
  /** @default Infinity */
  staleWhileRevalidate?: number
  /** @default Infinity */
  staleIfError?: number
  cacheControl?: RoutePolicy['cacheControl']
}

/** Cookie and header names, or a predicate. A predicate that throws means bypass, and is logged. */
export type Bypass = { cookies?: string[], headers?: string[] } | ((request: FastifyRequest) => boolean)

// ── route policy ────────────────────────────────────────────────────────────

export interface RoutePolicy {
  /**
   * Seconds a page is fresh. `Infinity`: until it is revalidated or rebuilt;
   * `0`: always served stale and refreshed behind.
   * @default defaults.ttl
   */
  ttl?: number | ((page: RenderedPage) => number)
  /** Seconds after `ttl` in which the old page is served while a new one is rendered. @default defaults.staleWhileRevalidate */
  staleWhileRevalidate?: number
  /** Seconds after that in which the old page is served only if rendering fails. @default defaults.staleIfError */
  staleIfError?: number
  /** The paths of a parametric route: params objects or canonical paths. */
  paths?: PathSource | (() => PathSource | Promise<PathSource>)
  /**
   * Store paths and query variants that no list names, when they are asked for.
   * @default the opposite of `strictPaths`
   */
  onDemand?: boolean
  /** Keys stored on demand for this route; the least recently used goes first. @default 10000 */
  maxPaths?: number
  /** Query parameters that are part of the cache key. All others are ignored and hidden from the render. */
  query?: string[]
  /** Hosts that are part of the cache key. Requests for other hosts go to the live handler. */
  hosts?: string[]
  /** Request headers reduced to a small class that is part of the cache key. The render gets the class as the header. */
  vary?: Record<string, VaryRule>
  /** Tags of every page of the route, or computed from its params. */
  tags?: string[] | ((params: Record<string, string>) => string[])
  /** Statuses stored besides 200 (301, 308, 404, 410), each with its own ttl. */
  statuses?: Record<number, number>
  /** Largest body stored, in bytes; rendering stops there. @default 5242880 (5 MiB) */
  maxBytes?: number
  /** Which response headers are stored. Default: all but per-visitor and hop-by-hop ones. */
  headers?: (name: string) => boolean
  /** The Cache-Control sent to browsers and CDNs. @default 'public, max-age=0, must-revalidate' */
  cacheControl?: string | ((page: EntryInfo) => string)
  /** Requests of this route that the live handler answers; OR-ed with the global one. */
  bypass?: Bypass
  /** Not fresh for longer than the data it was made of. @default false */
  inheritTtl?: boolean
  /** Silence the warning about route hooks that a cached answer skips. @default false */
  allowHooks?: boolean
  /** `false` keeps the route out of the sitemap. */
  sitemap?: false | SitemapHints
}

export interface VaryRule {
  /** The classes; the first is used whenever `select` yields something else. */
  values: string[]
  select: (header: string | undefined) => string
}

export interface SitemapHints {
  changefreq?: 'always' | 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly' | 'never'
  priority?: number
  lastmod?: string | Date
}

export type PathSource =
  | Iterable<string | Record<string, string | number>>
  | AsyncIterable<string | Record<string, string | number>>

/** What a render produced, as `ttl` functions see it. */
export interface RenderedPage {
  path: string
  status: number
  headers: Readonly<Record<string, string | string[]>>
  body: Buffer
}

// ── targets and orders ──────────────────────────────────────────────────────

export type TargetItem =
  /** A pathname hits all its variants; with a query, that key. */
  | { path: string }
  /** A path and everything below it: `/blog` means `/blog` and `/blog/a`, not `/blogger`. */
  | { prefix: string }
  /** Everything with this tag. */
  | { tag: string }
  /** A route pattern as it was declared, prefix included. */
  | { route: string }
  | { all: true }

/** One target or up to 1000 of them. */
export type Target = TargetItem | readonly TargetItem[]

export interface OrderResult {
  /** The logical time of the order; null when Redis could not be asked. */
  epoch: number | null
  /** Pages known to this instance that the order concerns. */
  matched: number
  /**
   * The order is no acknowledgement: Redis or the disk refused it. It holds in
   * this process, and is given to Redis as soon as that can be asked.
   */
  degraded: boolean
}

export interface RefreshResult {
  pages: RefreshedPage[]
}

export interface RefreshedPage {
  key: string
  path: string
  outcome: 'stored' | 'renewed' | 'dropped' | 'unstorable' | 'failed'
  reason?: string
  error?: Error
  durationMs: number
}

// ── build ───────────────────────────────────────────────────────────────────

export interface BuildOptions {
  /** Build these paths only; everything else of the last build stays. */
  paths?: string[]
  /** Build the pages of these route patterns only; everything else of the last build stays. */
  routes?: string[]
  /** Write somewhere else than the plugin's `dir`. */
  dir?: string
  baseUrl?: string
  urlStyle?: UrlStyle
  /** Pages rendered at the same time. @default render.concurrency */
  concurrency?: number
  /** Render in this many worker threads; needs `render.app`, which the command line knows by itself. @default render.workers */
  workers?: number
  /** Follow same-origin links to further prerender routes. @default false */
  crawl?: boolean
  /** Rewrite and recompress pages whose bytes did not change. @default false */
  force?: boolean
  /** Stop at the first failing page and keep the old build. @default false */
  failFast?: boolean
  /** Fail without a `baseUrl` instead of skipping the sitemap. @default false */
  sitemap?: boolean
  /** Prepare br and gzip. @default true */
  compress?: boolean
  /** Brotli quality, 0–11. @default 11 */
  brotli?: number
  signal?: AbortSignal
  onProgress?: (progress: BuildProgress) => void
}

export interface BuildProgress {
  done: number
  /** Pages known so far: `paths` that are arrays count at once, those of other iterables, and links, as they come. */
  total: number
  /** Whether there will be no others. */
  isTotalKnown: boolean
  row: BuildRow
}

export interface BuildReport {
  buildId: string
  dir: string
  generatedAt: string
  durationMs: number
  pages: BuildRow[]
  /** Keys of the last build that no longer exist. */
  removed: string[]
  sitemap: { file: string | null, urls: number, reason?: string }
  /** What a reader should know and that is not a failure. */
  warnings: string[]
  /** Failures that belong to no page: a `paths` function, a `paths` option that matched nothing, a broken link. */
  problems: BuildProblem[]
  /** True when no page failed and there are no problems. */
  ok: boolean
}

export interface BuildProblem {
  route?: string
  path?: string
  message: string
}

/** One page of the manifest. */
export interface ManifestPage {
  key: string
  path: string
  route: string
  /** Entry file, relative to `dir`. */
  file: string
  /** Readable file, relative to `dir`, or null when it is not part of the export. */
  export: string | null
  /** Why it is not part of the export. */
  exportSkipped?: string
  status: number
  bytes: number
  sha256: string
  /** ISO 8601 */
  renderedAt: string
  durationMs: number
  /** Seconds; null is Infinity. */
  ttl: number | null
  tags: string[]
  /** Bytes per prepared encoding. */
  encodings: { br?: number, gzip?: number }
}

export interface BuildRow extends Partial<Omit<ManifestPage, 'key' | 'path' | 'route'>> {
  key: string
  path: string
  route: string
  outcome: 'written' | 'unchanged' | 'kept' | 'failed'
  error?: string
}

export interface Manifest {
  version: 1
  buildId: string
  incarnation: string | null
  epoch: number
  generatedAt: string
  pages: ManifestPage[]
}

// ── data ────────────────────────────────────────────────────────────────────

/** What a fetch is told, and can say. */
export interface CachedContext {
  /** Aborts at `timeout`. */
  readonly signal: AbortSignal
  /** Seconds; wins over the option, chosen from the result. */
  ttl (seconds: number): void
  /** Adds tags to the value. */
  tags (...tags: string[]): void
  /** `return context.notModified()` keeps the old value and renews it. Throws when there is none. */
  notModified (): never
}

interface DataSettings {
  /** Seconds a value is fresh. @default 60 */
  ttl?: number
  /** Seconds after `ttl` in which the old value is used while a new one is fetched. @default 3600 */
  staleWhileRevalidate?: number
  /** Seconds after that in which the old value is used only if fetching fails. @default 0 */
  staleIfError?: number
  /** Milliseconds for one fetch. @default 10000 */
  timeout?: number
  /** Keep values on disk, so that they outlive a restart. @default false */
  persist?: boolean
  /** Values kept per name; the least recently fetched goes first. @default 10000 */
  maxEntries?: number
}

export interface CachedOptions<A extends unknown[], T> extends DataSettings {
  /** What the value is kept under. Default: all arguments, whatever the order of an object's properties. */
  key?: (...args: A) => string | number | object
  /** Tags of the value; from it, and from the arguments. */
  tags?: string[] | ((value: T, ...args: A) => string[])
}

/** Arguments without the context that the engine adds; an argument of type `any` is none. */
export type WithoutContext<A extends unknown[]> =
  A extends [] ? A
    : A extends [...infer B, infer Last]
      ? unknown extends Last ? A : [Last] extends [CachedContext] ? B : A
      : A extends [...infer B, (CachedContext | undefined)?] ? B : A

/** The function, cached. Values are shared: treat them as read-only. */
export interface CachedFunction<A extends unknown[], T> {
  (...args: A): Promise<T>
  /** Stale from now on. */
  revalidate (...args: A): Promise<OrderResult>
  /** Never used again. */
  purge (...args: A): Promise<OrderResult>
  /** Fetches now. */
  refresh (...args: A): Promise<T>
}

export interface DataOptions<T, E = undefined> extends DataSettings {
  name: string
  fetch: (extracted: E, context: CachedContext) => T | Promise<T>
  /** Puts the value to use. May answer the request, and so end it. */
  apply: (request: FastifyRequest, reply: FastifyReply, value: T) => unknown
  /** What the fetch needs of the request. @default nothing */
  extract?: (request: FastifyRequest) => E
  /** What the value is kept under. Gets what `extract` returned, or the request without one. Default: what `extract` returned. */
  key?: (from: E) => string | number | object
  /** The value could not be had. May answer the request. Default: logs, and goes on without. */
  onError?: (request: FastifyRequest, reply: FastifyReply, error: Error) => unknown
  tags?: string[] | ((value: T, extracted: E) => string[])
}

/** Fits onRequest, preParsing, preValidation and preHandler. */
export type DataHook = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

// ── looking in ──────────────────────────────────────────────────────────────

/** Where an entry was found. A shared tier of your own goes by its own name. */
export type TierName = 'memory' | 'disk' | 'redis' | (string & {})

export type EntryState = 'fresh' | 'stale' | 'stale-if-error' | 'expired'

/** A stored entry, without its body. */
export interface EntryInfo {
  key: string
  path: string
  route: string
  state: EntryState
  status: number
  /** Milliseconds since the epoch. */
  renderedAt: number
  /** Seconds since it was rendered. */
  age: number
  ttl: number
  staleWhileRevalidate: number
  staleIfError: number
  tags: string[]
  bytes: number
  encodings: Partial<Record<string, number>>
  tier: TierName
}

export interface Inspection {
  url: string
  /** Null when the URL has no cache key. */
  key: string | null
  route: string | null
  cached: boolean
  /** Null, like `age` and `tier`, when nothing is stored. */
  state: EntryState | null
  /** Seconds. */
  age: number | null
  tier: TierName | null
  tags: string[]
  /** All that is known of what is stored. */
  entry: EntryInfo | null
  /** Why it is, or is not, answered from the cache: a chain that a person can read. */
  reasons: string[]
}

export interface EntriesPage {
  entries: EntryInfo[]
  /** Pass it to get the next page; null at the end. */
  cursor: string | null
}

export interface Stats {
  /** Answers by outcome. */
  requests: { hit: number, stale: number, miss: number, staleIfError: number, bypass: number, unstorable: number, failed: number }
  /**
   * Renders of pages and fetches of data since the start, by outcome; `running` and `queued` at the moment. What never
   * began is none of them: the queue had no room for it, or no slot until `render.timeout`. Visitors who waited for
   * that are among the `requests`, as `failed` or `staleIfError`.
   */
  renders: { started: number, stored: number, renewed: number, unstorable: number, failed: number, running: number, queued: number }
  memory: { entries: number, bytes: number, maxBytes: number, evictions: number }
  disk: { entries: number, bytes: number, maxBytes: number, errors: number } | null
  /** Null without `redis`. */
  redis: RedisStats | null
  /**
   * Answers of the express lane (they count as hits, too), and requests that it
   * handed to the default lane. Null when it is off.
   */
  expressLane: { hits: number, fallThrough: number } | null
  buildId: string | null
}

export interface RedisStats extends Omit<Health, 'redis'> {
  status: 'connected' | 'degraded'
  incarnation: string | null
  /** Orders that Redis has not been told yet. */
  queued: number
  /** Commands sent. */
  commands: number
  /** Renders that this instance had the lease for. */
  leases: number
  /** Pages asked for and found, written, and what went wrong with that. */
  tier: { reads: number, hits: number, writes: number, errors: number }
}

export interface Health {
  /** `degraded`: Redis can't be asked, or not everything it says is known here yet. `off`: there is none. */
  redis: 'connected' | 'degraded' | 'off'
  /** Logical time of the last order heard of; null without Redis. */
  epoch: number | null
  /** Orders known to exist that have not been carried out here yet. */
  lag: number
}

export interface RouteInfo {
  route: string
  prefix: string
  constraints: Record<string, unknown>
  static: boolean
  onDemand: boolean
  /** Listed paths known at the moment. */
  listed: number
  policy: Readonly<RoutePolicy>
}

// ── shared tier ─────────────────────────────────────────────────────────────

/**
 * A place where several instances share what they have rendered: an object
 * store, a database, a key-value store. It keeps bytes under a name and looks
 * at their versions; what the bytes mean is none of its business.
 * Names are of the form `<build id>/<64 hex digits>`: letters, digits, dots,
 * dashes, underscores and one slash, at most 200 characters.
 *
 * `fastify-isr/test` has the test that every tier must pass.
 */
export interface IsrTier {
  /** For logs and events, e.g. `s3`. */
  readonly name: string
  /** False while it would be asked in vain: nothing is asked then. */
  readonly isUp?: boolean
  /**
   * What was stored last under this name, whole, or null. Something larger
   * than `maxBytes` is as good as nothing, and should not be loaded. Rejects
   * when the tier can't be asked.
   */
  get (name: string, options: { maxBytes: number }): Promise<Buffer | null>
  /**
   * Stores the record unless something newer is there, in one step: of many
   * writers the newest wins, whatever their order. Resolves with whether it
   * was stored.
   */
  set (name: string, record: IsrTierRecord): Promise<boolean>
  /** Removes what is there unless that is newer than `version`. Resolves with whether nothing is there any more. */
  delete (name: string, version: IsrTierVersion): Promise<boolean>
  /** Called once, when the app closes; nothing is asked after it. */
  close? (): Promise<void>
}

export interface IsrTierRecord {
  readonly bytes: Buffer
  readonly version: IsrTierVersion
  /** Seconds after which nobody needs it, more than 0 and finite. */
  readonly maxAge: number
}

/**
 * What replaces what. Within an incarnation the higher epoch is newer, and of
 * equal epochs the later `renderedAt`. Between two incarnations nothing can be
 * compared, and what is being written (or deleted) counts as the newer one,
 * but a version without incarnation (`''`) is older than every version that
 * has one. Equal versions are neither newer: the record is replaced.
 */
export interface IsrTierVersion {
  /** Whose epochs these are; `''` when nobody shared them. At most 200 printable ASCII characters. */
  readonly incarnation: string
  /** A whole number, 0 or more, at most 2^53 - 1. */
  readonly epoch: number
  /** Whole milliseconds since 1970. */
  readonly renderedAt: number
}

// ── decorators ──────────────────────────────────────────────────────────────

export interface Isr {
  /** True while `prerender()` runs in this process. */
  readonly building: boolean
  /** Absolute path of the output directory. */
  readonly dir: string
  /** The build: renders every listed page and writes it to `dir`. Not before `ready`. */
  prerender (options?: BuildOptions): Promise<BuildReport>
  /**
   * Soft: the pages are stale from now on. `expire`: seconds the old page may
   * still be served (0: visitors wait, the old page only if rendering fails).
   */
  revalidate (target: Target, options?: { expire?: number, dryRun?: boolean }): Promise<OrderResult>
  /** Hard: the old page is never served again, not even if rendering fails. */
  purge (target: Target, options?: { dryRun?: boolean }): Promise<OrderResult>
  /** Render now, the most recently used pages first. Never throws for a page. Not before `ready`. */
  refresh (target: Target, options?: { concurrency?: number }): Promise<RefreshResult>
  /**
   * A function whose results are kept by argument, in the same engine as
   * pages. A page that is rendered with one gets its tags.
   */
  cached<A extends unknown[], T> (name: string, fn: (...args: A) => T | Promise<T>, options?: CachedOptions<WithoutContext<A>, T>): CachedFunction<WithoutContext<A>, T>
  /** A hook that fetches per key and applies to each request. */
  data<T, E = undefined> (options: DataOptions<T, E>): DataHook
  /** Explains what happens to a URL and why. */
  inspect (url: string): Promise<Inspection>
  entries (options?: { cursor?: string, limit?: number, filter?: string }): Promise<EntriesPage>
  /** All 0 in a render worker, which keeps nothing: ask in the main thread. */
  stats (): Stats
  /** Whether this instance knows what the others do. It serves in any case. In a render worker, which knows of none, Redis is `off`. */
  health (): Health
  routes (): RouteInfo[]
}

/** What a handler can say about the page being rendered. Does nothing in a live answer. */
export interface ReplyIsr {
  tags (...tags: string[]): void
  /** Seconds; wins over the policy. */
  ttl (seconds: number): void
  /** Do not store this answer. */
  noStore (): void
}

/** What is being rendered; lets hooks skip internal renders. */
export interface IsrRender {
  readonly route: string
  readonly path: string
  readonly key: string
  readonly reason: RenderReason
}

export type RenderReason = 'build' | 'miss' | 'ttl' | 'revalidate' | 'refresh' | 'disabled'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `true`, or a policy, for a GET route that fastify-isr prerenders. `false` inside `app.prerender()` opts out. */
    prerender?: boolean | RoutePolicy
    /** What a 2xx or 3xx answer of this route revalidates. */
    revalidate?: Target | ((request: FastifyRequest, reply: FastifyReply) => Target | Promise<Target>)
  }
  interface FastifyInstance {
    isr: Isr
    /** Registers `plugin` encapsulated; every GET in it has `policy` unless its own `config.prerender` says otherwise. */
    prerender (policy: boolean | RoutePolicy, plugin: (instance: FastifyInstance) => void | Promise<void>): FastifyInstance
  }
  interface FastifyRequest {
    /** Null for visitors. */
    readonly isrRender: IsrRender | null
  }
  interface FastifyReply {
    readonly isr: ReplyIsr
  }
}

declare const plugin: FastifyPluginAsync<IsrOptions>
export { plugin, plugin as fastifyIsr, plugin as 'module.exports' }
export default plugin
