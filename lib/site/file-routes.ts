import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { NotFound } from './not-found.js'
import { knownPaths } from '../pages/paths.js'
import { canonicalPath } from './content/urls.js'
import { queryOf, rawPath } from './paths.js'
import type { Renderer } from './renderer.js'
import type { SiteFiles } from './site-files.js'

export interface FileRoutesOptions {
  /** Ends in a slash. */
  prefix: string
  files: SiteFiles
  renderer: Renderer
  notFound: NotFound
  /** The site has a sitemap of its own, which knows which pages are not meant for it. */
  hasSitemap: boolean
}

/**
 * The file pages: one route for all of them, besides the home of a prefix,
 * whose paths are the table of pages. What the table has not got is answered
 * live and never stored, so that made-up paths fill nothing.
 */
export function addFileRoutes (app: FastifyInstance, { prefix, files, renderer, notFound, hasSitemap }: FileRoutesOptions): void {
  const home = prefix.slice(0, -1)
  addRoute(`${prefix}*`, url => url !== home)
  // The home of '/docs/' is '/docs', which is all that this pattern fits: '/docs*' would take '/docs-old' from other
  // routes, '/docs' would be a page of every build, and in the way of a route of the app.
  if (home !== '') addRoute(`${home}:home(^$)`, url => url === home)

  function addRoute (url: string, isOwn: (url: string) => boolean): void {
    app.route({
      method: 'GET',
      url,
      exposeHeadRoute: true,
      config: {
        prerender: {
          paths: knownPaths(() => files.urls().filter(isOwn), path => isOwn(path) && files.has(path)),
          onDemand: false,
          ...hasSitemap ? { sitemap: false } : {}
        }
      },
      handler
    })
  }

  async function handler (request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const url = request.raw.url ?? '/'
    const path = rawPath(url)
    const found = await files.find(path)
    if (found?.kind === 'page') return await renderer.sendFile(reply, found)
    if (found?.kind === 'redirect') return await reply.redirect(found.to + (files.has(found.to) ? queryOf(url) : ''), 301)
    // Encoded otherwise than the page is. The location is the table's own path: a request can't choose where it leads.
    const spelled = canonicalPath(path)
    if (spelled !== null && spelled !== path && files.has(spelled)) return await reply.redirect(spelled + queryOf(url), 301)
    return await notFound.answer(request, reply)
  }
}
