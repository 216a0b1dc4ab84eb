import type { BuildProblem, PathSource } from '../../types/index.js'
import { ByteTable } from '../cache/byte-table.js'
import { keysOf, keysPerPath, queryOf, type PageKey } from '../pages/key.js'
import { headersOf, type Matcher } from '../pages/matcher.js'
import { openPaths, readPaths } from '../pages/paths.js'
import type { PageTable } from '../pages/page-table.js'
import type { PageRoute, Registry } from '../pages/registry.js'

export interface PlannedPage {
  readonly route: PageRoute
  readonly page: PageKey
  /** The page that linked to it, when a crawl found it. */
  readonly linkedFrom: string | null
}

export interface PlanOptions {
  registry: Registry
  matcher: Matcher
  /** Null: all. */
  paths: readonly string[] | null
  routes: readonly string[] | null
  /** Pages of the last build. */
  previous: PageTable
  problems: BuildProblem[]
}

/** The list of a route, asked for and not read yet. */
interface OpenList {
  readonly route: PageRoute
  readonly source: PathSource | null
  /** Why there is none. */
  readonly error: Error | null
  /** Pages that are still to come; null: nobody knows. */
  left: number | null
}

/** A crawl of a site that makes up ever new links ends here. */
const MOST_CRAWLED = 100_000

/**
 * What a build renders, listed while it renders: the paths of the routes, or
 * those asked for, and what a crawl finds on the way.
 */
export class BuildPlan {
  readonly #options: PlanOptions
  readonly #listed: AsyncGenerator<PlannedPage>
  readonly #crawled: PlannedPage[] = []
  /** Keys planned so far. */
  readonly #keys = new ByteTable()
  /** Keys that a link planned and no list has named yet. */
  readonly #linked = new Set<string>()
  readonly #routes = new Set<PageRoute>()
  /** Patterns of which every path is known. */
  readonly #complete = new Set<string>()
  /** Links followed so far. */
  readonly #links = new Set<string>()
  /** Those that are not read to the end. */
  readonly #open = new Set<OpenList>()
  #isListed = false
  #active = 0
  #wake: (() => void)[] = []

  constructor (options: PlanOptions) {
    this.#options = options
    this.#listed = this.#list()
  }

  /** Pages known so far, those included that a list has yet to name, if its length is known. */
  get total (): number {
    return [...this.#open].reduce((sum, { left }) => sum + (left ?? 0), this.#keys.size)
  }

  /** Whether no list has an end that nobody knows. What a crawl will find is not asked for here. */
  get isTotalKnown (): boolean {
    return [...this.#open].every(({ left }) => left !== null)
  }

  get isCutShort (): boolean {
    return this.#links.size >= MOST_CRAWLED
  }

  /** Parametric routes of which nothing was planned. */
  get unreached (): PageRoute[] {
    const { registry, paths, routes } = this.#options
    if (paths !== null) return []
    return registry.routes.filter(route => !route.path.isStatic && route.policy.paths === undefined && !route.policy.onDemand &&
      !this.#routes.has(route) && (routes === null || routes.includes(route.pattern)))
  }

  /** Whether a partial build leaves a page of the last one as it is. */
  isUntouched (page: { key: string, route: string }): boolean {
    // A list that no longer names a page says that the page is gone.
    return !this.#keys.has(page.key) && !this.#complete.has(page.route)
  }

  /** The next page, or null when everything is planned and nothing under way could add to it. Each one must be finished. */
  async next (): Promise<PlannedPage | null> {
    for (;;) {
      const planned = this.#crawled.shift() ?? await this.#nextListed()
      if (planned !== null) {
        this.#active++
        return planned
      }
      if (this.#active === 0) return null
      await new Promise<void>(resolve => this.#wake.push(resolve))
    }
  }

  finish (): void {
    this.#active--
    for (const wake of this.#wake.splice(0)) wake()
  }

  /** Lets go of lists that are not read to the end. */
  close (): void {
    this.#listed.return(undefined).catch(() => {})
    for (const { source } of this.#open) {
      if (source !== null && Symbol.asyncIterator in source) source[Symbol.asyncIterator]().return?.().catch(() => {})
    }
  }

  /** A link found on a page: planned if a prerender route answers it, a problem if no route does. */
  follow (path: string, from: string): void {
    if (this.#links.has(path) || this.isCutShort) return
    this.#links.add(path)
    const { matcher, problems } = this.#options
    const matches = matcher.pagesAt(path)
    if (matches.length === 0 && !matcher.answers(path)) problems.push({ path, message: `broken link: no route answers it (linked from ${from})` })
    for (const { route, params } of matches) {
      for (const page of keysOf(route, path, params)) {
        const planned = this.#plan(route, page, from)
        if (planned === null) continue
        this.#linked.add(page.key)
        this.#crawled.push(planned)
      }
    }
  }

  async #nextListed (): Promise<PlannedPage | null> {
    if (this.#isListed) return null
    const { value, done } = await this.#listed.next()
    if (done !== true) return value
    this.#isListed = true
    return this.#crawled.shift() ?? null
  }

  #plan (route: PageRoute, page: PageKey, linkedFrom: string | null = null): PlannedPage | null {
    if (this.#keys.has(page.key)) return null
    this.#keys.add(page.key)
    this.#routes.add(route)
    return { route, page, linkedFrom }
  }

  * #planAll (route: PageRoute, path: string, params: Record<string, string>, search = ''): Generator<PlannedPage> {
    for (const page of keysOf(route, path, params, queryOf(route, search))) {
      const planned = this.#plan(route, page)
      if (planned !== null) yield planned
    }
  }

  async * #list (): AsyncGenerator<PlannedPage> {
    const { paths, routes } = this.#options
    if (paths !== null) yield * this.#listAsked(paths)
    if (paths === null || routes !== null) yield * this.#listRoutes(routes)
  }

  async * #listRoutes (patterns: readonly string[] | null): AsyncGenerator<PlannedPage> {
    const { registry, problems } = this.#options
    for (const pattern of patterns ?? []) {
      if (registry.withPattern(pattern).length === 0) problems.push({ route: pattern, message: 'there is no prerender route of this pattern' })
    }
    const incomplete = new Set<string>()
    for (const route of registry.routes) {
      if (patterns === null || patterns.includes(route.pattern)) this.#open.add(await openList(route))
    }
    for (const list of this.#open) {
      const { route } = list
      try {
        // A crawl may have found pages of a route that lists none.
        if (!route.path.isStatic && route.policy.paths === undefined) incomplete.add(route.pattern)
        yield * this.#listRoute(list)
        this.#open.delete(list)
      } catch (error) {
        this.#open.delete(list)
        problems.push({ route: route.pattern, message: (error as Error).message })
        incomplete.add(route.pattern)
        yield * this.#listPrevious(route)
      }
    }
    for (const pattern of patterns ?? []) if (!incomplete.has(pattern) && registry.withPattern(pattern).length > 0) this.#complete.add(pattern)
  }

  async * #listRoute (list: OpenList): AsyncGenerator<PlannedPage> {
    const { route, source, error } = list
    const { matcher, problems } = this.#options
    if (route.path.isStatic) {
      const built = route.path.build({})
      list.left = lessBy(list, keysPerPath(route))
      if ('path' in built) yield * this.#planAll(route, built.path, {})
    }
    if (error !== null) throw error
    if (source === null) return
    for await (const path of readPaths(route.pattern, route.path, source)) {
      list.left = lessBy(list, keysPerPath(route))
      const match = matcher.find(path, headersOf(route))
      if (match?.kind !== 'page' || match.route !== route) {
        const other = match === null ? 'no route' : `route ${match.kind === 'page' ? match.route.pattern : match.pattern}`
        problems.push({ route: route.pattern, path, message: `paths: ${other} answers this path, not ${route.pattern}` })
        continue
      }
      const planned = [...this.#planAll(route, path, match.params)]
      if (planned.length === 0 && !this.#wasLinked(route, path, match.params)) problems.push({ route: route.pattern, path, message: 'paths: listed twice' })
      yield * planned
    }
  }

  /** Whether a crawl was faster than the list. */
  #wasLinked (route: PageRoute, path: string, params: Record<string, string>): boolean {
    return [...keysOf(route, path, params)].map(page => this.#linked.delete(page.key)).includes(true)
  }

  /** What a route listed last, when it can't be asked now: a list that fails takes no page away. */
  * #listPrevious (route: PageRoute): Generator<PlannedPage> {
    const { previous } = this.#options
    for (const row of previous.ofRoute(route.pattern)) {
      const [key, path] = [previous.key(row), previous.path(row)]
      if (this.#keys.has(key)) continue
      const match = this.#options.matcher.pagesAt(path).find(match => match.route === route)
      const [, search] = key.split(' ')[0]?.split('?') ?? []
      if (match !== undefined) yield * this.#planAll(route, path, match.params, search)
    }
  }

  * #listAsked (paths: readonly string[]): Generator<PlannedPage> {
    const { matcher, problems } = this.#options
    for (const asked of paths) {
      const [path = '', search] = asked.split('?')
      const matches = matcher.pagesAt(path)
      if (matches.length === 0) problems.push({ path: asked, message: 'it matches no prerender route' })
      for (const { route, params } of matches) yield * this.#planAll(route, path, params, search)
    }
  }
}

async function openList (route: PageRoute): Promise<OpenList> {
  const own = route.path.isStatic ? 1 : 0
  try {
    const source = await openPaths(route.pattern, route.policy)
    const listed = source === null ? 0 : Array.isArray(source) ? source.length : null
    return { route, source, error: null, left: listed === null ? null : (own + listed) * keysPerPath(route) }
  } catch (error) {
    return { route, source: null, error: error as Error, left: own * keysPerPath(route) }
  }
}

function lessBy ({ left }: OpenList, pages: number): number | null {
  return left === null ? null : left - pages
}
