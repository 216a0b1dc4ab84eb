import type { FastifyInstance, RouteHandlerMethod } from 'fastify'
import { modes, type Mode } from '../modes.js'
import { fingerprints } from '../work.js'

export default async function compare (app: FastifyInstance) {
  // One handler, four routes. Only the flags differ.
  app.get('/compare/prerendered', { config: { prerender: true } }, workload('prerendered'))
  app.get('/compare/hydrated', { config: { prerender: true } }, workload('hydrated'))
  app.get('/compare/isr', { config: { prerender: { ttl: 10 } } }, workload('isr'))
  app.get('/compare/dynamic', workload('dynamic'))

  app.get('/compare', { config: { prerender: true } }, async (_request, reply) =>
    reply.page('views/compare.html', { mode: modes.hydrated, modes: Object.values(modes) }))
}

/** For the label, nothing else, it has to know how it is registered. */
function workload (mode: Mode): RouteHandlerMethod {
  return async (_request, reply) => reply.page('views/workload.html', { mode: modes[mode], fingerprints: await fingerprints() })
}
