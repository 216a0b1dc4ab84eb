import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { BuildOptions, BuildReport, Isr, IsrOptions, OrderResult, plugin as published, Target } from '../types/index.js'
import { removeExport } from './build/export.js'
import { BuildFollower } from './build/follow.js'
import { build } from './build/generate.js'
import { isBuildProcess } from './build/mode.js'
import { Seeder } from './build/seed.js'
import { ServedBuild } from './build/served-build.js'
import { Cache } from './cache/cache.js'
import type { Entry } from './cache/entry.js'
import { RenderQueue } from './cache/render-queue.js'
import { connect } from './connect.js'
import { cached } from './data/cached.js'
import { DataCache } from './data/data-cache.js'
import { dataHook } from './data/hook.js'
import { prepareDatum, type Datum } from './data/value.js'
import { decorate } from './decorate.js'
import { AlreadyRegistered, BuildRunning, InsecureParser, InvalidTarget, NotReady, SharedWithoutBuild } from './errors.js'
import { addEndpoint } from './ops/endpoint.js'
import { Inspector } from './ops/inspect.js'
import { Orders } from './ops/orders.js'
import { refresh } from './ops/refresh.js'
import { addSitemapRoute } from './ops/sitemap-route.js'
import { readOptions, type Settings } from './options.js'
import { findDirectRoutes } from './pages/direct.js'
import { ExpressSetup } from './pages/express-setup.js'
import { makeGate } from './pages/gate.js'
import { HotPages } from './pages/hot-pages.js'
import { isPageKey, KnownPages } from './pages/known.js'
import { Matcher } from './pages/matcher.js'
import { openPrebuilt } from './pages/prebuilt.js'
import { prewarm } from './pages/prewarm.js'
import { Registry } from './pages/registry.js'
import type { Rendered } from './pages/render.js'
import { PageServer } from './pages/serve.js'
import { prepareView, type PageView } from './pages/view.js'
import { channels } from './telemetry.js'
import { Answers } from './workers/answers.js'
import { renderForMain } from './workers/in-worker.js'
import { mainPort } from './workers/mode.js'
import { PageRenderer } from './workers/page-renderer.js'

export type * from '../types/index.js'

/** Where tools find the handle: encapsulated instances share their server. */
const kHandle = Symbol.for('fastify-isr')
/** How often builds and marks of other processes are looked for (milliseconds). */
const HEARTBEAT = 1000
/** How often it is noted which pages are hot, in heartbeats. */
const BEATS_PER_SAVE = 60

async function fastifyIsr (app: FastifyInstance, options: IsrOptions): Promise<void> {
  const given = readOptions(options)
  const server = app.server as unknown as Record<symbol, Isr | undefined>
  if (server[kHandle] !== undefined) throw new AlreadyRegistered()
  if ((app.server as { insecureHTTPParser?: boolean }).insecureHTTPParser === true || process.execArgv.includes('--insecure-http-parser')) throw new InsecureParser()
  const log = app.log.child({ plugin: 'fastify-isr' })
  const main = mainPort()
  if (main !== null) {
    server[kHandle] = renderForMain(app, given, log, main)
    return
  }
  const isBuild = isBuildProcess()
  const cluster = connect({
    settings: given,
    log,
    isBuild,
    hasPages: () => cache.buildId !== '',
    onMarkTrouble: reportMarks,
    onConnected: () => {
      cache.doubtAll()
      seeder.run()
    }
  })
  const { coordinator } = cluster
  // From here on there is one clock: that of all instances.
  const settings: Settings = Object.freeze({ ...given, clock: cluster.clock })
  const { render } = settings
  const isDiskOn = settings.enabled && settings.disk !== false
  const renderer = new PageRenderer({ app, settings, log, answer: (question, asker) => answers.answer(question, asker) })
  const context = { settings, log, render: renderer.render }

  const gate = isBuild ? null : makeGate(app, renderer, render.timeout)
  const queue = new RenderQueue(render.concurrency, render.maxQueue, gate)
  const cache: Cache<PageView, Rendered> = new Cache({
    maxBytes: settings.enabled ? settings.memory.maxBytes : 0,
    queue,
    coordinator,
    shared: cluster.shared,
    clock: settings.clock,
    renderTimeout: render.timeout,
    // One engine, one memory: a key tells which of the two it is.
    prepare: entry => isPageKey(entry.key) ? preparePage(entry) : prepareDatum(entry) as unknown as PageView,
    onError: (key, error) => { report(error, { key }, 'a stored page could not be used; it is rendered again') }
  })
  const pages = new PageServer({ cache, context, isDisconnected: () => coordinator.isDisconnected })
  const registry: Registry = new Registry({
    settings,
    attach: (declared, route) => { pages.attach(declared, route) },
    onEvict: key => { cache.drop(key) },
    onError: (error, route) => { report(error, { route }, 'the paths of a route could not be listed; the last list stays') },
    warn: message => { log.warn(message) }
  })
  const matcher = new Matcher(app)
  const express = new ExpressSetup({ root: rootOf(app), settings, registry, cache, pages, isDisconnected: () => coordinator.isDisconnected, log })
  const known = new KnownPages(cache, registry)
  const served = new ServedBuild({ settings, cache, known, log })
  const follower = new BuildFollower({
    dir: settings.dir,
    onHead: head => { served.expect(head) },
    onBuild: async build => { await served.adopt(build) },
    onError: (error) => {
      served.forgo()
      report(error, {}, 'the manifest could not be read; what was served is served on')
    },
    inUse: () => served.buildId === null ? [] : [served.buildId]
  })
  const seeder = new Seeder({ cache, claim: cluster.claim, isClosing: () => isClosing })
  const orders = new Orders({ settings, coordinator, known, registry, cache, log, removeExport: file => removeExport(settings.dir, file) })
  const inspector = new Inspector({ settings, cache, queue, registry, matcher, known, served: pages.counts })
  const data = new DataCache({
    cache: cache as unknown as Cache<Datum, never>,
    clock: settings.clock,
    log,
    enabled: settings.enabled,
    order: async (kind, key) => await orders.orderData(kind, key)
  })
  const isHotKept = isDiskOn && settings.prewarm && settings.disk.writeBack && !isBuild
  const hot = new HotPages({ dir: settings.dir, memory: cache.memory, isKept: () => isHotKept && served.isBuilt })
  let isReady = false
  let isClosing = false
  let building: Promise<BuildReport> | null = null
  const closing = new AbortController()
  let heartbeat: NodeJS.Timeout | undefined

  const isr: Isr = {
    get building () { return building !== null },
    dir: settings.dir,
    prerender: async (options = {}) => await prerender(options),
    revalidate: async (target, options) => noteDurable(await orders.revalidate(target, options)),
    purge: async (target, options) => noteDurable(await orders.purge(target, options)),
    async refresh (target: Target, { concurrency = render.concurrency } = {}) {
      await requireReady('refresh')
      if (!Number.isSafeInteger(concurrency) || concurrency < 1) throw new InvalidTarget('concurrency must be a whole number, 1 or more')
      return await refresh({ registry, matcher, known, cache, source: context }, target, concurrency)
    },
    cached: (name, fn, options) => cached(data, name, fn as never, options) as never,
    data: options => dataHook(data, options),
    inspect: async url => await inspector.inspect(url),
    entries: async options => await inspector.entries(options),
    stats: () => ({ ...inspector.stats(), redis: cluster.stats(), expressLane: express.counts }),
    health: () => cluster.health(),
    routes: () => inspector.routes()
  }
  server[kHandle] = isr
  const answers = new Answers({ app, isr, data, order: (kind, key) => orders.orderData(kind, key) })

  decorate({
    app,
    isr,
    registry,
    log,
    onRoute (instance, declared, route) {
      if ([declared.method].flat().includes('GET')) matcher.add(declared, route)
      express.note(instance, declared)
    }
  })
  if (settings.revalidateEndpoint !== null) addEndpoint(app, isr, { ...settings.revalidateEndpoint, clock: settings.clock })
  if (settings.sitemap) addSitemapRoute(app, settings.dir)

  app.addHook('onReady', async () => {
    served.onPages((pages) => {
      seeder.add(cache.buildId, pages)
      if (!settings.prewarm || !settings.enabled || isClosing) return
      const { buildId } = served
      void prewarm(cache, pages, { hottest: hot.hottest(), isOver: () => isClosing || served.buildId !== buildId })
    })
    const sharing = settings.redis !== null ? 'redis' : settings.tier !== null ? 'tier' : null
    if (isDiskOn) {
      await coordinator.start(cache)
      if (settings.prewarm) await hot.load()
      await follower.start()
      if (served.buildId === null) served.begin()
      if (sharing !== null && served.buildId === null && !isBuild) throw new SharedWithoutBuild(sharing)
      let beats = 0
      heartbeat = setInterval(() => {
        if (++beats % BEATS_PER_SAVE === 0) void hot.save()
        void follower.check()
        void cluster.lookForOrders()
      }, HEARTBEAT)
      heartbeat.unref()
    } else {
      if (settings.enabled && sharing !== null) {
        served.begin()
        if (served.buildId === null && !isBuild) throw new SharedWithoutBuild(sharing)
      }
      await coordinator.start(cache)
    }
    await express.open()
    findDirectRoutes(rootOf(app), registry)
    if (settings.enabled && !isBuild) pages.prebuilt = await openPrebuilt(settings, log)
    if (settings.enabled && !isBuild) renderer.start()
    // The promise of whoever waits for the app: it resolves after the last onReady hook.
    rootOf(app).ready().then(() => { isReady = true }, () => {})
  })
  if (settings.expressLane !== null) app.addHook('onListen', async () => { express.openMore() })
  app.addHook('preClose', async () => {
    isClosing = true
    clearInterval(heartbeat)
    closing.abort()
    await Promise.all([follower.close(), hot.save()])
    await building?.catch(() => {})
    // Later plugins (databases) close before earlier ones: what renders must have ended by then.
    await cache.close()
    await renderer.close()
  })
  app.addHook('onClose', async () => {
    clearInterval(heartbeat)
    await Promise.all([seeder.close(), orders.close()])
    await served.close()
    await cluster.shared?.close()
    await coordinator.close()
  })

  function preparePage (entry: Entry): PageView {
    const view = prepareView(entry, registry, settings)
    // It takes the place of one that visitors have asked for.
    view.uses = cache.memory.peek(entry.key)?.view.uses ?? 0
    return view
  }

  async function requireReady (name: string): Promise<void> {
    // Whoever awaited ready() may go on a moment before this plugin hears of it.
    if (!isReady) await nextTurn()
    if (!isReady) throw new NotReady(name)
  }

  async function prerender (options: BuildOptions): Promise<BuildReport> {
    await requireReady('prerender')
    if (building !== null) throw new BuildRunning()
    const signal = AbortSignal.any([closing.signal, ...(options.signal === undefined ? [] : [options.signal])])
    building = build({ settings, registry, matcher, cache, source: context, renderer: workers => renderer.forBuild(workers), gate, now: () => coordinator.now() }, { ...options, signal })
    try {
      const result = await building
      if (channels.build.hasSubscribers) {
        const failures = result.pages.filter(page => page.error !== undefined).length
        channels.build.publish({ buildId: result.buildId, durationMs: result.durationMs, pages: result.pages.length, failures, ok: result.ok, report: result })
      }
      if (isDiskOn && result.dir === settings.dir) await follower.checkAgain()
      return result
    } finally {
      building = null
    }
  }

  function report (error: Error, names: { key?: string, route?: string }, message: string): void {
    if (channels.error.hasSubscribers) channels.error.publish({ error, ...names })
    log.warn({ err: error, ...names }, message)
  }

  /** Troubles with marks, each said once until it is over. */
  const markTroubles = new Set<'read' | 'write'>()
  function reportMarks (operation: 'read' | 'write', error: Error): void {
    if (markTroubles.has(operation)) return
    markTroubles.add(operation)
    report(error, {}, `orders could not be ${operation === 'read' ? 'read from' : 'written to'} disk; they hold in this process`)
  }

  function noteDurable (result: OrderResult): OrderResult {
    if (!result.degraded) markTroubles.delete('write')
    return result
  }
}

/** Only the root instance's `ready()` may be called while the app gets ready. */
function rootOf (app: FastifyInstance): FastifyInstance {
  const parent = Object.getPrototypeOf(app) as FastifyInstance | null
  return parent !== null && 'ready' in parent ? rootOf(parent) : app
}

// Typed by the contract that is published, so that the two can't drift apart.
const plugin: typeof published = fp(fastifyIsr, { fastify: '5.x', name: 'fastify-isr' })

export default plugin
export { plugin, plugin as fastifyIsr, plugin as 'module.exports' }
