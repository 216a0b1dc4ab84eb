import basicAuth from '@fastify/basic-auth'
import type { FastifyInstance } from 'fastify'
import type { PathTimings } from 'fastify-isr/site'
import { isAdmin, type AdminAccess } from '../admin-access.js'
import { life } from '../data.js'
import { modes } from '../modes.js'
import { sameOrigin } from '../same-origin.js'
import { timeline } from '../timeline.js'

export interface AdminOptions {
  access: AdminAccess
}

/** Everything below /admin, what there is not included: nobody learns what there is without the password. */
export default async function admin (app: FastifyInstance, { access }: AdminOptions) {
  await app.register(basicAuth, {
    authenticate: { realm: 'fastify-isr example' },
    validate: async (user, password) => { if (!isAdmin(access, user, password)) throw new Error('wrong user or password') }
  })

  // Before the other hook, so that a refusal has these headers as well.
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    reply.header('x-robots-tag', 'noindex, nofollow')
  })
  app.addHook('onRequest', app.basicAuth)

  const plain = { mode: null, canonical: null }

  app.all('/admin', async ({ method }, reply) => method === 'GET' || method === 'HEAD' ? reply.redirect('/admin/stats') : reply.callNotFound())

  app.get('/admin/stats', async (_request, reply) => {
    const timings = app.site.admin.timings()
    const paths = Object.entries(timings?.paths ?? {}).sort(([, a], [, b]) => b.count - a.count)
    return reply.page('views/admin/stats.html', {
      ...plain,
      checks: app.site.admin.cache(),
      engine: app.isr.stats(),
      since: timings === null ? null : new Date(timings.startedAt),
      timings: timings === null ? [] : [['all answers', timings.total], ...paths, ['paths that nobody knows', timings.others]].map(([path, figures]) => row(path as string, figures as PathTimings))
    })
  })

  app.get('/admin/design-system', async (_request, reply) => reply.page('views/admin/design-system.html', {
    ...plain,
    modes: Object.values(modes),
    // The label reads it; the page itself wears none.
    labels: [modes.prerendered],
    post: app.site.collection('posts').all()[0],
    posts: app.site.collection('posts').all().slice(0, 1),
    timeline: timeline(life.windows, life.age),
    states: ['fresh', 'stale', 'stale-if-error', 'expired']
  }))

  app.post('/admin/refresh', { onRequest: sameOrigin }, async (_request, reply) => {
    await app.site.invalidate()
    const { pages } = await app.isr.refresh({ all: true })
    const outcomes = new Map<string, number>()
    for (const { outcome } of pages) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    return reply.page('views/admin/refreshed.html', {
      ...plain,
      count: pages.length,
      outcomes: Array.from(outcomes, ([outcome, count]) => ({ outcome, count })),
      failed: pages.filter(({ error }) => error !== undefined).map(({ path, error }) => ({ path, message: error?.message ?? '' }))
    })
  })

  app.all('/admin/*', async (_request, reply) => reply.callNotFound())
}

function row (path: string, { count, mean, median, p95 }: PathTimings): Record<string, unknown> {
  const ms = (value: number): string => value.toFixed(2)
  return { path, count, mean: ms(mean), median: ms(median), p95: ms(p95) }
}
