import type { FastifyInstance } from 'fastify'
import { parsePattern } from '../pages/path-pattern.js'
import { listPaths } from '../pages/paths.js'
import type { SitemapEntry } from './feeds/index.js'
import type { SiteFiles } from './site-files.js'

/** A name with another ending is a feed or data, and no page that a search engine should list; one that ends with a number may be a version. */
const NO_PAGE = /\.(?!html?$)[a-z][a-z\d]*$/i

/** File pages, items of collections, and what the app's own prerendered routes list. */
export async function sitemapEntries (app: FastifyInstance, files: SiteFiles, { hostname }: URL): Promise<Iterable<SitemapEntry>> {
  const entries = new Map<string, SitemapEntry>()
  // Of what is a file, more is known: when it was changed, and that it is not to be listed.
  for (const entry of entriesOf(files)) entries.set(entry.url, entry)
  for await (const url of routePaths(app, hostname)) {
    if (!entries.has(url)) entries.set(url, { url })
  }
  return entries.values()
}

function * entriesOf ({ snapshot }: SiteFiles): Generator<SitemapEntry> {
  yield * snapshot.pages.all()
  for (const collection of snapshot.collections.values()) {
    for (const item of collection.all()) yield { url: item.url, lastmod: item.updated ?? item.date ?? null, noindex: item['noindex'] === true }
  }
}

async function * routePaths (app: FastifyInstance, hostname: string): AsyncGenerator<string> {
  for (const { route, static: isStatic, constraints, policy } of app.isr.routes()) {
    if (policy.sitemap === false || (constraints['host'] ?? hostname) !== hostname || policy.hosts?.includes(hostname) === false) continue
    const pattern = parsePattern(route)
    const built = isStatic ? pattern.build({}) : null
    if (built !== null && 'path' in built && !NO_PAGE.test(built.path)) yield built.path
    if (built !== null) continue
    for await (const path of listPaths(route, pattern, policy)) {
      if (!NO_PAGE.test(path)) yield path
    }
  }
}
