import type { FastifyBaseLogger, FastifyInstance, onRequestHookHandler } from 'fastify'
import { markOwnHook, type Registry } from './registry.js'

/**
 * Routes declared before the plugin never pass its onRoute hook. If there are
 * any, the first request of one that has the flag says so, once.
 */
export function warnOfMissedRoutes (app: FastifyInstance, registry: Registry, log: FastifyBaseLogger): void {
  if (!hasRoutes(app)) return
  const warned = new Set<string>()
  const warn: onRequestHookHandler = (request, _reply, done) => {
    const { url, config } = request.routeOptions
    const isMissed = url !== undefined && config.prerender !== undefined && config.prerender !== false && registry.withPattern(url).length === 0
    if (isMissed && !warned.has(url)) {
      warned.add(url)
      log.warn(`route ${url} has config.prerender but was declared before fastify-isr: it is not cached; 'await app.register(isr)' before the routes, or declare them in plugins`)
    }
    done()
  }
  app.addHook('onRequest', markOwnHook(warn))
}

function hasRoutes (app: FastifyInstance): boolean {
  return app.printRoutes() !== '(empty tree)'
}
