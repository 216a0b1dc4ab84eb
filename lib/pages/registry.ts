import type { FastifyInstance, RouteOptions } from 'fastify'
import type { RoutePolicy } from '../../types/index.js'
import { RouteWithoutGet, UnrenderableConstraint } from '../errors.js'
import type { Settings } from '../options.js'
import { parsePattern, type PathPattern } from './path-pattern.js'
import { RoutePaths } from './paths.js'
import { readPolicy, type Policy } from './policy.js'

/** A route whose answers are pages. */
export interface PageRoute {
  /** Pattern and constraints: two versions of one URL are two routes. */
  readonly id: string
  /** The full pattern, prefix included. */
  readonly pattern: string
  readonly prefix: string
  readonly constraints: Readonly<Record<string, unknown>>
  readonly policy: Policy
  readonly path: PathPattern
  readonly paths: RoutePaths
  /** What its keys end in, so that routes of one pattern share none. */
  readonly keySuffix: string
  /** Headers that make the router choose this route. */
  readonly renderHeaders: Readonly<Record<string, string>>
  /** The cache key is the path alone: the raw URL finds the page. */
  readonly isPlain: boolean
  /** By whom it was declared, once for each of its methods. */
  readonly declarations: { readonly instance: FastifyInstance, readonly declared: DeclaredRoute }[]
  /** Nothing but this plugin looks at what it sends. */
  isDirect: boolean
  /** What was warned about already. */
  readonly warned: Set<string>
}

/** What `onRoute` sees; `this` is the instance that declares the route. */
export type DeclaredRoute = RouteOptions & { routePath: string, path: string, prefix: string }

const kDataHook = Symbol('fastify-isr.data')

/** A hook that only loads data: nothing is lost when a cached answer skips it. */
export function markDataHook<T extends object> (hook: T): T {
  return Object.assign(hook, { [kDataHook]: true })
}

const kOwnHook = Symbol('fastify-isr.own')

/** A hook of this plugin's own. */
export function markOwnHook<T extends object> (hook: T): T {
  return Object.assign(hook, { [kOwnHook]: true })
}

export function isOwnHook (hook: object): boolean {
  return kOwnHook in hook
}

const kBlock = Symbol('fastify-isr.block')
type Block = { [kBlock]?: boolean | RoutePolicy }

/** Gives every GET route of an encapsulated instance a policy. */
export function setBlockPolicy (instance: FastifyInstance, policy: boolean | RoutePolicy): void {
  (instance as Block)[kBlock] = policy
}

export interface RegistryOptions {
  settings: Settings
  attach: (declared: DeclaredRoute, route: PageRoute) => void
  onEvict: (key: string) => void
  onError: (error: Error, route: string) => void
  warn: (message: string) => void
}

/** Collects the prerender routes as they are declared. */
export class Registry {
  readonly #options: RegistryOptions
  readonly #routes = new Map<string, PageRoute>()

  constructor (options: RegistryOptions) {
    this.#options = options
  }

  get routes (): PageRoute[] {
    return [...this.#routes.values()]
  }

  get (id: string): PageRoute | undefined {
    return this.#routes.get(id)
  }

  withPattern (pattern: string): PageRoute[] {
    return this.routes.filter(route => route.pattern === pattern)
  }

  /** Validates a policy that stands for several routes. */
  check (policy: true | RoutePolicy, where: string): void {
    readPolicy(where, policy, this.#options.settings)
  }

  /** The onRoute hook: the page route of a GET, null for any other. Throws at the route's own line. */
  add (instance: FastifyInstance, declared: DeclaredRoute): PageRoute | null {
    const block = (instance as Block)[kBlock]
    const own = declared.config?.prerender
    const isOwn = own !== undefined
    const flag = isOwn ? own : block
    if (flag === undefined || flag === false) return null
    const methods = [declared.method].flat()
    const id = routeId(declared.url, declared.constraints)

    if (methods.includes('GET')) {
      const route = this.#create(id, declared, flag)
      this.#routes.set(id, route)
      // A new object: the user's one is shared with the HEAD twin and maybe with other routes.
      declared.config = { ...declared.config, prerender: flag }
      this.#options.attach(declared, route)
      route.declarations.push({ instance, declared })
      return route
    }
    const twin = methods.length === 1 && methods[0] === 'HEAD' ? this.#getOf(declared) : undefined
    if (twin !== undefined) {
      this.#options.attach(declared, twin)
      twin.declarations.push({ instance, declared })
    } else if (isOwn) throw new RouteWithoutGet(methods.join(','), declared.url)
    return null
  }

  /** The GET route that a HEAD twin belongs to. `get('/')` below a prefix declares two URLs and tells of one. */
  #getOf (declared: DeclaredRoute): PageRoute | undefined {
    return this.#routes.get(routeId(declared.url, declared.constraints)) ??
      this.#routes.get(routeId(declared.url.replace(/\/$/, ''), declared.constraints))
  }

  #create (id: string, declared: DeclaredRoute, flag: true | RoutePolicy): PageRoute {
    const { settings } = this.#options
    const policy = readPolicy(`GET ${declared.url}`, flag, settings)
    const constraints = { ...declared.constraints } as Record<string, unknown>
    const path = parsePattern(declared.url)
    this.#warnOfHooks(declared, policy)
    const keySuffix = constraintSuffix(declared.url, constraints, policy)
    return {
      id,
      pattern: declared.url,
      prefix: declared.prefix,
      constraints,
      policy,
      path,
      paths: new RoutePaths({
        route: declared.url,
        pattern: path,
        policy,
        clock: settings.clock,
        onError: error => { this.#options.onError(error, declared.url) },
        onEvict: this.#options.onEvict
      }),
      keySuffix,
      renderHeaders: constraintHeaders(constraints),
      isPlain: keySuffix === '' && policy.query.length === 0 && policy.hosts === undefined && Object.keys(policy.vary).length === 0,
      declarations: [],
      isDirect: false,
      warned: new Set()
    }
  }

  #warnOfHooks (declared: DeclaredRoute, policy: Policy): void {
    if (policy.allowHooks === true) return
    // preParsing is about the request's body, and @fastify/compress adds one to every route.
    const skipped = (['preValidation', 'preHandler'] as const).filter(name => [declared[name] ?? []].flat().some(hook => !(kDataHook in hook)))
    if (skipped.length === 0) return
    this.#options.warn(`route GET ${declared.url}: a cached answer skips its ${skipped.join(', ')} hooks; protect the page in onRequest, or say 'allowHooks: true' if that is meant`)
  }
}

function routeId (url: string, constraints: RouteOptions['constraints']): string {
  const named = Object.entries(constraints ?? {}).map(([name, value]) => `${name}=${String(value)}`).sort()
  return [url, ...named].join(' ')
}

function constraintSuffix (url: string, constraints: Record<string, unknown>, policy: Policy): string {
  let suffix = ''
  for (const [name, value] of Object.entries(constraints)) {
    if (name === 'host') {
      if (policy.hosts !== undefined) continue
      if (typeof value !== 'string') throw new UnrenderableConstraint(url, 'host', "say which hosts exist: config.prerender.hosts: ['a.example', …]")
    } else if (name !== 'version' || typeof value !== 'string') {
      throw new UnrenderableConstraint(url, name, "only 'host' and 'version' constraints can be met by a request without a visitor; serve this route live")
    }
    suffix += ` ${name}=${encodeURIComponent(value as string)}`
  }
  return suffix
}

function constraintHeaders (constraints: Record<string, unknown>): Record<string, string> {
  return {
    ...(typeof constraints.host === 'string' ? { host: constraints.host } : {}),
    ...(typeof constraints.version === 'string' ? { 'accept-version': constraints.version } : {})
  }
}
