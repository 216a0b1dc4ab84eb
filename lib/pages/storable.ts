import type { Settings } from '../options.js'
import type { Headers, Rendered } from './render.js'

/** Why a rendered answer may not be stored. `fix` is for the one warning per route. */
export interface Unstorable {
  reason: string
  /** Null for what is no mistake: a missing page, a handler that says no-store. */
  fix: string | null
}

/** Codings of a handler's own that clients can name in Accept-Encoding. */
const CODINGS = new Set(['', 'identity', 'br', 'gzip', 'deflate', 'zstd'])

/** Statuses that say nothing about the page: the old one stays. */
export function isFailure (status: number): boolean {
  return status >= 500 || status === 408 || status === 429
}

/** The rules, in the order in which they help most; null when the answer may be stored. */
export function whyUnstorable (rendered: Rendered, settings: Settings): Unstorable | null {
  const { job, status, headers, body } = rendered
  const { policy } = job.route
  if (job.isMisrouted) return { reason: 'route', fix: 'the router sent the URL of the page to another route; check rewriteUrl and router options' }
  if (job.snapshot === null) {
    return { reason: `status-${status}`, fix: `a hook answered with ${status} before the route was reached; a page that refuses anonymous visitors can't be prerendered` }
  }
  if (!job.sawOnSend) return { reason: 'raw', fix: 'the handler writes to reply.raw; return the page or reply.send() it' }
  if (job.noStore) return { reason: 'no-store', fix: null }
  if (status !== 200 && policy.statuses[status] === undefined) return { reason: `status-${status}`, fix: null }
  if (body === null) return { reason: 'max-bytes', fix: `the body is larger than ${policy.maxBytes} bytes; raise the policy's maxBytes` }
  if (headers['set-cookie'] !== undefined) {
    return { reason: 'set-cookie', fix: `the answer sets the cookie ${cookieNames(headers)}; set it elsewhere (sessions: saveUninitialized: false)` }
  }
  if (headers['clear-site-data'] !== undefined) return { reason: 'clear-site-data', fix: 'the answer carries Clear-Site-Data' }
  const cacheControl = text(own(rendered, 'cache-control')).toLowerCase()
  if (/(?:^|[\s,])(?:private|no-store|no-cache)(?:$|[\s,=])/.test(cacheControl)) return { reason: 'cache-control', fix: null }
  const undeclared = undeclaredVary(rendered)
  if (undeclared !== null) return { reason: 'vary', fix: `the answer varies on '${undeclared}'; declare it in the policy's vary, or remove it from Vary` }
  const encoding = text(own(rendered, 'content-encoding')).trim().toLowerCase()
  if (!CODINGS.has(encoding)) return { reason: 'content-encoding', fix: `the content-encoding '${encoding}' can't be negotiated with clients` }
  if (hasNonce(rendered)) return { reason: 'nonce', fix: 'the Content-Security-Policy holds a nonce, which all visitors would share; use hashes, or external scripts' }
  // Without a Location it leads nowhere; RFC 9110 section 15.4.2 asks for one and does not demand it.
  if (status >= 300 && status < 400 && headers.location !== undefined && !isOwnLocation(text(headers.location), settings)) {
    return { reason: 'location', fix: 'a stored redirect must lead to a path or to the origin of baseUrl' }
  }
  return null
}

/** A header unless it stood before the route's own code ran. */
export function own ({ job, headers }: Rendered, name: string): string | string[] | undefined {
  return isPerRequest(job.snapshot, name, headers[name]) ? undefined : headers[name]
}

export function isPerRequest (snapshot: Headers | null, name: string, value: unknown): boolean {
  const before = snapshot?.[name]
  return before !== undefined && String(before) === String(value)
}

/** Tokens of a Vary header that the route's own code set, in lower case. */
export function ownVary ({ job, headers }: Rendered): string[] {
  const before = new Set(tokens(job.snapshot?.vary))
  return tokens(headers.vary).filter(name => !before.has(name))
}

function undeclaredVary (rendered: Rendered): string | null {
  const { policy, renderHeaders } = rendered.job.route
  return ownVary(rendered).find(name =>
    name !== 'accept-encoding' && !Object.hasOwn(policy.vary, name) && !Object.hasOwn(renderHeaders, name)) ?? null
}

export function tokens (value: string | string[] | number | undefined): string[] {
  return text(value).toLowerCase().split(',').map(token => token.trim()).filter(token => token !== '')
}

export function text (value: string | string[] | number | undefined): string {
  if (value === undefined) return ''
  return Array.isArray(value) ? value.join(', ') : String(value)
}

const HTML = /^(?:text\/html|application\/xhtml\+xml)\b/i
const META = /<meta\s[^<>]*>/gi
/** Template engines escape the quote. */
const NONCE = /(?:'|&#0*39;|&#x0*27;|&apos;)nonce-/i

function hasNonce ({ headers, body }: Rendered): boolean {
  const policies = text(headers['content-security-policy']) + text(headers['content-security-policy-report-only'])
  if (NONCE.test(policies)) return true
  if (body === null || !HTML.test(text(headers['content-type']))) return false
  return body.toString('latin1').match(META)?.some(tag => /content-security-policy/i.test(tag) && NONCE.test(tag)) ?? false
}

function isOwnLocation (location: string, { baseUrl }: Settings): boolean {
  return URL.canParse(location, baseUrl.href) && new URL(location, baseUrl).origin === baseUrl.origin
}

function cookieNames (headers: Headers): string {
  return [headers['set-cookie'] ?? []].flat().map(cookie => `'${cookie.split('=')[0] ?? ''}'`).join(', ')
}
