import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { stateAt } from '../cache/entry.js'
import type { Cache } from '../cache/cache.js'
import type { Answer, Held, TierName } from '../cache/source.js'
import type { Settings } from '../options.js'
import { channels, type ServeOutcome } from '../telemetry.js'
import { makeBypass } from './bypass.js'
import type { ExpressLane } from './express-lane.js'
import { keyOf, type PageKey } from './key.js'
import type { Prebuilt } from './prebuilt.js'
import { markOwnHook, type DeclaredRoute, type PageRoute } from './registry.js'
import { enterRender, jobOf, type Rendered } from './render.js'
import { goLive, hitStatus, restore, sendFailure, sendPage, sendRendered, withdraw } from './respond.js'
import { pageSource, type SourceContext } from './source.js'
import type { PageView } from './view.js'

export interface ServerOptions {
  cache: Cache<PageView, Rendered>
  context: SourceContext
  /** Other instances may know of orders that this one has not heard of. */
  isDisconnected: () => boolean
}

/** Answers by outcome, since start. */
export type ServeCounts = { hit: number, stale: number, miss: number, staleIfError: number, bypass: number, unstorable: number, failed: number }

/** One request on its way to an answer. */
interface Exchange {
  readonly route: PageRoute
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Hands the request to the live handler. */
  readonly done: HookHandlerDoneFunction
  readonly startedAt: number
}

/** Answers the requests of prerender routes. */
export class PageServer {
  readonly counts: ServeCounts = { hit: 0, stale: 0, miss: 0, staleIfError: 0, bypass: 0, unstorable: 0, failed: 0 }
  /** Answers what this one has answered before. */
  expressLane: ExpressLane | null = null
  /** Where this Node's responses take heads that are made already. */
  prebuilt: Prebuilt | null = null
  readonly #settings: Settings
  readonly #cache: Cache<PageView, Rendered>
  readonly #context: SourceContext
  readonly #isDisconnected: () => boolean

  constructor (options: ServerOptions) {
    this.#settings = options.context.settings
    this.#cache = options.cache
    this.#context = options.context
    this.#isDisconnected = options.isDisconnected
  }

  /**
   * Hooks a route. Per route, not global: other routes pay nothing, and every
   * onRequest hook of an instance, authentication included, has run before.
   */
  attach (declared: DeclaredRoute, route: PageRoute): void {
    const bypass = makeBypass([this.#settings.bypass, route.policy.bypass], (err) => {
      this.#context.log.error({ err, route: route.pattern }, 'a bypass function threw; the request went to the live handler')
    })
    hookInto(declared, route, (request, reply, done) => {
      const reason = bypass(request)
      if (reason === null && this.#settings.enabled && route.isPlain && this.#serveHeld(route, request, reply)) return

      const exchange: Exchange = { route, request, reply, done, startedAt: performance.now() }
      if (reason !== null) return this.#live(exchange, null, { outcome: 'bypass', detail: reason, isPrivate: true })
      const page = keyOf(route, request)
      if (typeof page === 'string') return this.#live(exchange, null, { outcome: 'bypass', detail: page })
      const work = this.#settings.enabled ? this.#serve(exchange, page) : this.#renderOnly(exchange, page)
      // An error of our own reaches the app's error handler, not the process.
      work.catch((error: unknown) => { done(error as Error) })
    })
  }

  /**
   * The hit path: the raw URL finds the page, for only canonical URLs are ever
   * stored. Synchronous; false when anything is to be decided.
   */
  #serveHeld (route: PageRoute, request: FastifyRequest, reply: FastifyReply): boolean {
    const path = pathOf(request)
    const held = this.#cache.lookup(path)
    if (held === undefined || held.view.route !== route) return false
    const now = this.#settings.clock()
    if (now >= held.freshUntil) return false
    this.#cache.use(held)
    this.noteHit(held)
    this.expressLane?.prove(held.view, request.raw.method, path)
    const isDisconnected = this.#isDisconnected()
    if (route.isDirect && this.prebuilt?.sendFresh(request, reply, held, now, isDisconnected) === true) return true
    sendPage(request, reply, held, hitStatus(held, now, 'fresh', isDisconnected), this.#settings)
    return true
  }

  /** A fresh page of memory is sent. */
  noteHit ({ entry: { key }, view }: Held<PageView>, lane?: 'express'): void {
    this.counts.hit++
    view.route.paths.touch(key)
    if (!channels.serve.hasSubscribers) return
    channels.serve.publish({ key, path: key, outcome: 'hit', source: 'memory', ...(lane === undefined ? {} : { lane }), durationMs: 0 })
  }

  async #serve (exchange: Exchange, page: PageKey): Promise<void> {
    const { route } = exchange
    const admission = route.paths.admit(page)
    const isLive = admission === null || (admission === 'ifStored' && await this.#cache.load(page.key) === null)
    if (exchange.reply.sent) return
    if (isLive) return this.#live(exchange, page, { outcome: 'bypass', detail: page.hasQuery ? 'query' : 'unlisted' })

    const source = pageSource(this.#context, route, page)
    const held = this.#cache.lookup(page.key)
    if (held !== undefined) {
      if (held.view.route !== route) return this.#liveBeside(exchange, page)
      const isNewerComing = this.#cache.wake(held)
      const state = stateAt(held, this.#settings.clock())
      if (state === 'stale' && !isNewerComing) this.#cache.regenerate(source, held)
      if (state === 'fresh' || state === 'stale') {
        this.#cache.use(held)
        route.paths.touch(page.key)
        return this.#sendHeld(exchange, held, state, 'memory')
      }
    }
    const answer = await this.#cache.get(source)
    // Fastify's handlerTimeout may have answered in the meantime.
    if (exchange.reply.sent) return
    if (answer.kind === 'held' && answer.held.view.route !== route) return this.#liveBeside(exchange, page)
    if (admission === 'onDemand' && answer.kind === 'held') route.paths.use(page.key)
    this.#sendAnswer(exchange, page, answer)
  }

  /** The page of this key belongs to another route: constraints and `hosts` look at a host in different ways. */
  #liveBeside (exchange: Exchange, page: PageKey): void {
    this.#live(exchange, page, { outcome: 'bypass', detail: 'route' })
  }

  /** `enabled: false`: a new anonymous render for every request, nothing kept. */
  async #renderOnly (exchange: Exchange, page: PageKey): Promise<void> {
    const landing = await this.#cache.renderAlone(pageSource(this.#context, exchange.route, page, { reason: 'disabled' }))
    if (exchange.reply.sent) return
    if (landing.type === 'unstorable') return this.#sendUnstorable(exchange, page, landing)
    if (landing.type === 'failed') return this.#sendFailed(exchange, page, { ...landing, retryAfterMs: 0 })
    this.#cache.use(landing.held)
    this.#count(exchange, page, { outcome: 'bypass', source: 'render', detail: 'disabled' })
    sendPage(exchange.request, exchange.reply, landing.held, 'fwd=bypass; detail=disabled', this.#settings)
  }

  #sendAnswer (exchange: Exchange, page: PageKey, answer: Answer<PageView, Rendered>): void {
    if (answer.kind === 'held') return this.#sendFound(exchange, page, answer)
    if (answer.kind === 'unstorable') return this.#sendUnstorable(exchange, page, answer)
    this.#sendFailed(exchange, page, answer)
  }

  /** Nothing to fall back on: everybody who waited shares the failure. */
  #sendFailed (exchange: Exchange, page: PageKey, { error, response, retryAfterMs }: { error: Error, response: Rendered | null, retryAfterMs: number }): void {
    this.#count(exchange, page, { outcome: 'failed', source: 'render', detail: error.message })
    const status = 'fwd=uri-miss; stored=?0; detail=failed'
    if (response?.body != null) {
      sendRendered(exchange.reply, { ...response, body: response.body }, status, this.#settings, { isFailure: true, retryAfterMs })
    } else sendFailure(exchange.reply, error, status, retryAfterMs, this.#settings)
  }

  #sendFound (exchange: Exchange, page: PageKey, { held, how, isCollapsed, hadOld, error }: Extract<Answer<PageView, Rendered>, { kind: 'held' }>): void {
    const { request, reply } = exchange
    if (how === 'rendered') {
      this.#count(exchange, page, { outcome: 'miss', source: 'render' })
      return sendPage(request, reply, held, `fwd=${hadOld ? 'stale' : 'uri-miss'}; ${isCollapsed ? 'collapsed' : 'stored'}`, this.#settings)
    }
    if (how === 'stale-if-error' && error !== undefined) {
      this.#count(exchange, page, { outcome: 'stale-if-error', source: held.tier })
      const status = (error as { statusCode?: number }).statusCode ?? 500
      return sendPage(request, reply, held, `fwd=stale; fwd-status=${status}; detail=stale-if-error`, this.#settings)
    }
    this.#sendHeld(exchange, held, how, held.tier)
  }

  /** The one who caused the render gets it if the render knew all of the request that counts; all others run the live handler. */
  #sendUnstorable (exchange: Exchange, page: PageKey, { reason, response }: { reason: string, response: Rendered | null }): void {
    const { headers, raw } = exchange.request
    const isAsked = headers.cookie === undefined && raw.url === page.url && reason !== 'vary'
    if (response?.body != null && !response.job.isMisrouted && response.job.sawOnSend && isAsked) {
      this.#count(exchange, page, { outcome: 'unstorable', source: 'render', detail: reason })
      return sendRendered(exchange.reply, { ...response, body: response.body }, `fwd=miss; stored=?0; detail=${reason}`, this.#settings)
    }
    this.#live(exchange, page, response === null
      ? { outcome: 'unstorable', detail: 'unstorable' }
      : { outcome: 'unstorable', detail: reason, forwarded: 'fwd=miss; stored=?0' })
  }

  #sendHeld (exchange: Exchange, held: Held<PageView>, how: 'fresh' | 'stale' | 'stale-if-error', source: TierName): void {
    this.#count(exchange, { key: held.entry.key, path: pathOf(exchange.request) }, { outcome: how === 'fresh' ? 'hit' : how, source })
    sendPage(exchange.request, exchange.reply, held, hitStatus(held, this.#settings.clock(), how, this.#isDisconnected()), this.#settings)
  }

  #live (exchange: Exchange, page: PageKey | null, { outcome, detail, isPrivate = false, forwarded = 'fwd=bypass' }: { outcome: 'bypass' | 'unstorable', detail: string, isPrivate?: boolean, forwarded?: string }): void {
    this.#count(exchange, page ?? { key: null, path: pathOf(exchange.request) }, { outcome, source: 'live', detail })
    goLive(exchange.reply, `${forwarded}; detail=${detail}`, isPrivate, this.#settings)
    exchange.done()
  }

  #count (exchange: Exchange, page: { key: string | null, path: string }, event: { outcome: ServeOutcome, source: TierName | 'render' | 'live', detail?: string }): void {
    this.counts[event.outcome === 'stale-if-error' ? 'staleIfError' : event.outcome]++
    if (!channels.serve.hasSubscribers) return
    channels.serve.publish({ key: page.key, path: page.path, ...event, durationMs: performance.now() - exchange.startedAt })
  }
}

/** Hooks a route: internal renders go on to the handler, visitors' reads to `answer`. */
export function hookInto (declared: DeclaredRoute, route: PageRoute, answer: (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => void): void {
  const serve = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    const job = jobOf(request)
    if (job !== undefined) {
      if (enterRender(job, route, request, reply)) done()
      else reply.code(421).send()
      return
    }
    const method = request.raw.method
    if (method !== 'GET' && method !== 'HEAD') done()
    else answer(request, reply, done)
  }
  const onSend = (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: (error: Error | null, payload?: unknown) => void): void => {
    const job = jobOf(request)
    if (job === undefined) return done(null, restore(reply, payload))
    job.sawOnSend = true
    job.date = (reply.getHeader('date') as string | undefined) ?? null
    done(null, payload)
  }
  const onError = (_request: FastifyRequest, reply: FastifyReply, _error: Error, done: () => void): void => {
    withdraw(reply)
    done()
  }
  declared.onError = [...[declared.onError ?? []].flat(), onError]
  declared.onRequest = [...[declared.onRequest ?? []].flat(), markOwnHook(serve)]
  declared.onSend = [...[declared.onSend ?? []].flat(), markOwnHook(onSend)]
}

/** Without the query, which may hold what no log should. */
function pathOf ({ raw: { url = '' } }: FastifyRequest): string {
  const mark = url.indexOf('?')
  return mark === -1 ? url : url.slice(0, mark)
}
