import { FeedInvalid } from '../errors.js'
import { absoluteUrls } from './absolute.js'

export interface RobotsOptions {
  baseUrl: string | URL
  /** Path of the sitemap, or null for none. @defaultValue '/sitemap.xml' */
  sitemap?: string | null
  /**
   * Paths that crawlers must not ask for. A page that must not be found is
   * better marked `noindex`, which is only seen by those that may ask for it.
   */
  disallow?: readonly string[]
}

/** robots.txt by RFC 9309: everything is allowed, but what is named. */
export function robotsTxt ({ baseUrl, sitemap = '/sitemap.xml', disallow = [] }: RobotsOptions): string {
  for (const path of disallow) {
    // eslint-disable-next-line no-control-regex
    if (!path.startsWith('/') || /[\u0000-\u0020\u007f#]/.test(path)) throw new FeedInvalid('disallow', `must hold paths such as '/search', got ${JSON.stringify(path)}`)
  }
  const rules = disallow.length === 0 ? ['Allow: /'] : disallow.map(path => `Disallow: ${path}`)
  const map = sitemap === null ? [] : ['', `Sitemap: ${absoluteUrls(baseUrl)(sitemap, 'sitemap')}`]
  return ['User-agent: *', ...rules, ...map, ''].join('\n')
}
