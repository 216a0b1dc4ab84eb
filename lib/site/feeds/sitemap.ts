import { absoluteUrls, timestamp, type Absolute } from './absolute.js'
import { element, xmlDocument, type XmlElement } from './xml.js'

/** sitemaps.org: more are not read. Its 50 MB are reached only by paths of a thousand characters. */
const MAX_URLS = 50_000
const NAMESPACE = { xmlns: 'http://www.sitemaps.org/schemas/sitemap/0.9' }

export interface SitemapEntry {
  /** Path within the site. */
  url: string
  lastmod?: Date | null
  /** Left out. */
  noindex?: boolean
}

/** One sitemap, for up to 50,000 pages. */
export function sitemapXml (pages: Iterable<SitemapEntry>, baseUrl: string | URL): string {
  return xmlDocument(element('urlset', NAMESPACE, ...entries(pages, absoluteUrls(baseUrl))))
}

/**
 * Sitemaps for any number of pages, by path: `/sitemap.xml` alone, or an index
 * of that name and `/sitemap-part-1.xml` and so on: names that no sitemap of a build has.
 */
export function sitemaps (pages: Iterable<SitemapEntry>, baseUrl: string | URL): Map<string, string> {
  const absolute = absoluteUrls(baseUrl)
  const all = entries(pages, absolute)
  if (all.length <= MAX_URLS) return new Map([['/sitemap.xml', xmlDocument(element('urlset', NAMESPACE, ...all))]])
  const parts = Array.from({ length: Math.ceil(all.length / MAX_URLS) }, (_, nth) => ({ path: `/sitemap-part-${nth + 1}.xml`, urls: all.slice(nth * MAX_URLS, (nth + 1) * MAX_URLS) }))
  const index = parts.map(({ path }) => element('sitemap', {}, element('loc', {}, absolute(path, 'url'))))
  return new Map([
    ['/sitemap.xml', xmlDocument(element('sitemapindex', NAMESPACE, ...index))],
    ...parts.map(({ path, urls }) => [path, xmlDocument(element('urlset', NAMESPACE, ...urls))] as const)
  ])
}

function entries (pages: Iterable<SitemapEntry>, absolute: Absolute): XmlElement[] {
  const shown = new Map<string, XmlElement>()
  for (const { url, lastmod, noindex } of pages) {
    if (noindex === true) continue
    const loc = absolute(url, 'url')
    const changed = timestamp(lastmod)
    shown.set(loc, element('url', {}, element('loc', {}, loc), changed === null ? null : element('lastmod', {}, changed)))
  }
  return [...shown.values()]
}
