import t from 'tap'
import { connected, disconnected, eventually, Pages, startNode, startNodes, type ClusterNode } from '../helpers/cluster-nodes.js'
import { startRedis } from '../helpers/redis-server.js'

const KEYS = ['clock', 'marks', 'facts', 'log'] as const

function incarnationOf (node: ClusterNode): string | null {
  return node.app.isr.stats().redis?.incarnation ?? null
}

async function heard (nodes: readonly ClusterNode[], epoch: number | null): Promise<void> {
  await eventually('all have heard', () => nodes.every(node => (node.app.isr.health().epoch ?? 0) >= (epoch ?? 0) && node.app.isr.health().lag === 0))
}

t.test('a snapshot is restored: logical time goes back', async (t) => {
  t.test('it is another incarnation, everything is stale once, and purges since then are not forgotten', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 3, { pages, port: server.port })
    const [a] = nodes as [ClusterNode]
    for (const node of nodes) for (const id of [1, 2, 3]) await node.get(id)
    await a.app.isr.purge({ tag: 'before' })
    await heard(nodes, (await a.app.isr.purge({ tag: 'p3' })).epoch)
    const snapshot = await server.snapshot()
    const before = incarnationOf(a)

    pages.version = 2
    await a.app.isr.purge({ tag: 'since' })
    await heard(nodes, (await a.app.isr.purge({ tag: 'p1' })).epoch)
    t.match(await a.get(1), { page: { version: 2 } })
    await server.restore(snapshot)
    await eventually('all have noticed', () => nodes.every(node => incarnationOf(node) !== before && node.isConnected()))
    for (const node of nodes) t.equal(incarnationOf(node), incarnationOf(a))

    // The snapshot has the page from before the purge, and nobody takes it for newer.
    for (const node of nodes) t.match(await node.get(1), { status: 200, page: { version: 2 } })
    const newcomer = await startNode(t, { pages, port: server.port, name: 'new' })
    await connected(newcomer)
    t.match(await newcomer.get(1), { status: 200, page: { version: 2 } }, 'nor who was not there')
    pages.version = 3
    t.match(await a.get(2), { status: 200, page: { version: 1 } }, 'stale: served')
    await eventually('and rendered again', async () => (await a.get(2)).page?.version === 3)
    const renders = pages.rendersOf(2)
    for (let i = 0; i < 5; i++) for (const node of nodes) t.match(await node.get(2), { status: 200 })
    await eventually('all have it', async () => (await Promise.all(nodes.map(async node => await node.get(2)))).every(({ page }) => page?.version === 3))
    t.equal(pages.rendersOf(2), renders, 'once')
  })

  t.test('also when it has caught up with logical time before anybody looks', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const [a, b] = await startNodes(t, 2, { pages, port: server.port, redis: { heartbeat: 300 } }) as [ClusterNode, ClusterNode]
    await b.get(1)
    await heard([a, b], (await a.app.isr.purge({ tag: 'first' })).epoch)
    const saved = new Map<string, Buffer>()
    // In place, so that no connection is lost: as a failover behind a proxy does.
    for (const key of KEYS) saved.set(key, await dump(server, `{isr}:${key}`))
    await heard([a, b], (await a.app.isr.purge({ tag: 'second' })).epoch)
    pages.version = 2
    await b.get(2)
    const before = incarnationOf(a)
    for (const [key, bytes] of saved) {
      await server.command('del', `{isr}:${key}`)
      await server.command('restore', `{isr}:${key}`, 0, bytes)
    }
    // The same epoch as that of another order.
    await a.app.isr.purge({ tag: 'p1' })
    t.match(await a.get(1), { page: { version: 2 } })
    await eventually('it is noticed', () => incarnationOf(a) !== before && incarnationOf(a) === incarnationOf(b))
    t.match(await b.get(1), { page: { version: 2 } })
  })
})

async function dump (server: { port: number }, key: string): Promise<Buffer> {
  const { Redis } = await import('ioredis')
  const client = new Redis({ port: server.port, host: '127.0.0.1' })
  try {
    return await client.dumpBuffer(key)
  } finally {
    client.disconnect()
  }
}

for (const gone of [['clock'], ['marks'], ['facts'], ['log'], ['marks', 'facts'], ['clock', 'marks', 'facts', 'log']]) {
  t.test(`control keys are evicted: ${gone.join(', ')}`, async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 2, { pages, port: server.port })
    const [a, b] = nodes as [ClusterNode, ClusterNode]
    for (const node of nodes) for (const id of [1, 2, 3]) await node.get(id)
    await heard(nodes, (await a.app.isr.purge([{ tag: 'p1' }, { tag: 'p2' }, { tag: 'elsewhere' }])).epoch)
    const before = incarnationOf(a)
    await server.command('del', ...gone.map(key => `{isr}:${key}`))
    // At once, before anybody has looked: it must not hide what is missing.
    const { degraded, epoch } = await b.app.isr.purge({ tag: 'p3' })
    if (!degraded) await heard(nodes, epoch)
    if (gone.join() !== 'log') await eventually('it is noticed', () => nodes.every(node => incarnationOf(node) !== before))
    await eventually('nothing is queued', () => nodes.every(node => node.app.isr.stats().redis?.queued === 0))
    await connected(...nodes)
    for (const node of nodes) for (const id of [1, 2, 3]) t.match(await node.get(id), { status: 200 })
    const members = (await server.command('zrange', '{isr}:marks', 0, -1) as string[]).map(member => member.split('|').slice(2).join('|'))
    for (const tag of ['p1', 'p2', 'p3', 'elsewhere']) t.ok(members.includes(tag), `the order for ${tag} is there for those who come`)
  })
}

t.test('the same with Redis away in between', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  const nodes = await startNodes(t, 2, { pages, port: server.port })
  const [a, b] = nodes as [ClusterNode, ClusterNode]
  for (const node of nodes) await node.get(1)
  const snapshot = await server.snapshot()
  const { epoch } = await a.app.isr.purge({ tag: 'p1' })
  await heard(nodes, epoch)
  pages.version = 2
  await server.kill()
  await disconnected(a, b)
  t.match(await b.get(1), { status: 200, page: { version: 2 } }, 'rendered without Redis')
  await server.restore(snapshot)
  await connected(a, b)
  for (const node of nodes) t.match(await node.get(1), { status: 200, page: { version: 2 } })
})
