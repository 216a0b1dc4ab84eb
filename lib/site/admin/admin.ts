import type { FastifyInstance } from 'fastify'
import type { RefreshedPage } from '../../../types/index.js'
import type { SiteAdmin } from '../../../types/site.js'
import type { SiteSettings } from '../options.js'
import { inParts, type SiteFiles } from '../site-files.js'
import { Timings } from './timings.js'

export interface AdminOptions {
  files: SiteFiles
  settings: SiteSettings
}

/** What an admin page shows and does. */
export function makeAdmin (app: FastifyInstance, { files, settings }: AdminOptions): SiteAdmin {
  // Routes are there when the app is ready, and not before.
  let routes: ReadonlySet<string> | null = null
  const isRoute = (path: string): boolean => (routes ??= new Set(app.isr.routes().filter(route => route.static).map(({ route }) => route))).has(path)
  const timings = settings.timings ? new Timings({ server: app.server, isKnown: path => files.isKnown(path) || isRoute(path) }) : null
  if (timings !== null) {
    const stop = timings.start()
    app.addHook('onClose', async () => { stop() })
  }
  return {
    timings: () => timings?.read() ?? null,
    cache: () => files.checker.stats,
    async refresh () {
      await files.look()
      const pages = new Map<string, RefreshedPage>()
      // Every page of the site, those of handlers included, is tagged with its template.
      const targets = [...files.urls().map(path => ({ path })), ...files.tags().map(tag => ({ tag }))]
      for (const some of inParts(targets)) {
        for (const page of (await app.isr.refresh(some)).pages) pages.set(page.key, page)
      }
      return { pages: [...pages.values()] }
    }
  }
}
