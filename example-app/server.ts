import Fastify, { LogController } from 'fastify'
import example from './app.js'

const port = Number(process.env.PORT ?? 3000)
const host = '127.0.0.1'
const url = `http://${host}:${port}`

const app = Fastify({
  logger: { level: process.env.LOG_LEVEL ?? 'warn' },
  // With LOG_LEVEL=info: one line per visitor, none for the renders behind them.
  logController: new LogController({ disableRequestLogging: request => Boolean(request.isrRender) })
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Once: whoever presses Ctrl-C a second time wants out at once.
  process.once(signal, async () => {
    await app.close()
    process.exit(0)
  })
}

await app.register(example, { baseUrl: url })
await app.listen({ port, host })

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
  ['/compare', 'the four modes, measured by your browser']
] as const

process.stdout.write([
  '',
  `  fastify-isr example, ISR is ${process.env.ISR_ENABLED === 'false' ? 'off (ISR_ENABLED=false)' : 'on'}`,
  '',
  ...pages.map(([path, text]) => `  ${url}${path}`.padEnd(url.length + 20) + text),
  '',
  '  Ctrl-C to stop',
  '',
  ''
].join('\n'))
