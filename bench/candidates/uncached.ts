import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { productsOf, renderPage } from '../page.js'

const uncached: Candidate = {
  title: 'uncached render',
  async createApp ({ kilobytes }) {
    const app = fastify()
    const products = productsOf(kilobytes)
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(renderPage(products)))
    return app
  }
}

export default uncached
