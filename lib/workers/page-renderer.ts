import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { BuildRenderer } from '../build/generate.js'
import { builtApp } from '../build/mode.js'
import { WorkersWithoutApp } from '../errors.js'
import { DEFAULT_PLUGIN_TIMEOUT } from '../load/load-app.js'
import type { LoadOptions } from '../load/load-options.js'
import type { Settings } from '../options.js'
import { render, type RenderPage } from '../pages/render.js'
import type { Question } from './messages.js'
import { NotLoaded, WorkerPool } from './pool.js'
import type { Asker } from './render-thread.js'

export interface PageRendererOptions {
  app: FastifyInstance
  settings: Settings
  log: FastifyBaseLogger
  answer (question: Question, asker: Asker): Promise<unknown>
}

/** Where pages are rendered: in worker threads if there are any, or else in this one. */
export class PageRenderer {
  readonly #options: PageRendererOptions
  #pool: WorkerPool | null = null

  /** @throws FST_ISR_ERR_WORKERS_APP */
  constructor (options: PageRendererOptions) {
    const { workers } = options.settings.render
    if (workers > 0 && loadOptionsOf(options.settings, options.app) === null) throw new WorkersWithoutApp()
    this.#options = options
  }

  /** Pages are rendered in other threads. */
  get isElsewhere (): boolean {
    return this.#pool?.isAble === true
  }

  /** For visitors and regeneration. A build starts its own. */
  start (): void {
    const { workers } = this.#options.settings.render
    if (workers > 0) this.#pool = this.#open(workers)
  }

  readonly render: RenderPage = async request =>
    await (this.#pool === null ? render(this.#options.app, request) : this.#renderIn(this.#pool, request))

  /** `workers`: null for as many as the settings say. */
  forBuild (workers: number | null): BuildRenderer {
    const { settings } = this.#options
    const count = workers ?? settings.render.workers
    const isShared = this.#pool !== null && count === settings.render.workers
    if (isShared) return { render: this.render, threads: count, loaded: this.#pool?.loaded ?? LOADED, close: async () => {} }
    if (count === 0) return { render: async request => await render(this.#options.app, request), threads: 0, loaded: LOADED, close: async () => {} }
    const pool = this.#open(count)
    return { render: async request => await this.#renderIn(pool, request), threads: count, loaded: pool.loaded, close: async () => { await pool.close() } }
  }

  async close (): Promise<void> {
    await this.#pool?.close()
  }

  async #renderIn (pool: WorkerPool, request: Parameters<RenderPage>[0]): ReturnType<RenderPage> {
    if (await pool.knows(request.route, request.signal)) {
      try {
        return await pool.render(request)
      } catch (error) {
        if (!(error instanceof NotLoaded)) throw error
      }
    }
    return await render(this.#options.app, request)
  }

  #open (count: number): WorkerPool {
    const { app, settings, log, answer } = this.#options
    const load = loadOptionsOf(settings, app)
    if (load === null) throw new WorkersWithoutApp()
    const pool = new WorkerPool({
      count,
      memory: settings.render.workerMemory,
      setup: { load, server: serverOptionsOf(app), logLevel: app.log.level ?? 'silent', customLevels: customLevelsOf(app) },
      timeout: settings.render.timeout,
      log,
      appLog: app.log,
      answer
    })
    pool.start()
    return pool
  }
}

const LOADED = Promise.resolve()
const COMMON_LEVELS = new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])

/** As the command line has loaded it, or as `fastify start` does. */
function loadOptionsOf ({ render: { app } }: Settings, { initialConfig }: FastifyInstance): LoadOptions | null {
  const built = builtApp()
  if (built !== null) return built
  // What takes long to load here takes long there; the default is left to the module's own options.
  const pluginTimeout = initialConfig.pluginTimeout === DEFAULT_PLUGIN_TIMEOUT ? undefined : initialConfig.pluginTimeout
  return app === null ? null : { file: app, useOptions: true, require: [], import: [], prefix: undefined, pluginTimeout, logLevel: undefined, appOptions: {} }
}

/** Levels of pino that are the app's own. */
function customLevelsOf ({ log }: FastifyInstance): Record<string, number> {
  const { values = {} } = (log as { levels?: { values?: Record<string, number> } }).levels ?? {}
  return Object.fromEntries(Object.entries(values).filter(([name]) => !COMMON_LEVELS.has(name)))
}

/** What decides how URLs are read: whoever makes the server, its twin in a worker has to read them alike. */
function serverOptionsOf ({ initialConfig }: FastifyInstance): Record<string, unknown> {
  const old = initialConfig as Record<string, unknown>
  const own = (old.routerOptions ?? {}) as Record<string, unknown>
  return {
    exposeHeadRoutes: old.exposeHeadRoutes,
    // Fastify warns of this name, but only whoever sets it.
    ...old.disableRequestLogging === true && { disableRequestLogging: true },
    routerOptions: {
      ignoreTrailingSlash: old.ignoreTrailingSlash === true || own.ignoreTrailingSlash === true,
      ignoreDuplicateSlashes: old.ignoreDuplicateSlashes === true || own.ignoreDuplicateSlashes === true,
      caseSensitive: old.caseSensitive !== false && own.caseSensitive !== false,
      allowUnsafeRegex: old.allowUnsafeRegex === true || own.allowUnsafeRegex === true,
      maxParamLength: Math.max(Number(old.maxParamLength ?? 100), Number(own.maxParamLength ?? 100))
    }
  }
}
