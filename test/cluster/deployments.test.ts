// The ways to run Redis that docs/cluster.md names, with every client: one render for all
// instances, and an order reaches all.
import t from 'tap'
import { startOrigin } from '../helpers/cluster-app.js'
import { startRedis, startRedisCluster, startSentinel, type RedisServer } from '../helpers/redis-server.js'
import { connected, share, startThree } from '../helpers/shares.js'

const libraries = ['ioredis', 'ioredis5', 'iovalkey'] as const

async function keysOf (redis: RedisServer): Promise<string[]> {
  return await redis.command('keys', '*') as string[]
}

for (const library of libraries) {
  t.test(`a Unix socket, ${library}`, async t => {
    const redis = await startRedis(t)
    const origin = await startOrigin(t)
    const instances = await startThree(t, { origin, client: { library, options: { path: redis.socket, lazyConnect: true } } })
    await share(t, origin, instances)
    const connections = String(await redis.command('client', 'list')).trim().split('\n').filter(line => !line.includes('name=operator'))
    t.equal(connections.length, 2 * instances.length, 'two connections per instance')
    await Promise.all(instances.map(instance => instance.close()))
  })

  t.test(`a template with a prefix and a database, ${library}`, async t => {
    const redis = await startRedis(t)
    const origin = await startOrigin(t)
    const options = { host: redis.host, port: redis.port, keyPrefix: 'shop:', db: 3, lazyConnect: true }
    const instances = await startThree(t, { origin, client: { library, options }, redis: { prefix: 'site' } })
    await share(t, origin, instances)
    const channels = await redis.command('pubsub', 'channels') as string[]
    t.equal(channels.length, 1 + instances.length)
    t.same(channels.filter(channel => !channel.startsWith('shop:{site}:events')), [])
    t.same(await keysOf(redis), [], 'other databases are left alone')
    await redis.command('select', 3)
    const keys = await keysOf(redis)
    t.ok(keys.length > 0)
    t.same(keys.filter(key => !key.startsWith('shop:{site}:') && !key.startsWith('shop:site:b1:')), [])
    await Promise.all(instances.map(instance => instance.close()))
  })

  t.test(`a Redis Cluster, ${library}`, async t => {
    const { nodes, seeds } = await startRedisCluster(t)
    const origin = await startOrigin(t)
    const instances = await startThree(t, { origin, client: { library, nodes: seeds, options: { lazyConnect: true } } })
    await share(t, origin, instances)
    for (let id = 2; id < 30; id++) await instances[id % 3]?.get(`/page/${id}`)
    for (const node of nodes) t.ok((await keysOf(node)).some(key => key.startsWith('isr:b1:page:')), 'pages are on every node')
    const control = await Promise.all(nodes.map(async node => (await keysOf(node)).filter(key => key.startsWith('{isr}:')).length))
    t.equal(control.filter(count => count > 0).length, 1, 'all else is on one')
    await Promise.all(instances.map(instance => instance.close()))
  })

  t.test(`a master that sentinels replace, ${library}`, async t => {
    const { seeds, name, servers: [first, second], promoted } = await startSentinel(t)
    const origin = await startOrigin(t)
    const instances = await startThree(t, { origin, client: { library, options: { sentinels: [...seeds], name, lazyConnect: true } } })
    await share(t, origin, instances)
    await first.kill()
    t.same((await Promise.all(instances.map(instance => instance.get('/page/1')))).map(({ status }) => status), [200, 200, 200])
    await promoted(second)
    await connected(instances)
    await share(t, origin, instances, '2')
    await Promise.all(instances.map(instance => instance.close()))
  })
}

t.test('two apps on one Redis hear nothing of each other', async t => {
  const redis = await startRedis(t)
  const [one, two] = [await startOrigin(t), await startOrigin(t)]
  const ours = await startThree(t, { origin: one, client: redis.port, redis: { prefix: 'one' } })
  const theirs = await startThree(t, { origin: two, client: redis.port, redis: { prefix: 'two' } })
  await share(t, two, theirs)
  await share(t, one, ours)
  t.match(await ours[0]?.purge({ all: true }), { degraded: false })
  await theirs[0]?.get('/page/1')
  t.equal(two.rendersOf(1), 2)
  t.match(await theirs[0]?.health(), { epoch: 2 })
  await Promise.all([...ours, ...theirs].map(instance => instance.close()))
})
