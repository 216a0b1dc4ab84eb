import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { registerCommonPlugins } from '../common-plugins.js'
import { productsOf, renderPage } from '../page.js'

// What a page is sent with.
const HEADERS = {
  'cache-control': 'public, max-age=0, must-revalidate',
  vary: 'accept-encoding',
  date: 'Fri, 20 Nov 2026 12:00:00 GMT',
  etag: '"Wdmg8who3YhfPKsKwKdNpR"',
  age: '3',
  'cache-status': 'fastify-isr; hit; ttl=57'
}

const hookedPlainHeaders: Candidate = {
  title: "the same, with a page's headers",
  cacheStatus: 'fastify-isr; hit',
  async createApp ({ kilobytes }) {
    const app = fastify()
    await registerCommonPlugins(app)
    const page = Buffer.from(renderPage(productsOf(kilobytes)))
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').headers(HEADERS).send(page))
    return app
  }
}

export default hookedPlainHeaders
