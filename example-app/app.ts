import type { FastifyInstance } from 'fastify'
import isr, { type IsrOptions } from 'fastify-isr'
import site from 'fastify-isr/site'
import { readAdminAccess, type AdminAccess } from './admin-access.js'
import { collections } from './collections.js'
import { dataFor, filters } from './data.js'
import { markdown } from './markdown.js'
import { builtAssets, siteRoot } from './paths.js'
import admin from './routes/admin.js'
import blog from './routes/blog.js'
import compare from './routes/compare.js'
import docs from './routes/docs.js'
import freshness from './routes/freshness.js'
import guides from './routes/guides.js'
import health from './routes/health.js'
import notice from './routes/notice.js'
import outage from './routes/outage.js'
import pulse from './routes/pulse.js'
import request from './routes/request.js'
import stock from './routes/stock.js'
import tenants from './routes/tenants.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Milliseconds, of `performance.now()`. */
    startedAt: number
  }
}

export interface ExampleOptions {
  /** Origin that visitors know. Default: `BASE_URL` of the environment, or this machine. */
  baseUrl?: string
  /** Where the built pages live. Default: `PAGES_DIR` of the environment, or `.prerender` beside package.json. */
  dir?: string
  /** The folder of pages, partials, content and assets. */
  root?: string
  /** Where `fastify-isr site build` puts assets. Default: `.static` beside package.json. */
  assets?: string
  /** Files are watched, browsers reload, nothing is kept. */
  dev?: boolean
  enabled?: boolean
  /** Instances share the pages of one build. Default: that of the built pages. */
  buildId?: string
  /** Shared with other instances. */
  redis?: IsrOptions['redis']
  /** Who may see the admin pages; null: there are none. Default: `ADMIN_USER` and `ADMIN_PASSWORD` of the environment. */
  admin?: AdminAccess | null
  clock?: () => number
}

export default async function example (app: FastifyInstance, options: ExampleOptions) {
  const { dev = false, clock, redis } = options
  const dir = options.dir ?? process.env.PAGES_DIR
  const baseUrl = options.baseUrl ?? process.env.BASE_URL ?? `http://127.0.0.1:${process.env.PORT ?? 3000}`

  app.decorateRequest('startedAt', 0)
  app.addHook('onRequest', async (request, reply) => {
    request.startedAt = performance.now()
    // Possible because no page holds an inline script, an inline style or anything of another origin.
    reply.header('content-security-policy', "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
    reply.header('referrer-policy', 'same-origin')
    reply.header('x-content-type-options', 'nosniff')
  })

  // What this answer took here, without the way to the visitor: the cards of the home page show it.
  app.addHook('onSend', async (request, reply) => {
    if (request.isrRender === null) reply.header('server-timing', `app;dur=${(performance.now() - request.startedAt).toFixed(2)}`)
  })

  // Lets the label tell, without fetching the body, whether there is a newer page than the one on the screen. Hits
  // don't come by here: they have the header of their render.
  app.addHook('preHandler', async (request, reply) => {
    if (request.isrRender !== null) reply.header('x-rendered-at', new Date().toISOString())
  })

  await app.register(isr, {
    baseUrl,
    enabled: options.enabled ?? (!dev && process.env.ISR_ENABLED !== 'false'),
    ...dir !== undefined && { dir },
    ...options.buildId !== undefined && { buildId: options.buildId },
    ...redis !== undefined && { redis },
    ...clock !== undefined && { clock }
  })

  // Before the routes: a plugin takes on the error handler that is there when it is registered.
  app.setErrorHandler<Error & { statusCode?: number }>((error, request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error(error)
    return reply.code(status).page(status >= 500 ? 'pages/500.html' : 'views/refused.html', { status, mode: null, canonical: null })
  })

  await app.register(site, {
    dev,
    root: options.root ?? siteRoot,
    baseUrl,
    static: { dir: options.assets ?? builtAssets },
    collections,
    data: dataFor(baseUrl),
    filters,
    markdown,
    feed: { collection: 'posts', title: 'fastify-isr: blog' },
    redirects: { '/docs/getting-started': '/docs/readme', '/documentation': '/docs', '/news': '/blog' },
    timings: true,
    ...clock !== undefined && { clock }
  })

  // Forms without a file to upload; Fastify itself only reads JSON and plain text.
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 2048 }, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(body.toString())))
  })

  for (const routes of [freshness, pulse, request, notice, outage, stock, guides, compare, blog, docs, health]) {
    await app.register(routes)
  }
  await app.register(tenants, { clock: clock ?? Date.now })
  // A build serves nobody, and needs no password for it.
  const access = options.admin === undefined ? readAdminAccess({ ...process.env, NODE_ENV: undefined }) : options.admin
  if (access !== null) await app.register(admin, { access })
}
