import t from 'tap'
import { connected, disconnected, eventually, Pages, startNode, startNodes, type ClusterNode } from '../helpers/cluster-nodes.js'
import { startRedis, type RedisServer } from '../helpers/redis-server.js'

async function pageKeys (server: RedisServer, buildId = 'b1'): Promise<string[]> {
  return await server.command('keys', `isr:${buildId}:page:*`) as string[]
}

function warningsOf (node: ClusterNode, part: string): number {
  return node.warnings.filter(message => message.includes(part)).length
}

t.test('Redis is a read-only replica: pages are served, no order is acknowledged, and all is reported once', async (t) => {
  const master = await startRedis(t)
  const pages = new Pages()
  const first = await startNode(t, { pages, port: master.port, name: 'a' })
  await connected(first)
  await first.get(1)
  await eventually('the page is in Redis', async () => (await pageKeys(master)).length === 1)
  const replica = await startRedis(t, { replicaOf: master })
  const node = await startNode(t, { pages, port: replica.port, name: 'b' })
  t.match(await node.get(1), { status: 200, page: { instance: 'a' } }, 'what can be read is read')
  for (let id = 2; id < 12; id++) t.equal((await node.get(id)).status, 200)
  t.match(await node.app.isr.purge({ tag: 'p1' }), { epoch: null, degraded: true })
  pages.version = 2
  t.match(await node.get(1), { page: { version: 2 } }, 'the order holds here')
  t.ok(warningsOf(node, 'the shared tier could not write') <= 1, 'reported once')
  t.equal(node.app.isr.stats().redis?.queued, 1)

  // A failover: the replica is promoted.
  await replica.command('replicaof', 'no', 'one')
  await eventually('the order is delivered', () => node.app.isr.stats().redis?.queued === 0)
  await connected(node)
  t.match(await node.app.isr.purge({ tag: 'p2' }), { degraded: false })
})

t.test('Redis has an empty read-only replica only', async (t) => {
  const server = await startRedis(t)
  const replica = await startRedis(t, { replicaOf: server })
  const pages = new Pages()
  const node = await startNode(t, { pages, port: replica.port })
  for (let id = 0; id < 10; id++) t.equal((await node.get(id)).status, 200)
  t.equal(node.isConnected(), false)
  t.match(await node.app.isr.purge({ tag: 'p1' }), { epoch: null, degraded: true })
  await replica.command('replicaof', 'no', 'one')
  await connected(node)
  await eventually('the order is delivered', () => node.app.isr.stats().redis?.queued === 0)
})

t.test('Redis is out of memory while memory evicts: the older copy in Redis never resurfaces', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  // Two pages at a time.
  const [a, b] = await startNodes(t, 2, { pages, port: server.port, isr: { memory: { maxBytes: 15_000 } } }) as [ClusterNode, ClusterNode]
  for (const id of [1, 2, 3]) await a.get(id)
  await eventually('the pages are in Redis', async () => (await pageKeys(server)).length === 3)
  await server.config('maxmemory', 1)
  t.match(await a.app.isr.purge({ tag: 'p9' }), { epoch: null, degraded: true }, 'an order that Redis refuses is no acknowledgement')
  pages.version = 2
  // A refresh is no order: only what was rendered says that the copy is old.
  const refreshed = await a.app.isr.refresh({ path: '/p/1' })
  t.match(refreshed.pages, [{ outcome: 'stored' }])
  for (let round = 0; round < 3; round++) {
    for (let id = 10; id < 20; id++) t.equal((await a.get(`${round} ${id}`)).status, 200, 'pages go on')
    t.equal(a.app.isr.stats().memory.evictions > 0, true)
    t.match(await a.get(1), { status: 200, page: { version: 2 } }, 'not the older copy')
    t.match(await b.get(1), { status: 200, page: { version: 2 } }, 'nor elsewhere')
  }
  t.equal(warningsOf(a, 'the shared tier could not write'), 1, 'reported once')
  await server.config('maxmemory', 0)
  await eventually('the order is delivered', () => a.app.isr.stats().redis?.queued === 0)
  await connected(a, b)
  t.equal((await a.get('after')).status, 200)
  await eventually('pages are written again', async () => (await pageKeys(server)).length > 1)
})

t.test('Redis is away while memory evicts: on its return the older copy never resurfaces', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  const [node] = await startNodes(t, 1, { pages, port: server.port, isr: { memory: { maxBytes: 15_000 } }, redis: { commandTimeout: 200 } }) as [ClusterNode]
  await node.get(1)
  await node.get(2)
  await eventually('the pages are in Redis', async () => (await pageKeys(server)).length === 2)
  pages.version = 2
  server.stop()
  // The write of the first fails, the second is not even tried.
  await node.app.isr.refresh({ path: '/p/1' })
  await disconnected(node)
  await node.app.isr.refresh({ path: '/p/2' })
  for (let id = 10; id < 20; id++) t.equal((await node.get(id)).status, 200)
  server.cont()
  await connected(node)
  t.equal((await pageKeys(server)).length, 2, 'the older copies are there')
  for (const id of [1, 2]) t.match(await node.get(id), { status: 200, page: { version: 2 } })
})

t.test('Redis is away while a page is found gone: on its return the older copy never resurfaces', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  let now = Date.now()
  const [node] = await startNodes(t, 1, { pages, port: server.port, isr: { clock: () => now }, redis: { commandTimeout: 200 } }) as [ClusterNode]
  await node.get(1)
  await eventually('the page is in Redis', async () => (await pageKeys(server)).length === 1)
  pages.isGone = () => true
  server.stop()
  await disconnected(node)
  await node.app.isr.refresh({ path: '/p/1' })
  server.cont()
  await connected(node)
  t.equal((await node.get(1)).status, 404)
  // Nobody remembers any more that it may not be stored.
  now += 11_000
  t.equal((await node.get(1)).status, 404)
})

for (const [name, alter] of Object.entries({
  'another type of value': async (server, key) => {
    await server.command('del', key)
    await server.command('lpush', key, 'x')
  },
  'a string': async (server, key) => { await server.command('set', key, 'x') },
  'bytes that were altered': async (server, key) => {
    const { Redis } = await import('ioredis')
    const client = new Redis({ port: server.port, host: '127.0.0.1' })
    const bytes = await client.hgetBuffer(key, 'bytes') as Buffer
    bytes[bytes.length - 10]! ^= 1
    await client.hset(key, 'bytes', bytes)
    client.disconnect()
  },
  'bytes that were cut': async (server, key) => {
    await server.command('hset', key, 'bytes', 'FIS')
  },
  'no bytes at all': async (server, key) => { await server.command('hdel', key, 'bytes') },
  'a version that claims to be the newest': async (server, key) => {
    await server.command('hset', key, 'epoch', '9007199254740991', 'bytes', 'x')
  }
} satisfies Record<string, (server: RedisServer, key: string) => Promise<void>>)) {
  t.test(`in place of a page there is ${name}: a miss, and mended`, async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const [a, b] = await startNodes(t, 2, { pages, port: server.port }) as [ClusterNode, ClusterNode]
    await a.get(1)
    await eventually('the page is in Redis', async () => (await pageKeys(server)).length === 1)
    const [key] = await pageKeys(server) as [string]
    await alter(server, key)
    pages.version = 2
    t.match(await b.get(1), { status: 200 })
    t.equal((await a.get(1)).status, 200)
    await eventually('it is mended', async () => {
      const node = await startNode(t, { pages, port: server.port, name: 'new' })
      await connected(node)
      const renders = pages.renders.length
      const { status } = await node.get(1)
      await node.app.close()
      t.equal(status, 200)
      return pages.renders.length === renders
    })
    t.ok(warningsOf(b, 'the shared tier could not read') <= 1)
  })
}

for (const key of ['clock', 'marks', 'facts', 'log']) {
  t.test(`LPUSH on ${key}: a failed command, reported once, and over when it is gone`, async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 2, { pages, port: server.port })
    const [a, b] = nodes as [ClusterNode, ClusterNode]
    for (const node of nodes) await node.get(1)
    await a.app.isr.purge({ tag: 'p7' })
    await server.command('del', `{isr}:${key}`)
    await server.command('lpush', `{isr}:${key}`, 'x')
    const { epoch, degraded } = await a.app.isr.purge({ tag: 'p1' })
    t.equal(degraded, epoch === null, 'an order is durable or it says that it is not')
    pages.version = 2
    t.match(await a.get(1), { status: 200, page: { version: 2 } })
    for (const node of nodes) for (let id = 2; id < 6; id++) t.equal((await node.get(id)).status, 200)
    await new Promise(resolve => { setTimeout(resolve, 400) })
    for (const node of nodes) t.ok(warningsOf(node, 'not all of Redis can be reached') <= 1, 'reported once')
    await server.command('del', `{isr}:${key}`)
    await connected(...nodes)
    await eventually('nothing is queued', () => a.app.isr.stats().redis?.queued === 0)
    await eventually('all have heard', () => b.app.isr.health().epoch === a.app.isr.health().epoch)
    t.match(await b.get(1), { page: { version: 2 } })
    const { epoch: last } = await a.app.isr.purge({ tag: 'p1' })
    t.type(last, 'number')
  })
}

for (const [name, alter] of Object.entries({
  'another type of value': ['lpush', 'x'],
  nonsense: ['set', 'nonsense'],
  'a lease that never ends': ['set', 'held|somebody|1000000000'],
  'a failure without a number': ['set', 'failed|x|y|z|'],
  'half of a failure': ['set', 'failed|1'],
  'something done without a version': ['set', 'done|']
})) {
  t.test(`in place of a lease there is ${name}: the page is rendered`, async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const [a, b] = await startNodes(t, 2, { pages, port: server.port }) as [ClusterNode, ClusterNode]
    await a.get(1)
    await eventually('the lease is given back', async () => (await server.command('keys', '{isr}:lease:*') as string[]).length === 1)
    const [lease] = await server.command('keys', '{isr}:lease:*') as [string]
    await eventually('the lease is given back', async () => /^done/.test(String(await server.command('get', lease))))
    await server.command('del', lease)
    await server.command(alter[0]!, lease, alter[1]!)
    const { epoch } = await b.app.isr.purge({ tag: 'p1' })
    await eventually('both have heard', () => a.app.isr.health().epoch === epoch)
    pages.version = 2
    for (const node of [b, a]) t.match(await node.get(1), { status: 200, page: { version: 2 } })
    t.equal(pages.rendersOf(1), 2)
  })
}
