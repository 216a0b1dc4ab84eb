import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { renderCostly } from '../costly.js'

const costly: Candidate = {
  title: 'page of 22 ms, rendered per request',
  async createApp () {
    const app = fastify()
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(renderCostly()))
    return app
  }
}

export default costly
