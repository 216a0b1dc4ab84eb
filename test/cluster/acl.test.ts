// The access that docs/cluster.md grants is enough for all that an app does, and none of it is idle.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { makeGate, startInstances, startOrigin, type Instance } from '../helpers/cluster-app.js'
import type { ClientSettings } from '../helpers/cluster-child.js'
import { startRedis, startRedisCluster, type RedisServer } from '../helpers/redis-server.js'
import { eventually } from '../helpers/site-build.js'

const docs = readFileSync(new URL('../../../docs/cluster.md', import.meta.url), 'utf8')

/** The lines of an ACL file that stand in the document: for a single server, and for the nodes of a Redis Cluster. */
const [single, node] = [...docs.matchAll(/^user isr (on .*)$/gm)].map(([, rules]) => rules as string) as [string, string]
const password = />(\S+)/.exec(single)?.[1] as string
const login = { username: 'isr', password }

function commandsOf (rules: string): string[] {
  return [...rules.matchAll(/ \+(\S+)/g)].map(([, command]) => command as string)
}

async function callsOf (servers: readonly RedisServer[], command: string): Promise<number> {
  const stats = await Promise.all(servers.map(server => server.info('commandstats')))
  return stats.reduce((sum, each) => sum + Number(/calls=(\d+)/.exec(each[`cmdstat_${command}`] ?? '')?.[1] ?? 0), 0)
}

/** All that an app does in its life; `more` happens to two connected instances before they are closed. */
async function live (t: Test, servers: readonly RedisServer[], client: ClientSettings, more: (instances: readonly Instance[]) => Promise<void> = async () => {}): Promise<void> {
  const origin = await startOrigin(t)
  const [a, b] = await startInstances(t, 2, {
    origin,
    client,
    redis: { heartbeat: 200, leaseTtl: 300, commandTimeout: 5000 },
    policy: { staleIfError: 0 }
  }) as [Instance, Instance]
  const areConnected = async (): Promise<void> => {
    await eventually('both are connected', async () => (await Promise.all([a.health(), b.health()])).every(({ redis, lag }) => redis === 'connected' && lag === 0), 20_000)
  }
  await areConnected()

  const gate = makeGate()
  origin.gate = gate
  const cold = Promise.all([a, b, a, b].map(instance => instance.get('/page/1')))
  await eventually('the lease is renewed', async () => await callsOf(servers, 'pexpire') > 1)
  origin.gate = null
  gate.open()
  t.same((await cold).map(({ page }) => page?.version), [1, 1, 1, 1])
  t.equal(origin.rendersOf(1), 1)

  origin.bump()
  t.match(await a.revalidate({ path: '/page/1' }, { expire: 0 }), { degraded: false })
  await eventually('the others show the new page', async () => (await b.get('/page/1')).page?.version === 2)
  origin.bump()
  t.match(await b.purge({ tag: 'pages' }), { degraded: false })
  await eventually('it is gone', async () => (await a.get('/page/1')).page?.version === 3)
  origin.bump()
  t.match(await a.refresh({ path: '/page/1' }), { pages: [{ outcome: 'stored' }] })
  await eventually('the others show what was refreshed', async () => (await b.get('/page/1')).page?.version === 4)
  t.equal(origin.rendersOf(1), 4)

  origin.outcome = id => id === '1' ? 'gone' : 'failure'
  t.equal((await a.get('/page/2')).status, 500)
  t.ok((await b.get('/page/2')).status >= 500)
  t.equal(origin.rendersOf(2), 1, 'the others know that it has failed')
  await a.purge({ path: '/page/1' })
  t.equal((await a.get('/page/1')).status, 404)
  origin.outcome = () => 'page'

  // What is said while nobody listens is looked up.
  await Promise.all(servers.map(server => server.command('client', 'kill', 'type', 'pubsub')))
  origin.bump()
  t.match(await a.purge({ all: true }), { degraded: false })
  await areConnected()
  await eventually('it is looked up', async () => (await b.get('/page/1')).page?.version === 5)

  // Evicted, or by somebody else's hand: whether the past has changed can't be told then.
  await Promise.all(servers.map(server => server.command('unlink', '{isr}:log').catch(() => {})))

  // More than are kept.
  for (let order = 0; order < 11; order++) {
    t.match(await a.purge(Array.from({ length: 1000 }, (_, index) => ({ tag: `${order}-${index}` }))), { degraded: false })
  }
  await areConnected()

  const { redis: before } = await a.stats()
  await Promise.all(servers.map(server => server.command('flushall')))
  await eventually('another incarnation begins', async () => (await b.stats()).redis?.incarnation !== before?.incarnation && (await a.stats()).redis?.incarnation !== before?.incarnation, 20_000)
  await areConnected()
  origin.bump()
  t.match(await b.purge({ path: '/page/1' }), { degraded: false })
  await eventually('orders reach all', async () => (await a.get('/page/1')).page?.version === 6)

  await more([a, b])
  for (const instance of [a, b]) {
    t.same(instance.warnings.filter(text => /refuses|tier/.test(text)), [])
    t.match(await instance.stats(), { redis: { tier: { errors: 0 } } })
  }
  await Promise.all([a.close(), b.close()])
}

async function refusals (servers: readonly RedisServer[]): Promise<unknown[]> {
  return (await Promise.all(servers.map(server => server.command('acl', 'log')))).flat()
}

t.test('no script calls anything else', async t => {
  const sources = ['../../../lib/cluster/', '../../../lib/cache/'].map(dir => new URL(dir, import.meta.url))
  const lua = sources.flatMap(dir => readdirSync(dir).map(name => readFileSync(new URL(name, dir), 'utf8'))).join('\n')
  const called = new Set([...lua.matchAll(/redis\.p?call\('(\w+)'/g)].map(([, command]) => command?.toLowerCase()))
  t.ok(called.size > 15)
  t.same([...called].filter(command => !commandsOf(single).includes(command as string)), [])
  t.same(commandsOf(single).filter(command => !commandsOf(node).includes(command)), [])
})

t.test('a single server', async t => {
  const redis = await startRedis(t, { users: ['default off', `isr ${single}`] })
  await live(t, [redis], { options: { host: redis.host, port: redis.port, lazyConnect: true, ...login } })
  t.same(await refusals([redis]), [], 'nothing is refused')
  for (const command of commandsOf(single)) t.ok(await callsOf([redis], command) > 0, `${command} is used`)
})

t.test('a Redis Cluster', async t => {
  const { nodes, seeds, nodeOf } = await startRedisCluster(t, { conf: [`user isr ${node}`] })
  const moving = `isr:b1:page:${createHash('sha256').update('/page/moving').digest('hex')}`
  const from = await nodeOf(moving)
  const to = nodes.find(each => each !== from) as RedisServer
  const slot = await from.command('cluster', 'keyslot', moving) as number
  await live(t, nodes, { nodes: seeds, options: { lazyConnect: true, ...login } }, async ([a, b]) => {
    await to.command('cluster', 'setslot', slot, 'importing', await from.command('cluster', 'myid') as string)
    await from.command('cluster', 'setslot', slot, 'migrating', await to.command('cluster', 'myid') as string)
    const pages = [await a?.get('/page/moving'), await b?.get('/page/moving')].map(answer => answer?.page?.render)
    t.equal(pages[0], pages[1], 'while a slot moves, the page is found where it is')
  })
  t.same(await refusals(nodes), [], 'nothing is refused')
  for (const command of commandsOf(node)) t.ok(await callsOf(nodes, command) > 0, `${command} is used`)
})
