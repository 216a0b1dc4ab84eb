import findMyWay from 'find-my-way'
import type { FastifyInstance } from 'fastify'
import type { DeclaredRoute, PageRoute } from './registry.js'

export type Match =
  | { kind: 'page', route: PageRoute, params: Record<string, string> }
  /** A route of the app that is no prerender route. */
  | { kind: 'other', pattern: string }

type Handler = () => void

/**
 * Which route a path belongs to, without a request: the app's GET routes in a
 * router of the same kind and options as Fastify's own.
 */
export class Matcher {
  readonly #declared: { url: string, constraints: Record<string, unknown>, route: PageRoute | null }[] = []
  readonly #app: FastifyInstance
  #router: findMyWay.Instance<findMyWay.HTTPVersion.V1> | null = null

  constructor (app: FastifyInstance) {
    this.#app = app
  }

  add (declared: DeclaredRoute, route: PageRoute | null): void {
    const constraints = { ...declared.constraints } as Record<string, unknown>
    // A strategy of the app's own can't be asked without a request.
    if (Object.keys(constraints).every(name => name === 'host' || name === 'version')) {
      this.#declared.push({ url: declared.url, constraints, route })
    }
  }

  find (path: string, headers: Readonly<Record<string, string>> = {}): Match | null {
    this.#router ??= this.#build()
    const found = this.#router.find('GET', path, {
      ...(headers.host === undefined ? {} : { host: headers.host }),
      ...(headers['accept-version'] === undefined ? {} : { version: headers['accept-version'] })
    })
    if (found === null) return null
    const { url, route } = found.store as { url: string, route: PageRoute | null }
    if (route === null) return { kind: 'other', pattern: url }
    return { kind: 'page', route, params: { ...found.params } as Record<string, string> }
  }

  #build (): findMyWay.Instance<findMyWay.HTTPVersion.V1> {
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
    const handler: Handler = () => {}
    for (const { url, constraints, route } of this.#declared) {
      if (router.findRoute('GET', url, constraints as never) !== null) continue
      router.on('GET', url, { constraints: constraints as never }, handler, { url, route })
    }
    return router
  }
}
