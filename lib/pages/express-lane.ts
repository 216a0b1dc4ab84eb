import type { IncomingMessage } from 'node:http'
import { Server as SecureServer } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'
import type { Cache } from '../cache/cache.js'
import type { Held } from '../cache/source.js'
import type { Settings } from '../options.js'
import { matchesTag } from './conditional.js'
import { ExpressConnection } from './express-connection.js'
import type { PlainReader } from './express-request.js'
import { bytesOf, connectionLines, headOf } from './head.js'
import { isPageKey } from './known.js'
import { negotiate } from './negotiate.js'
import { parserOf, type HttpServer, type HttpSocket } from './node-http.js'
import type { Rendered } from './render.js'
import { Wholes } from './wholes.js'
import { noteUse, type PageView } from './view.js'

/** Methods that the lane answers; bits of `PageView.proven`. */
const PROVEN_GET = 1
const PROVEN_HEAD = 2

const NOTHING = Buffer.alloc(0)

export interface LaneOptions {
  settings: Settings
  cache: Cache<PageView, Rendered>
  reader: PlainReader
  isDisconnected: () => boolean
  /** Fastify answers 503 from the moment that it begins to close. */
  isClosing: () => boolean
  /** Whether a route with constraints may answer a path, too: which one does depends on more than the URL. */
  dependsOnConstraints: (path: string) => boolean
  /** Told of every page that is sent. */
  onHit: (held: Held<PageView>) => void
  log: FastifyBaseLogger
}

/**
 * Answers plain hits as soon as Node's parser has read their head: before there
 * is a ServerResponse, a 'request' event, or Fastify. What it does not take
 * goes on as if it were not there, on the same connection.
 *
 * It does not route. A page is answered here only after the default lane has
 * answered the same URL and method with it, so that the router has had its say.
 */
export class ExpressLane {
  readonly counts = { hits: 0, fallThrough: 0 }
  head: Buffer = NOTHING
  /** What is written after it, if anything. */
  body: Buffer | null = null
  readonly #options: LaneOptions
  readonly #wholes = new Wholes()
  #keepAliveTimeout = -1
  #connection = ''
  /** Something was not as it should be: nothing is taken any more. */
  #isOff = false
  #hasWarned = false

  constructor (options: LaneOptions) {
    this.#options = options
  }

  /** Connections that are accepted from now on. */
  attach (server: HttpServer): void {
    server.on(server instanceof SecureServer ? 'secureConnection' : 'connection', (socket: HttpSocket) => { this.#open(server, socket) })
  }

  #open (server: HttpServer, socket: HttpSocket): void {
    if (this.#isOff) return
    const parser = parserOf(socket)
    if (parser === null) return this.#warnOfConnection()
    const connection = new ExpressConnection(this, server, socket, parser)
    parser.onIncoming = (request, keepAlive) => connection.take(request, keepAlive)
  }

  #warnOfConnection (): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#options.log.warn('a connection is not as the express lane expects: the default lane answers it, and all others like it')
  }

  /** For good: nothing of it may ever cost a visitor the answer. */
  #turnOff (err: unknown): void {
    if (this.#isOff) return
    this.#isOff = true
    this.#options.log.warn({ err }, 'the express lane is off from now on; the default lane answers everything')
  }

  /** Whether the lane takes a request. Then `head` and `body` are what is to be written, now. */
  take (request: IncomingMessage, server: HttpServer): boolean {
    try {
      const held = this.#isOff ? null : this.#answer(request, server)
      if (held !== null) {
        noteUse(held.view)
        this.#options.onHit(held)
        this.counts.hits++
        return true
      }
    } catch (error) {
      this.#turnOff(error)
    }
    return false
  }

  /** The default lane answers this URL with this page: from now on, so may the express lane. */
  prove (view: PageView, method: string | undefined, path: string): void {
    const bit = method === 'HEAD' ? PROVEN_HEAD : PROVEN_GET
    if ((view.proven & bit) !== 0 || this.#options.dependsOnConstraints(path)) return
    view.proven |= bit
  }

  #answer (request: IncomingMessage, server: HttpServer): Held<PageView> | null {
    const { cache, settings, reader, isClosing, isDisconnected } = this.#options
    const { method, url = '' } = request
    if (request.httpVersionMinor !== 1 || request.httpVersionMajor !== 1) return null
    const needed = method === 'GET' ? PROVEN_GET : method === 'HEAD' ? PROVEN_HEAD : 0
    if (needed === 0 || !isPageKey(url)) return null
    const held = cache.lookup(url)
    if (held === undefined || (held.view.proven & needed) === 0) return null
    const now = settings.clock()
    // Node counts requests where the lane does not pass.
    if (now >= held.freshUntil || server.maxRequestsPerSocket as number > 0 || isClosing() || !reader.read(request.rawHeaders)) return null
    const { view } = held
    const encoding = negotiate(reader.acceptEncoding, view.encodings)
    const variant = encoding === null ? undefined : view.variants.get(encoding)
    if (variant === undefined) return null
    if (server.keepAliveTimeout !== this.#keepAliveTimeout) {
      this.#keepAliveTimeout = server.keepAliveTimeout
      this.#connection = connectionLines(server.keepAliveTimeout)
    }
    const head = headOf(held, variant, now, isDisconnected(), this.#connection, settings)
    const isNotModified = reader.ifNoneMatch !== undefined && view.status === 200 && (reader.ifNoneMatch === variant.etag || matchesTag(reader.ifNoneMatch, variant.etag))
    const hasBody = needed === PROVEN_GET && !isNotModified
    const whole = hasBody ? this.#wholes.of(head, variant.body, now) : null
    this.head = whole ?? bytesOf(isNotModified ? head.notModified : head.full)
    this.body = hasBody && whole === null ? variant.body : null
    return held
  }
}
