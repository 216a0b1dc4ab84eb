import { FeedInvalid } from '../errors.js'

/** Makes absolute URLs of paths of the site; `what` is named in the error. */
export type Absolute = (path: string, what: string) => string

/** @throws FST_ISR_ERR_SITE_FEED, now for `baseUrl` and later for what is no path */
export function absoluteUrls (baseUrl: string | URL): Absolute {
  const { origin, protocol } = URL.canParse(String(baseUrl)) ? new URL(baseUrl) : { origin: '', protocol: '' }
  if (protocol !== 'http:' && protocol !== 'https:') throw new FeedInvalid('baseUrl', `must be an http(s) URL, got '${String(baseUrl)}'`)
  return (path, what) => {
    // What looks like a path may name another host: "//", "/\", a tab between the slashes.
    const url = path.startsWith('/') && URL.canParse(path, origin) ? new URL(path, origin) : null
    if (url?.origin !== origin) throw new FeedInvalid(what, `must be a path such as '/feed.xml', got '${path}'`)
    return url.href
  }
}

/** As RFC 3339 has it; null for what is no date. */
export function timestamp (date: unknown): string | null {
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date.toISOString() : null
}
