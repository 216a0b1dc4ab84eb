// npm run example. Everything is said by the environment: HOST, PORT, BASE_URL, LOG_LEVEL, ISR_ENABLED,
// ADMIN_USER and ADMIN_PASSWORD; REDIS_URL, and BUILD_ID for instances that share a Redis and no build;
// PAGES_DIR. BASE_URL and PAGES_DIR are for `fastify-isr prerender` as well: canonical links are part of the pages.
import Fastify, { LogController } from 'fastify'
import { Redis } from 'ioredis'
import { readAdminAccess } from './admin-access.js'
import example from './app.js'

const { HOST: host = '127.0.0.1', PORT: port = '3000', LOG_LEVEL: level = 'warn', REDIS_URL: redisUrl, BUILD_ID: buildId } = process.env
const dev = process.argv.includes('--dev')

const app = Fastify({
  logger: { level },
  // With LOG_LEVEL=info: one line per visitor, none for the renders behind them.
  logController: new LogController({ disableRequestLogging: request => Boolean(request.isrRender) })
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Once: whoever presses Ctrl-C a second time wants out at once.
  process.once(signal, async () => {
    // No new requests, an answer for each that is here, then the connections to Redis.
    await app.close()
    process.exit(0)
  })
}

await app.register(example, {
  dev,
  admin: readAdminAccess(process.env),
  ...buildId !== undefined && { buildId },
  ...redisUrl !== undefined && { redis: { client: new Redis(redisUrl, { lazyConnect: true }), prefix: 'isr-example' } }
})
const url = await app.listen({ port: Number(port), host })

const pages = [
  ['/', 'what this is about'],
  ['/how-it-works', 'prerendered'],
  ['/freshness', 'prerendered, and live in the browser'],
  ['/pulse', 'ISR, ttl of 5 seconds'],
  ['/request', 'dynamic'],
  ['/notice', 'revalidated when somebody posts'],
  ['/outage', 'kept alive while its source fails'],
  ['/stock', 'made of cached data, changes with them'],
  ['/tenants/harbour', 'settings per tenant, with defaults'],
  ['/guides', 'one route, several pages'],
  ['/compare', 'the four modes, measured by your browser'],
  ['/blog', 'a collection of Markdown files'],
  ['/docs', 'the documentation of this project'],
  ['/admin', 'statistics, behind ADMIN_USER and ADMIN_PASSWORD']
] as const

process.stdout.write([
  '',
  `  fastify-isr example, ${dev ? 'in development: files are watched, nothing is kept' : `ISR is ${process.env.ISR_ENABLED === 'false' ? 'off (ISR_ENABLED=false)' : 'on'}`}`,
  '',
  ...pages.map(([path, text]) => `  ${url}${path}`.padEnd(url.length + 20) + text),
  '',
  '  Ctrl-C to stop',
  '',
  ''
].join('\n'))
