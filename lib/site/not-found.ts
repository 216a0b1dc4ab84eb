import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InvalidOption } from '../errors.js'
import { queryOf, rawPath } from './paths.js'
import type { Renderer } from './renderer.js'
import type { SiteFiles } from './site-files.js'

export interface NotFoundOptions {
  /** False: the app's own handler answers. */
  isOwn: boolean
  files: SiteFiles
  renderer: Renderer
}

/**
 * What is answered where there is no page: where its old address leads, for a
 * route with params may have had the first say; `404.html` of the site; or a
 * page of our own.
 */
export class NotFound {
  readonly #options: NotFoundOptions

  constructor (options: NotFoundOptions) {
    this.#options = options
  }

  /** Becomes the handler of everything that no route answers, so that `reply.callNotFound()` leads to it as well. */
  attach (app: FastifyInstance): void {
    if (!this.#options.isOwn) return
    try {
      app.setNotFoundHandler(async (request, reply) => await this.#send(request, reply))
    } catch (cause) {
      // Fastify has one of them for an instance, and an error without a code if there are two.
      throw Object.assign(new InvalidOption('notFound', 'false where the app has a not-found handler of its own', 'true'), { cause })
    }
  }

  async answer (request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    if (this.#options.isOwn) return await this.#send(request, reply)
    reply.callNotFound()
    return reply
  }

  async #send (request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { method, url = '/' } = request.raw
    const path = rawPath(url)
    const isRead = method === 'GET' || method === 'HEAD'
    // Who wants another method of a page has the right address.
    if (!isRead && this.#options.files.has(path)) {
      return await reply.code(405).header('allow', 'GET, HEAD').send({ statusCode: 405, error: 'Method Not Allowed', message: `${method} is not for pages` })
    }
    if (!isRead) return await reply.code(404).send({ statusCode: 404, error: 'Not Found', message: `Route ${method}:${path} not found` })
    const found = this.#options.files.redirectOf(path)
    if (found !== null) return await reply.redirect(found + (this.#options.files.has(found) ? queryOf(url) : ''), 301)
    // Who keeps it would hide a file that is new, or an asset of the next release. What is stored has terms of its own.
    if (request.isrRender === null && !reply.hasHeader('cache-control')) reply.header('cache-control', 'public, max-age=0, must-revalidate')
    return await this.#options.renderer.sendError(reply, 404)
  }
}
