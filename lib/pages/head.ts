import { STATUS_CODES } from 'node:http'
import type { Held } from '../cache/source.js'
import type { Settings } from '../options.js'
import { ageOf, hitStatus, notModified, pageHeaders, withYielding } from './respond.js'
import type { PageView, Variant } from './view.js'

/**
 * What goes before the body of a fresh page. Age and Cache-Status
 * count seconds: it is right from `from` until `until` (milliseconds).
 */
export interface Head {
  readonly from: number
  readonly until: number
  /** What else it depends on and what may change before then. */
  readonly freshUntil: number
  readonly isDisconnected: boolean
  readonly connection: string
  /** Of the page itself, for GET and HEAD alike. */
  readonly full: Lines
  /** A 304, all of it. */
  readonly notModified: Lines
  /** Head and body in one, once that was worth making. */
  whole: Buffer | null
  /** Sent before. */
  isAsked: boolean
}

/** As text, and as bytes once they were wanted: each character is one. */
export interface Lines {
  readonly text: string
  bytes: Buffer | null
}

export function bytesOf (lines: Lines): Buffer {
  lines.bytes ??= Buffer.from(lines.text, 'latin1')
  return lines.bytes
}

/** What Node adds to an answer on a connection that stays open. */
export function connectionLines (keepAliveTimeout: number): string {
  const hint = keepAliveTimeout ? `Keep-Alive: timeout=${Math.floor(keepAliveTimeout / 1000)}\r\n` : ''
  return `Connection: keep-alive\r\n${hint}`
}

/** The lines of a head, the empty one included, as Node would write them; each character is a byte. `connection`: lines that end in CRLF, or nothing. */
export function composeHead (status: number, headers: Readonly<Record<string, string>>, connection: string): string {
  let lines = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
  for (const name in headers) lines += `${name}: ${headers[name]}\r\n`
  return `${lines}${connection}\r\n`
}

/**
 * The head of a page that is fresh at `now`: the one of the last answer, or,
 * at most once a second, a new one. It has no header but the page's own.
 */
export function headOf (held: Held<PageView>, variant: Variant, now: number, isDisconnected: boolean, connection: string, settings: Settings): Head {
  const { head } = variant
  if (head !== null && now < head.until && now >= head.from && head.freshUntil === held.freshUntil && head.isDisconnected === isDisconnected && head.connection === connection) return head
  variant.head = makeHead(held, variant, now, isDisconnected, connection, settings)
  return variant.head
}

function makeHead (held: Held<PageView>, variant: Variant, now: number, isDisconnected: boolean, connection: string, settings: Settings): Head {
  const { view, freshUntil } = held
  const headers = pageHeaders(held, variant, ageOf(held, now), hitStatus(held, now, 'fresh', isDisconnected), settings)
  const { from, until } = spanOf(held.entry.renderedAt, freshUntil, now)
  return {
    from,
    until,
    freshUntil,
    isDisconnected,
    connection,
    full: { text: composeHead(view.status, withYielding(view, headers), connection), bytes: null },
    notModified: { text: composeHead(304, withYielding(view, notModified(headers)), connection), bytes: null },
    whole: null,
    isAsked: false
  }
}

/** How long the whole seconds since the render, and until the page is stale, stay the same. */
function spanOf (renderedAt: number, freshUntil: number, now: number): { from: number, until: number } {
  const age = Math.max(0, Math.floor((now - renderedAt) / 1000))
  const left = Math.ceil((freshUntil - now) / 1000)
  const from = Math.max(age === 0 ? -Infinity : renderedAt + age * 1000, left === Infinity ? -Infinity : freshUntil - left * 1000)
  return { from, until: Math.min(renderedAt + (age + 1) * 1000, left === Infinity ? Infinity : freshUntil - (left - 1) * 1000) }
}
