import { memoryUsage } from 'node:process'
import type { FastifyInstance } from 'fastify'
import { modes } from '../modes.js'

const kept = 6

export default async function pulse (app: FastifyInstance) {
  const renders: Date[] = []

  app.get('/pulse', { config: { prerender: { ttl: 5 } } }, async (_request, reply) => {
    renders.push(new Date())
    return reply.page('views/pulse.html', {
      mode: modes.isr,
      renders: renders.length,
      uptime: Math.round(process.uptime()),
      memory: Math.round(memoryUsage.rss() / 2 ** 20),
      pid: process.pid,
      latest: renders.map((at, index) => ({ number: index + 1, at })).slice(-kept).reverse()
    })
  })
}
