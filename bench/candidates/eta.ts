import { Eta } from 'eta'
import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { escape, productsOf } from '../page.js'
import { TEMPLATE } from '../template.js'

// Compiled once, as a template engine does in production; rendered for every request.
const eta: Candidate = {
  title: 'compiled template per request (eta)',
  async createApp ({ kilobytes }) {
    const engine = new Eta({ autoTrim: false, escapeFunction: value => escape(String(value)) })
    const template = engine.compile(TEMPLATE
      .replace('{{#each products}}', '<% for (const product of it.products) { %>')
      .replace('{{/each}}', '<% } %>')
      .replace(/\{\{(\w+)\}\}/g, '<%= product.$1 %>'))
    const app = fastify()
    const products = productsOf(kilobytes).map(product => ({ ...product, price: product.price.toFixed(2) }))
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(engine.render(template, { products })))
    return app
  }
}

export default eta
