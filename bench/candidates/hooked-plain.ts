import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { registerCommonPlugins } from '../common-plugins.js'
import { productsOf, renderPage } from '../page.js'

const hookedPlain: Candidate = {
  title: 'plain route, with cookie, cors and helmet',
  async createApp ({ kilobytes }) {
    const app = fastify()
    await registerCommonPlugins(app)
    const page = Buffer.from(renderPage(productsOf(kilobytes)))
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(page))
    return app
  }
}

export default hookedPlain
