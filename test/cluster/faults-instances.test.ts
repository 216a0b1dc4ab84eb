import { rm } from 'node:fs/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import isr from '../../lib/index.js'
import { connected, eventually, makeGate, Pages, startNode, startNodes, type ClusterNode } from '../helpers/cluster-nodes.js'
import { startInstances, startOrigin, type Instance } from '../helpers/cluster-app.js'
import { PATIENT } from '../helpers/links.js'
import { startRedis } from '../helpers/redis-server.js'
import { startProxy } from '../helpers/tcp-proxy.js'
import { buildOnce, html, page } from '../helpers/site-build.js'

const LEASE = 600
/** Patient: what is too late here says nothing about leases. */
const redis = { commandTimeout: PATIENT, heartbeat: 200, leaseTtl: LEASE }

async function allConnected (...instances: Instance[]): Promise<void> {
  await eventually('all are connected', async () => (await Promise.all(instances.map(async instance => await instance.health()))).every(health => health.redis === 'connected'))
}

t.test('the holder of a lease is killed (-9) in mid render: another instance takes over after its expiry, waiting visitors are served', async (t) => {
  const server = await startRedis(t)
  const origin = await startOrigin(t)
  const [a, b, c] = await startInstances(t, 3, { origin, client: server.port, redis }) as [Instance, Instance, Instance]
  await allConnected(a, b, c)
  const gate = makeGate()
  origin.gate = gate
  const lost = t.rejects(a.get('/page/1'))
  await eventually('it renders', () => origin.running === 1)
  const waiting = [...Array.from({ length: 20 }, async () => await b.get('/page/1')), ...Array.from({ length: 20 }, async () => await c.get('/page/1'))]
  // Longer than the lease: it is renewed, and nobody else renders.
  await new Promise(resolve => { setTimeout(resolve, 2 * LEASE) })
  t.equal(origin.rendersOf(1), 1, 'as long as it lives nobody else renders')
  origin.gate = null
  const killedAt = performance.now()
  await a.kill()
  await lost
  const answers = await Promise.all(waiting)
  const tookOverAfter = origin.renders[1]!.beganAt - killedAt
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(new Set(answers.map(({ body }) => body)).size, 1)
  t.equal(origin.rendersOf(1), 2, 'one of the two takes over')
  t.not(answers[0]?.page?.instance, 'a')
  t.ok(tookOverAfter < LEASE + 3000, `after ${tookOverAfter} ms`)
  t.comment(`leaseTtl ${LEASE}: another instance took over ${Math.round(tookOverAfter)} ms after the kill, 40 waiting visitors served`)
})

t.test('a render slower than the lease is renewed: one render', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  pages.delay = 4 * LEASE
  const nodes = await startNodes(t, 4, { pages, port: server.port, redis })
  const answers = await Promise.all(nodes.flatMap(node => [node.get(1), node.get(1)]))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(new Set(answers.map(({ body }) => body)).size, 1)
  t.equal(pages.rendersOf(1), 1)
})

t.test('when renewal fails, another instance renders, and the late result is still only stored if newer', async (t) => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server)
  const pages = new Pages()
  const holder = await startNode(t, { pages, port: proxy.port, name: 'a', redis: { ...redis, commandTimeout: 300 } })
  const other = await startNode(t, { pages, port: server.port, name: 'b', redis })
  await connected(holder, other)
  const gate = makeGate()
  pages.gate = gate
  const slow = holder.get(1)
  await eventually('it renders', () => pages.rendersOf(1) === 1)
  proxy.blackhole()
  pages.gate = null
  t.match(await other.get(1), { status: 200, page: { instance: 'b' } }, 'after the expiry of the lease')
  t.equal(pages.rendersOf(1), 2)
  await other.app.isr.purge({ tag: 'p1' })
  pages.version = 2
  t.match(await other.get(1), { status: 200, page: { version: 2, instance: 'b' } })
  await proxy.heal()
  gate.open()
  t.equal((await slow).status, 200)
  await connected(holder, other)
  await eventually('the holder has the newer one', async () => (await holder.get(1)).page?.version === 2)
  t.match(await other.get(1), { page: { version: 2 } })
  const newcomer = await startNode(t, { pages, port: server.port, name: 'c', redis })
  await connected(newcomer)
  t.match(await newcomer.get(1), { page: { version: 2, instance: 'b' } }, 'as is in Redis')
})

for (const kind of ['revalidate', 'purge'] as const) {
  for (const where of ['the instance that renders', 'another instance']) {
    t.test(`a ${kind} during a render, given at ${where}: the result counts as ${kind === 'purge' ? 'purged' : 'stale'} and is rendered again`, async (t) => {
      const server = await startRedis(t)
      const pages = new Pages()
      const nodes = await startNodes(t, 3, { pages, port: server.port, redis })
      const [a, b] = nodes as [ClusterNode, ClusterNode]
      const gate = makeGate()
      pages.gate = gate
      const early = a.get(1)
      await eventually('it renders', () => pages.rendersOf(1) === 1)
      const { epoch } = await (where === 'another instance' ? b : a).app.isr[kind]({ tag: 'p1' })
      await eventually('all have heard', () => nodes.every(node => node.app.isr.health().epoch === epoch))
      pages.version = 2
      pages.gate = null
      // Came after the order: it joins no render from before, and needs not wait for it, either.
      const late = await b.get(1)
      t.match(late, { status: 200, page: { version: 2 } })
      gate.open()
      const { status, page } = await early
      t.equal(status, 200)
      if (kind === 'purge') t.equal(page?.version, 2)
      await eventually('all have the new one', async () => (await Promise.all(nodes.map(async node => await node.get(1)))).every(({ page }) => page?.version === 2))
      t.ok(pages.rendersOf(1) <= 3, `${pages.rendersOf(1)} renders`)
      const newcomer = await startNode(t, { pages, port: server.port, name: 'new', redis })
      await connected(newcomer)
      t.match(await newcomer.get(1), { page: { version: 2 } })
    })
  }
}

t.test('a new instance starts after a mark, with an old build on disk', async (t) => {
  const server = await startRedis(t)
  const dir = t.testdir({ old: {}, live: {} })
  let version = 1
  const declare = (policy: object) => (app: FastifyInstance): void => {
    page(app, '/about', () => html(`about v${version}`), policy)
    page(app, '/news', () => html(`news v${version}`), policy)
  }
  for (const withRedis of [false, true]) {
    await t.test(withRedis ? 'made with Redis' : 'made without', async (t) => {
      version = 1
      await server.command('flushall')
      const start = async (name: string): Promise<FastifyInstance> => {
        const app = Fastify()
        t.teardown(() => app.close())
        await app.register(isr, { dir: `${dir}/${name}`, buildId: 'b1', redis: { ...redis, client: new Redis({ port: server.port, host: '127.0.0.1', lazyConnect: true }) } })
        declare({ tags: ['site'] })(app)
        await app.ready()
        await eventually('it is connected', () => app.isr.health().redis === 'connected')
        return app
      }
      for (const name of ['old', 'live']) {
        await rm(`${dir}/${name}`, { recursive: true, force: true })
        if (withRedis) {
          const builder = await start(name)
          await builder.isr.prerender()
          await builder.close()
        } else await buildOnce(t, `${dir}/${name}`, declare({ tags: ['site'] }), {}, { isr: { buildId: 'b1' } })
      }
      const live = await start('live')
      version = 2
      await live.isr.purge({ path: '/about' })
      t.match((await live.inject('/about')).body, /v2/)
      await live.isr.refresh({ path: '/about' })
      const fresh = await start('old')
      t.match((await fresh.inject('/about')).body, /v2/, 'never the purged page')
      t.match((await fresh.inject('/news')).body, /v1/, 'what nobody has ordered away is there')
      t.match((await live.inject('/about')).body, /v2/, 'nothing was overwritten')
      version = 3
      await fresh.isr.revalidate({ tag: 'site' })
      for (const app of [fresh, live]) {
        await eventually('the new one', async () => /v3/.test((await app.inject('/about')).body) && /v3/.test((await app.inject('/news')).body))
      }
      // Before their directories go.
      for (const app of [fresh, live]) await app.close()
    })
  }
})

t.test('shutdown with renders in flight', async (t) => {
  t.test('waits for them, releases leases, and leaves nothing open', async (t) => {
    const server = await startRedis(t)
    const origin = await startOrigin(t)
    const [a, b] = await startInstances(t, 2, { origin, client: server.port, redis: { ...redis, leaseTtl: 60_000 } }) as [Instance, Instance]
    await allConnected(a, b)
    const gate = makeGate()
    origin.gate = gate
    const served = a.get('/page/1')
    await eventually('it renders', () => origin.running === 1)
    const waiting = b.get('/page/1')
    const closing = a.close()
    await new Promise(resolve => { setTimeout(resolve, 50) })
    gate.open()
    t.equal((await served).status, 200)
    t.same((await waiting).body, (await served).body, 'who waits elsewhere gets it')
    // Rejects when something keeps the process alive.
    await closing
    t.equal(origin.rendersOf(1), 1)
    const leases = await server.command('keys', '*lease*') as string[]
    for (const lease of leases) t.match(await server.command('get', lease), /^done\|/, 'no lease is left')
    t.equal((await b.get('/page/2')).status, 200)
  })

  t.test('a render that never ends is waited for no longer than a render may take', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const [node] = await startNodes(t, 1, { pages, port: server.port, redis, isr: { render: { timeout: 500 } } }) as [ClusterNode]
    pages.gate = makeGate()
    const failed = node.get(1)
    await eventually('it renders', () => pages.rendersOf(1) === 1)
    const startedAt = performance.now()
    await node.app.close()
    const ms = performance.now() - startedAt
    t.ok(ms < 3000, `closed after ${ms} ms`)
    t.ok((await failed).status >= 500)
    pages.gate.open()
  })

  t.test('while Redis is frozen', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const [node] = await startNodes(t, 1, { pages, port: server.port, redis: { ...redis, commandTimeout: 300 } }) as [ClusterNode]
    const gate = makeGate()
    pages.gate = gate
    const served = node.get(1)
    await eventually('it renders', () => pages.rendersOf(1) === 1)
    server.stop()
    const startedAt = performance.now()
    const closing = node.app.close()
    gate.open()
    t.equal((await served).status, 200)
    await closing
    const ms = performance.now() - startedAt
    t.ok(ms < 5000, `closed after ${ms} ms`)
    server.cont()
  })
})
