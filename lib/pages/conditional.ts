import type { IncomingHttpHeaders } from 'node:http'

/**
 * Whether the client has this representation already (RFC 9110 section 13.1):
 * If-None-Match by weak comparison, `*` matching anything; If-Modified-Since
 * only without it.
 */
export function isNotModified (headers: IncomingHttpHeaders, etag: string, lastModified: number | null): boolean {
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, etag)
  const since = headers['if-modified-since']
  if (since === undefined || lastModified === null) return false
  const time = Date.parse(since)
  return !Number.isNaN(time) && lastModified <= time
}

const TAGS = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

function matches (ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true
  const wanted = opaque(etag)
  // Malformed lists match nothing: the full answer is always right.
  if (ifNoneMatch.replace(TAGS, '').replace(/[\s,]/g, '') !== '') return false
  return ifNoneMatch.match(TAGS)?.some(tag => opaque(tag) === wanted) ?? false
}

function opaque (etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}
