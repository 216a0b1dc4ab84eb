import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { renderPage } from '../page.js'

// The reference: a route without the plugin that only sends bytes it has at hand.
const plain: Candidate = {
  title: 'plain route',
  async createApp () {
    const app = fastify()
    const page = Buffer.from(renderPage())
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(page))
    return app
  }
}

export default plain
