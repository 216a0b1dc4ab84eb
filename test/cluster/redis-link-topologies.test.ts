import t, { type Test } from 'tap'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import { script } from '../../lib/cluster/link.js'
import type { RedisTemplate } from '../../lib/cluster/redis-link.js'
import { codeOf, eventually, leavesNothing, leftovers, PATIENT, startLink, type TestLink } from '../helpers/links.js'
import { startRedisCluster, startSentinel, type RedisCluster, type RedisServer, type Sentinel } from '../helpers/redis-server.js'

const UNAVAILABLE = 'FST_ISR_ERR_REDIS_UNAVAILABLE'
const HOME = 'home'
const get = script("return redis.call('get', KEYS[1])")
const set = script("return redis.call('set', KEYS[1], ARGV[1])")
const publish = script("return redis.call('publish', 'news', ARGV[1])")

const clusters: Record<string, (seeds: RedisCluster['seeds'], options?: { keyPrefix: string }) => RedisTemplate> = {
  'ioredis 6': ([...seeds], options = { keyPrefix: '' }) => new Cluster(seeds, { lazyConnect: true, redisOptions: options }),
  'ioredis 5.4': ([...seeds], options = { keyPrefix: '' }) => new Cluster5(seeds, { lazyConnect: true, redisOptions: options }),
  iovalkey: ([...seeds], options = { keyPrefix: '' }) => new ValkeyCluster(seeds, { lazyConnect: true, redisOptions: options })
}

const sentinels: Record<string, (sentinel: Sentinel) => RedisTemplate> = {
  'ioredis 6': ({ name, seeds: [...seeds] }) => new Redis({ sentinels: seeds, name, lazyConnect: true }),
  'ioredis 5.4': ({ name, seeds: [...seeds] }) => new Redis5({ sentinels: seeds, name, lazyConnect: true }),
  iovalkey: ({ name, seeds: [...seeds] }) => new Valkey({ sentinels: seeds, name, lazyConnect: true })
}

/** Keys enough to be on all nodes. */
const KEYS = Array.from({ length: 30 }, (_, i) => `key:${i}`)

async function beatsUntilUp ({ link }: TestLink): Promise<void> {
  await eventually('it is up', async () => {
    if (!link.isUp) await link.run(get, [HOME]).catch(() => {})
    return link.isUp
  })
}

/** A key of one node. */
async function keyOf (cluster: RedisCluster, node: RedisServer): Promise<string> {
  for (const key of KEYS) if (await cluster.nodeOf(key) === node) return key
  throw new Error('no such key')
}

async function works (t: Test, { link }: TestLink): Promise<void> {
  for (const key of KEYS) await link.run(set, [key], [key])
  const values = await Promise.all(KEYS.map(key => link.runBuffer(get, [key])))
  t.same(values, KEYS.map(key => Buffer.from(key)))
}

/** All keys can be asked again. */
async function recovers (made: TestLink): Promise<void> {
  await beatsUntilUp(made)
  for (const key of KEYS) await eventually(`${key} can be written`, async () => await codeOf(made.link.run(set, [key], [key])) === null)
}

async function hears (t: Test, made: TestLink, text: string): Promise<void> {
  await made.link.run(publish, [HOME], [text])
  await eventually('a message', () => made.messages.length > 0)
  t.same(made.messages.splice(0), [['news', text]])
}

for (const [name, makeTemplate] of Object.entries(clusters)) {
  t.test(`a Redis Cluster, ${name}`, async (t) => {
    // What nodes think of each other is not what is tested, but where one hangs.
    const cluster = await startRedisCluster(t, { nodeTimeout: 20_000, conf: ['cluster-require-full-coverage no'] })
    const home = await cluster.nodeOf(HOME)
    const away = cluster.nodes.find(node => node !== home) as RedisServer

    t.test('scripts run on every node, messages come from any', async (t) => {
      const before = leftovers()
      const client = makeTemplate(cluster.seeds)
      const options = { ...client.options }
      const made = await startLink(t, { client, home: HOME, commandTimeout: PATIENT })
      t.ok(made.link.isUp)
      await eventually('it hears', () => made.told.includes('subscribed'))
      t.same(made.told.toSorted(), ['subscribed', 'up'])
      await works(t, made)
      for (const node of cluster.nodes) await node.command('script', 'flush')
      await works(t, made)
      for (const [index, node] of cluster.nodes.entries()) {
        await node.command('publish', 'news', index)
        await eventually('a message', () => made.messages.length > index)
      }
      t.same(made.messages, [['news', '0'], ['news', '1'], ['news', '2']])
      t.equal(client.status, 'wait')
      t.strictSame({ ...client.options }, options)
      await made.link.close()
      await leavesNothing(before)
    })

    t.test('the prefix of the template is put before keys, and says where they are', async (t) => {
      const { link } = await startLink(t, { client: makeTemplate(cluster.seeds, { keyPrefix: 'app:' }), home: HOME, commandTimeout: PATIENT })
      t.equal(link.keyPrefix, 'app:')
      await link.run(set, ['key'], ['value'])
      t.equal(await (await cluster.nodeOf('app:key')).command('get', 'app:key'), 'value')
    })

    t.test('a node that hangs holds up nobody but those who ask it, and those only at first', async (t) => {
      const made = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 300, random: () => 1 })
      await recovers(made)
      const [there, gone] = [await keyOf(cluster, home), await keyOf(cluster, away)]
      away.stop()
      t.equal(await codeOf(made.link.run(set, [gone], ['value'])), UNAVAILABLE)
      t.equal(await codeOf(made.link.run(set, [there], ['value'])), null)
      t.equal(await codeOf(made.link.run(set, [gone], ['value'])), UNAVAILABLE)
      const sent = made.link.commands
      for (let i = 0; i < 10; i++) t.equal(await codeOf(made.link.run(set, [gone], ['value'])), UNAVAILABLE)
      t.equal(made.link.commands, sent, 'nothing is sent to it')
      t.equal(await codeOf(made.link.run(set, [there], ['value'])), null)
      t.ok(made.link.isUp)
      away.cont()
      await recovers(made)
    })

    t.test('the link is down when the node with the home key hangs', async (t) => {
      const made = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 300 })
      await recovers(made)
      const downs = made.downs.length
      home.stop()
      await eventually('it is down', async () => {
        t.equal(await codeOf(made.link.run(get, [HOME])), UNAVAILABLE)
        return !made.link.isUp
      })
      t.equal(made.downs.length, downs + 1)
      home.cont()
      await recovers(made)
      t.equal(made.told.findLast(event => event !== 'subscribed'), 'up')
    })

    t.test('with a node that hangs at start it is up; what is asked of that one is not sent later', async (t) => {
      const late = `{${await keyOf(cluster, away)}}late`
      away.stop()
      const made = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 300 })
      await beatsUntilUp(made)
      t.equal(await codeOf(made.link.run(set, [late], ['value'])), UNAVAILABLE)
      away.cont()
      await recovers(made)
      // The others do not ask first whether somebody is there: the system has it already.
      if (name === 'ioredis 6') t.equal(await made.link.run(get, [late]), null)
    })

    t.test('a node that was killed is asked again when it is back', async (t) => {
      const made = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 1000 })
      await recovers(made)
      await away.kill()
      const gone = await keyOf(cluster, away)
      t.equal(await codeOf(made.link.run(set, [gone], ['value'])), UNAVAILABLE)
      await away.restart()
      await recovers(made)
      await works(t, made)
    })

    t.test('another node is listened to when the one that was is gone', async (t) => {
      const made = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 1000 })
      await eventually('it hears', () => made.told.includes('subscribed'))
      const listeners = await Promise.all(cluster.nodes.map(node => node.command('pubsub', 'numsub', 'news')))
      const heard = cluster.nodes[listeners.findIndex(reply => (reply as unknown[])[1] === 1)] as RedisServer
      await heard.kill()
      await eventually('it hears again', () => made.told.filter(event => event === 'subscribed').length > 1)
      const other = cluster.nodes.find(node => node !== heard) as RedisServer
      await other.command('publish', 'news', 'hello')
      await eventually('a message', () => made.messages.length > 0)
      await heard.restart()
      await recovers(made)
    })

    t.test('all nodes killed, and back; closed in between, nothing is left', async (t) => {
      const before = leftovers()
      const made = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 1000 })
      const other = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 1000 })
      await recovers(made)
      await Promise.all(cluster.nodes.map(node => node.kill()))
      await eventually('it is down', async () => {
        t.equal(await codeOf(made.link.run(get, [HOME])), UNAVAILABLE)
        return !made.link.isUp
      })
      await other.link.close()
      const late = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 200 })
      t.same(late.told, ['down'])
      for (const node of cluster.nodes) await node.restart()
      await cluster.settled()
      await recovers(made)
      await recovers(late)
      await eventually('it hears again', () => made.told.at(-1) === 'subscribed' || made.told.filter(event => event === 'subscribed').length > 1)
      made.messages.splice(0)
      await hears(t, made, 'hello')
      await Promise.all([made.link.close(), late.link.close()])
      await leavesNothing(before)
    })
  })

  t.test(`closed while a Redis Cluster hangs, ${name}`, async (t) => {
    const cluster = await startRedisCluster(t)
    const before = leftovers()
    const { link } = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 200 })
    for (const node of cluster.nodes) node.stop()
    const silent = await startLink(t, { client: makeTemplate(cluster.seeds), home: HOME, commandTimeout: 200 })
    t.notOk(silent.link.isUp)
    t.same(silent.told, ['down'])
    await Promise.all([link.close(), silent.link.close()])
    await leavesNothing(before)
  })
}

for (const [name, makeTemplate] of Object.entries(sentinels)) {
  t.test(`a sentinel that makes another server the master, ${name}`, async (t) => {
    const sentinel = await startSentinel(t)
    const [first, second] = sentinel.servers
    const before = leftovers()
    const made = await startLink(t, { client: makeTemplate(sentinel), commandTimeout: 1000 })
    await beatsUntilUp(made)
    await eventually('it hears', () => made.told.includes('subscribed'))
    t.equal(await made.link.run(set, ['key'], ['one']), 'OK')
    await first.kill()
    await eventually('it is down', () => !made.link.isUp)
    await sentinel.promoted(second)
    await eventually('it writes', async () => await codeOf(made.link.run(set, ['key'], ['two'])) === null)
    t.equal(await second.command('get', 'key'), 'two')
    await beatsUntilUp(made)
    await eventually('it hears again', () => made.told.filter(event => event === 'subscribed').length > 1)
    await hears(t, made, 'hello')
    await made.link.close()
    await leavesNothing(before)
  })

  t.test(`a sentinel that hangs, ${name}`, async (t) => {
    const sentinel = await startSentinel(t)
    const before = leftovers()
    sentinel.sentinel.stop()
    const made = await startLink(t, { client: makeTemplate(sentinel), commandTimeout: 200 })
    t.same(made.told, ['down'])
    const other = await startLink(t, { client: makeTemplate(sentinel), commandTimeout: 200 })
    await other.link.close()
    sentinel.sentinel.cont()
    await beatsUntilUp(made)
    await made.link.close()
    await leavesNothing(before)
  })
}
