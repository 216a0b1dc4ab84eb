import t, { type Test } from 'tap'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { script } from '../../lib/cluster/link.js'
import type { RedisTemplate } from '../../lib/cluster/redis-link.js'
import { codeOf, eventually, makeLink, PATIENT, startLink, type TestLink } from '../helpers/links.js'
import { startRedis, type RedisServer } from '../helpers/redis-server.js'
import { startProxy, type Proxy } from '../helpers/tcp-proxy.js'

const UNAVAILABLE = 'FST_ISR_ERR_REDIS_UNAVAILABLE'
const set = script("return redis.call('set', KEYS[1], ARGV[1])")
const count = script("return redis.call('incr', KEYS[1])")

const templates: Record<string, (port: number) => RedisTemplate> = {
  'ioredis 6': port => new Redis({ port, lazyConnect: true }),
  'ioredis 5.4': port => new Redis5({ port, lazyConnect: true }),
  iovalkey: port => new Valkey({ port, lazyConnect: true })
}

/** What the coordinator does once a second. */
async function beatsUntilUp ({ link }: TestLink): Promise<void> {
  await eventually('it is up', async () => {
    if (!link.isUp) await link.run(script('return 1'), []).catch(() => {})
    return link.isUp
  })
}

/** Asks until nobody is asked any more. */
async function openBreaker (t: Test, { link }: TestLink): Promise<void> {
  const codes = new Set<string | null>()
  await eventually('nobody is asked', async () => {
    codes.add(await codeOf(link.run(set, ['key'], ['value'])))
    return !link.isUp
  })
  t.same(codes, new Set([UNAVAILABLE]))
}

async function behindProxy (t: Test, makeTemplate: (port: number) => RedisTemplate, commandTimeout: number): Promise<{ server: RedisServer, proxy: Proxy, made: TestLink }> {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server)
  const made = await startLink(t, { client: makeTemplate(proxy.port), commandTimeout })
  await eventually('it hears', () => made.told.includes('subscribed'))
  await beatsUntilUp(made)
  return { server, proxy, made }
}

for (const [name, makeTemplate] of Object.entries(templates)) {
  t.test(name, async (t) => {
    t.test('nobody there: it starts without, says so once, and comes up later', async (t) => {
      const server = await startRedis(t)
      await server.kill()
      const made = await startLink(t, { client: makeTemplate(server.port), commandTimeout: 500 })
      t.notOk(made.link.isUp)
      t.same(made.told, ['down'])
      t.match(made.downs, [{ code: UNAVAILABLE, message: /ECONNREFUSED/, cause: { code: 'ECONNREFUSED' } }])
      t.equal(await codeOf(made.link.run(set, ['key'], ['value'])), UNAVAILABLE)
      await server.restart()
      await beatsUntilUp(made)
      await eventually('it hears', () => made.told.includes('subscribed'))
      t.same(made.told.filter(event => event !== 'subscribed'), ['down', 'up'])
      t.equal(await made.link.run(set, ['key'], ['value']), 'OK')
    })

    t.test('killed under way: what was asked is rejected, nothing of it is sent later', async (t) => {
      const server = await startRedis(t)
      const made = await startLink(t, { client: makeTemplate(server.port), commandTimeout: PATIENT })
      await made.link.run(count, ['before'])
      server.stop()
      const lost = Promise.all(Array.from({ length: 20 }, () => codeOf(made.link.run(count, ['lost']))))
      await server.kill()
      t.same(new Set(await lost), new Set([UNAVAILABLE]))
      await eventually('it is down', () => !made.link.isUp)
      const sent = made.link.commands
      t.equal(await codeOf(made.link.run(count, ['lost'])), UNAVAILABLE)
      t.equal(made.link.commands, sent)
      await server.restart()
      await beatsUntilUp(made)
      t.equal(await made.link.run(count, ['after']), 1)
      t.equal(await server.command('exists', 'lost'), 0)
      t.same(made.told.filter(event => event !== 'subscribed'), ['up', 'down', 'up'])
    })

    t.test('a server that hangs: each command has its deadline, then nobody waits', async (t) => {
      const server = await startRedis(t)
      const made = await startLink(t, { client: makeTemplate(server.port), commandTimeout: 200, random: () => 1 })
      await beatsUntilUp(made)
      server.stop()
      t.equal(await codeOf(made.link.run(set, ['key'], ['value'])), UNAVAILABLE)
      t.equal(await codeOf(made.link.run(set, ['key'], ['value'])), UNAVAILABLE)
      t.notOk(made.link.isUp)
      t.match(made.downs.at(-1), { code: UNAVAILABLE, message: /no answer within 200 ms/ })
      const sent = made.link.commands
      t.same(new Set(await Promise.all(Array.from({ length: 200 }, () => codeOf(made.link.run(set, ['key'], ['value']))))), new Set([UNAVAILABLE]))
      t.equal(made.link.commands, sent, 'nothing was sent')
      server.cont()
      await beatsUntilUp(made)
      t.equal(await made.link.run(set, ['key'], ['value']), 'OK')
    })

    t.test('a network that swallows everything: a new connection is made for each probe, none of the old is used', async (t) => {
      const { server, proxy, made } = await behindProxy(t, makeTemplate, 200)
      proxy.blackhole()
      await openBreaker(t, made)
      await proxy.heal({ forget: true })
      await beatsUntilUp(made)
      t.equal(await made.link.run(count, ['fresh']), 1)
      t.equal(await server.command('get', 'key'), null)
    })

    t.test('an answer that does not come back', async (t) => {
      const { proxy, made } = await behindProxy(t, makeTemplate, 200)
      proxy.drop('toClient')
      await openBreaker(t, made)
      await proxy.heal({ forget: true })
      await beatsUntilUp(made)
      t.equal(await made.link.run(count, ['fresh']), 1)
    })

    t.test('the listening connection is replaced at once when nothing is heard', async (t) => {
      const { server, proxy, made } = await behindProxy(t, makeTemplate, 1000)
      proxy.blackhole()
      await proxy.heal({ forget: true })
      await server.command('publish', 'news', 'lost')
      made.link.resubscribe()
      await eventually('it hears again', () => made.told.filter(event => event === 'subscribed').length > 1)
      await server.command('publish', 'news', 'hello')
      await eventually('a message', () => made.messages.length > 0)
      t.same(made.messages, [['news', 'hello']])
    })

    t.test('a server that hangs at start is not waited for', async (t) => {
      const server = await startRedis(t)
      server.stop()
      const made = makeLink(t, { client: makeTemplate(server.port), commandTimeout: 100 })
      await made.link.start(['news'], made)
      t.notOk(made.link.isUp, 'the system accepts connections for it')
      t.same(made.told, ['down'])
      t.equal(await codeOf(made.link.run(count, ['early'])), UNAVAILABLE)
      server.cont()
      await beatsUntilUp(made)
      t.equal(await made.link.run(count, ['key']), 1)
      t.equal(await server.command('exists', 'early'), 0)
      await eventually('it hears', () => made.told.includes('subscribed'))
    })
  })
}

t.test('a script that nobody waits for any more is not sent whole', async (t) => {
  const server = await startRedis(t)
  const made = await startLink(t, { client: new Redis({ port: server.port, lazyConnect: true }), commandTimeout: 300 })
  await beatsUntilUp(made)
  await server.command('script', 'flush')
  const sent = made.link.commands
  server.stop()
  t.equal(await codeOf(made.link.run(set, ['late'], ['value'])), UNAVAILABLE)
  server.cont()
  // The answer to the late one comes before any other.
  await eventually('it answers', async () => await codeOf(made.link.run(count, ['key'])) === null)
  t.equal(await server.command('exists', 'late'), 0)
  t.ok(made.link.commands >= sent + 3)
})

t.test('one probe at a time finds out whether a server is back', async (t) => {
  const { server, proxy, made } = await behindProxy(t, templates['ioredis 6'] as (port: number) => RedisTemplate, 300)
  proxy.drop('toClient')
  await openBreaker(t, made)
  await proxy.heal({ forget: true })
  t.notOk(made.link.isUp, 'a connection alone proves nothing')
  const before = Number(await server.command('get', 'probes'))
  const codes: (string | null)[] = []
  await eventually('one is let through', async () => {
    const sent = made.link.commands
    codes.push(...await Promise.all(Array.from({ length: 10 }, () => codeOf(made.link.run(count, ['probes'])))))
    return made.link.commands > sent
  })
  t.equal(codes.filter(code => code === null).length, 1)
  t.equal(await server.command('get', 'probes'), String(before + 1))
  t.ok(made.link.isUp)
})

t.test('loading, it counts as not there', async (t) => {
  const server = await startRedis(t)
  const made = await startLink(t, { client: new Redis({ port: server.port, lazyConnect: true }), commandTimeout: PATIENT })
  for (let i = 0; i < 3000; i++) void server.command('set', `key:${i}`, 'x'.repeat(100))
  await server.config('key-load-delay', 10_000)
  await server.config('loading-process-events-interval-bytes', 1024)
  void server.command('debug', 'reload').catch(() => {})
  await eventually('it is loading', async () => {
    const error = await made.link.run(set, ['key'], ['value']).catch((error: Error) => error)
    return error instanceof Error && error.message.includes('LOADING')
  })
  await openBreaker(t, made)
  t.equal(made.told.filter(event => event === 'down').length, 1)
  await server.restart()
  await beatsUntilUp(made)
})

t.test('an event loop that was held up does not make answers late', async (t) => {
  const server = await startRedis(t)
  const made = await startLink(t, { client: new Redis({ port: server.port, lazyConnect: true }), commandTimeout: 2000 })
  await made.link.run(set, ['key'], ['value'])
  const asked = Array.from({ length: 5 }, () => made.link.run(set, ['key'], ['value']))
  // Written, but not read before both the deadline and the answer are there.
  await new Promise(resolve => { setImmediate(resolve) })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500)
  t.same(new Set(await Promise.all(asked)), new Set(['OK']))
  t.ok(made.link.isUp)
})
