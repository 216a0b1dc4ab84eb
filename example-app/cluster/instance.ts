// One of the instances that main.ts starts, in a process of its own.
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import isr from 'fastify-isr'
import { Redis } from 'ioredis'
import { html } from './html.js'
import { sameOrigin } from '../same-origin.js'

const { INSTANCE: name = 'a', REDIS_URL = '', BASE_URL = 'http://127.0.0.1:3000', LOG_LEVEL = 'error' } = process.env

// Ctrl-C reaches every process at the terminal; main.ts says when it is time.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})

const app = Fastify({ logger: { level: LOG_LEVEL, base: { instance: name } } })

app.addHook('onRequest', async (_request, reply) => {
  // Set for each visitor, so it is never that of the instance which rendered the page.
  reply.header('x-instance', name)
})

await app.register(isr, {
  redis: { client: new Redis(REDIS_URL, { lazyConnect: true }), prefix: 'isr-example' },
  // There is no build here whose name could be taken; a real app has one, or a release.
  buildId: 'example',
  disk: false,
  baseUrl: BASE_URL
})

app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 2048 }, (_request, _body, done) => { done(null) })

app.get('/page', { config: { prerender: { ttl: 60 } } }, async (_request, reply) => {
  // A database would take as long.
  await delay(300)
  const at = new Date().toISOString()
  return reply
    .type('text/html; charset=utf-8')
    .headers({ 'x-rendered-by': name, 'x-rendered-at': at })
    .send(html`<!doctype html>
<html lang="en">
<title>A page of many instances</title>
<h1>A page of many instances</h1>
<p>Instance ${name} rendered it at ${at}, for all of them.</p>
<p><a href="/">Who answers</a></p>
</html>
`.toString())
})

app.get('/health', async () => ({ instance: name, pid: process.pid, ...app.isr.health(), renders: app.isr.stats().renders.started }))

for (const order of ['purge', 'revalidate'] as const) {
  app.post(`/${order}`, { onRequest: sameOrigin }, async (_request, reply) => {
    const { degraded } = await app.isr[order]({ all: true })
    return reply.redirect(`/?${degraded ? 'kept' : 'done'}=${order}`, 303)
  })
}

process.once('disconnect', async () => {
  await app.close()
  process.exit(0)
})

await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.((app.server.address() as AddressInfo).port)
