import type { FastifyInstance, FastifyReply } from 'fastify'
import { SafeHtml } from './template/index.js'
import { atomXml, robotsTxt, sitemaps, type AtomEntry } from './feeds/index.js'
import { tagOf } from './freshness/index.js'
import type { SiteSettings } from './options.js'
import { INDEX, type SiteFiles } from './site-files.js'
import { sitemapEntries } from './sitemap-entries.js'

export interface FeedRoutesOptions {
  settings: SiteSettings
  files: SiteFiles
}

const XML = 'application/xml; charset=utf-8'
/** They are no pages that a sitemap names. */
const POLICY = { sitemap: false } as const
/** Seconds. Files tell of their changes; what lists the paths of a route may be a database, which tells nobody. */
const SITEMAP_TTL = 3600

/** Sitemap, robots.txt and feed: pages of the cache, made anew when files have changed. */
export function addFeedRoutes (app: FastifyInstance, { settings, files }: FeedRoutesOptions): void {
  const { baseUrl, sitemap, robots, feed } = settings
  if (baseUrl === null) return
  const send = (reply: FastifyReply, type: string, text: string): FastifyReply => {
    reply.isr.tags(tagOf(INDEX))
    return reply.type(type).send(text)
  }
  if (sitemap) {
    /** As the sitemap was made last: to list all that there is for a made-up part would cost as much as a visitor likes. */
    let names: ReadonlySet<string> | null = null
    const all = async (): Promise<Map<string, string>> => {
      const made = sitemaps(await sitemapEntries(app, files, baseUrl), baseUrl)
      names = new Set(made.keys())
      return made
    }
    const policy = { ...POLICY, ttl: SITEMAP_TTL }
    app.get('/sitemap.xml', { config: { prerender: policy } }, async (_request, reply) => send(reply, XML, (await all()).get('/sitemap.xml') ?? ''))
    // Of a site that has more pages than one sitemap may name.
    app.get<{ Params: { part: string } }>('/sitemap-part-:part(^\\d+\\.xml$)', { config: { prerender: { ...policy, paths: async () => [...(await all()).keys()].slice(1), onDemand: false } } }, async (request, reply) => {
      const name = `/sitemap-part-${request.params.part}`
      const isMadeUp = request.isrRender === null && names?.has(name) === false
      const text = isMadeUp ? undefined : (await all()).get(name)
      if (text !== undefined) return send(reply, XML, text)
      reply.callNotFound()
      return reply
    })
  }
  if (robots) {
    app.get('/robots.txt', { config: { prerender: POLICY } }, async (_request, reply) => send(reply, 'text/plain; charset=utf-8', robotsTxt({ baseUrl, sitemap: sitemap ? '/sitemap.xml' : null })))
  }
  if (feed !== null) {
    const { collection, title, path } = feed
    app.get(path, { config: { prerender: POLICY } }, async (_request, reply) => {
      const items = files.collection(collection)?.all() ?? []
      return send(reply, 'application/atom+xml; charset=utf-8', atomXml(items.map(toEntry), { baseUrl, title, path }))
    })
  }
}

/** The body as markup, if it can be rendered by itself: a broken item is no reason for no feed. */
function toEntry (item: AtomEntry & { readonly html: unknown }): AtomEntry {
  let html: unknown
  try {
    html = item.html
  } catch {}
  const { url, title, date, updated, summary, tags, author } = item
  return {
    url,
    ...(title === undefined ? {} : { title }),
    ...(date === undefined ? {} : { date }),
    ...(updated === undefined ? {} : { updated }),
    ...(tags === undefined ? {} : { tags }),
    summary,
    author,
    ...(html instanceof SafeHtml ? { content: html.html } : {})
  }
}
