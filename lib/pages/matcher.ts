import findMyWay from 'find-my-way'
import type { FastifyInstance } from 'fastify'
import { isSpelling } from './key.js'
import type { DeclaredRoute, PageRoute } from './registry.js'

export type Match =
  | PageMatch
  /** A route of the app that is no prerender route. */
  | { kind: 'other', pattern: string }

export interface PageMatch { kind: 'page', route: PageRoute, params: Record<string, string> }

interface Declared { url: string, also: string | null, constraints: Record<string, unknown>, route: PageRoute | null }
type Router = findMyWay.Instance<findMyWay.HTTPVersion.V1>
type Headers = Readonly<Record<string, string>>

/**
 * Which route a path belongs to, without a request: the app's GET routes in a
 * router of the same kind and options as Fastify's own.
 */
export class Matcher {
  readonly #declared: Declared[] = []
  readonly #app: FastifyInstance
  #router: Router | null = null
  #anyConstraint: Router | null = null
  #headers: Headers[] | null = null

  constructor (app: FastifyInstance) {
    this.#app = app
  }

  add (declared: DeclaredRoute, route: PageRoute | null): void {
    // `get('/')` below a prefix declares two URLs and tells of one.
    const hasTwo = declared.routePath === '' && declared.prefix !== '' && (declared.prefixTrailingSlash ?? 'both') === 'both'
    this.#declared.push({ url: declared.url, also: hasTwo ? `${declared.url}/` : null, constraints: { ...declared.constraints } as Record<string, unknown>, route })
  }

  find (path: string, headers: Headers = {}): Match | null {
    // A strategy of the app's own can't be asked without a request.
    this.#router ??= this.#build(this.#declared.filter(({ constraints }) => Object.keys(constraints).every(name => name === 'host' || name === 'version')))
    const found = this.#router.find('GET', path, {
      ...(headers.host === undefined ? {} : { host: headers.host }),
      ...(headers['accept-version'] === undefined ? {} : { version: headers['accept-version'] })
    })
    if (found === null) return null
    const { url, route } = found.store as { url: string, route: PageRoute | null }
    if (route === null) return { kind: 'other', pattern: url }
    return { kind: 'page', route, params: { ...found.params } as Record<string, string> }
  }

  /** Every prerender route that a path is a page of: routes of one pattern may differ by host or version. */
  pagesAt (path: string): PageMatch[] {
    const matches = new Map<PageRoute, PageMatch>()
    this.#headers ??= this.#distinctHeaders()
    for (const headers of this.#headers) {
      const match = this.find(path, headers)
      if (match?.kind === 'page' && isSpelling(match.route, path, match.params)) matches.set(match.route, match)
    }
    return [...matches.values()]
  }

  /** Whether any route may answer a path, whatever its constraints. */
  answers (path: string): boolean {
    this.#anyConstraint ??= this.#build(this.#declared.flatMap(declared => [declared.url, declared.also].filter(url => url !== null).map(url => ({ ...declared, url, constraints: {} }))))
    return this.#anyConstraint.find('GET', path) !== null
  }

  /** One set of headers for each way in which the pages' constraints can be met. */
  #distinctHeaders (): Headers[] {
    const all = new Map<string, Headers>([['{}', {}]])
    for (const { route } of this.#declared) {
      const headers = route === null ? {} : headersOf(route)
      all.set(JSON.stringify(headers), headers)
    }
    return [...all.values()]
  }

  #build (routes: readonly Declared[]): Router {
    const { initialConfig } = this.#app
    const old = initialConfig as Record<string, unknown>
    const own = (initialConfig as { routerOptions?: Record<string, unknown> }).routerOptions ?? {}
    const router = findMyWay({
      ignoreTrailingSlash: old.ignoreTrailingSlash === true || own.ignoreTrailingSlash === true,
      ignoreDuplicateSlashes: old.ignoreDuplicateSlashes === true || own.ignoreDuplicateSlashes === true,
      caseSensitive: old.caseSensitive !== false && own.caseSensitive !== false,
      allowUnsafeRegex: old.allowUnsafeRegex === true || own.allowUnsafeRegex === true,
      maxParamLength: Math.max(Number(old.maxParamLength ?? 100), Number(own.maxParamLength ?? 100))
    })
    for (const { url, constraints, route } of routes) {
      if (router.findRoute('GET', url, constraints as never) !== null) continue
      router.on('GET', url, { constraints: constraints as never }, () => {}, { url, route })
    }
    return router
  }
}

/** What makes the router choose a route; of several hosts, the first. */
export function headersOf (route: PageRoute): Headers {
  const host = route.policy.hosts?.[0]
  return { ...route.renderHeaders, ...(host === undefined ? {} : { host }) }
}
