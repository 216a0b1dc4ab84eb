// What somebody else, or a clock, has put where instances look holds nothing up for long.
import { createHash } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import isr from '../../lib/index.js'
import { startRedis, type RedisServer } from '../helpers/redis-server.js'
import { eventually } from '../helpers/site-build.js'

const HOUR = 3_600_000

async function start (t: Test): Promise<{ redis: RedisServer, app: FastifyInstance }> {
  const redis = await startRedis(t)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { disk: false, buildId: 'b1', redis: { client: new Redis({ port: redis.port, lazyConnect: true }), commandTimeout: 5000, heartbeat: 50 } })
  app.get('/page/:id', { config: { prerender: { onDemand: true } } }, async (_request, reply) => reply.type('text/html').send('page'))
  await app.ready()
  return { redis, app }
}

t.test('a lease that nobody gives is not waited for', async t => {
  const { redis, app } = await start(t)
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

t.test('a made-up order from the far future is not believed', async t => {
  const { redis, app } = await start(t)
  await app.inject('/page/1')
  await app.isr.revalidate({ tag: 'any' })
  const { incarnation = '', epoch = 0 } = app.isr.stats().redis ?? {}
  for (const e of [2_000_000, 2 ** 35, 2 ** 53, 1e19, 1e308]) {
    const commands = app.isr.stats().redis?.commands ?? 0
    await redis.command('publish', '{isr}:events', JSON.stringify({ v: 1, i: incarnation, s: 'somebody', e, o: 'any', m: [] }))
    await eventually('Redis has been asked', () => (app.isr.stats().redis?.commands ?? 0) > commands + 1)
    t.match(app.isr.stats().redis, { incarnation, epoch, status: 'connected' }, String(e))
  }
  t.match(await app.isr.revalidate({ tag: 'any' }), { epoch: epoch as number + 1, degraded: false })
})
