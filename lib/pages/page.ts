import type { RenderedPage } from '../../types/index.js'
import type { Draft, Outcome } from '../cache/source.js'
import type { Entry } from '../cache/entry.js'
import { InvalidTtl, RenderStatus } from '../errors.js'
import { isSeconds, show, type Settings } from '../options.js'
import { encodeBodies, type Quality } from './encode.js'
import type { Headers, Rendered } from './render.js'
import { isFailure, isPerRequest, own, ownVary, text, whyUnstorable, type Unstorable } from './storable.js'
import { ALL_TAG, checkTag, keyTag, pathTag, prefixesOf, prefixTag, routeTag } from './tags.js'
import type { PageKey } from './key.js'
import type { PageRoute } from './registry.js'

/** What an entry of a page carries besides its body; JSON. */
export interface PageMeta {
  readonly route: string
  readonly path: string
  readonly status: number
  /** Stored response headers, without those that are made anew for each answer. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** The handler's own, if it set one. */
  readonly etag: string | null
  readonly date: string | null
  readonly age: number
  /** Names that the page's own code varies on. */
  readonly vary: readonly string[]
}

export function metaOf (entry: Entry): PageMeta {
  return entry.meta as unknown as PageMeta
}

/**
 * Never stored: they belong to one connection (RFC 9111 section 3.1), to one
 * visitor, or are made anew for each answer.
 */
export const NOT_STORED: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
  'set-cookie', 'set-cookie2', 'clear-site-data', 'access-control-allow-origin', 'access-control-allow-credentials', 'x-request-id', 'request-id', 'x-correlation-id', 'traceparent', 'server-timing', 'reporting-endpoints', 'retry-after',
  'ratelimit', 'ratelimit-policy', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset',
  'date', 'age', 'etag', 'vary', 'cache-status', 'content-length', 'accept-ranges'
])

/** A page open to every origin says so on each answer; any other origin is one visitor's. */
export function mayBeStored (name: string, value: unknown): boolean {
  return !NOT_STORED.has(name) || (name === 'access-control-allow-origin' && value === '*')
}

/** Headers that describe the stored bytes: on a hit they win over what hooks set. A security policy is no description. */
export function isOwned (name: string): boolean {
  return name.startsWith('content-') && !name.startsWith('content-security-policy')
}

/** Tags of a page that are known before it is rendered, and what went wrong with those of the policy. */
export function knownTags (route: PageRoute, page: PageKey): { tags: string[], error: Error | null } {
  const { tags } = route.policy
  const automatic = [ALL_TAG, routeTag(route.pattern), pathTag(page.path), ...prefixesOf(page.path).map(prefixTag), ...(page.hasQuery ? [keyTag(page.url)] : [])]
  try {
    const own = typeof tags === 'function' ? tags({ ...page.params }) : tags ?? []
    return { tags: [...automatic, ...own.map(tag => checkTag(tag, ` (route ${route.pattern})`))], error: null }
  } catch (error) {
    // Visitors choose the params: a function that trips over them must not cost them the answer.
    return { tags: automatic, error: error as Error }
  }
}

/** Judges a render: a page to store, an answer that may not be stored, or a failure. */
export function judge (rendered: Rendered, { tags, error }: ReturnType<typeof knownTags>, settings: Settings, quality?: Quality): { outcome: Outcome<Rendered>, unstorable?: Unstorable } {
  if (isFailure(rendered.status) && !rendered.job.isMisrouted) {
    const { failure: reason, page } = rendered.job
    // Not part of the message, which others than the app's own people may see.
    const failure = reason === null ? new RenderStatus(page.key, rendered.status) : new RenderStatus(page.key, rendered.status, { cause: new Error(reason) })
    // What the handler answered, also where only the error is left of its answer.
    failure.statusCode = rendered.status
    return { outcome: { type: 'failure', error: failure, response: rendered, bytes: rendered.body?.length ?? 0 } }
  }
  const unstorable = whyUnstorable(rendered, settings) ?? (error === null ? null : { reason: 'tags', fix: `its tags can't be told: ${error.message}` })
  if (unstorable !== null || rendered.body === null) {
    return { outcome: { type: 'unstorable', reason: unstorable?.reason ?? 'max-bytes', response: rendered }, ...(unstorable === null ? {} : { unstorable }) }
  }
  return { outcome: { type: 'storable', draft: draftOf(rendered, rendered.body, tags, settings, quality) } }
}

function draftOf (rendered: Rendered, body: Buffer, tags: readonly string[], settings: Settings, quality?: Quality): Draft {
  const { job, status, headers } = rendered
  const { policy } = job.route
  const ownEncoding = text(own(rendered, 'content-encoding')).trim().toLowerCase()
  const isIdentity = ownEncoding === '' || ownEncoding === 'identity'
  const meta: PageMeta = {
    route: job.route.id,
    path: job.page.path,
    status,
    headers: storedHeaders(rendered),
    etag: readEtag(text(own(rendered, 'etag'))),
    date: job.date,
    age: initialAge(text(own(rendered, 'age'))),
    vary: ownVary(rendered)
  }
  return {
    meta: meta as unknown as Draft['meta'],
    tags: [...new Set([...tags, ...job.tags])],
    ttl: ttlOf(rendered, { path: job.page.path, status, headers, body }),
    staleWhileRevalidate: policy.staleWhileRevalidate,
    staleIfError: policy.staleIfError,
    inheritTtl: policy.inheritTtl ?? false,
    body,
    encode: async () => isIdentity
      ? await encodeBodies(body, text(headers['content-type']), settings.encodings, quality)
      : [{ encoding: ownEncoding, bytes: body }]
  }
}

/** RFC 9111 section 5.1: of a list the first counts, and what is no number of seconds is ignored. */
function initialAge (age: string): number {
  const [first = ''] = age.split(',')
  return /^\d+$/.test(first.trim()) ? Math.min(Number(first), MAX_AGE) : 0
}

/** What a number of seconds that is too large to keep stands for (section 1.2.2). */
const MAX_AGE = 2 ** 31

/** A tag of another form (RFC 9110 section 8.8.3) would never match: ours is used then. */
function readEtag (value: string): string | null {
  return /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/.test(value) ? value : null
}

function ttlOf ({ job, status }: Rendered, page: RenderedPage): number {
  if (job.ttl !== null) return job.ttl
  const forStatus = job.route.policy.statuses[status]
  if (forStatus !== undefined) return forStatus
  const { ttl } = job.route.policy
  const seconds = typeof ttl === 'function' ? ttl(page) : ttl
  if (!isSeconds(seconds)) throw new InvalidTtl(`${show(seconds)} from the ttl function of route ${job.route.pattern}`)
  return seconds
}

function storedHeaders ({ job, headers }: Rendered): [string, string][] {
  const { policy } = job.route
  const named = new Set(text(headers.connection).toLowerCase().split(',').map(name => name.trim()))
  return Object.entries(headers as Headers)
    .filter(([name, value]) => {
      if (!mayBeStored(name, value) || named.has(name)) return false
      // They describe the stored bytes, whoever set them.
      if (isOwned(name)) return true
      return !isPerRequest(job.snapshot, name, value) && (policy.headers === undefined || policy.headers(name))
    })
    .map(([name, value]) => [name, text(value)])
}
