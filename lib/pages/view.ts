import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { EntryInfo, TierName } from '../../types/index.js'
import { deadlines, stateAt, type Entry } from '../cache/entry.js'
import { BadEntry } from '../errors.js'
import type { Settings } from '../options.js'
import { parseHttpDate } from './conditional.js'
import type { Head } from './head.js'
import { isOwned, mayBeStored, metaOf, type PageMeta } from './page.js'
import type { PageRoute, Registry } from './registry.js'
import { isAutomatic } from './tags.js'

/** One way to send a page: headers that stay the same from answer to answer, and the bytes. */
export interface Variant {
  readonly encoding: string
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The headers of the last answer: those of the next one, until a second has passed. */
  block: Block | null
  /** The same as bytes, once they were wanted. */
  head: Head | null
}

/** All headers of an answer, with those that change by the second. */
export interface Block {
  readonly age: number
  readonly status: string
  readonly headers: Readonly<Record<string, string>>
  /** The same for a reply that has no headers yet: name, value, name, value. */
  readonly lines: string[]
  /** Those of a 304, once there was one. */
  notModified: string[] | null
}

/** A page as it is served: prepared when it enters memory. */
export interface PageView {
  readonly route: PageRoute
  readonly status: number
  /** In the server's order of preference. */
  readonly encodings: readonly string[]
  readonly variants: ReadonlyMap<string, Variant>
  /** Stored headers that a live header of the same name replaces. */
  readonly yielding: readonly (readonly [name: string, value: string])[]
  /** Names for Vary, or ''. */
  readonly vary: string
  readonly cacheControl: string
  /** Shared caches may keep it. */
  readonly isShareable: boolean
  /** Milliseconds, or null without a valid Last-Modified. */
  readonly lastModified: number | null
  /** Seconds; Age does not begin at 0 when the handler itself sent one. */
  readonly initialAge: number
  /** When a visitor got it last, or it came to be: a number that grows with each use of any page. */
  lastUse: number
  /** How often, since somebody last counted. */
  uses: number
  /** Methods that the router has been seen to bring here; see express-lane.ts. */
  proven: number
}

let uses = 0

export function noteUse (view: PageView): void {
  view.lastUse = ++uses
  view.uses++
}

/** An invalidation can't reach browsers and CDNs: they ask each time. */
const DEFAULT_CACHE_CONTROL = 'public, max-age=0, must-revalidate'

/**
 * Prepares an entry for serving and checks once more that it may be: it may
 * come from a disk that others can write to.
 *
 * @throws FST_ISR_ERR_BAD_ENTRY
 */
export function prepareView (entry: Entry, registry: Registry, settings: Settings): PageView {
  const meta = metaOf(entry)
  checkMeta(meta)
  checkSent(entry, meta)
  const route = registry.get(meta.route)
  if (route === undefined) throw new BadEntry(`there is no route ${meta.route}`)
  if (meta.status !== 200 && route.policy.statuses[meta.status] === undefined) throw new BadEntry(`status ${meta.status} may not be stored`)

  const vary = varyOf(entry, meta, route)
  const handlerCacheControl = meta.headers.find(([name]) => name === 'cache-control')?.[1]
  const cacheControl = cacheControlOf(entry, meta, route, settings) ?? handlerCacheControl ?? DEFAULT_CACHE_CONTROL
  const lastModified = parseHttpDate(meta.headers.find(([name]) => name === 'last-modified')?.[1] ?? '')
  const shared = {
    ...Object.fromEntries(meta.headers.filter(([name]) => isOwned(name))),
    'cache-control': cacheControl,
    ...(vary === '' ? {} : { vary }),
    date: meta.date ?? new Date(entry.renderedAt).toUTCString()
  }
  const variants = new Map<string, Variant>(entry.bodies.map(body => [body.encoding, {
    block: null,
    head: null,
    encoding: body.encoding,
    etag: etagOf(entry, meta, body.encoding),
    body: body.bytes,
    headers: Object.freeze({
      ...shared,
      'content-length': String(body.bytes.length),
      ...(body.encoding === 'identity' ? {} : { 'content-encoding': body.encoding }),
      etag: etagOf(entry, meta, body.encoding)
    })
  }]))
  return {
    route,
    status: meta.status,
    encodings: encodingsOf([...variants.keys()], settings),
    variants,
    yielding: meta.headers.filter(([name]) => !isOwned(name) && name !== 'cache-control'),
    vary,
    cacheControl,
    isShareable: !/\b(?:private|no-store|no-cache)\b/i.test(cacheControl),
    lastModified,
    initialAge: meta.age,
    lastUse: ++uses,
    uses: 0,
    proven: 0
  }
}

function checkMeta (meta: PageMeta): void {
  const isRight = typeof meta.route === 'string' && typeof meta.path === 'string' && Number.isInteger(meta.status) &&
    (meta.etag === null || typeof meta.etag === 'string') && (meta.date === null || typeof meta.date === 'string') &&
    Number.isFinite(meta.age) && meta.age >= 0 &&
    Array.isArray(meta.vary) && meta.vary.every(name => typeof name === 'string') &&
    Array.isArray(meta.headers) && meta.headers.every(header => Array.isArray(header) && header.length === 2)
  if (!isRight) throw new BadEntry('metadata of another shape')
}

/** Everything that goes into a header. */
function checkSent (entry: Entry, meta: PageMeta): void {
  try {
    for (const [name, value] of meta.headers) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    }
    for (const value of [meta.etag, meta.date, ...meta.vary, entry.hash, ...entry.bodies.map(body => body.encoding)]) if (value !== null) validateHeaderValue('x', value)
  } catch (cause) {
    throw new BadEntry('a header that can not be sent', { cause })
  }
  const foreign = meta.headers.find(([name, value]) => !mayBeStored(name.toLowerCase(), value))
  if (foreign !== undefined) throw new BadEntry(`the header ${foreign[0]} is never stored`)
}

/** What the settings no longer prepare is not sent either, unless the handler made it: then there is nothing else. */
function encodingsOf (there: string[], { encodings }: Settings): string[] {
  if (there.length === 1) return there
  return [...encodings.filter(encoding => there.includes(encoding)), 'identity']
}

function varyOf (entry: Entry, meta: PageMeta, route: PageRoute): string {
  const isNegotiated = entry.bodies.length > 1 || entry.bodies[0]?.encoding !== 'identity'
  const names = new Set([
    ...(isNegotiated ? ['accept-encoding'] : []),
    ...Object.keys(route.policy.vary),
    ...(route.renderHeaders['accept-version'] === undefined ? [] : ['accept-version']),
    ...meta.vary
  ])
  return [...names].join(', ')
}

/** RFC 9110 section 8.8.3: strong tags differ per coding, and a coding makes the handler's own strong tag weak. */
function etagOf (entry: Entry, meta: PageMeta, encoding: string): string {
  const isApplied = encoding !== 'identity' && entry.bodies.length > 1
  if (meta.etag !== null) return isApplied && !meta.etag.startsWith('W/') ? `W/${meta.etag}` : meta.etag
  const hash = entry.hash.slice(0, 22)
  return isApplied ? `"${hash}-${encoding}"` : `"${hash}"`
}

function cacheControlOf (entry: Entry, meta: PageMeta, route: PageRoute, settings: Settings): string | undefined {
  const { cacheControl } = route.policy
  if (typeof cacheControl !== 'function') return cacheControl
  const value = cacheControl(infoOf(entry, meta, route, settings.clock()))
  validateHeaderValue('cache-control', value)
  return value
}

/** An entry as the public API shows it. */
export function infoOf (entry: Entry, meta: PageMeta, route: Pick<PageRoute, 'pattern'>, now: number, at = deadlines(entry), tier: TierName = 'memory'): EntryInfo {
  return {
    key: entry.key,
    path: meta.path,
    route: route.pattern,
    state: stateAt(at, now),
    status: meta.status,
    renderedAt: entry.renderedAt,
    age: Math.max(0, Math.floor((now - entry.renderedAt) / 1000)),
    ttl: entry.ttl,
    staleWhileRevalidate: entry.staleWhileRevalidate,
    staleIfError: entry.staleIfError,
    tags: entry.tags.filter(tag => !isAutomatic(tag)),
    bytes: entry.bodies[0]?.bytes.length ?? 0,
    encodings: Object.fromEntries(entry.bodies.filter(body => body.encoding !== 'identity').map(body => [body.encoding, body.bytes.length])),
    tier
  }
}
