import { parseHttpDate } from '../lib/pages/conditional.js'

/** Response headers as `ttl` functions see them. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * How long an answer stays fresh from now on, in seconds, by what it says
 * itself (RFC 9111 section 4.2). The plugin never asks this: a route tells it
 * how long its pages are fresh. This is a route that goes by the headers, as a
 * shared cache would.
 */
export function remainingLifetime (headers: Headers, now: number): number {
  const date = parseHttpDate(text(headers.date)) ?? now
  const lifetime = lifetimeOf(headers, date)
  const apparentAge = (now - date) / 1000
  return Math.max(0, lifetime - Math.max(apparentAge, ageOf(headers)))
}

function lifetimeOf (headers: Headers, date: number): number {
  const directives = parseDirectives(text(headers['cache-control']))
  for (const name of ['s-maxage', 'max-age']) {
    const value = directives.get(name)
    // What can't be understood is stale already.
    if (value !== undefined) return /^\d+$/.test(value) ? Number(value) : 0
  }
  const expires = parseHttpDate(text(headers.expires))
  return expires === null ? 0 : (expires - date) / 1000
}

function ageOf (headers: Headers): number {
  const [first = ''] = text(headers.age).split(',')
  return /^\d+$/.test(first.trim()) ? Number(first) : 0
}

const DIRECTIVE = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?/y

/** Names in lower case; of two that are equal the first counts. */
function parseDirectives (header: string): Map<string, string> {
  const directives = new Map<string, string>()
  let position = 0
  while (position < header.length) {
    DIRECTIVE.lastIndex = position
    const match = DIRECTIVE.exec(header)
    if (match === null) {
      position++
      continue
    }
    const name = (match[1] ?? '').toLowerCase()
    const end = header.indexOf(',', DIRECTIVE.lastIndex)
    const rest = header.slice(DIRECTIVE.lastIndex, end === -1 ? undefined : end)
    // What follows a value belongs to it, and spoils it.
    if (!directives.has(name)) directives.set(name, (match[2] ?? match[3] ?? '') + rest.trimEnd())
    position = end === -1 ? header.length : end + 1
  }
  return directives
}

function text (value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(', ') : value ?? ''
}
