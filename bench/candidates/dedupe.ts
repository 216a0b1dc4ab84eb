import { createCache } from 'async-cache-dedupe'
import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { productsOf, renderPage } from '../page.js'

// What an app does without a cache of pages: its handler asks a cache of functions for the HTML.
const dedupe: Candidate = {
  title: 'async-cache-dedupe in a route',
  async createApp ({ kilobytes }) {
    const app = fastify()
    const products = productsOf(kilobytes)
    const cache = createCache({ ttl: 3600, storage: { type: 'memory' } })
      .define('page', async (path: string) => renderPage(products))
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(await cache.page(request.url)))
    return app
  }
}

export default dedupe
