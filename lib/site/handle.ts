import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Source } from '../../types/site.js'
import { InvalidOption } from '../errors.js'
import type { CheckReport } from './check/check.js'
import type { LinkProbe } from './link-probe.js'
import type { SiteSettings } from './options.js'
import type { Renderer } from './renderer.js'
import type { SiteFiles } from './site-files.js'

/** Where the command line finds the site of an app: encapsulated instances share their server. */
export const kSite = Symbol.for('fastify-isr.site')

export interface SiteHandle {
  /** Writes images, style sheets and scripts to the folder that `static.dir` names. */
  buildAssets (): Promise<{ files: number, source: string, dir: string }>
  /** Renders everything and looks for what is broken. */
  check (): Promise<CheckReport>
}

export interface HandleOptions {
  settings: SiteSettings
  source: Source
  files: SiteFiles
  renderer: Renderer
  probe: LinkProbe
}

/** What both do is loaded when it is asked for: who serves needs none of it. */
export function addHandle (app: FastifyInstance, { settings, source, files, renderer, probe }: HandleOptions): void {
  const handle: SiteHandle = {
    async buildAssets () {
      const { root, static: served, assetBuild, images, css } = settings
      if (root === null || served === null) throw new InvalidOption(root === null ? 'root' : 'static', 'set for a build of assets', 'nothing')
      const { buildAssets } = await import('./assets/build.js')
      const source = path.join(root, 'assets')
      const report = await buildAssets({ source, out: served.dir, prefix: served.prefix, ...images, css, ...assetBuild })
      return { files: report.files, source, dir: served.dir }
    },
    async check () {
      const { checkSite } = await import('./check/check.js')
      return await checkSite({ app, files, renderer, probe, baseUrl: settings.baseUrl, read: async file => (await source.read(file))?.text ?? null })
    }
  }
  ;(app.server as { [kSite]?: SiteHandle })[kSite] = handle
}
