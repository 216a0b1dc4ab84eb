import { setMaxListeners } from 'node:events'
import { isDeepStrictEqual } from 'node:util'
import { randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BuildOptions, BuildProblem, BuildReport, BuildRow, ManifestPage } from '../../types/index.js'
import { ByteTable } from '../cache/byte-table.js'
import type { Cache, Landing } from '../cache/cache.js'
import type { Entry } from '../cache/entry.js'
import { orAbort } from '../cache/or-abort.js'
import { RenderQueue, type Gate } from '../cache/render-queue.js'
import type { Moment } from '../cluster/coordinator.js'
import { BuildAborted, BuildUnwritable, SitemapWithoutBaseUrl } from '../errors.js'
import type { Settings } from '../options.js'
import { isEncodedAsWanted } from '../pages/encode.js'
import type { Matcher } from '../pages/matcher.js'
import { metaOf } from '../pages/page.js'
import { PageTable } from '../pages/page-table.js'
import type { Registry } from '../pages/registry.js'
import type { Rendered, RenderPage } from '../pages/render.js'
import { pageSource, type SourceContext } from '../pages/source.js'
import type { PageView } from '../pages/view.js'
import { readBuildOptions, type BuildSettings } from './build-options.js'
import { linksOf } from './crawl.js'
import { blocking, yielding } from './files.js'
import { readBuild, rowsOf, type Build } from './manifest.js'
import { GRACE, removeOldBuilds } from './old-builds.js'
import { BuildPlan, type PlannedPage } from './plan.js'
import { ReportRows } from './report-rows.js'
import { isSitemapName, writeSitemap, type SitemapUrl } from './sitemap.js'
import { Stage, type KeptPages } from './stage.js'

export interface BuildContext {
  settings: Settings
  registry: Registry
  matcher: Matcher
  cache: Cache<PageView, Rendered>
  source: Omit<SourceContext, 'render'>
  /** What renders, in as many worker threads as are asked for. */
  renderer: (workers: number | null) => BuildRenderer
  /** Null: it has the process for itself. */
  gate: Gate | null
  /** Logical time now. */
  now: () => Moment
}

/** How a build renders, and what has to end with it. */
export interface BuildRenderer {
  readonly render: RenderPage
  /** Worker threads. */
  readonly threads: number
  /** Resolves when the threads have loaded the app, or can't: no visitor waits, so a build does. */
  readonly loaded: Promise<void>
  close (): Promise<void>
}

/** A failed render is tried once more: the first request often only wakes something up. */
const TRIES = 2

/**
 * Pages that a worker thread has at a time. While it renders the last ones,
 * the results of the others are on their way, and new pages come back: with
 * two at a time a tenth of its time went there.
 */
const AHEAD = 4

/** What one build knows while it runs. */
interface Run {
  readonly context: BuildContext
  readonly wanted: BuildSettings
  /** How pages are rendered: the base URL of this build is theirs, too. */
  readonly source: SourceContext
  readonly renderer: BuildRenderer
  readonly previous: Build | null
  readonly isPartial: boolean
  readonly plan: BuildPlan
  readonly stage: Stage
  /** For the report. */
  readonly rows: ReportRows
  readonly problems: BuildProblem[]
  readonly warnings: string[]
  done: number
  failures: number
}

interface Committed {
  generatedAt: string
  sitemap: BuildReport['sitemap']
  removed: string[]
}

const STOPPED: BuildReport['sitemap'] = { file: null, urls: 0, reason: 'the build stopped at the first failure' }

/**
 * One build: render everything to a place where nobody looks, then commit,
 * the manifest last. Whatever stops it before leaves the last build as it was.
 */
export async function build (context: BuildContext, options: BuildOptions): Promise<BuildReport> {
  const startedAt = performance.now()
  const run = await begin(context, readBuildOptions(options, context.settings))
  const { rows, stage, wanted, previous, problems, warnings } = run
  const touching = setInterval(() => { void stage.touch() }, GRACE / 4)
  let result: Committed | null = null
  try {
    await stage.open()
    await renderAll(run)
    if (hasToStop(run)) {
      await stage.report(row => { rows.add(row) })
      await stage.discard()
    } else result = await commit(run)
  } catch (error) {
    await stage.discard()
    throw isOfFileSystem(error) ? new BuildUnwritable(wanted.dir, error.message, { cause: error }) : error
  } finally {
    clearInterval(touching)
    await run.renderer.close()
    await previous?.rows.close()
  }
  let pages: BuildRow[] | null = null
  return {
    buildId: stage.buildId,
    dir: wanted.dir,
    generatedAt: result?.generatedAt ?? new Date().toISOString(),
    durationMs: Math.round(performance.now() - startedAt),
    get pages () {
      pages ??= rows.unpack()
      return pages
    },
    removed: result?.removed ?? [],
    sitemap: result?.sitemap ?? STOPPED,
    warnings,
    problems,
    ok: problems.length === 0 && run.failures === 0
  }
}

async function begin (context: BuildContext, wanted: BuildSettings): Promise<Run> {
  const { settings, registry, matcher } = context
  const { dir, paths, routes, urlStyle } = wanted
  if (wanted.sitemap && !wanted.hasBaseUrl) throw new SitemapWithoutBaseUrl()
  const isPartial = paths !== null || routes !== null
  const warnings: string[] = []
  const previous = await readBuild(dir).catch((error: Error) => {
    // What a partial build leaves as it is has to be known.
    if (isPartial) throw error
    warnings.push(error.message)
    return null
  })
  const knownId = (isPartial ? previous?.head.buildId : undefined) ?? settings.buildId
  const problems: BuildProblem[] = []
  const renderer = context.renderer(wanted.workers)
  return {
    context,
    wanted,
    source: { ...context.source, settings: { ...settings, baseUrl: wanted.baseUrl }, render: renderer.render },
    renderer,
    previous,
    isPartial,
    plan: new BuildPlan({ registry, matcher, paths, routes, previous: previous?.pages ?? new PageTable().seal(0), problems }),
    stage: new Stage({ dir, buildId: knownId ?? newBuildId(), isNewId: knownId === null, previous, urlStyle, start: context.now(), files: context.gate === null ? blocking : yielding }),
    rows: new ReportRows(),
    problems,
    warnings,
    done: 0,
    failures: 0
  }
}

/** Time-ordered, so that a listing of the folder tells which one is newer. */
function newBuildId (): string {
  return `${Date.now().toString(36)}-${randomBytes(4).toString('hex')}`
}

async function renderAll (run: Run): Promise<void> {
  const { plan, wanted } = run
  // A thread is never to wait for work, nor for the pages before to be written.
  const ahead = AHEAD * run.renderer.threads
  const slots = Math.max(wanted.concurrency, ahead)
  const queue = new RenderQueue(slots, Infinity, run.context.gate)
  const broken = new AbortController()
  const stop = AbortSignal.any([broken.signal, ...(wanted.signal === null ? [] : [wanted.signal])])
  // Each page that is in the making listens.
  setMaxListeners(0, stop)
  const work = async (): Promise<void> => {
    for (let planned = await orAbort(plan.next(), stop); planned !== null && !hasToStop(run); planned = await orAbort(plan.next(), stop)) {
      try {
        await renderOne(run, planned, queue, stop)
      } finally {
        plan.finish()
      }
      // Promises alone never let a timer or a socket have its turn.
      await nextTurn()
    }
  }
  await orAbort(run.renderer.loaded, stop).catch(() => {})
  // Every worker has to end: what one still wrote after the build was discarded would stay.
  const workers = Array.from({ length: slots + ahead }, work)
  for (const worker of workers) worker.catch((error: unknown) => { broken.abort(error) })
  await Promise.allSettled(workers)
  plan.close()
  if (wanted.signal?.aborted === true) throw new BuildAborted()
  if (broken.signal.aborted) throw broken.signal.reason
}

async function renderOne (run: Run, planned: PlannedPage, queue: RenderQueue, stop: AbortSignal): Promise<void> {
  const { route, page } = planned
  const { wanted, stage, context } = run
  const old = await previousEntry(run, page.key)
  const startedAt = performance.now()
  const source = pageSource(run.source, route, page, { reason: 'build', jitter: true, quality: wanted.quality })
  const isReusable = old !== null && !wanted.force && isEncodedAsWanted(old.bodies, contentTypeOf(old), context.settings.encodings, wanted.quality)
  const alone = { queue, buildId: stage.buildId, old: isReusable ? old : null }
  let landing = await orAbort(context.cache.renderAlone(source, alone), stop)
  for (let tries = 1; landing.type === 'failed' && tries < TRIES; tries++) {
    landing = await orAbort(context.cache.renderAlone(source, alone), stop)
  }
  const durationMs = Math.round((performance.now() - startedAt) * 10) / 10
  if (landing.type === 'held') {
    const { entry } = landing.held
    const isUnchanged = !wanted.force && old !== null && isSamePage(old, entry)
    progress(run, await stage.add(route, page, entry, { durationMs, outcome: isUnchanged ? 'unchanged' : 'written' }))
    if (wanted.crawl) followLinks(run, page.path, entry)
    return
  }
  const error = whyNot(landing, planned)
  // What could not be rendered now was good before; what answers differently now is no longer true.
  if (landing.type === 'failed' && old !== null) {
    progress(run, await stage.add(route, page, { ...old, buildId: stage.buildId }, { durationMs, outcome: 'kept', error }))
    if (wanted.crawl) followLinks(run, page.path, old)
  } else {
    const row: BuildRow = { key: page.key, path: page.path, route: route.pattern, durationMs, outcome: 'failed', error }
    await stage.addFailed(row)
    progress(run, row)
  }
}

/** Null also for a page that was purged: it must not come back. */
async function previousEntry ({ context, stage }: Run, key: string): Promise<Entry | null> {
  const entry = await stage.previousEntry(key)
  return entry === null || context.cache.marks().judge(entry).kind === 'hard' ? null : entry
}

function isSamePage (a: Entry, b: Entry): boolean {
  return a.hash === b.hash && isDeepStrictEqual([a.meta, a.tags], [b.meta, b.tags]) &&
    a.bodies.length === b.bodies.length && a.bodies.every(({ encoding, bytes }, index) => encoding === b.bodies[index]?.encoding && bytes.equals(b.bodies[index].bytes))
}

function contentTypeOf (entry: Entry): string {
  return metaOf(entry).headers.find(([name]) => name === 'content-type')?.[1] ?? ''
}

function whyNot (landing: Exclude<Landing<PageView, Rendered>, { type: 'held' }>, { linkedFrom }: PlannedPage): string {
  const reason = landing.type === 'failed' ? reasonOf(landing.error) : `it can't be stored: ${landing.reason}`
  return linkedFrom === null ? reason : `${reason} (linked from ${linkedFrom})`
}

/** With the cause, if that says more: in which file the mistake is, for example. */
function reasonOf ({ message, cause }: Error): string {
  return cause instanceof Error && !message.includes(cause.message) ? `${message}: ${cause.message}` : message
}

function progress (run: Run, row: BuildRow): void {
  run.done++
  if (row.error !== undefined) run.failures++
  const { wanted, plan, done } = run
  wanted.onProgress?.({ done, total: plan.total, isTotalKnown: plan.isTotalKnown && !wanted.crawl, row })
}

function hasToStop ({ wanted, failures, problems }: Run): boolean {
  return wanted.failFast && (failures > 0 || problems.length > 0)
}

function followLinks ({ plan, wanted }: Run, page: string, entry: Entry): void {
  const body = entry.bodies.find(body => body.encoding === 'identity')?.bytes
  if (!contentTypeOf(entry).startsWith('text/html') || body === undefined) return
  for (const link of linksOf(body.toString('utf8'), page, wanted.baseUrl.origin)) plan.follow(link, page)
}

async function commit (run: Run): Promise<Committed> {
  const { wanted, stage, previous, plan, rows, warnings } = run
  let sitemap: BuildReport['sitemap'] = { file: null, urls: 0, reason: "no sitemap: set the option 'baseUrl' (or --base-url)" }
  let own: string | null = null
  const { generatedAt, has } = await stage.commit(keptPages(run), row => { rows.add(row) }, async (pages) => {
    own = await ownSitemap(pages())
    if (own !== null) sitemap = { file: null, urls: 0, reason: `no sitemap: the app has a page of its own at ${own}` }
    else if (wanted.hasBaseUrl) sitemap = await makeSitemap(run, pages)
  })
  // Who has one lacks none.
  if (sitemap.reason !== undefined && own === null) warnings.push(sitemap.reason)
  for (const { pattern } of plan.unreached) {
    warnings.push(`route ${pattern}: nothing was rendered, for it has neither 'paths' nor 'onDemand'${wanted.crawl ? ' and no page links to it' : ''}`)
  }
  if (plan.isCutShort) warnings.push('the crawl ended early: it found more links than a build follows')
  await removeOldBuilds(wanted.dir, [stage.buildId, ...(previous === null ? [] : [previous.head.buildId])])
  const removed: string[] = []
  for (const row of previous?.pages.after('') ?? []) {
    const key = previous?.pages.key(row) ?? ''
    if (!has(key)) removed.push(key)
  }
  return { generatedAt, sitemap, removed }
}

/** A page that was rendered anew and can't be stored is gone; what was not asked for stays. */
function keptPages ({ isPartial, previous, plan }: Run): KeptPages {
  if (!isPartial || previous === null) return { has: () => false, async * pages () {} }
  const { pages } = previous
  const isKept = (row: number): boolean => row !== -1 && plan.isUntouched({ key: pages.key(row), route: pages.route(row) })
  return { has: key => isKept(pages.find(key)), pages: () => rowsOf(previous, isKept) }
}

/** Path of the app's own, or null. */
async function ownSitemap (pages: AsyncIterable<ManifestPage>): Promise<string | null> {
  for await (const page of pages) if (page.export !== null && isSitemapName(page.export)) return page.path
  return null
}

async function makeSitemap ({ context, wanted }: Run, pages: () => AsyncIterable<ManifestPage>): Promise<BuildReport['sitemap']> {
  const hintsOf = new Map(context.registry.routes.toReversed().map(route => [route.pattern, route.policy.sitemap]))
  const seen = new ByteTable()
  const urls = async function * (): AsyncGenerator<SitemapUrl> {
    for await (const page of pages()) {
      const hints = hintsOf.get(page.route)
      if (page.status !== 200 || hints === false || !isListable(page, wanted.baseUrl) || seen.has(page.path)) continue
      seen.add(page.path)
      yield { path: page.path, lastmod: page.renderedAt, hints: hints ?? {} }
    }
  }
  return { file: 'sitemap.xml', urls: await writeSitemap(wanted.dir, wanted.baseUrl.origin, urls()) }
}

/** Feeds and data files are no pages that a search engine should list, and neither are pages of other hosts. */
function isListable (page: ManifestPage, { hostname }: URL): boolean {
  const host = / host=(\S+)/.exec(page.key)?.[1]
  if (host !== undefined && decodeURIComponent(host) !== hostname) return false
  // Only HTML is exported under an HTML name; of what is not exported, the URL has to tell.
  return page.export === null ? !/\.(?!html?$)[a-z0-9]+$/i.test(page.path) : /\.html?$/i.test(page.export)
}

function isOfFileSystem (error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error
}
