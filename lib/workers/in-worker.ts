import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { EntriesPage, Inspection, Isr, OrderResult, RefreshResult, Target } from '../../types/index.js'
import { cached } from '../data/cached.js'
import { dataHook } from '../data/hook.js'
import { decorate } from '../decorate.js'
import { NotReady, WorkerRoute } from '../errors.js'
import { addSitemapRoute } from '../ops/sitemap-route.js'
import type { Settings } from '../options.js'
import { Registry } from '../pages/registry.js'
import { render } from '../pages/render.js'
import { hookInto } from '../pages/serve.js'
import { readTargets } from '../pages/targets.js'
import type { MainPort } from './main-port.js'
import type { Visited } from './messages.js'
import { RemoteData } from './remote-data.js'

/** The plugin in a worker thread: same routes, same decorators; no tier, no Redis, no clock of its own. What is kept is kept by the main thread. */
export function renderForMain (app: FastifyInstance, settings: Settings, log: FastifyBaseLogger, main: MainPort): Isr {
  const registry = new Registry({
    settings,
    attach: (declared, route) => { hookInto(declared, route, (request, reply, done) => { visit(main, request, reply).catch((error: unknown) => { done(error as Error) }) }) },
    onEvict () {},
    onError () {},
    // The main thread says the same of the same routes.
    warn () {}
  })
  const data = new RemoteData(main)
  const order = async (method: 'revalidate' | 'purge' | 'refresh', target: Target, more: unknown[]): Promise<unknown> => {
    // What is no target might be nothing that can be sent, either.
    readTargets(target)
    return await main.ask({ type: 'call', method, args: [target, ...more] })
  }
  const isr: Isr = {
    get building () { return main.isBuilding },
    dir: settings.dir,
    prerender: async () => { throw new NotReady('prerender') },
    revalidate: async (target, ...more) => await order('revalidate', target, more) as OrderResult,
    purge: async (target, ...more) => await order('purge', target, more) as OrderResult,
    refresh: async (target, ...more) => await order('refresh', target, more) as RefreshResult,
    cached: (name, fn, options) => cached(data, name, fn as never, options) as never,
    data: options => dataHook(data, options),
    inspect: async (...args) => await main.ask({ type: 'call', method: 'inspect', args }) as Inspection,
    entries: async (...args) => await main.ask({ type: 'call', method: 'entries', args }) as EntriesPage,
    stats: () => ({
      requests: { hit: 0, stale: 0, miss: 0, staleIfError: 0, bypass: 0, unstorable: 0, failed: 0 },
      renders: { started: 0, stored: 0, renewed: 0, unstorable: 0, failed: 0, running: 0, queued: 0 },
      memory: { entries: 0, bytes: 0, maxBytes: 0, evictions: 0 },
      disk: null,
      redis: null,
      expressLane: null,
      buildId: null
    }),
    health: () => ({ redis: 'off', epoch: null, lag: 0 }),
    routes: () => registry.routes.map(route => ({ route: route.pattern, prefix: route.prefix, constraints: { ...route.constraints }, static: route.path.isStatic, onDemand: route.policy.onDemand, listed: 0, policy: route.policy }))
  }
  decorate({ app, isr, registry, log, onRoute () {} })
  if (settings.sitemap) addSitemapRoute(app, settings.dir)
  main.attach({
    routes: () => registry.routes.map(route => route.id),
    async render ({ route: id, page, reason, baseUrl }, signal) {
      const route = registry.get(id)
      if (route === undefined) throw new WorkerRoute(id)
      const { job, status, headers, body } = await render(app, { settings: { ...settings, baseUrl: new URL(baseUrl) }, route, page, reason, signal })
      const { snapshot, isMisrouted, sawOnSend, date, tags, ttl, noStore, failure } = job
      return { status, headers: { ...headers }, body, snapshot, isMisrouted, sawOnSend, date, tags, ttl, noStore, failure }
    }
  })
  return isr
}

/** The app asks itself for a page: the main thread has it, and notes that what is rendered here depends on it. */
async function visit (main: MainPort, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { method = 'GET', url = '' } = request.raw
  const { status, headers, body } = await main.ask({ type: 'visit', method, url, headers: { ...request.headers } }) as Visited
  // The answer went through the hooks there: they are not to run over it once more.
  reply.hijack()
  reply.raw.writeHead(status, headers).end(body)
}
