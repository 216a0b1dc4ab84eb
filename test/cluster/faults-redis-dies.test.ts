import t, { type Test } from 'tap'
import { connected, disconnected, eventually, Pages, startNode, startNodes, type ClusterNode } from '../helpers/cluster-nodes.js'
import { startRedis } from '../helpers/redis-server.js'

const ENDPOINT = { path: '/isr', secret: 'a-secret-of-more-than-thirty-two-characters' }

async function order (node: ClusterNode, body: object): Promise<{ status: number, body: unknown }> {
  const response = await node.app.inject({ method: 'POST', url: ENDPOINT.path, headers: { authorization: `Bearer ${ENDPOINT.secret}` }, payload: body })
  return { status: response.statusCode, body: response.json() }
}

function incarnationOf (node: ClusterNode): string | null {
  return node.app.isr.stats().redis?.incarnation ?? null
}

/** All say the version, one after another: the same page. */
async function converged (nodes: readonly ClusterNode[], id: string | number, version: number): Promise<void> {
  await eventually(`all have version ${version} of ${id}`, async () => (await Promise.all(nodes.map(async node => await node.get(id)))).every(({ page }) => page?.version === version))
}

t.test('Redis is killed and restarted empty', async (t) => {
  t.test('pages go on from memory, new ones are rendered, no request waits, and Cache-Status says so', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 2, { pages, port: server.port })
    for (const node of nodes) await node.get(1)
    t.match(await nodes[0]!.get(1), { status: 200, cacheStatus: /hit; ttl=\d+$/ })
    t.match(nodes[0]!.app.isr.health(), { redis: 'connected', lag: 0 })

    await server.kill()
    await disconnected(...nodes)
    let slowest = 0
    for (const node of nodes) {
      t.match(await node.get(1), { status: 200, cacheStatus: /hit; .*detail=disconnected/ })
      const cold = await node.get(`cold ${node.name}`)
      t.match(cold, { status: 200, cacheStatus: /fwd=uri-miss; stored/ })
      slowest = Math.max(slowest, cold.ms)
      t.match(node.app.isr.health(), { redis: 'degraded' })
      t.match(node.app.isr.stats().redis, { status: 'degraded' })
    }
    t.equal(pages.rendersOf(1), 1)
    t.ok(slowest < 500, `no command timeout is waited for: ${slowest} ms`)
    for (const node of nodes) t.equal(node.warnings.filter(message => message.includes('not all of Redis can be reached')).length, 1, 'reported once')
  })

  t.test('on return there is a new incarnation, everything older is stale once, and marks are written back', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 3, { pages, port: server.port })
    for (const node of nodes) for (const id of [1, 2, 3]) await node.get(id)
    pages.version = 2
    const { epoch } = await nodes[0]!.app.isr.purge({ tag: 'p2' })
    t.type(epoch, 'number')
    await converged(nodes, 2, 2)
    const before = incarnationOf(nodes[0]!)

    await server.kill()
    await disconnected(...nodes)
    await server.restart()
    await connected(...nodes)
    const after = incarnationOf(nodes[0]!)
    t.not(after, before)
    for (const node of nodes) t.equal(incarnationOf(node), after)
    pages.version = 3
    for (const node of nodes) t.match(await node.get(1), { status: 200, page: { version: 1 } }, 'stale: served')
    await converged(nodes, 1, 3)
    t.equal(pages.rendersOf(1), 2, 'rendered once by one instance for all')
    for (let i = 0; i < 5; i++) for (const node of nodes) await node.get(1)
    t.equal(pages.rendersOf(1), 2, 'stale once')

    const members = await server.command('zrange', '{isr}:marks', 0, -1) as string[]
    t.equal(members.filter(member => member.endsWith('|p2') && member.startsWith('h|')).length, 1, 'the mark is there again')
    const newcomer = await startNode(t, { pages, port: server.port, name: 'new' })
    await connected(newcomer)
    t.equal(incarnationOf(newcomer), after)
  })

  t.test('FLUSHALL while it runs: no 5xx, the same as with an empty one', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 3, { pages, port: server.port })
    for (const node of nodes) await node.get(1)
    const before = incarnationOf(nodes[0]!)
    pages.version = 2
    await server.command('flushall')
    // Before anybody has had the time to notice.
    const { epoch, degraded } = await nodes[0]!.app.isr.purge({ tag: 'p9' })
    t.type(epoch, 'number')
    t.equal(degraded, false)
    await eventually('all have noticed', () => nodes.every(node => incarnationOf(node) !== before))
    for (const node of nodes) t.equal(incarnationOf(node), incarnationOf(nodes[0]!))
    for (const node of nodes) t.match(await node.get(1), { status: 200 })
    await converged(nodes, 1, 2)
    t.equal(pages.rendersOf(1), 2)
    for (let i = 0; i < 5; i++) await Promise.all([...nodes.map(async node => t.match(await node.get(i), { status: 200 })), server.command('flushall')])
    await connected(...nodes)
  })

  t.test('a render that began in one life of Redis and ends in the next is not taken for fresh', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 2, { pages, port: server.port })
    const [a, b] = nodes as [ClusterNode, ClusterNode]
    let open!: () => void
    pages.gate = { opened: new Promise(resolve => { open = resolve }), open () {} }
    const slow = a.get(1)
    await eventually('it renders', () => pages.rendersOf(1) === 1)
    const before = incarnationOf(a)
    await server.command('flushall')
    await eventually('both have noticed', () => incarnationOf(a) !== before && incarnationOf(b) !== before)
    pages.version = 2
    const order = b.app.isr.purge({ tag: 'p1' })
    await order
    await eventually('it is heard', () => a.app.isr.health().epoch === b.app.isr.health().epoch)
    pages.gate = null
    open()
    t.match(await slow, { status: 200, page: { version: 2 } }, 'rendered again: the purge was heard while it waited')
    t.match(await b.get(1), { page: { version: 2 } })
  })
})

t.test('a purge is not forgotten however often Redis loses everything', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  const dir = t.testdir()
  const node = await startNode(t, { pages, port: server.port, isr: { disk: {}, dir, memory: { maxBytes: 12_000 } } })
  const other = await startNode(t, { pages, port: server.port, name: 'b' })
  await connected(node, other)
  const LIVES = 6
  for (let id = 0; id < LIVES + 10; id++) await node.get(id)
  // Who hears of an order has the page on disk only.
  t.ok(node.app.isr.stats().memory.entries < 10)
  for (let life = 0; life < LIVES; life++) {
    const { epoch } = await other.app.isr.purge({ tag: `p${life}` })
    await eventually('it is heard', () => node.app.isr.health().epoch === epoch && node.app.isr.health().lag === 0)
    const before = incarnationOf(node)
    await server.command('flushall')
    await eventually('it is noticed', () => [node, other].every(each => incarnationOf(each) !== before) && incarnationOf(node) === incarnationOf(other))
  }
  pages.version = 2
  for (let life = 0; life < LIVES; life++) t.match(await node.get(life), { page: { version: 2 } }, `purged in life ${life}`)
  t.match(await node.get(LIVES), { page: { version: 1 } }, 'what was not purged is stale, no more')
  // Before its directory goes.
  await node.app.close()
})

t.test('orders given while Redis is away', async (t) => {
  t.test('are no acknowledgement, hold here, and are delivered on return', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 3, { pages, port: server.port, isr: { revalidateEndpoint: ENDPOINT } })
    const [a, b] = nodes as [ClusterNode, ClusterNode]
    for (const node of nodes) for (const id of [1, 2, 3]) await node.get(id)
    await server.kill()
    await disconnected(...nodes)

    pages.version = 2
    t.match(await a.app.isr.purge({ tag: 'p1' }), { epoch: null, degraded: true, matched: 1 })
    t.match(await a.app.isr.revalidate({ path: '/p/2' }), { epoch: null, degraded: true, matched: 1 })
    const answer = await order(a, { purge: [{ tag: 'p3' }] })
    t.equal(answer.status, 503)
    t.match(JSON.stringify(answer.body), /"epoch":null.*"degraded":true/)
    t.equal(a.app.isr.stats().redis?.queued, 3)
    t.match(await a.get(1), { page: { version: 2 } }, 'it holds here')
    t.match(await a.get(3), { page: { version: 2 } })
    t.match(await b.get(1), { page: { version: 1 } }, 'nobody else has heard')

    await server.restart()
    await connected(...nodes)
    await eventually('all is delivered', () => a.app.isr.stats().redis?.queued === 0)
    await eventually('all have heard', () => nodes.every(node => node.app.isr.health().epoch === a.app.isr.health().epoch && node.app.isr.health().lag === 0))
    for (const node of nodes) for (const id of [1, 3]) t.match(await node.get(id), { status: 200, page: { version: 2 } }, `${node.name} ${id}`)
    await converged(nodes, 2, 2)
    t.match(await order(a, { purge: [{ tag: 'p3' }] }), { status: 200, body: {} })
  })

  t.test('the last one per target, as strict as all of them', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const [a, b] = await startNodes(t, 2, { pages, port: server.port }) as [ClusterNode, ClusterNode]
    await b.get(1)
    await server.kill()
    await disconnected(a, b)
    for (let i = 0; i < 50; i++) {
      await a.app.isr.revalidate({ tag: 'p1' }, { expire: i === 20 ? 0 : 3600 })
      await a.app.isr.revalidate({ tag: `other${i % 5}` })
    }
    t.equal(a.app.isr.stats().redis?.queued, 6)
    await server.restart()
    await connected(a, b)
    await eventually('all is delivered', () => a.app.isr.stats().redis?.queued === 0)
    await eventually('it is heard', () => b.app.isr.health().epoch === a.app.isr.health().epoch)
    pages.version = 2
    t.match(await b.get(1), { page: { version: 2 } }, 'the strictest: expired at once')
  })

  t.test('are delivered to the same life of Redis as well', async (t) => {
    const server = await startRedis(t, { conf: ['appendonly yes', 'appendfsync always'] })
    const pages = new Pages()
    const [a, b] = await startNodes(t, 2, { pages, port: server.port }) as [ClusterNode, ClusterNode]
    await b.get(1)
    await a.app.isr.purge({ tag: 'p7' })
    const before = incarnationOf(a)
    await server.kill()
    await disconnected(a, b)
    t.match(await a.app.isr.purge({ tag: 'p1' }), { epoch: null, degraded: true })
    await server.restart()
    await connected(a, b)
    t.equal(incarnationOf(a), before, 'nothing was lost')
    await eventually('it is delivered', () => a.app.isr.stats().redis?.queued === 0)
    await eventually('it is heard', () => b.app.isr.health().epoch === a.app.isr.health().epoch)
    pages.version = 2
    t.match(await b.get(1), { page: { version: 2 } })
  })
})

t.test('an instance that starts while Redis is away serves, and joins the others when it is back', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  const a = await startNode(t, { pages, port: server.port, name: 'a' })
  await connected(a)
  await a.get(1)
  await server.kill()
  const b = await startNode(t, { pages, port: server.port, name: 'b' })
  t.match(await b.get(1), { status: 200 })
  t.match(await b.get(1), { status: 200, cacheStatus: /hit; .*detail=disconnected/ })
  t.match(b.app.isr.health(), { redis: 'degraded' })
  t.match(await b.app.isr.purge({ tag: 'p1' }), { epoch: null, degraded: true })
  pages.version = 2
  t.match(await b.get(1), { page: { version: 2 } })
  t.match(await a.get(1), { page: { version: 1 } })
  await server.restart()
  await connected(a, b)
  await eventually('it is delivered', () => b.app.isr.stats().redis?.queued === 0)
  await eventually('it is heard', () => b.app.isr.health().epoch === a.app.isr.health().epoch)
  t.match(await a.get(1), { page: { version: 2 } })
})

const SECONDS = process.env['ISR_LONG'] === '1' ? 60 : 8
for (const where of ['in memory', 'on disk, with little memory']) {
  t.test(`Redis is killed and restarted again and again under load for ${SECONDS} s, pages ${where}: zero 5xx, zero torn bodies, the last acknowledged purge is honoured by all`, { timeout: 300_000 }, async (t) => {
    await restartAgainAndAgain(t, SECONDS * 1000, { dir: where === 'in memory' ? null : t.testdir() })
  })
}

/** Pseudo-random numbers that can be had again. */
function randomOf (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

async function restartAgainAndAgain (t: Test, forMs: number, { dir }: { dir: string | null }): Promise<void> {
  const seed = Number(process.env['ISR_SEED'] ?? Date.now() % 1_000_000)
  t.comment(`ISR_SEED=${seed}`)
  const random = randomOf(seed)
  const any = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const IDS = 20
  const server = await startRedis(t)
  const pages = new Pages()
  pages.delay = 5
  const nodes = await Promise.all(['a', 'b', 'c'].map(async name => await startNode(t, {
    pages,
    port: server.port,
    name,
    redis: { commandTimeout: 250 },
    isr: dir === null ? {} : { disk: {}, dir: `${dir}/${name}`, memory: { maxBytes: 60_000 } }
  })))
  await connected(...nodes)

  const end = new AbortController()
  const counts = { requests: 0, failed: 0, restarts: 0, acknowledged: 0, degraded: 0 }
  let slowest = 0
  /** The version that pages have at least, since a purge was acknowledged. */
  const least = new Map<number, number>()
  const visit = async (): Promise<void> => {
    while (!end.signal.aborted) {
      const { status, ms } = await any(nodes).get(Math.floor(random() * IDS))
      counts.requests++
      if (status !== 200) counts.failed++
      slowest = Math.max(slowest, ms)
      await new Promise(resolve => { setTimeout(resolve, 2) })
    }
  }
  const purge = async (): Promise<void> => {
    while (!end.signal.aborted) {
      const id = Math.floor(random() * IDS)
      const version = ++pages.version
      const { degraded } = await any(nodes).app.isr.purge({ tag: `p${id}` })
      if (degraded) counts.degraded++
      else {
        counts.acknowledged++
        least.set(id, version)
      }
      await new Promise(resolve => { setTimeout(resolve, 20 + random() * 50) })
    }
  }
  const kill = async (): Promise<void> => {
    const step = Math.min(2000, forMs / 5)
    while (!end.signal.aborted) {
      await new Promise(resolve => { setTimeout(resolve, step * (0.3 + random() * 0.4)) })
      await server.kill()
      await new Promise(resolve => { setTimeout(resolve, step * (0.1 + random() * 0.4)) })
      await server.restart()
      counts.restarts++
    }
  }
  const working = Promise.all([visit(), visit(), visit(), visit(), purge(), kill()])
  await new Promise(resolve => { setTimeout(resolve, forMs) })
  end.abort()
  // A torn page rejects.
  await working
  await connected(...nodes)
  // Two heartbeats, and what a busy machine adds.
  await new Promise(resolve => { setTimeout(resolve, 220 + 300) })
  for (const [id, version] of least) {
    for (const node of nodes) {
      const { status, page } = await node.get(id)
      t.equal(status, 200)
      t.ok(page !== null && page.version >= version, `${node.name} has version ${page?.version} of ${id}, purged at ${version}`)
    }
  }
  t.equal(counts.failed, 0, 'zero 5xx')
  t.ok(counts.restarts > 1)
  // Before their directories go.
  for (const { app } of nodes) await app.close()
  t.comment(`${JSON.stringify(counts)}, ${pages.renders.length} renders, slowest answer ${Math.round(slowest)} ms`)
}

t.test('after an outage pages are asked for once more, and are as fresh as before until then', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  const node = await startNode(t, { pages, port: server.port, name: 'a' })
  await connected(node)
  await node.get(1)
  await eventually('it is in Redis', async () => (await server.command('keys', 'isr:b1:page:*') as string[]).length === 1)
  await server.restart({ empty: false })
  await eventually('it was away', () => node.app.isr.health().redis === 'degraded')
  await connected(node)
  t.match(await node.app.isr.inspect('/p/1'), { state: 'fresh', cached: true })
  const { reads } = node.app.isr.stats().redis!.tier
  t.match((await node.get(1)).cacheStatus, /; hit; ttl=\d+$/)
  await eventually('Redis was asked', () => node.app.isr.stats().redis!.tier.reads === reads + 1)
  await node.get(1)
  t.equal(node.app.isr.stats().redis!.tier.reads, reads + 1, 'once')
  t.equal(pages.rendersOf(1), 1)
})
