import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Isr } from '../types/index.js'
import { attachRevalidate } from './ops/revalidate-hook.js'
import { warnOfMissedRoutes } from './pages/missed-routes.js'
import { setBlockPolicy, type DeclaredRoute, type PageRoute, type Registry } from './pages/registry.js'
import { jobOf, replyIsr } from './pages/render.js'
import { kSent } from './pages/respond.js'

export interface Decorations {
  app: FastifyInstance
  isr: Isr
  registry: Registry
  log: FastifyBaseLogger
  /** A route was declared; `route` is null unless it is a prerender route. */
  onRoute (instance: FastifyInstance, declared: DeclaredRoute, route: PageRoute | null): void
}

/** What an app sees of the plugin, in whichever thread it runs. */
export function decorate ({ app, isr, registry, log, onRoute }: Decorations): void {
  app.decorate('isr', isr)
  app.decorate('prerender', function (this: FastifyInstance, policy, plugin) {
    // Read once, so that a wrong policy of a block is refused at the block's own line.
    if (policy !== false) registry.check(policy, 'app.prerender()')
    return this.register(async (instance) => {
      setBlockPolicy(instance, policy)
      await plugin(instance)
    }) as unknown as FastifyInstance
  })
  app.decorateRequest('isrRender', {
    getter () {
      const job = jobOf(this)
      return job === undefined ? null : { route: job.route.pattern, path: job.page.path, key: job.page.key, reason: job.reason }
    }
  })
  app.decorateReply('isr', { getter () { return replyIsr(this.request) } })
  app.decorateReply(kSent as unknown as string, null)

  warnOfMissedRoutes(app, registry, log)
  app.addHook('onRoute', function (routeOptions) {
    const declared = routeOptions as DeclaredRoute
    const route = registry.add(this, declared)
    attachRevalidate(declared, isr.revalidate, log)
    onRoute(this, declared, route)
  })
}
