import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { productsOf, renderPage } from '../page.js'

// A route without the plugin that only sends bytes it has at hand.
const plain: Candidate = {
  title: 'plain route',
  async createApp ({ kilobytes }) {
    const app = fastify()
    const page = Buffer.from(renderPage(productsOf(kilobytes)))
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(page))
    return app
  }
}

export default plain
