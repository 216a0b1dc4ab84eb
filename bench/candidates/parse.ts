import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { productsOf } from '../page.js'
import { evaluate, parse, TEMPLATE } from '../template.js'

// Stands for servers that parse their templates again for every request.
const parsing: Candidate = {
  title: 'template parsed per request',
  async createApp ({ kilobytes }) {
    const app = fastify()
    const products = productsOf(kilobytes).map(product => ({ ...product, price: product.price.toFixed(2) }))
    app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(evaluate(parse(TEMPLATE), { products })))
    return app
  }
}

export default parsing
