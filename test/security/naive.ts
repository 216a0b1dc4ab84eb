import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

interface Stored {
  status: number
  headers: Record<string, number | string | string[] | undefined>
  body: Buffer
}

const MARK = 'x-naive-render'

/**
 * The control: a page cache as it is written in an afternoon. It keys on the
 * URL, renders by injecting the visitor's own request, tells its renders by a
 * header, and keeps whatever comes back. A test that finds nothing wrong with
 * it is worth nothing.
 */
async function naiveCache (app: FastifyInstance): Promise<void> {
  const pages = new Map<string, Stored>()
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers[MARK] !== undefined || request.routeOptions.config.prerender === undefined) return
    if (request.method !== 'GET' && request.method !== 'HEAD') return
    const key = request.url
    let page = pages.get(key)
    if (page === undefined) {
      const response = await app.inject({ method: 'GET', url: key, headers: { ...request.headers, [MARK]: '1' } })
      page = { status: response.statusCode, headers: response.headers, body: response.rawPayload }
      pages.set(key, page)
    }
    const { 'transfer-encoding': _chunked, connection: _connection, ...headers } = page.headers
    return await reply.code(page.status).headers(headers).send(page.body)
  })
}

export default fp(naiveCache, { name: 'naive-cache' })
