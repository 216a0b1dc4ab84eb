import type { BuildOptions, BuildProblem } from '../../types/index.js'
import { isSpelling, keysOf, pageKey, type PageKey } from '../pages/key.js'
import type { Matcher } from '../pages/matcher.js'
import { isCanonicalPath } from '../pages/path-pattern.js'
import { listPaths } from '../pages/paths.js'
import type { PageRoute, Registry } from '../pages/registry.js'

export interface PlannedPage {
  readonly route: PageRoute
  readonly page: PageKey
  /** The page that linked to it, when a crawl found it. */
  readonly linkedFrom: string | null
}

/** A crawl of a site that makes up ever new links ends here. */
const MOST_CRAWLED = 100_000

/**
 * What a build renders, listed while it renders: the paths of the routes, or
 * those asked for, and what a crawl finds on the way.
 */
export class BuildPlan {
  readonly #registry: Registry
  readonly #matcher: Matcher
  readonly #options: BuildOptions
  readonly #problems: BuildProblem[]
  readonly #listed: AsyncGenerator<PlannedPage>
  readonly #crawled: PlannedPage[] = []
  /** Keys planned so far. */
  readonly #keys = new Set<string>()
  readonly #routes = new Set<PageRoute>()
  /** Links followed so far. */
  readonly #links = new Set<string>()
  #isListed = false
  #active = 0
  #wake: (() => void)[] = []

  constructor ({ registry, matcher }: { registry: Registry, matcher: Matcher }, options: BuildOptions, problems: BuildProblem[]) {
    this.#registry = registry
    this.#matcher = matcher
    this.#options = options
    this.#problems = problems
    this.#listed = options.paths === undefined ? this.#listRoutes() : this.#listAsked(options.paths)
  }

  /** Pages known so far. */
  get total (): number {
    return this.#keys.size
  }

  get keys (): ReadonlySet<string> {
    return this.#keys
  }

  /** Parametric routes of which nothing was planned. */
  get unreached (): PageRoute[] {
    return this.#registry.routes.filter(route => !route.path.isStatic && route.policy.paths === undefined && !route.policy.onDemand && !this.#routes.has(route))
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

  /** A link found on a page: planned if a prerender route answers it, a problem if no route does. */
  follow (path: string, from: string): void {
    if (this.#links.has(path) || this.#links.size >= MOST_CRAWLED) return
    this.#links.add(path)
    const match = this.#matcher.find(path)
    if (match === null) this.#problems.push({ path, message: `broken link: no route answers it (linked from ${from})` })
    if (match?.kind !== 'page' || !isSpelling(match.route, path, match.params)) return
    for (const page of keysOf(match.route, path, match.params)) {
      const planned = this.#plan(match.route, page, from)
      if (planned !== null) this.#crawled.push(planned)
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

  async * #listRoutes (): AsyncGenerator<PlannedPage> {
    for (const pattern of this.#options.routes ?? []) {
      if (this.#registry.withPattern(pattern).length === 0) this.#problems.push({ route: pattern, message: 'there is no prerender route of this pattern' })
    }
    for (const route of this.#registry.routes) {
      if (this.#options.routes !== undefined && !this.#options.routes.includes(route.pattern)) continue
      try {
        yield * this.#listRoute(route)
      } catch (error) {
        this.#problems.push({ route: route.pattern, message: (error as Error).message })
      }
    }
  }

  async * #listRoute (route: PageRoute): AsyncGenerator<PlannedPage> {
    if (route.path.isStatic) {
      const built = route.path.build({})
      if ('path' in built) yield * this.#planAll(route, built.path, {})
    }
    for await (const path of listPaths(route.pattern, route.path, route.policy)) {
      const headers = { ...route.renderHeaders, ...(route.policy.hosts?.[0] === undefined ? {} : { host: route.policy.hosts[0] }) }
      const match = this.#matcher.find(path, headers)
      if (match?.kind !== 'page' || match.route !== route) {
        const other = match === null ? 'no route' : `route ${match.kind === 'page' ? match.route.pattern : match.pattern}`
        this.#problems.push({ route: route.pattern, path, message: `paths: ${other} answers this path, not ${route.pattern}` })
        continue
      }
      const planned = [...this.#planAll(route, path, match.params)]
      if (planned.length === 0) this.#problems.push({ route: route.pattern, path, message: 'paths: listed twice' })
      yield * planned
    }
  }

  * #planAll (route: PageRoute, path: string, params: Record<string, string>): Generator<PlannedPage> {
    for (const page of keysOf(route, path, params)) {
      const planned = this.#plan(route, page)
      if (planned !== null) yield planned
    }
  }

  async * #listAsked (paths: readonly string[]): AsyncGenerator<PlannedPage> {
    for (const asked of paths) {
      const [path = '', search] = asked.split('?')
      const match = isCanonicalPath(path) ? this.#matcher.find(path) : null
      if (match?.kind !== 'page' || !isSpelling(match.route, path, match.params)) {
        this.#problems.push({ path: asked, message: 'it matches no prerender route' })
        continue
      }
      if (search === undefined) yield * this.#planAll(match.route, path, match.params)
      else {
        const query = [...new URLSearchParams(search)].filter(([name]) => match.route.policy.query.includes(name)).sort(([a], [b]) => a < b ? -1 : 1)
        const planned = this.#plan(match.route, pageKey(match.route, { path, params: match.params, query }))
        if (planned !== null) yield planned
      }
    }
  }
}
