// What somebody else, or a clock, has left in the place of a lease holds nothing up.
import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import isr from '../../lib/index.js'
import { startRedis } from '../helpers/redis-server.js'

const HOUR = 3_600_000

t.test('a lease that nobody gives is not waited for', async t => {
  const redis = await startRedis(t)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { disk: false, buildId: 'b1', redis: { client: new Redis({ port: redis.port, lazyConnect: true }), commandTimeout: 5000 } })
  app.get('/page/:id', { config: { prerender: { onDemand: true } } }, async (_request, reply) => reply.type('text/html').send('page'))
  await app.ready()

  const leases: Record<string, [value: string, ttl: number | null]> = {
    'held without an end': ['held|token|99999', null],
    'held for an hour': ['held|token|99999', HOUR],
    'failed until in an hour, as when the clock of Redis is set back': [`failed|1|${Date.now() + HOUR}|99999|reason`, HOUR],
    'failed without an end': ['failed|1|9999999999999999|99999|reason', null]
  }
  for (const [id, [what, [value, ttl]]] of Object.entries(leases).entries()) {
    const name = `{isr}:lease:b1:${createHash('sha256').update(`/page/${id}`).digest('hex')}`
    await redis.command('set', name, value, ...(ttl === null ? [] : ['px', ttl]))
    const answer = await app.inject(`/page/${id}`)
    t.match({ status: answer.statusCode, cache: answer.headers['cache-status'] }, { status: 200, cache: /stored/ }, what)
  }
})
