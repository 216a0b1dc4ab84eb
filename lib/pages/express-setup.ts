import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Cache } from '../cache/cache.js'
import { ExpressLaneRefused } from '../errors.js'
import type { Settings } from '../options.js'
import { ExpressLane } from './express-lane.js'
import { probeNode } from './express-probe.js'
import { PlainReader } from './express-request.js'
import { readTerms, stateOf, type FastifyState, type Noted } from './express-terms.js'
import { Matcher } from './matcher.js'
import type { HttpServer } from './node-http.js'
import type { DeclaredRoute, Registry } from './registry.js'
import type { Rendered } from './render.js'
import type { PageServer } from './serve.js'
import type { PageView } from './view.js'

export interface ExpressOptions {
  root: FastifyInstance
  settings: Settings
  registry: Registry
  cache: Cache<PageView, Rendered>
  pages: PageServer
  isDisconnected: () => boolean
  log: FastifyBaseLogger
}

/** Looks whether an app can have the express lane, and opens it. */
export class ExpressSetup {
  readonly #options: ExpressOptions
  /** Routes that a request may reach or not, for one and the same URL. */
  readonly #constrained: Matcher
  #noted: Noted[] = []
  #lane: ExpressLane | null = null
  #fastify: FastifyState | null = null

  constructor (options: ExpressOptions) {
    this.#options = options
    this.#constrained = new Matcher(options.root)
  }

  get counts (): { hits: number, fallThrough: number } | null {
    return this.#lane === null ? null : { ...this.#lane.counts }
  }

  /** A route is declared. */
  note (instance: FastifyInstance, declared: DeclaredRoute): void {
    if (this.#options.settings.expressLane === null) return
    this.#noted.push({ instance, declared })
    if (Object.keys(declared.constraints ?? {}).length > 0) this.#constrained.add(declared, null)
  }

  /**
   * When all routes and hooks are known.
   *
   * @throws FST_ISR_ERR_EXPRESS_LANE
   */
  async open (): Promise<void> {
    const { root, settings, registry, cache, pages, isDisconnected, log } = this.#options
    if (settings.expressLane === null) return
    const fastify = stateOf(root)
    const why = fastify === null ? 'this Fastify looks different' : null
    if (fastify !== null) this.#refuse(fastify, settings.expressLane)
    this.#noted = []
    const unknown = why ?? await differenceOfNode()
    if (unknown !== null) {
      log.warn(`the express lane stays off: ${unknown}; the default lane answers everything`)
      return
    }
    if (!settings.enabled || fastify === null) return
    const server = root.server as HttpServer
    if (server.maxRequestsPerSocket !== null && server.maxRequestsPerSocket > 0) log.warn('the express lane has nothing to do: with maxRequestsPerSocket the default lane answers everything')
    this.#fastify = fastify
    this.#lane = new ExpressLane({
      settings,
      cache,
      reader: new PlainReader(settings, registry.routes),
      isDisconnected,
      isClosing: () => fastify.state.closing,
      dependsOnConstraints: path => this.#constrained.answers(path),
      onHit: held => { pages.noteHit(held, 'express') },
      log
    })
    pages.expressLane = this.#lane
    this.#lane.attach(server)
  }

  /** Fastify listens for `localhost` with one server per address. */
  openMore (): void {
    const { root } = this.#options
    for (const server of this.#fastify?.bindings ?? []) if (server !== root.server) this.#lane?.attach(server as HttpServer)
  }

  #refuse (fastify: FastifyState, { ignoreHooks }: NonNullable<Settings['expressLane']>): void {
    const { root, settings, registry } = this.#options
    const { hooks, others } = readTerms({ root, fastify, settings, pages: registry.routes, noted: this.#noted })
    const reasons = [...others, ...(ignoreHooks ? [] : hooks)]
    if (reasons.length === 0) return
    const fix = others.length === 0 ? '; if these hooks need not run for hits, say expressLane: { ignoreHooks: true }' : ''
    throw new ExpressLaneRefused(`${reasons.join('; ')}${fix}`)
  }
}

async function differenceOfNode (): Promise<string | null> {
  const difference = await probeNode()
  return difference === null ? null : `the HTTP server of Node ${process.version} is not as expected (${difference})`
}
