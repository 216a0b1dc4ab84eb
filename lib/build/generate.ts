import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BuildOptions, BuildProblem, BuildReport, BuildRow, Manifest, ManifestPage } from '../../types/index.js'
import type { Cache, Landing } from '../cache/cache.js'
import type { Entry } from '../cache/entry.js'
import { RenderQueue } from '../cache/render-queue.js'
import { BuildAborted, SitemapWithoutBaseUrl } from '../errors.js'
import type { Settings } from '../options.js'
import type { Quality } from '../pages/encode.js'
import type { Matcher } from '../pages/matcher.js'
import { metaOf } from '../pages/page.js'
import type { Registry } from '../pages/registry.js'
import type { Rendered } from '../pages/render.js'
import { pageSource, type SourceContext } from '../pages/source.js'
import type { PageView } from '../pages/view.js'
import { linksOf } from './crawl.js'
import { readManifest } from './manifest.js'
import { removeOldBuilds } from './old-builds.js'
import { BuildPlan, type PlannedPage } from './plan.js'
import { sitemapFiles, writeSitemap, type SitemapUrl } from './sitemap.js'
import { Stage } from './stage.js'

export interface BuildContext {
  settings: Settings
  registry: Registry
  matcher: Matcher
  cache: Cache<PageView, Rendered>
  source: SourceContext
}

/** A failed render is tried once more: the first request often only wakes something up. */
const TRIES = 2

/** What one build knows while it runs. */
interface Run {
  readonly context: BuildContext
  readonly options: BuildOptions
  readonly dir: string
  readonly origin: string | null
  readonly previous: Manifest | null
  readonly isPartial: boolean
  readonly plan: BuildPlan
  readonly stage: Stage
  readonly rows: BuildRow[]
  readonly problems: BuildProblem[]
  readonly warnings: string[]
}

/**
 * One build: render everything to a place where nobody looks, then commit,
 * the manifest last. Whatever stops it before leaves the last build as it was.
 */
export async function build (context: BuildContext, options: BuildOptions): Promise<BuildReport> {
  const startedAt = performance.now()
  const run = await begin(context, options)
  let sitemap: BuildReport['sitemap'] = { file: null, urls: 0, reason: 'the build stopped at the first failure' }
  let removed: string[] = []
  try {
    await renderAll(run)
    if (options.signal?.aborted === true) throw new BuildAborted()
    if (hasToStop(run)) await run.stage.discard()
    else ({ sitemap, removed } = await commit(run))
  } catch (error) {
    await run.stage.discard()
    throw error
  }
  return {
    buildId: run.stage.buildId,
    dir: run.dir,
    generatedAt: new Date().toISOString(),
    durationMs: Math.round(performance.now() - startedAt),
    pages: run.rows.sort((a, b) => a.key < b.key ? -1 : 1),
    removed,
    sitemap,
    warnings: run.warnings,
    problems: run.problems,
    ok: run.problems.length === 0 && !hasFailed(run)
  }
}

async function begin (context: BuildContext, options: BuildOptions): Promise<Run> {
  const { settings } = context
  const hasBaseUrl = settings.hasBaseUrl || options.baseUrl !== undefined
  if (options.sitemap === true && !hasBaseUrl) throw new SitemapWithoutBaseUrl()
  const dir = options.dir === undefined ? settings.dir : path.resolve(options.dir)
  const warnings: string[] = []
  const previous = await readManifest(dir).catch((error: Error) => {
    warnings.push(error.message)
    return null
  })
  const isPartial = options.paths !== undefined || options.routes !== undefined
  const buildId = (isPartial ? previous?.buildId : undefined) ?? settings.buildId ?? newBuildId()
  const problems: BuildProblem[] = []
  return {
    context,
    options,
    dir,
    origin: hasBaseUrl ? new URL(options.baseUrl ?? settings.baseUrl).origin : null,
    previous,
    isPartial,
    plan: new BuildPlan(context, options, problems),
    stage: new Stage(dir, buildId, previous),
    rows: [],
    problems,
    warnings
  }
}

/** Time-ordered, so that a listing of the folder tells which one is newer. */
function newBuildId (): string {
  return `${Date.now().toString(36)}-${randomBytes(4).toString('hex')}`
}

async function renderAll (run: Run): Promise<void> {
  const concurrency = run.options.concurrency ?? run.context.settings.render.concurrency
  const queue = new RenderQueue(concurrency, Infinity)
  const work = async (): Promise<void> => {
    for (let planned = await run.plan.next(); planned !== null; planned = await run.plan.next()) {
      try {
        if (run.options.signal?.aborted === true || hasToStop(run)) return
        await renderOne(run, planned, queue)
      } finally {
        run.plan.finish()
      }
      // Promises alone never let a timer or a socket have its turn.
      await nextTurn()
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
}

async function renderOne (run: Run, planned: PlannedPage, queue: RenderQueue): Promise<void> {
  const { route, page } = planned
  const { options, stage } = run
  const old = await stage.previousEntry(page.key)
  const startedAt = performance.now()
  const source = pageSource(run.context.source, route, page, { reason: 'build', jitter: true, quality: qualityOf(options) })
  const alone = { queue, buildId: stage.buildId, old: options.force === true ? null : old }
  let landing = await run.context.cache.renderAlone(source, alone)
  for (let tries = 1; landing.type === 'failed' && tries < TRIES && options.signal?.aborted !== true; tries++) {
    landing = await run.context.cache.renderAlone(source, alone)
  }
  const durationMs = Math.round((performance.now() - startedAt) * 10) / 10
  if (landing.type === 'held') {
    const { entry } = landing.held
    const isUnchanged = landing.report === 'renewed'
    progress(run, await stage.add(route, page, entry, { durationMs, outcome: isUnchanged ? 'unchanged' : 'written' }))
    if (options.crawl === true) followLinks(run, page.path, entry)
    return
  }
  const error = whyNot(landing, planned)
  // What could not be rendered now was good before; what answers differently now is no longer true.
  progress(run, landing.type === 'failed' && old !== null
    ? await stage.add(route, page, { ...old, buildId: stage.buildId }, { durationMs, outcome: 'kept', error })
    : { key: page.key, path: page.path, route: route.pattern, durationMs, outcome: 'failed', error })
}

function whyNot (landing: Exclude<Landing<PageView, Rendered>, { type: 'held' }>, { linkedFrom }: PlannedPage): string {
  const reason = landing.type === 'failed' ? landing.error.message : `it can't be stored: ${landing.reason}`
  return linkedFrom === null ? reason : `${reason} (linked from ${linkedFrom})`
}

function qualityOf ({ compress = true, brotli = 11 }: BuildOptions): Quality {
  return compress ? { brotli, gzip: 9 } : { brotli: null, gzip: null }
}

function progress (run: Run, row: BuildRow): void {
  run.rows.push(row)
  run.options.onProgress?.({ done: run.rows.length, total: run.plan.total, row })
}

function hasFailed (run: Run): boolean {
  return run.rows.some(row => row.error !== undefined)
}

function hasToStop (run: Run): boolean {
  return run.options.failFast === true && (hasFailed(run) || run.problems.length > 0)
}

function followLinks ({ plan, context, origin }: Run, page: string, entry: Entry): void {
  const contentType = metaOf(entry).headers.find(([name]) => name === 'content-type')?.[1] ?? ''
  const body = entry.bodies.find(body => body.encoding === 'identity')?.bytes
  if (!contentType.startsWith('text/html') || body === undefined) return
  for (const link of linksOf(body.toString('utf8'), page, origin ?? context.settings.baseUrl.origin)) plan.follow(link, page)
}

async function commit (run: Run): Promise<{ sitemap: BuildReport['sitemap'], removed: string[] }> {
  const { options, context, stage, previous, plan, dir } = run
  // A page that was rendered anew and can't be stored is gone; what was not asked for stays.
  const kept = run.isPartial ? (previous?.pages ?? []).filter(page => !plan.keys.has(page.key)) : []
  let sitemap: BuildReport['sitemap'] = { file: null, urls: 0, reason: "no sitemap: set the option 'baseUrl' (or --base-url)" }
  const pages = await stage.commit(kept, options.urlStyle ?? context.settings.urlStyle, async (pages) => {
    if (run.origin !== null) sitemap = await makeSitemap(run, run.origin, pages)
  })
  if (sitemap.reason !== undefined) run.warnings.push(sitemap.reason)
  for (const route of plan.unreached) {
    if (options.paths === undefined && (options.routes === undefined || options.routes.includes(route.pattern))) {
      run.warnings.push(`route ${route.pattern}: nothing was rendered, for it has neither 'paths' nor 'onDemand'${options.crawl === true ? ' and no page links to it' : ''}`)
    }
  }
  await removeOldBuilds(dir, [stage.buildId, ...(previous === null ? [] : [previous.buildId])])
  const keys = new Set(pages.map(page => page.key))
  return { sitemap, removed: (previous?.pages ?? []).map(page => page.key).filter(key => !keys.has(key)) }
}

async function makeSitemap ({ context, dir }: Run, origin: string, pages: readonly ManifestPage[]): Promise<BuildReport['sitemap']> {
  // A page of the app with this name has written it already.
  const own = pages.find(page => page.export === 'sitemap.xml')
  if (own !== undefined) return { file: 'sitemap.xml', urls: 0 }
  const urls: SitemapUrl[] = []
  const seen = new Set<string>()
  for (const page of pages) {
    const hints = context.registry.withPattern(page.route)[0]?.policy.sitemap
    if (page.status !== 200 || hints === false || seen.has(page.path) || !isListable(page)) continue
    seen.add(page.path)
    urls.push({ path: page.path, lastmod: page.renderedAt, hints: hints ?? {} })
  }
  await writeSitemap(dir, sitemapFiles(origin, urls))
  return { file: 'sitemap.xml', urls: urls.length }
}

/** Feeds and data files are no pages that a search engine should list. Only HTML is exported under an HTML name. */
function isListable (page: ManifestPage): boolean {
  return page.export === null || /\.html?$/i.test(page.export)
}
