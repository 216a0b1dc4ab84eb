import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { renderPage } from '../page.js'

const uncached: Candidate = {
  title: 'uncached render',
  async createApp () {
    const app = fastify()
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(renderPage()))
    return app
  }
}

export default uncached
