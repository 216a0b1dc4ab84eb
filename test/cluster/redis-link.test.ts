import t, { type Test } from 'tap'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { script } from '../../lib/cluster/link.js'
import { RedisLink, type RedisTemplate } from '../../lib/cluster/redis-link.js'
import { clusterOptions } from '../../lib/cluster/redis-template.js'
import { codeOf, eventually, leavesNothing, leftovers, makeLink, PATIENT, startLink } from '../helpers/links.js'
import { startRedis, type RedisServer } from '../helpers/redis-server.js'

const UNAVAILABLE = 'FST_ISR_ERR_REDIS_UNAVAILABLE'
const echo = script('return {KEYS[1], ARGV[1], ARGV[2]}')
const get = script("return redis.call('get', KEYS[1])")
const set = script("return redis.call('set', KEYS[1], ARGV[1])")
const publish = script("return redis.call('publish', KEYS[1], ARGV[1])")

const templates: Record<string, (server: RedisServer, options?: { keyPrefix?: string, password?: string, lazyConnect?: boolean }) => RedisTemplate & { disconnect (): void }> = {
  'ioredis 6': ({ port }, options) => new Redis({ port, lazyConnect: true, ...options }),
  'ioredis 5.4': ({ port }, options) => new Redis5({ port, lazyConnect: true, ...options }),
  iovalkey: ({ port }, options) => new Valkey({ port, lazyConnect: true, ...options })
}

function lazily (server: RedisServer): Redis {
  return new Redis({ port: server.port, lazyConnect: true })
}

for (const [name, makeTemplate] of Object.entries(templates)) {
  t.test(name, async (t) => {
    // First: timers that others have left would hide its own.
    t.test('closed, it leaves nothing', async (t) => {
      const server = await startRedis(t)
      const before = leftovers()
      const up = await startLink(t, { client: makeTemplate(server), commandTimeout: PATIENT })
      t.not(await codeOf(up.link.run(script("return redis.error_reply('no')"), [])), null)
      const under = codeOf(up.link.run(set, ['key'], ['value']))
      await up.link.close()
      t.ok([null, UNAVAILABLE].includes(await under), 'what is under way ends')
      t.equal(await codeOf(up.link.run(get, ['key'])), UNAVAILABLE)
      t.notOk(up.link.isUp)
      t.same(up.told.toSorted(), ['subscribed', 'up'], 'being closed is no outage')
      await leavesNothing(before)
      await up.link.close()

      const connecting = makeLink(t, { client: makeTemplate(server), commandTimeout: PATIENT })
      const started = connecting.link.start(['news'], connecting)
      await connecting.link.close()
      await started
      await leavesNothing(before)

      await new RedisLink({ client: makeTemplate(server), commandTimeout: PATIENT }).close()

      const hung = await startLink(t, { client: makeTemplate(server), commandTimeout: 100 })
      server.stop()
      const never = codeOf(hung.link.run(get, ['key']))
      await hung.link.close()
      t.equal(await never, UNAVAILABLE)
      await leavesNothing(before)
      const silent = makeLink(t, { client: makeTemplate(server), commandTimeout: 100 })
      const late = silent.link.start(['news'], silent)
      await silent.link.close()
      await late
      await leavesNothing(before)
      server.cont()

      await server.kill()
      const refused = await startLink(t, { client: makeTemplate(server), commandTimeout: 100 })
      await refused.link.close()
      await leavesNothing(before)
    })

    t.test('scripts run, with strings and with buffers', async (t) => {
      const { link, told } = await startLink(t, { client: makeTemplate(await startRedis(t)), commandTimeout: PATIENT })
      t.ok(link.isUp)
      t.same(told.toSorted(), ['subscribed', 'up'])
      t.same(await link.run(echo, ['key'], ['text', 7]), ['key', 'text', '7'])
      const bytes = Buffer.from([0, 255, 128, 10, 13])
      t.same(await link.runBuffer(echo, ['key'], [bytes, 'text']), [Buffer.from('key'), bytes, Buffer.from('text')])
      t.equal(await link.run(script('return #KEYS + #ARGV'), ['a', 'b']), 2)
      t.equal(await link.run(get, ['none']), null)
    })

    t.test('a script is sent whole once, and again when Redis has forgotten it', async (t) => {
      const server = await startRedis(t)
      const { link } = await startLink(t, { client: makeTemplate(server), commandTimeout: PATIENT })
      await link.run(set, ['key'], ['1'])
      t.equal(link.commands, 2)
      await link.run(set, ['key'], ['2'])
      t.equal(link.commands, 3)
      await server.command('script', 'flush')
      t.equal(await link.run(set, ['key'], ['3']), 'OK')
      t.equal(await server.command('get', 'key'), '3')
      t.equal(link.commands, 5)
    })

    t.test('the prefix of the template is put before keys, and is told for channels', async (t) => {
      const server = await startRedis(t)
      const { link, messages } = await startLink(t, { client: makeTemplate(server, { keyPrefix: 'app:' }), commandTimeout: PATIENT }, ['app:news'])
      t.equal(link.keyPrefix, 'app:')
      await link.run(set, ['key'], ['value'])
      t.equal(await server.command('get', 'app:key'), 'value')
      await link.run(publish, ['news'], ['hello'])
      await eventually('a message', () => messages.length === 1)
      t.same(messages, [['app:news', 'hello']])
    })

    t.test('the template is not used, listened to, changed or closed', async (t) => {
      const server = await startRedis(t)
      const client = makeTemplate(server)
      const { on, connect, disconnect } = client
      const before = { ...client.options }
      const events = (client as unknown as Redis).eventNames()
      const { link } = await startLink(t, { client, commandTimeout: PATIENT })
      await link.run(set, ['key'], ['value'])
      await link.close()
      t.equal(client.status, 'wait')
      t.same((client as unknown as Redis).eventNames(), events)
      t.strictSame({ ...client.options }, before)
      t.ok(client.on === on && client.connect === connect && client.disconnect === disconnect)
    })

    t.test('a template that is connected stays so; one that was closed does as well', async (t) => {
      const server = await startRedis(t)
      const connected = makeTemplate(server, { lazyConnect: false })
      t.teardown(() => { connected.disconnect() })
      await eventually('the template is connected', () => connected.status === 'ready')
      const { link } = await startLink(t, { client: connected, commandTimeout: PATIENT })
      await link.close()
      t.equal(connected.status, 'ready')
      connected.disconnect()
      await eventually('the template is closed', () => connected.status === 'end')
      const other = await startLink(t, { client: connected, commandTimeout: PATIENT })
      t.equal(await other.link.run(set, ['key'], ['value']), 'OK')
      t.equal(connected.status, 'end')
    })

    t.test('a wrong password is said, a right one works', async (t) => {
      const server = await startRedis(t, { users: ['default on >secret ~* &* +@all'] })
      const wrong = await startLink(t, { client: makeTemplate(server, { password: 'wrong' }), commandTimeout: 200 })
      t.notOk(wrong.link.isUp)
      t.same(wrong.told, ['down'])
      await eventually('it is said', async () => /WRONGPASS/.test(String(await wrong.link.run(get, ['key']).catch((error: Error) => error))))
      t.same(wrong.told, ['down'])
      const right = await startLink(t, { client: makeTemplate(server, { password: 'secret' }), commandTimeout: PATIENT })
      t.equal(await right.link.run(set, ['key'], ['value']), 'OK')
    })

    t.test('messages come, and again after the server was gone', async (t) => {
      const server = await startRedis(t)
      const { link, messages, told } = await startLink(t, { client: makeTemplate(server), commandTimeout: PATIENT }, ['news', 'other'])
      await server.command('publish', 'news', 'one')
      await server.command('publish', 'unheard', 'none')
      await server.command('publish', 'other', 'zwei ü')
      await eventually('two messages', () => messages.length === 2)
      await server.restart()
      await eventually('both are back', () => link.isUp && told.filter(event => event === 'subscribed').length === 2)
      t.same(told.filter(event => event !== 'subscribed'), ['up', 'down', 'up'])
      await server.command('publish', 'news', 'three')
      await eventually('a third message', () => messages.length === 3)
      await link.close()
      t.same(messages, [['news', 'one'], ['other', 'zwei ü'], ['news', 'three']])
    })
  })
}

t.test('error replies are handed on and prove that Redis is there', async (t) => {
  const server = await startRedis(t)
  const { link, told } = await startLink(t, { client: lazily(server), commandTimeout: PATIENT })
  await server.command('rpush', 'list', 'a')
  for (let i = 0; i < 5; i++) {
    await t.rejects(link.run(get, ['list']), { name: 'ReplyError', message: /WRONGTYPE/ })
    await t.rejects(link.run(script('nonsense'), []), { name: 'ReplyError', message: /compiling/ })
  }
  await server.config('maxmemory', 1)
  for (let i = 0; i < 3; i++) await t.rejects(link.run(set, ['key'], ['value']), { name: 'ReplyError', message: /OOM/ })
  t.ok(link.isUp)
  t.same(told.toSorted(), ['subscribed', 'up'])
})

t.test('a server that refuses writes is there', async (t) => {
  const master = await startRedis(t)
  const replica = await startRedis(t, { replicaOf: master })
  const { link } = await startLink(t, { client: lazily(replica), commandTimeout: PATIENT })
  for (let i = 0; i < 3; i++) await t.rejects(link.run(set, ['key'], ['value']), { name: 'ReplyError', message: /READONLY/ })
  t.ok(link.isUp)
  await replica.config('replica-serve-stale-data', 'no')
  await master.kill()
  await eventually('the master is missed', async () => /MASTERDOWN/.test(String(await link.run(get, ['key']).catch((error: { cause?: Error }) => error.cause))))
  await eventually('nobody is asked', () => link.run(get, ['key']).then(() => false, () => !link.isUp))
})

t.test('a template that wants a new connection after an error gets one, and nothing is sent twice', async (t) => {
  const server = await startRedis(t)
  const client = new Redis({ port: server.port, lazyConnect: true, reconnectOnError: error => error.message.includes('moved away') ? 2 : false })
  const { link } = await startLink(t, { client, commandTimeout: PATIENT })
  const complain = script("redis.call('incr', KEYS[1]) return redis.error_reply('moved away')")
  await t.rejects(link.run(complain, ['count']), { name: 'ReplyError', message: /moved away/ })
  let count: unknown
  await eventually('it is connected again', () => link.run(get, ['count']).then(reply => { count = reply; return true }, () => false))
  t.equal(count, '1')
})

t.test('options that a template has for other uses change nothing', async (t) => {
  const server = await startRedis(t)
  const client = new Redis({ port: server.port, lazyConnect: true, stringNumbers: true, readOnly: true, enableAutoPipelining: true, protocol: 3, replyMapping: 'resp3', maxRetriesPerRequest: null, commandTimeout: 1 })
  const { link } = await startLink(t, { client, commandTimeout: PATIENT })
  t.equal(await link.run(set, ['key'], ['value']), 'OK')
  t.strictSame(await link.run(script("return {redis.call('incr', KEYS[1]), redis.call('get', KEYS[2])}"), ['count', 'key']), [1, 'value'])
  await server.command('hset', 'hash', 'field', 'value')
  t.strictSame(await link.run(script("redis.setresp(3) return redis.call('hgetall', KEYS[1])"), ['hash']), ['field', 'value'])
})

t.test('the nodes of a cluster are reached as the template says', async (t) => {
  const options = clusterOptions({ options: { redisOptions: { password: 'secret', tls: {}, retryStrategy: () => 1 } } }, 100)
  t.match(options, { redisOptions: { password: 'secret', tls: {}, connectTimeout: 200 } })
})

t.test('a template whose duplicates can not be made is an outage', async (t) => {
  const client = new Redis({ lazyConnect: true })
  client.duplicate = () => { throw new Error('no more of them') }
  const { link, downs } = await startLink(t, { client, commandTimeout: 100 })
  t.notOk(link.isUp)
  t.match(downs, [{ code: UNAVAILABLE, message: /no more of them/ }])
})

t.test('large messages are ignored', async (t) => {
  const server = await startRedis(t)
  const { messages } = await startLink(t, { client: lazily(server), commandTimeout: PATIENT })
  await server.command('publish', 'news', 'x'.repeat(8193))
  await server.command('publish', 'news', 'x'.repeat(8192))
  await eventually('a message', () => messages.length > 0)
  t.same(messages.map(([, text]) => text.length), [8192])
})

t.test('a channel that may not be heard is reported once, tried again, and stops nothing else', async (t) => {
  const server = await startRedis(t, { users: ['default on nopass ~* +@all resetchannels'] })
  const { link, told, troubles } = await startLink(t, { client: lazily(server), commandTimeout: 200 })
  await eventually('it is up', () => link.isUp)
  t.equal(await codeOf(link.run(set, ['key'], ['value'])), null)
  await eventually('it was tried often', async () => Number((await server.info('stats'))['total_connections_received']) > 5)
  t.match(troubles, [{ message: /NOPERM/ }])
  t.equal(troubles.length, 1)
  await server.command('acl', 'setuser', 'default', '&news')
  await eventually('it is heard', () => told.includes('subscribed'))
})

t.test('over a Unix socket, and over TLS', async (t) => {
  const plain = await startRedis(t)
  const tls = await startRedis(t, { tls: true })
  const clients = [new Redis({ path: plain.socket, lazyConnect: true }), new Redis({ port: tls.port, tls: { ca: String(tls.ca), servername: 'localhost' }, lazyConnect: true })]
  for (const [index, client] of clients.entries()) await works(t, client, [plain, tls][index] as RedisServer)
})

async function works (t: Test, client: RedisTemplate, server: RedisServer): Promise<void> {
  const before = leftovers()
  const { link, messages, told } = await startLink(t, { client, commandTimeout: PATIENT })
  t.equal(await link.run(set, ['key'], ['value']), 'OK')
  link.resubscribe()
  await eventually('it hears again', () => told.filter(event => event === 'subscribed').length === 2)
  await server.command('publish', 'news', 'hello')
  await eventually('a message', () => messages.length === 1)
  await link.close()
  await leavesNothing(before)
}
