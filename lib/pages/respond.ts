import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Held } from '../cache/source.js'
import type { Settings } from '../options.js'
import { isNotModified } from './conditional.js'
import { negotiate } from './negotiate.js'
import type { Headers, Rendered } from './render.js'
import { isPerRequest, text, tokens } from './storable.js'
import type { PageView, Variant } from './view.js'

/** What a reply carries, so that onSend hooks of others can't spoil it. */
export type Sent =
  /** A stored page: these bytes and these headers go out. */
  | { type: 'page', body: Buffer | undefined, headers: Readonly<Record<string, string>>, volatile: Readonly<Record<string, string>> }
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
export function hitStatus (held: Held<PageView>, now: number, how: 'fresh' | 'stale' | 'stale-if-error'): string {
  if (how === 'fresh') {
    const ttl = Math.ceil((held.freshUntil - now) / 1000)
    return ttl === Infinity ? 'hit' : `hit; ttl=${ttl}`
  }
  // Jitter and marks make a page stale before its time.
  const ttl = Math.min(0, Math.floor((held.entry.renderedAt - now) / 1000 + held.entry.ttl))
  return `hit; ttl=${ttl}; detail=${how}`
}

/** Sends a stored page. `status` is the Cache-Status without the cache's name. */
export function sendPage (request: FastifyRequest, reply: FastifyReply, held: Held<PageView>, status: string, settings: Settings): void {
  const { view } = held
  const encoding = negotiate(request.headers['accept-encoding'] as string | undefined, view.encodings)
  const variant = encoding === null ? undefined : view.variants.get(encoding)
  if (variant === undefined) return sendNotAcceptable(reply, status, settings)

  const volatile: Record<string, string> = { age: String(ageOf(held, settings.clock())) }
  if (settings.cacheStatus) volatile['cache-status'] = `fastify-isr; ${status}`
  const vary = mergeVary(reply, view.vary)
  if (vary !== '') volatile.vary = vary
  for (const [name, value] of view.yielding) if (!reply.hasHeader(name)) reply.header(name, value)

  const isConditional = view.status === 200 && isNotModified(request.headers, variant.etag, view.lastModified)
  if (isConditional) return sendNotModified(reply, view, variant, volatile)
  dropForeign(reply, variant.headers)
  reply.code(view.status).headers(variant.headers).headers(volatile)
  remember(reply, { type: 'page', body: variant.body, headers: variant.headers, volatile })
  reply.send(variant.body)
}

/** RFC 9110 section 15.4.5: the fields that a 200 would have, without those that describe the body. */
function sendNotModified (reply: FastifyReply, view: PageView, variant: Variant, volatile: Record<string, string>): void {
  const headers: Record<string, string> = {
    etag: variant.etag,
    'cache-control': view.cacheControl,
    ...(variant.headers.date === undefined ? {} : { date: variant.headers.date }),
    ...(variant.headers['content-location'] === undefined ? {} : { 'content-location': variant.headers['content-location'] })
  }
  dropForeign(reply, headers)
  reply.code(304).headers(headers).headers(volatile)
  remember(reply, { type: 'page', body: undefined, headers, volatile })
  reply.send()
}

function sendNotAcceptable (reply: FastifyReply, status: string, settings: Settings): void {
  const body = Buffer.from('Not Acceptable')
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(body.length), 'cache-control': 'no-store', vary: mergeVary(reply, 'accept-encoding') }
  const volatile: Record<string, string> = settings.cacheStatus ? { 'cache-status': `fastify-isr; ${status}` } : {}
  reply.code(406).headers(headers).headers(volatile)
  remember(reply, { type: 'page', body, headers, volatile })
  reply.send(body)
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
  dropForeign(reply, sent.headers)
  reply.headers(sent.headers).headers(sent.volatile)
  if (sent.volatile.vary !== undefined) reply.header('vary', mergeVary(reply, sent.volatile.vary))
  // Shared caches must not keep an answer that carries somebody's cookie.
  if (reply.hasHeader('set-cookie')) {
    reply.header('cache-control', 'private, no-cache')
    reply.removeHeader('cdn-cache-control')
  }
  return sent.body
}

/** Marks a request as one that the live handler answers. */
export function goLive (reply: FastifyReply, status: string, isPrivate: boolean, settings: Settings): void {
  if (settings.cacheStatus) reply.header('cache-status', `fastify-isr; ${status}`)
  remember(reply, { type: 'live', isPrivate })
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date', 'trailer', 'upgrade', 'te'])

/** Sends what a render produced and what may not be stored. */
export function sendRendered (reply: FastifyReply, rendered: Rendered & { body: Buffer }, status: string, settings: Settings, { isFailure = false, retryAfterMs = 0 } = {}): void {
  for (const [name, value] of Object.entries(rendered.headers as Headers)) {
    if (HOP_BY_HOP.has(name) || isPerRequest(rendered.job.snapshot, name, value)) continue
    if (isFailure && (name === 'etag' || name === 'age' || name === 'last-modified')) continue
    if (name === 'vary') reply.header(name, mergeVary(reply, text(value)))
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

/** Removes descriptions of some other body that a hook left behind. */
function dropForeign (reply: FastifyReply, headers: Readonly<Record<string, string>>): void {
  for (const name of ['content-encoding', 'content-type', 'content-length']) {
    if (headers[name] === undefined && reply.hasHeader(name)) reply.removeHeader(name)
  }
}

function mergeVary (reply: FastifyReply, names: string): string {
  const live = reply.getHeader('vary')
  if (live === undefined) return names
  return [...new Set([...tokens(live as string | string[]), ...tokens(names)])].join(', ')
}
