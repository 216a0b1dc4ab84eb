import { once } from 'node:events'
import { Redis } from 'ioredis'
import t from 'tap'
import { connected, disconnected, eventually, forkedClient, Pages, startNode, type ClusterNode } from '../helpers/cluster-nodes.js'
import { startRedis } from '../helpers/redis-server.js'
import { startProxy, type Proxy } from '../helpers/tcp-proxy.js'

const HEARTBEAT = 300

t.test('a subscriber whose connection is half-open is noticed within two heartbeats, and orders arrive meanwhile', async (t) => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server)
  const pages = new Pages()
  // Its heartbeats would be taken for those of the other.
  const other = await startNode(t, { pages, port: server.port, name: 'a', redis: { heartbeat: 600_000 } })
  const node = await startNode(t, { pages, port: server.port, name: 'b', client: forkedClient(server.port, proxy.port), redis: { heartbeat: HEARTBEAT } })
  await connected(other, node)
  await node.get(1)
  const { connections } = proxy.counts
  t.equal(connections, 1, 'only what listens goes through the proxy')

  const listener = new Redis({ port: server.port, host: '127.0.0.1' })
  t.teardown(() => { listener.disconnect() })
  await listener.psubscribe('{isr}:events:*')
  const times: number[] = []
  for (let round = 0; round < 3; round++) {
    // The longest way: just after a heartbeat that was heard.
    await once(listener, 'pmessage')
    await new Promise(resolve => { setTimeout(resolve, 20) })
    proxy.blackhole()
    await proxy.heal({ forget: true })
    const before = proxy.counts.connections
    const startedAt = performance.now()
    pages.version++
    const { epoch } = await other.app.isr.purge({ tag: 'p1' })
    await eventually('the heartbeat has seen it', () => node.app.isr.health().epoch === epoch && node.app.isr.health().lag === 0)
    const heardAfter = performance.now() - startedAt
    t.match(await node.get(1), { page: { version: pages.version } })
    await eventually('it listens again', () => proxy.counts.connections > before)
    const noticedAfter = performance.now() - startedAt
    await connected(node)
    t.ok(heardAfter < 2 * HEARTBEAT + 300, `the order was known after ${Math.round(heardAfter)} ms`)
    times.push(noticedAfter)
    t.comment(`heartbeat ${HEARTBEAT}: order known after ${Math.round(heardAfter)} ms, silence noticed after ${Math.round(noticedAfter)} ms`)
    const again = await other.app.isr.purge({ tag: 'p1' })
    await eventually('what is published is heard', () => node.app.isr.health().epoch === again.epoch)
  }
  // A busy machine makes some of them late, a third heartbeat would all.
  t.ok(Math.min(...times) < 2.7 * HEARTBEAT, `noticed after ${times.map(Math.round).join(', ')} ms`)
})

t.test('a subscriber that hears is left alone, however busy the process is', async (t) => {
  const server = await startRedis(t)
  const node = await startNode(t, { pages: new Pages(), port: server.port, redis: { heartbeat: 100 } })
  await connected(node)
  const connections = async (): Promise<number> => Number((await server.info('stats'))['total_connections_received'])
  const before = await connections()
  for (let i = 0; i < 5; i++) {
    const until = performance.now() + 250
    while (performance.now() < until) { /* The event loop is held up for longer than two heartbeats. */ }
    await new Promise(resolve => { setTimeout(resolve, 50 * i) })
  }
  t.equal(await connections(), before)
})

async function partition (proxy: Proxy, node: ClusterNode): Promise<number> {
  proxy.blackhole()
  const startedAt = performance.now()
  await disconnected(node)
  return performance.now() - startedAt
}

t.test('a partition of one instance: it serves on, acknowledges nothing, says so, and after healing catches up first', async (t) => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server)
  const pages = new Pages()
  const others = [await startNode(t, { pages, port: server.port, name: 'a' }), await startNode(t, { pages, port: server.port, name: 'b' })] as const
  const cut = await startNode(t, { pages, port: proxy.port, name: 'cut', redis: { heartbeat: HEARTBEAT, commandTimeout: 200 } })
  await connected(...others, cut)
  for (const node of [...others, cut]) for (const id of [1, 2, 3]) await node.get(id)
  for (const kind of ['with no end told', 'and forgotten by the router'] as const) {
    const version = pages.version
    const noticedAfter = await partition(proxy, cut)
    t.comment(`heartbeat ${HEARTBEAT}, commandTimeout 200: partition noticed after ${Math.round(noticedAfter)} ms`)
    t.ok(noticedAfter < 2 * HEARTBEAT + 200 + 400, `noticed after ${noticedAfter} ms`)
    pages.version++
    t.match(await others[0].app.isr.purge({ tag: 'p1' }), { degraded: false })
    await eventually('the others have heard', async () => (await others[1].get(1)).page?.version === pages.version)
    t.match(await cut.get(1), { status: 200, page: { version }, cacheStatus: /detail=disconnected/ }, 'serves on')
    t.match(await cut.app.isr.purge({ tag: 'p2' }), { epoch: null, degraded: true })
    t.match(await cut.get(2), { page: { version: pages.version } })
    t.match(await cut.get(`cold ${kind}`), { status: 200 })

    await proxy.heal({ forget: kind !== 'with no end told' })
    await eventually('it says that it is connected', () => cut.isConnected())
    // At once: nothing may come between the two.
    t.match(await cut.get(1), { page: { version: pages.version } }, 'has caught up before it says so')
    await eventually('its order is delivered', () => cut.app.isr.stats().redis?.queued === 0)
    await eventually('and heard', () => others.every(node => node.app.isr.health().epoch === cut.app.isr.health().epoch))
    for (const node of others) t.match(await node.get(2), { page: { version: pages.version } })
    for (const node of [...others, cut]) for (const id of [1, 2, 3]) await node.get(id)
  }
})
