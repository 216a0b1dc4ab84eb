import t from 'tap'
import { createHash } from 'node:crypto'
import { RedisTier } from '../../lib/cache/redis-tier.js'
import type { IsrTierVersion } from '../../types/index.js'
import { startRedis, startRedisCluster } from '../helpers/redis-server.js'
import { openClusterLink, openLink } from '../helpers/redis-tier.js'

const all = { maxBytes: 1024 * 1024 }
const hash = createHash('sha256').update('/').digest('hex')
const name = `b1/${hash}`
const key = `isr:b1:page:${hash}`

function recordOf (body: string, more: Partial<IsrTierVersion> = {}, maxAge = 3600) {
  return { bytes: Buffer.from(body), version: { incarnation: 'i', epoch: 1, renderedAt: 1000, ...more }, maxAge }
}

t.test('one server', async (t) => {
  const server = await startRedis(t)
  const link = await openLink(t, server)
  const tier = new RedisTier(link, { prefix: 'isr', maxAge: 7200 })
  const text = async () => (await tier.get(name, all))?.toString() ?? null
  t.beforeEach(() => server.command('flushall'))

  t.test('a page is a hash of its own', async (t) => {
    t.equal(await tier.set(name, recordOf('hello')), true)
    t.same(await server.command('keys', '*'), [key])
    t.same(await server.command('hgetall', key), { incarnation: 'i', epoch: '1', renderedAt: '1000', bytes: 'hello' })
  })

  t.test('goes when nobody needs it, and not before', async (t) => {
    const ttl = async () => Number(await server.command('pttl', key)) / 1000
    const isAbout = async (seconds: number) => t.ok(Math.abs(await ttl() - seconds) < 30, `${seconds} s`)
    await tier.set(name, recordOf('a', {}, 600))
    await isAbout(600)
    await tier.set(name, recordOf('a', {}, 5000))
    await isAbout(5000)
    await tier.set(name, recordOf('a', {}, 100))
    await isAbout(100)
    await tier.set(name, recordOf('a', {}, 1e12))
    await isAbout(7200)
    await tier.set(name, recordOf('b', { epoch: 0 }, 600))
    await isAbout(7200)
    t.equal(await tier.set(name, recordOf('a', {}, 0.0001)), true, 'a blink')
  })

  for (const [kind, command] of Object.entries({ string: ['set', key, 'x'], list: ['lpush', key, 'x'], set: ['sadd', key, 'x'], 'sorted set': ['zadd', key, '1', 'x'], stream: ['xadd', key, '*', 'a', 'b'] })) {
    t.test(`a ${kind} in its place is no page, and gives way`, async (t) => {
      await server.command(...command)
      await t.rejects(tier.get(name, all), { code: 'FST_ISR_ERR_BAD_ENTRY' })
      t.equal(await tier.set(name, recordOf('mended')), true)
      t.equal(await text(), 'mended')
      await server.command('del', key)
      await server.command(...command)
      t.equal(await tier.delete(name, recordOf('').version), true)
      t.equal(await server.command('exists', key), 0)
    })
  }

  t.test('a hash that says nothing of its version gives way', async (t) => {
    const fields = ['incarnation', 'i', 'epoch', '5', 'renderedAt', '5', 'bytes', 'there']
    await server.command('hset', key, ...fields)
    t.equal(await tier.set(name, recordOf('older', { epoch: 4 })), false, 'this one does not')
    for (const [field, value] of [['epoch', 'x'], ['epoch', ''], ['epoch', '-1'], ['epoch', 'inf'], ['epoch', 'nan'], ['epoch', '1e300'], ['renderedAt', 'x'], ['renderedAt', '-inf']]) {
      await server.command('hset', key, ...fields, field as string, value as string)
      t.equal(await tier.set(name, recordOf('mended', { epoch: 4 })), true, `${field} ${value}`)
      t.equal(await text(), 'mended')
    }
    for (const field of ['incarnation', 'epoch', 'renderedAt']) {
      await server.command('hset', key, ...fields)
      await server.command('hdel', key, field)
      t.equal(await tier.delete(name, recordOf('', { epoch: 4 }).version), true, `no ${field}`)
      t.equal(await text(), null)
    }
    await server.command('hset', key, 'epoch', '5')
    // Nobody has stored that: a miss, and removed, so that it keeps nothing out.
    await t.rejects(text(), { code: 'FST_ISR_ERR_BAD_ENTRY' }, 'no bytes')
  })

  t.test('something large is not even sent', async (t) => {
    await server.command('hset', key, 'bytes', Buffer.alloc(4 * 1024 * 1024))
    const before = Number((await server.info('stats'))['total_net_output_bytes'])
    t.equal(await text(), null)
    t.ok(Number((await server.info('stats'))['total_net_output_bytes']) - before < 1024 * 1024)
  })

  t.test('names without a slash have their place, too', async (t) => {
    t.equal(await tier.set('plain', recordOf('a')), true)
    t.same(await server.command('keys', '*'), ['isr::page:plain'])
  })

  t.test('out of memory it refuses to set, and goes on reading and deleting', async (t) => {
    await tier.set(name, recordOf('before'))
    await server.config('maxmemory', 1)
    await t.rejects(tier.set(name, recordOf('after', { epoch: 2 })), { name: 'ReplyError', message: /OOM/ })
    t.equal(await text(), 'before')
    t.equal(await tier.delete(name, recordOf('', { epoch: 2 }).version), true)
    t.equal(await text(), null)
    await server.config('maxmemory', 0)
    t.equal(await tier.set(name, recordOf('again')), true)
    t.equal(tier.isUp, true)
  })

  t.test('on a replica it reads and refuses to write', async (t) => {
    await tier.set(name, recordOf('of the master'))
    const replica = await startRedis(t, { replicaOf: server })
    const reader = new RedisTier(await openLink(t, replica), { prefix: 'isr', maxAge: 7200 })
    t.equal((await reader.get(name, all))?.toString(), 'of the master')
    await t.rejects(reader.set(name, recordOf('after', { epoch: 2 })), { message: /READONLY/ })
    await t.rejects(reader.delete(name, recordOf('').version), { message: /READONLY/ })
  })

  t.test('without a connection it is down', async (t) => {
    await link.close()
    t.equal(tier.isUp, false)
    const unavailable = { code: 'FST_ISR_ERR_REDIS_UNAVAILABLE' }
    await t.rejects(tier.get(name, all), unavailable)
    await t.rejects(tier.set(name, recordOf('a')), unavailable)
    await t.rejects(tier.delete(name, recordOf('').version), unavailable)
  })
})

t.test('pages spread over all nodes of a Redis Cluster', async (t) => {
  const cluster = await startRedisCluster(t)
  const tier = new RedisTier(await openClusterLink(t, cluster), { prefix: 'isr', maxAge: 7200 })
  const names = Array.from({ length: 300 }, (_, index) => `b1/${createHash('sha256').update(String(index)).digest('hex')}`)
  await Promise.all(names.map(each => tier.set(each, recordOf(each))))
  for (const node of cluster.nodes) t.ok(Number(await node.command('dbsize')) > 50)
  const bodies = await Promise.all(names.map(each => tier.get(each, all)))
  t.same(bodies.map(String), names)
})
