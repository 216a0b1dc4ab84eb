import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Held } from '../cache/source.js'
import type { Settings } from '../options.js'
import { isNotModified } from './conditional.js'
import { isBare, sendDirectly } from './direct.js'
import { negotiate } from './negotiate.js'
import { NOT_STORED } from './page.js'
import type { Headers, Rendered } from './render.js'
import { isPerRequest, text, tokens } from './storable.js'
import { noteUse, type Block, type PageView, type Variant } from './view.js'

/** What a reply carries, so that onSend hooks of others can't spoil it. */
export type Sent =
  /** A stored page: these bytes and these headers go out. */
  | { type: 'page', status: number, body: Buffer | undefined, headers: Readonly<Record<string, string>> }
  /** The live handler answers; private when it was a visitor's own request that bypassed the cache. */
  | { type: 'live', isPrivate: boolean }
  /** A failure that nobody may keep. */
  | { type: 'failure' }

export const kSent = Symbol('fastify-isr.sent')

export function sentOf (reply: FastifyReply): Sent | null {
  return (reply as unknown as { [kSent]: Sent | null })[kSent]
}

function remember (reply: FastifyReply, sent: Sent): void {
  (reply as unknown as { [kSent]: Sent | null })[kSent] = sent
}

/** Cache-Status of a page that was there (RFC 9211). */
export function hitStatus (held: Held<PageView>, now: number, how: 'fresh' | 'stale' | 'stale-if-error', isDisconnected = false): string {
  if (how === 'fresh') {
    const ttl = Math.ceil((held.freshUntil - now) / 1000)
    const detail = isDisconnected ? '; detail=disconnected' : ''
    return ttl === Infinity ? `hit${detail}` : `hit; ttl=${ttl}${detail}`
  }
  // Jitter and marks make a page stale before its time.
  const ttl = Math.min(0, Math.floor((held.entry.renderedAt - now) / 1000 + held.entry.ttl))
  return `hit; ttl=${ttl}; detail=${isDisconnected ? 'disconnected' : how}`
}

/** Sends a stored page. `status` is the Cache-Status without the cache's name. */
export function sendPage (request: FastifyRequest, reply: FastifyReply, held: Held<PageView>, status: string, settings: Settings): void {
  const { view } = held
  noteUse(view)
  const encoding = negotiate(request.headers['accept-encoding'] as string | undefined, view.encodings)
  const variant = encoding === null ? undefined : view.variants.get(encoding)
  if (variant === undefined) return sendNotAcceptable(reply, status, settings)

  const block = blockOf(held, variant, status, settings)
  const isConditional = view.status === 200 && isNotModified(request.headers, variant.etag, view.lastModified)
  if (view.route.isDirect && isBare(reply)) {
    const isHead = request.raw.method === 'HEAD'
    if (isConditional) {
      block.notModified ??= linesOf(view, notModified(block.headers))
      return sendDirectly(reply, 304, null, block.notModified)
    }
    return sendDirectly(reply, view.status, isHead ? null : variant.body, block.lines)
  }
  const { headers } = block
  for (const [name, value] of view.yielding) if (!reply.hasHeader(name)) reply.header(name, value)
  if (isConditional) return send(reply, 304, undefined, notModified(headers))
  send(reply, view.status, variant.body, headers)
}

/** What changes by the second is made once a second, not once a request. */
function blockOf (held: Held<PageView>, variant: Variant, status: string, settings: Settings): Block {
  const age = ageOf(held, settings.clock())
  const { block } = variant
  if (block !== null && block.age === age && block.status === status) return block
  const headers = pageHeaders(held, variant, age, status, settings)
  variant.block = { age, status, headers, lines: linesOf(held.view, headers), notModified: null }
  return variant.block
}

function linesOf (view: PageView, headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(withYielding(view, headers)).flat()
}

/** Headers that a live one would replace come first, as on a reply that has none. */
export function withYielding (view: PageView, headers: Readonly<Record<string, string>>): Record<string, string> {
  const all: Record<string, string> = {}
  // As Fastify's `hasHeader` sees it.
  for (const [name, value] of view.yielding) if (all[name] === undefined) all[name] = value
  return Object.assign(all, headers)
}

/** All headers of an answer that are the plugin's, in their order. `status` is the Cache-Status without the cache's name. */
export function pageHeaders (held: Held<PageView>, variant: Variant, age: number, status: string, settings: Settings): Record<string, string> {
  return {
    ...variant.headers,
    age: String(age),
    ...(settings.cacheStatus ? { 'cache-status': `fastify-isr; ${status}` } : {}),
    ...(settings.cdn.cacheControl && held.view.isShareable ? { 'cdn-cache-control': cdnCacheControl(held, age) } : {})
  }
}

/** Header values have no infinity; RFC 9111 section 1.2.2 suggests some large number, and a year is the custom. */
const YEAR = 31_536_000

/**
 * RFC 9213. A CDN subtracts Age, so the lifetime counts from the render; what
 * was marked stale is stale for the CDN, too, and is asked for again at once.
 */
function cdnCacheControl (held: Held<PageView>, age: number): string {
  if (held.isMarked) return `max-age=${age}`
  const { renderedAt } = held.entry
  const maxAge = seconds(held.freshUntil - renderedAt) + held.view.initialAge
  return `max-age=${maxAge}, stale-while-revalidate=${seconds(held.staleUntil - held.freshUntil)}`
}

function seconds (ms: number): number {
  // Infinity less Infinity: fresh for ever has no stale window.
  return Number.isNaN(ms) ? 0 : Math.min(YEAR, Math.max(0, Math.floor(ms / 1000)))
}

/** Describes the body, which a 304 has not (RFC 9110 section 15.4.5). */
const OF_THE_BODY = new Set(['content-type', 'content-length', 'content-encoding', 'content-language'])

export function notModified (headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_BODY.has(name)))
}

function send (reply: FastifyReply, status: number, body: Buffer | undefined, headers: Readonly<Record<string, string>>): void {
  setHeaders(reply, headers)
  remember(reply, { type: 'page', status, body, headers })
  reply.code(status).send(body)
}

/** The plugin's own headers win; only Vary is shared. */
function setHeaders (reply: FastifyReply, headers: Readonly<Record<string, string>>): void {
  for (const name of OF_THE_BODY) if (headers[name] === undefined && reply.hasHeader(name)) reply.removeHeader(name)
  const live = reply.getHeader('vary')
  reply.headers(headers)
  if (live !== undefined && live !== headers.vary) reply.header('vary', mergeVary(live as string | string[], headers.vary ?? ''))
}

function sendNotAcceptable (reply: FastifyReply, status: string, settings: Settings): void {
  const body = Buffer.from('Not Acceptable')
  send(reply, 406, body, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(body.length),
    'cache-control': 'no-store',
    vary: 'accept-encoding',
    ...(settings.cacheStatus ? { 'cache-status': `fastify-isr; ${status}` } : {})
  })
}

/** The onSend hook of every page route, the last one: puts back what a stored answer is made of. */
export function restore (reply: FastifyReply, payload: unknown): unknown {
  const sent = sentOf(reply)
  if (sent === null) return payload
  if (sent.type === 'failure') {
    reply.header('cache-control', 'no-store')
    return payload
  }
  if (sent.type === 'live') {
    if (sent.isPrivate && !reply.hasHeader('cache-control')) reply.header('cache-control', 'private, no-cache')
    return payload
  }
  // A hook answered with something else on purpose.
  if (payload instanceof Error) return payload
  reply.code(sent.status)
  setHeaders(reply, sent.headers)
  // Shared caches must not keep an answer that carries somebody's cookie.
  if (reply.hasHeader('set-cookie')) {
    reply.header('cache-control', 'private, no-cache')
    reply.removeHeader('cdn-cache-control')
  }
  // Nothing at all would leave what a hook made of it.
  return sent.body ?? null
}

/** An error takes the place of a page, because a hook threw: nothing of the page may describe it. */
export function withdraw (reply: FastifyReply): void {
  const sent = sentOf(reply)
  if (sent?.type !== 'page') return
  for (const name of Object.keys(sent.headers)) if (name !== 'vary') reply.removeHeader(name)
  reply.header('cache-control', 'no-store')
  remember(reply, { type: 'failure' })
}

/** Marks a request as one that the live handler answers. */
export function goLive (reply: FastifyReply, status: string, isPrivate: boolean, settings: Settings): void {
  if (settings.cacheStatus) reply.header('cache-status', `fastify-isr; ${status}`)
  remember(reply, { type: 'live', isPrivate })
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date', 'trailer', 'upgrade', 'te'])

const OF_FAILURES = new Set(['retry-after', 'vary'])

/** Sends what a render produced and what may not be stored. */
export function sendRendered (reply: FastifyReply, rendered: Rendered & { body: Buffer }, status: string, settings: Settings, { isFailure = false, retryAfterMs = 0 } = {}): void {
  for (const [name, value] of Object.entries(rendered.headers as Headers)) {
    if (HOP_BY_HOP.has(name) || isPerRequest(rendered.job.snapshot, name, value)) continue
    // Everybody who waited gets the same failure: nothing in it may be meant for one visitor.
    if (isFailure && !OF_FAILURES.has(name) && (NOT_STORED.has(name) || name === 'last-modified')) continue
    if (name === 'vary') reply.header(name, mergeVary(text(reply.getHeader('vary') as string | undefined), text(value)))
    else reply.header(name, value)
  }
  if (settings.cacheStatus) reply.header('cache-status', `fastify-isr; ${status}`)
  if (isFailure && retryAfterMs > 0 && !reply.hasHeader('retry-after')) reply.header('retry-after', String(Math.ceil(retryAfterMs / 1000)))
  remember(reply, isFailure ? { type: 'failure' } : { type: 'live', isPrivate: false })
  reply.code(rendered.status).send(rendered.body.length === 0 ? undefined : rendered.body)
}

/** Sends an error through the app's own error handler. */
export function sendFailure (reply: FastifyReply, error: Error, status: string, retryAfterMs: number, settings: Settings): void {
  if (settings.cacheStatus) reply.header('cache-status', `fastify-isr; ${status}`)
  reply.header('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1000))))
  remember(reply, { type: 'failure' })
  reply.send(error)
}

/** Seconds since the render; a clock that was set back makes no negative age. */
export function ageOf (held: Held<PageView>, now: number): number {
  return held.view.initialAge + Math.max(0, Math.floor((now - held.entry.renderedAt) / 1000))
}

function mergeVary (live: string | string[], names: string): string {
  return [...new Set([...tokens(live), ...tokens(names)])].join(', ')
}
