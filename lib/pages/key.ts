import type { FastifyRequest } from 'fastify'
import type { VaryRule } from '../../types/index.js'
import { isCanonicalPath } from './path-pattern.js'
import type { PageRoute } from './registry.js'

/** All that a render is made of. */
export interface PageKey {
  readonly key: string
  readonly path: string
  /** What the render asks the router for: the path and the allow-listed query. */
  readonly url: string
  readonly hasQuery: boolean
  readonly params: Readonly<Record<string, string>>
  /** Host, version and `vary` classes. */
  readonly headers: Readonly<Record<string, string>>
}

/** Why a request has no key; `detail` of Cache-Status. */
export type NoKey = 'path' | 'query' | 'host'

export interface KeyParts {
  path: string
  params: Readonly<Record<string, string>>
  query?: readonly (readonly [name: string, value: string])[]
  host?: string
  /** Header name → class. */
  classes?: Readonly<Record<string, string>>
}

/**
 * Composes a key. Its parts are divided by spaces, which none of them can
 * contain: a path is canonical, everything else is percent-encoded.
 */
export function pageKey (route: PageRoute, parts: KeyParts): PageKey {
  const query = (parts.query ?? []).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
  const url = query === '' ? parts.path : `${parts.path}?${query}`
  let key = url + route.keySuffix
  const headers: Record<string, string> = { ...route.renderHeaders }
  if (parts.host !== undefined) {
    key += ` host=${encodeURIComponent(parts.host)}`
    headers.host = parts.host
  }
  for (const name of Object.keys(route.policy.vary)) {
    const value = parts.classes?.[name] ?? route.policy.vary[name]?.values[0] ?? ''
    key += ` ${name}=${encodeURIComponent(value)}`
    headers[name] = value
  }
  return { key, path: parts.path, url, hasQuery: query !== '', params: parts.params, headers }
}

const MAX_VALUE = 256
const MAX_QUERY = 4096

/** The key of a visitor's request, or why it has none. */
export function keyOf (route: PageRoute, request: FastifyRequest): PageKey | NoKey {
  const url = request.raw.url ?? ''
  const mark = url.indexOf('?')
  const path = mark === -1 ? url : url.slice(0, mark)
  const params = request.params as Record<string, string>
  if (!isSpelling(route, path, params)) return 'path'

  const query = mark === -1 || route.policy.query.length === 0 ? [] : readQuery(route.policy.query, url.slice(mark + 1))
  if (query === null) return 'query'
  const { hosts } = route.policy
  const host = hosts === undefined ? undefined : hostname(request)
  if (host !== undefined && !hosts?.includes(host)) return 'host'
  return pageKey(route, { path, params, query, ...(host === undefined ? {} : { host }), classes: classesOf(route, request) })
}

/** Whether a path is the one spelling of its page: canonical, and what the route makes of its params. */
export function isSpelling (route: PageRoute, path: string, params: Readonly<Record<string, string>>): boolean {
  if (!isCanonicalPath(path)) return false
  const built = route.path.build(params)
  return 'path' in built && built.path === path
}

/** Every key of a path, with this query: × hosts × `vary` classes. */
export function * keysOf (route: PageRoute, path: string, params: Readonly<Record<string, string>>, query: NonNullable<KeyParts['query']> = []): Generator<PageKey> {
  for (const host of route.policy.hosts ?? [undefined]) {
    for (const classes of combinations(Object.entries(route.policy.vary).map(([name, rule]) => [name, rule.values]))) {
      yield pageKey(route, { path, params, query, ...(host === undefined ? {} : { host }), classes })
    }
  }
}

/** How many pages one path of a route is. */
export function keysPerPath ({ policy }: PageRoute): number {
  return Object.values(policy.vary).reduce((count, { values }) => count * values.length, policy.hosts?.length ?? 1)
}

function * combinations (lists: [name: string, values: string[]][]): Generator<Record<string, string>> {
  const [first, ...rest] = lists
  if (first === undefined) return yield {}
  for (const value of first[1]) {
    for (const others of combinations(rest)) yield { [first[0]]: value, ...others }
  }
}

/** The part of a query that a route keeps, in the order of its keys. For a URL that a developer wrote, not a visitor. */
export function queryOf (route: PageRoute, search: string): [name: string, value: string][] {
  return [...new URLSearchParams(search)].filter(([name]) => route.policy.query.includes(name)).sort(([a], [b]) => a < b ? -1 : 1)
}

/** Allow-listed parameters, sorted by name; null when one of them is ambiguous or too long. */
function readQuery (allowed: readonly string[], text: string): [string, string][] | null {
  if (text.length > MAX_QUERY) return null
  const values = new Map<string, string>()
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=')
    const name = decode(equals === -1 ? pair : pair.slice(0, equals))
    if (name === null || !allowed.includes(name)) continue
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1))
    if (value === null || values.has(name) || value.length > MAX_VALUE) return null
    values.set(name, value)
  }
  return [...values].sort(([a], [b]) => a < b ? -1 : 1)
}

/** As Fastify's own query parser reads it; null for a broken escape, of which every parser makes something else. */
function decode (text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return null
  }
}

function hostname (request: FastifyRequest): string {
  return request.host.toLowerCase().replace(/:\d+$/, '')
}

function classesOf (route: PageRoute, request: FastifyRequest): Record<string, string> {
  const classes: Record<string, string> = {}
  for (const [name, rule] of Object.entries(route.policy.vary)) {
    const selected = select(rule, request.headers[name])
    classes[name] = rule.values.includes(selected) ? selected : rule.values[0] ?? ''
  }
  return classes
}

/** A header comes from outside: a `select` that trips over it chooses the first class. */
function select (rule: VaryRule, header: string | string[] | undefined): string {
  try {
    return rule.select(Array.isArray(header) ? header.join(', ') : header)
  } catch {
    return ''
  }
}
