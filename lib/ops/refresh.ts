import type { RefreshedPage, RefreshResult, Target } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import { keysOf, queryOf, type PageKey } from '../pages/key.js'
import type { KnownPages } from '../pages/known.js'
import type { Matcher } from '../pages/matcher.js'
import type { PageRoute, Registry } from '../pages/registry.js'
import type { Rendered } from '../pages/render.js'
import { knownTags } from '../pages/page.js'
import { pageSource, type SourceContext } from '../pages/source.js'
import { readTargets, type CheckedTarget } from '../pages/targets.js'
import type { PageView } from '../pages/view.js'

export interface RefreshOptions {
  registry: Registry
  matcher: Matcher
  known: KnownPages
  cache: Cache<PageView, Rendered>
  source: SourceContext
}

interface Wanted { route: PageRoute, page: PageKey }

/** Renders pages now, the most recently used first. Never throws for a page. */
export async function refresh (context: RefreshOptions, target: Target, concurrency: number): Promise<RefreshResult> {
  const wanted = new Map<string, Wanted>()
  for (const checked of readTargets(target)) {
    for (const item of pagesOf(context, checked)) wanted.set(item.page.key, item)
  }
  const { memory } = context.cache
  const queue = Array.from(wanted.values(), item => ({ ...item, lastUse: memory.peek(item.page.key)?.view.lastUse ?? 0 })).sort((a, b) => b.lastUse - a.lastUse)
  const pages: RefreshedPage[] = []
  const work = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) pages.push(await refreshOne(context, item))
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return { pages }
}

async function refreshOne ({ cache, source }: RefreshOptions, { route, page, lastUse }: Wanted & { lastUse: number }): Promise<RefreshedPage> {
  const startedAt = performance.now()
  const hadOld = await cache.load(page.key) !== null
  const landing = await cache.refresh(pageSource(source, route, page, { jitter: true }))
  const facts = { key: page.key, path: page.path, durationMs: Math.round((performance.now() - startedAt) * 10) / 10 }
  if (landing.type === 'held') {
    // That it is new is nobody's use of it.
    landing.held.view.lastUse = lastUse
    if (!route.paths.has(page.path) || page.hasQuery) route.paths.use(page.key)
    return { ...facts, outcome: landing.report === 'renewed' ? 'renewed' : 'stored' }
  }
  if (landing.type === 'unstorable') return { ...facts, outcome: hadOld ? 'dropped' : 'unstorable', reason: landing.reason }
  return { ...facts, outcome: 'failed', reason: landing.error.message, error: landing.error }
}

/** What a target means, known or not: a listed page need not have been visited to be refreshed. */
function * pagesOf (context: RefreshOptions, target: CheckedTarget): Generator<Wanted> {
  const { item } = target
  if ('path' in item) {
    yield * pagesAt(context, item.path)
    return
  }
  for (const route of context.registry.routes) {
    const built = route.path.isStatic ? route.path.build({}) : null
    for (const path of built !== null && 'path' in built ? [built.path] : route.paths) {
      for (const wanted of pagesAt(context, path)) if (isMeant(target, wanted)) yield wanted
    }
  }
  for (const { keys } of context.known.match([target]).parts(1)) {
    for (const key of keys) yield * pagesAt(context, key.split(' ')[0] ?? key)
  }
}

/** A page that was never rendered has the tags that are known without. */
function isMeant (target: CheckedTarget, { route, page }: Wanted): boolean {
  return target.matches({ key: page.key, path: page.path, route: route.pattern, tags: knownTags(route, page).tags, row: null })
}

function * pagesAt ({ matcher }: RefreshOptions, url: string): Generator<Wanted> {
  const [path = '', search = ''] = url.split('?')
  for (const { route, params } of matcher.pagesAt(path)) {
    for (const page of keysOf(route, path, params, queryOf(route, search))) yield { route, page }
  }
}
