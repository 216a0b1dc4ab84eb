import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

const HEADER = 'x-fastify-isr-probe'
/** The name of a file: whether there is one is known by who serves it, and asking for it changes nothing. */
const FILE = /\.[a-z\d]+$/i

export type ProbeAnswer = Awaited<ReturnType<FastifyInstance['inject']>>

/**
 * Asks whether a route answers a link, without running the handlers of the app:
 * a link may lead to /logout. Pages of the cache and files are made as ever.
 */
export class LinkProbe {
  readonly #app: FastifyInstance
  /** Of the check that is under way: nobody else can say it. */
  #token: string | null = null

  constructor (app: FastifyInstance) {
    this.#app = app
  }

  /** A route that a visitor would get to, though its handler has not run, has the status 204. */
  async ask (url: string): Promise<ProbeAnswer> {
    this.#token ??= randomBytes(16).toString('hex')
    return await this.#app.inject({ url, headers: { [HEADER]: this.#token } })
  }

  /** Whether a request ends before its handler. */
  stops (request: FastifyRequest): boolean {
    if (this.#token === null || request.headers[HEADER] !== this.#token || request.is404) return false
    const { routeOptions: { config, url = '' }, raw } = request
    if (config.prerender !== undefined && config.prerender !== false) return false
    const [path = ''] = (raw.url ?? '').split('?')
    return !(url.endsWith('*') && FILE.test(path))
  }

  static stop (reply: FastifyReply): FastifyReply {
    return reply.code(204).send()
  }
}
