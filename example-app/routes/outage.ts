import type { FastifyInstance } from 'fastify'
import { modes } from '../modes.js'
import { sameOrigin } from '../same-origin.js'

/** It mends itself: nobody should find the example broken because somebody else left it that way. */
const longest = 120_000

export default async function outage (app: FastifyInstance) {
  let downUntil = 0
  let renders = 0

  function headline (): string {
    if (Date.now() < downUntil) throw new Error('the source of /outage is switched off')
    return `Good news number ${++renders}`
  }

  app.get('/outage', {
    config: { prerender: { ttl: 5, staleWhileRevalidate: 5, staleIfError: 3600 } }
  }, async (_request, reply) => reply.page('views/outage.html', { mode: modes.isr, news: headline() }))

  // The page itself is shared and may be old, so the state of the switch has an address of its own.
  app.get('/outage/source', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return { secondsOff: Math.max(0, Math.ceil((downUntil - Date.now()) / 1000)) }
  })

  app.post('/outage', { preHandler: sameOrigin }, async (request, reply) => {
    const off = typeof request.body === 'object' && request.body !== null && 'source' in request.body && request.body.source === 'off'
    downUntil = off ? Date.now() + longest : 0
    return reply.redirect('/outage', 303)
  })
}
