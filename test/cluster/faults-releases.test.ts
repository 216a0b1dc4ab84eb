import t from 'tap'
import { connected, eventually, makeGate, Pages, startNode } from '../helpers/cluster-nodes.js'
import { PATIENT } from '../helpers/links.js'
import { startRedis } from '../helpers/redis-server.js'

t.test('a new release beside the old one: separate build ids, neither reads the other\'s pages, marks reach both', async (t) => {
  const server = await startRedis(t)
  const [before, after] = [new Pages(), new Pages()]
  const redis = { commandTimeout: PATIENT, leaseTtl: PATIENT }
  const olds = await Promise.all(['old a', 'old b'].map(async name => await startNode(t, { pages: before, port: server.port, name, redis, isr: { buildId: 'r1' } })))
  const news = await Promise.all(['new a', 'new b'].map(async name => await startNode(t, { pages: after, port: server.port, name, redis, isr: { buildId: 'r2' } })))
  const all = [...olds, ...news]
  await connected(...all)
  const heard = async (epoch: number | null): Promise<void> => {
    await eventually('all have heard', () => all.every(node => node.app.isr.health().epoch === epoch))
  }

  // Nobody waits for a lease of the other release.
  const gate = makeGate()
  before.gate = gate
  const slow = olds[0]!.get(1)
  await eventually('the old release renders', () => before.rendersOf(1) === 1)
  t.match(await news[0]!.get(1), { status: 200, page: { instance: 'new a' } })
  before.gate = null
  gate.open()
  t.match(await slow, { page: { instance: 'old a' } })
  t.match(await olds[1]!.get(1), { page: { instance: 'old a' } })
  t.match(await news[1]!.get(1), { page: { instance: 'new a' } })
  t.same([before.rendersOf(1), after.rendersOf(1)], [1, 1], 'each release once')

  for (const [orderer, kind] of [[olds[0]!, 'purge'], [news[1]!, 'purge'], [olds[1]!, 'revalidate'], [news[0]!, 'revalidate']] as const) {
    const version = ++before.version
    after.version = version
    const { epoch } = await orderer.app.isr[kind]({ path: '/p/1' })
    await heard(epoch)
    for (const node of all) {
      if (kind === 'purge') t.match(await node.get(1), { page: { version } }, `${kind} by ${orderer.name}, asked of ${node.name}`)
      else await eventually(`${kind} by ${orderer.name} has reached ${node.name}`, async () => (await node.get(1)).page?.version === version)
    }
    for (const node of all) t.equal((await node.get(1)).page?.instance.slice(0, 3), node.name.slice(0, 3))
  }
  t.same([before.rendersOf(1), after.rendersOf(1)], [5, 5])

  // A page that one release has found gone is still there in the other.
  before.isGone = () => true
  await olds[0]!.app.isr.refresh({ path: '/p/1' })
  await eventually('the old release has dropped it', async () => (await olds[1]!.get(1)).status === 404)
  for (const node of news) t.match(await node.get(1), { status: 200, cacheStatus: /hit/ })

  // Who comes after the purge knows of it, whatever it is the release of.
  await heard((await olds[0]!.app.isr.purge({ tag: 'all' })).epoch)
  after.version = 99
  const late = await startNode(t, { pages: after, port: server.port, name: 'new c', redis, isr: { buildId: 'r2' } })
  await connected(late)
  t.match(await late.get(1), { page: { version: 99 } })
})

t.test('a page that one instance has found gone is dropped by all, once', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  const nodes = await Promise.all(['a', 'b', 'c'].map(async name => await startNode(t, { pages, port: server.port, name })))
  await connected(...nodes)
  for (const node of nodes) await node.get(1)
  pages.isGone = () => true
  await nodes[0]!.app.isr.refresh({ path: '/p/1' })
  for (const node of nodes) await eventually('it is gone', async () => (await node.get(1)).status === 404)
  // What says so to those who have an older copy.
  for (const key of await server.command('keys', 'isr:b1:page:*') as string[]) t.match(await server.command('hget', key, 'bytes'), /"gone":true/)
})

t.test('paths that somebody makes up leave nothing in Redis', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  const node = await startNode(t, { pages, port: server.port, name: 'a' })
  await connected(node)
  pages.isGone = () => true
  for (let id = 0; id < 20; id++) t.equal((await node.get(id)).status, 404)
  await eventually('every lease is given back', async () => (await server.command('keys', '*:lease:*') as string[]).length === 0)
  t.same(await server.command('keys', 'isr:b1:page:*'), [])
})
