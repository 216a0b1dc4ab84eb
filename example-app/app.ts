import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import isr from 'fastify-isr'
import { html, sendPage } from './layout.js'
import compare from './pages/compare.js'
import freshness from './pages/freshness.js'
import guides from './pages/guides.js'
import home from './pages/home.js'
import howItWorks from './pages/how-it-works.js'
import notice from './pages/notice.js'
import outage from './pages/outage.js'
import pulse from './pages/pulse.js'
import request from './pages/request.js'
import stock from './pages/stock.js'
import tenants from './pages/tenants.js'

export interface ExampleOptions {
  baseUrl?: string
  /** Where the built pages live. Default: `.prerender` beside package.json. */
  dir?: string
  enabled?: boolean
  clock?: () => number
}

const here = dirname(fileURLToPath(import.meta.url))

export default async function example (app: FastifyInstance, options: ExampleOptions) {
  app.addHook('onRequest', async (_request, reply) => {
    // Possible because no page holds an inline script, an inline style or anything of another origin.
    reply.header('content-security-policy', "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
    reply.header('referrer-policy', 'same-origin')
    reply.header('x-content-type-options', 'nosniff')
  })

  await app.register(fastifyStatic, {
    // shared/ holds the compiled module that the server and the browser both run.
    root: [join(packageRoot(here), 'example-app/public'), join(here, 'shared')],
    prefix: '/static/',
    index: false,
    dotfiles: 'ignore'
  })

  await app.register(isr, {
    baseUrl: options.baseUrl ?? process.env.BASE_URL ?? 'http://127.0.0.1:3000',
    enabled: options.enabled ?? process.env.ISR_ENABLED !== 'false',
    ...options.dir !== undefined && { dir: options.dir },
    ...options.clock !== undefined && { clock: options.clock }
  })

  // Forms without a file to upload; Fastify itself only reads JSON and plain text.
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 2048 }, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(body.toString())))
  })

  app.setNotFoundHandler((request, reply) => sendPage(request, reply.code(404), {
    title: 'There is no such page',
    description: 'Nothing answers at this address.',
    lead: 'Nothing answers at this address. It may have been mistyped, or the link that led here is old.',
    body: html`<p><a href="/">Back to the start</a></p>`
  }))

  app.setErrorHandler<Error & { statusCode?: number }>((error, request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error(error)
    return sendPage(request, reply.code(status), {
      title: status >= 500 ? 'This page could not be rendered' : 'This request was refused',
      description: 'The request failed.',
      lead: status >= 500
        ? 'Rendering failed, and there is no older page that could be shown instead.'
        : 'The server could not make sense of this request.',
      body: html`<p>Status ${status}. <a href="/how-it-works#failure">What happens when rendering fails</a></p>`
    })
  })

  // Last: a plugin takes on the error handler that is there when it is registered.
  for (const page of [home, howItWorks, freshness, pulse, request, notice, outage, stock, guides, compare]) {
    await app.register(page)
  }
  await app.register(tenants, { clock: options.clock ?? Date.now })
}

/** The sources and the compiled files lie at different depths; package.json is above both. */
function packageRoot (directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory
  const parent = dirname(directory)
  if (parent === directory) throw new Error(`no package.json above ${here}`)
  return packageRoot(parent)
}
