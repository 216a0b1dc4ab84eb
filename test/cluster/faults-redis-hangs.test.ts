import t, { type Test } from 'tap'
import { connected, disconnected, eventually, Pages, startNode, startNodes, type ClusterNode } from '../helpers/cluster-nodes.js'
import { startRedis } from '../helpers/redis-server.js'
import { startProxy } from '../helpers/tcp-proxy.js'

/** Milliseconds. */
const TIMEOUT = 300
/** What a busy machine adds to it. */
const NOISE = 600

/** Requests for pages that nobody has, one after another, and how long each took. */
async function coldRequests (t: Test, node: ClusterNode, count: number, name: string): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const { status, ms } = await node.get(`${name}${i}`)
    t.equal(status, 200)
    times.push(ms)
  }
  return times
}

t.test('Redis hangs', async (t) => {
  t.test('each command has a deadline, the breaker opens, hits are untouched', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    // Nothing but visitors asks.
    const [node] = await startNodes(t, 1, { pages, port: server.port, redis: { commandTimeout: TIMEOUT, heartbeat: 60_000 } }) as [ClusterNode]
    await node.get(1)
    server.stop()
    const times = await coldRequests(t, node, 20, 'cold')
    t.ok(times[0]! < 2 * TIMEOUT + NOISE, `the first waits for two commands: ${times[0]} ms`)
    const late = times.slice(1).filter(ms => ms >= TIMEOUT)
    t.equal(late.length, 0, `once the breaker is open nobody waits: ${times.map(Math.round).join(' ')}`)
    t.match(await node.get(1), { status: 200, cacheStatus: /detail=disconnected/ })
    const hits = await Promise.all(Array.from({ length: 100 }, async () => (await node.get(1)).ms))
    t.ok(Math.max(...hits) < TIMEOUT, 'hits never ask')
    t.match(await node.app.isr.purge({ tag: 'p1' }), { epoch: null, degraded: true })
    t.comment(`cold pages while Redis is frozen, commandTimeout ${TIMEOUT}: ${times.slice(0, 4).map(Math.round).join(', ')} ms …; slowest of 100 hits at once ${Math.round(Math.max(...hits))} ms`)
    server.cont()
  })

  t.test('visitors wait for one command timeout at most while heartbeats ask, and it heals by itself', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 2, { pages, port: server.port, redis: { commandTimeout: TIMEOUT } })
    const [a, b] = nodes as [ClusterNode, ClusterNode]
    for (const node of nodes) await node.get(1)
    const before = a.app.isr.stats().redis?.incarnation
    server.stop()
    await disconnected(a, b)
    const times = await coldRequests(t, a, 10, 'cold')
    t.ok(Math.max(...times.slice(2)) < TIMEOUT, `${times.map(Math.round).join(' ')}`)
    pages.version = 2
    t.match(await a.app.isr.purge({ tag: 'p1' }), { epoch: null, degraded: true })
    t.match(await a.get(1), { page: { version: 2 } })
    server.cont()
    await connected(a, b)
    t.equal(a.app.isr.stats().redis?.incarnation, before, 'nothing was lost: the same life')
    await eventually('the order is delivered', () => a.app.isr.stats().redis?.queued === 0)
    await eventually('it is heard', () => b.app.isr.health().epoch === a.app.isr.health().epoch)
    t.match(await b.get(1), { page: { version: 2 } })
    for (const node of nodes) t.equal(node.warnings.filter(message => message.includes('not all of Redis can be reached')).length, 1, 'reported once')
  })

  t.test('what was sent to it while it was frozen does no harm when it wakes up', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const [a, b] = await startNodes(t, 2, { pages, port: server.port, redis: { commandTimeout: TIMEOUT, leaseTtl: 60_000 } }) as [ClusterNode, ClusterNode]
    server.stop()
    // Its request for a lease is in the socket.
    t.match(await a.get(1), { status: 200, page: { instance: 'a' } })
    server.cont()
    await connected(a, b)
    const { status, ms } = await b.get(1)
    t.equal(status, 200)
    t.ok(ms < 6000, `nobody waits for a lease that nobody has: ${ms} ms`)
  })
})

t.test('latency: a command that comes too late counts as failed, and the breaker closes again', async (t) => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server)
  const pages = new Pages()
  const node = await startNode(t, { pages, port: proxy.port, redis: { commandTimeout: TIMEOUT } })
  await connected(node)
  proxy.delay(2 * TIMEOUT)
  await disconnected(node)
  const times = await coldRequests(t, node, 5, 'slow')
  t.ok(Math.max(...times.slice(2)) < TIMEOUT)
  proxy.delay(0)
  await proxy.heal()
  await connected(node)
  t.match(await node.app.isr.purge({ tag: 'p1' }), { degraded: false })
})

t.test('packet loss: nothing comes back, then everything', async (t) => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server)
  const pages = new Pages()
  const node = await startNode(t, { pages, port: proxy.port, name: 'a', redis: { commandTimeout: TIMEOUT } })
  const other = await startNode(t, { pages, port: server.port, name: 'b' })
  await connected(node, other)
  await node.get(1)
  for (let round = 0; round < 3; round++) {
    proxy.drop('toClient')
    // It may have been carried out: it is given again.
    const { degraded, epoch } = await node.app.isr.purge({ tag: 'p1' })
    t.equal(degraded, true)
    t.equal(epoch, null)
    await coldRequests(t, node, 3, `lossy ${round} `)
    await disconnected(node)
    await proxy.heal()
    await connected(node, other)
    await eventually('the order is delivered', () => node.app.isr.stats().redis?.queued === 0)
    await eventually('it is heard', () => other.app.isr.health().epoch === node.app.isr.health().epoch)
    t.equal((await node.get(1)).status, 200)
  }
})
