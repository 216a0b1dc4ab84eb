import type { FastifyInstance } from 'fastify'
import { sameOrigin } from '../same-origin.js'

interface Stock {
  name: string
  left: number
}

/** After the last one is sold, this many are delivered. */
const delivery = 12

export default async function stock (app: FastifyInstance) {
  // Stands for a database.
  const source = new Map<string, Stock>([
    ['lamp', { name: 'Desk lamp', left: 12 }],
    ['kettle', { name: 'Kettle', left: 7 }],
    ['atlas', { name: 'Pocket atlas', left: 3 }]
  ])
  const ids = [...source.keys()]
  const paths = ['/stock', ...ids.map(id => `/stock/${id}`)]
  let reads = 0

  const readStock = app.isr.cached('stock', async (id: string) => {
    reads++
    return { ...source.get(id) ?? { name: id, left: 0 } }
  }, { ttl: Infinity })

  app.get('/stock', { config: { prerender: true } }, async (_request, reply) => {
    const articles = await Promise.all(ids.map(async id => ({ id, ...await readStock(id) })))
    return reply.page('views/stock.html', { articles })
  })

  app.get<{ Params: { id: string } }>('/stock/:id', {
    config: { prerender: { paths: ids.map(id => ({ id })) } }
  }, async (request, reply) => {
    const { id } = request.params
    if (!source.has(id)) return reply.callNotFound()
    return reply.page('views/article.html', { article: { id, ...await readStock(id) }, paths })
  })

  // The page is shared and may be old, so what is true now has an address of its own.
  app.get<{ Params: { id: string } }>('/stock/:id/now', async (request, reply) => {
    const item = source.get(request.params.id)
    if (item === undefined) return reply.callNotFound()
    reply.header('cache-control', 'no-store')
    const pages = await Promise.all(paths.map(async path => ({ path, state: (await app.isr.inspect(path)).state })))
    return { left: item.left, reads, pages }
  })

  app.post<{ Params: { id: string } }>('/stock/:id', { preHandler: sameOrigin }, async (request, reply) => {
    const { id } = request.params
    const item = source.get(id)
    if (item === undefined) return reply.callNotFound()
    item.left = item.left > 0 ? item.left - 1 : delivery

    const isSilent = typeof request.body === 'object' && request.body !== null && 'tell' in request.body && request.body.tell === 'no'
    if (!isSilent) await readStock.revalidate(id)
    return reply.redirect(`/stock/${id}#${isSilent ? 'sold-silently' : 'sold'}`, 303)
  })
}
