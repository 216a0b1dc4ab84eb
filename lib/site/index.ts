import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type published from '../../types/site.js'
import type { Site, SiteOptions, Source } from '../../types/site.js'
import { makeAdmin } from './admin/admin.js'
import { openAssets, type AssetContext } from './asset-context.js'
import { serveAssets, serveSources } from './assets/serve.js'
import { Content, fileOf } from './content/index.js'
import { startDevelopment, type DevOverlay } from './development.js'
import { CollectionUnknown, CoreMissing, FolderMissing, SiteAlreadyRegistered, SitePrefixed } from './errors.js'
import { addFeedRoutes } from './feed-routes.js'
import { addFileRoutes } from './file-routes.js'
import { addHandle } from './handle.js'
import { LinkProbe } from './link-probe.js'
import { NotFound } from './not-found.js'
import { namesOf, readSiteOptions, type SiteSettings } from './options.js'
import { Renderer } from './renderer.js'
import { SiteFiles } from './site-files.js'
import { tagOf } from './freshness/index.js'
import { watchVisitors } from './visitors.js'
import { fileSource, memorySource, mountedSource } from './source/source.js'
import { compileTemplates, SafeHtml, TemplateError } from './template/index.js'

export type * from '../../types/site.js'

/** Empty but in development. */
const SCRIPT_PARTIAL = 'partials/generated_livereload_script.html'

export { fileSource, memorySource, SafeHtml, TemplateError }

async function fastifyIsrSite (app: FastifyInstance, options: SiteOptions): Promise<void> {
  const settings = readSiteOptions(options)
  if (!app.hasDecorator('isr')) throw new CoreMissing()
  if (app.hasDecorator('site')) throw new SiteAlreadyRegistered()
  if (app.prefix !== '') throw new SitePrefixed(app.prefix)
  // The command line shows warnings of this name.
  const log = app.log.child({ plugin: 'fastify-isr' })
  const source = mountedSource(settings.source ?? fileSource(settings.root as string), settings.mounts)
  await requireFolders(source, settings)
  const assets = await openAssets(settings, () => app.isr.building, log)
  let isLoaded = (): void => {}
  const loaded = new Promise<void>(resolve => { isLoaded = resolve })
  // Before the first look at the files, so that no change falls in between.
  const overlay: DevOverlay | null = settings.dev === null || settings.root === null
    ? null
    : await startDevelopment(app, {
      root: settings.root,
      mounts: settings.mounts,
      staticPrefix: settings.static?.prefix ?? null,
      ...settings.dev,
      async look (names) {
        await loaded
        return await files.look(names)
      },
      problem: () => files.problem
    })
  const { collections, frontMatter, markdown, prefix, redirects, filters, clock } = settings
  const generated = { name: SCRIPT_PARTIAL, text: overlay?.script ?? '' }
  const content = new Content({
    source,
    collections,
    frontMatter,
    markdown,
    prefix,
    redirects,
    clock,
    drafts: settings.dev !== null,
    compile: (all, options) => compileTemplates([...all, generated], options),
    templateOptions: { filters },
    body: (_templates, template) => renderer.renderItem(template)
  })
  const files: SiteFiles = new SiteFiles({ content, isr: app.isr, log, collections, every: settings.checkEvery, clock })
  const { problems, templates } = await content.load()
  isLoaded()
  for (const error of problems) log.error(fileOf(error), error.message)
  for (const { file, line, column, code, message, frame } of templates.problems) log.error({ code, file, line, column, frame }, `${file}:${line}:${column} [${code}] ${message}`)
  const renderer: Renderer = new Renderer({ files, log, assets, common: settings.data, overlay })
  const notFound = new NotFound({ isOwn: settings.notFound, files, renderer })

  const site: Site = {
    render (name, data) {
      const { html, deps } = renderer.render(name, null, data)
      return { html, tags: [...deps].map(tagOf) }
    },
    pages: () => files.pages(),
    collection (name) {
      const collection = files.collection(name)
      if (collection === null) throw new CollectionUnknown(name, namesOf(settings.collections))
      return collection
    },
    asset: path => assets.asset(path),
    image: attributes => assets.image(attributes),
    async invalidate (file) {
      const { changed, removed, errors } = await files.look(file === undefined ? undefined : [file])
      return { changed, removed, errors }
    },
    on: (_event, listener) => files.on(listener),
    admin: makeAdmin(app, { files, settings })
  }
  app.decorate('site', site)
  app.decorateReply('page', function (name, data) { return renderer.sendPage(this, name, data) })
  // A render never goes by files as they were. Hits don't come by here.
  const probe = new LinkProbe(app)
  app.addHook('preHandler', async (request, reply) => {
    const { isrRender } = request
    if (isrRender !== null) await files.lookBefore(isrRender.path, isrRender.reason)
    if (probe.stops(request)) return LinkProbe.stop(reply)
  })
  watchVisitors(app, files)
  await serveStatic(app, settings, assets)
  addFeedRoutes(app, { settings, files })
  addFileRoutes(app, { prefix, files, renderer, notFound, hasSitemap: settings.sitemap && settings.baseUrl !== null })
  notFound.attach(app)
  addHandle(app, { settings, source, files, renderer, probe })
}

async function serveStatic (app: FastifyInstance, { static: served, dev, root, css }: SiteSettings, { assets }: AssetContext): Promise<void> {
  if (served === null || assets === null) return
  if (dev === null || root === null) await serveAssets(app, { assets, ...served })
  else await serveSources(app, { dir: path.join(root, 'assets'), prefix: served.prefix, css })
}

/** @throws FST_ISR_ERR_SITE_FOLDER */
async function requireFolders (source: Source, { root }: SiteSettings): Promise<void> {
  if (root === null) {
    if ((await source.list('pages')).length === 0) throw new FolderMissing('pages', 'files below pages/ in the source of the option')
    return
  }
  for (const name of ['pages', 'partials']) {
    const folder = path.join(root, name)
    const stats = await stat(folder).catch((cause: unknown) => { throw new FolderMissing(name, folder, { cause }) })
    if (!stats.isDirectory()) throw new FolderMissing(name, folder)
  }
}

// Typed by the contract that is published, so that the two can't drift apart.
const plugin: typeof published = fp(fastifyIsrSite, { fastify: '5.x', name: 'fastify-isr/site' })

export default plugin
export { plugin, plugin as fastifyIsrSite, plugin as 'module.exports' }
