// The tools that the tests of the cluster stand on: a fault that does not happen proves nothing.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { makeGate, parsePage, startInstance, startInstances, startOrigin, type Instance } from '../helpers/cluster-app.js'
import { showPage } from '../helpers/cluster-page.js'
import { killed } from '../helpers/guarded.js'
import { startRedis, startRedisCluster, startSentinel } from '../helpers/redis-server.js'
import { eventually } from '../helpers/site-build.js'
import { startProxy, type Proxy } from '../helpers/tcp-proxy.js'

interface Test {
  teardown (fn: () => unknown): void
}

/** A client as a user would make it; its errors are the test's to look at. */
function clientOf (t: Test, port: number, options: object = {}): Redis {
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0, ...options })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

t.test('a Redis server', async t => {
  t.test('is killed and comes back empty, on the same port', async t => {
    const redis = await startRedis(t)
    const { port, pid } = redis
    await redis.command('set', 'a', 'b')
    t.equal(await redis.command('get', 'a'), 'b')

    await redis.kill()
    t.equal(redis.pid, null)
    await t.rejects(redis.command('ping'), { message: 'redis-server does not run' })
    await t.rejects(clientOf(t, port).connect(), 'nobody listens')

    await redis.restart()
    t.equal(redis.port, port)
    t.not(redis.pid, pid)
    t.equal(await redis.command('get', 'a'), null)
    t.equal(await clientOf(t, port).ping(), 'PONG')
  })

  t.test('keeps its data when asked, and gets those of a snapshot back', async t => {
    const redis = await startRedis(t)
    await redis.command('set', 'a', 'old')
    const snapshot = await redis.snapshot()
    await redis.command('set', 'a', 'new')
    await redis.restart({ empty: false })
    t.equal(await redis.command('get', 'a'), 'new')
    await redis.restore(snapshot)
    t.equal(await redis.command('get', 'a'), 'old')
    await redis.restart()
    t.equal(await redis.command('get', 'a'), null)
  })

  t.test('frozen, it accepts and says nothing', async t => {
    const redis = await startRedis(t)
    const client = clientOf(t, redis.port, { commandTimeout: 100 })
    await client.connect()
    redis.stop()
    await t.rejects(client.ping(), /timed out/)
    const late = connect(redis.port, '127.0.0.1')
    t.teardown(() => late.destroy())
    await once(late, 'connect')
    late.write('PING\r\n')
    redis.cont()
    await once(late, 'data')
    t.equal(await client.ping(), 'PONG')
  })

  t.test('takes settings, tells about itself', async t => {
    const redis = await startRedis(t, { conf: ['maxmemory-policy allkeys-lru'] })
    t.same(await redis.command('config', 'get', 'maxmemory-policy'), ['maxmemory-policy', 'allkeys-lru'])
    await redis.config('maxmemory', 2_000_000)
    t.equal((await redis.info('memory'))['maxmemory'], '2000000')
  })

  t.test('has users', async t => {
    const redis = await startRedis(t, { users: ['default off', 'isr on >secret ~isr:* &isr:* +@all'] })
    await t.rejects(clientOf(t, redis.port).get('isr:a'), /NOAUTH/)
    const client = clientOf(t, redis.port, { username: 'isr', password: 'secret' })
    t.equal(await client.set('isr:a', '1'), 'OK')
    await t.rejects(client.get('other'), /NOPERM/)
    t.equal(await redis.command('get', 'isr:a'), '1')
  })

  t.test('speaks TLS', async t => {
    const redis = await startRedis(t, { tls: true })
    t.equal(await clientOf(t, redis.port, { tls: { ca: redis.ca } }).ping(), 'PONG')
    await t.rejects(clientOf(t, redis.port, { tls: {} }).connect(), 'a certificate that nobody trusts')
  })

  t.test('has a replica', async t => {
    const redis = await startRedis(t)
    await redis.command('set', 'a', 'b')
    const replica = await startRedis(t, { replicaOf: redis })
    t.equal(await replica.command('get', 'a'), 'b')
    await t.rejects(replica.command('set', 'a', 'c'), /READONLY/)
  })

  t.test('does not outlive a killed parent', async t => {
    const helper = new URL('../helpers/redis-server.js', import.meta.url)
    const program = `import { startRedis, startRedisCluster, startSentinel } from ${JSON.stringify(helper.href)}
      const redis = await startRedis()
      redis.stop()
      console.log(redis.port)
      setInterval(() => {}, 1000)`
    const parent = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '--input-type=module', '-e', program], { cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] })
    const [chunk] = await once(parent.stdout, 'data') as [Buffer]
    const port = Number(chunk)
    t.ok(await accepts(port), 'a frozen server')
    await killed(parent)
    await eventually('the server is gone', async () => !await accepts(port))
  })
})

async function accepts (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return await once(socket, 'connect').then(() => true, () => false).finally(() => socket.destroy())
}

t.test('a Redis Cluster loses a node and gets it back', async t => {
  const cluster = await startRedisCluster(t, { nodeTimeout: 1500 })
  const client = new Cluster([...cluster.seeds])
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  for (let i = 0; i < 20; i++) await client.set(`key ${i}`, i)
  for (const node of cluster.nodes) t.not(await node.command('dbsize'), 0)
  const node = await cluster.nodeOf('key 1')
  t.equal(await node.command('get', 'key 1'), '1')
  await node.kill()
  await cluster.settled(false)
  await node.restart()
  await cluster.settled()
  await eventually('the client finds the node again', async () => await client.set('key 1', 'again').catch(() => '') === 'OK', 20_000)
  t.equal(await node.command('get', 'key 1'), 'again')
})

t.test('a sentinel promotes the replica of a killed master', async t => {
  const { seeds, name, servers: [first, second], master, promoted } = await startSentinel(t)
  t.equal(await master(), first)
  const client = new Redis({ sentinels: [...seeds], name, retryStrategy: () => 50 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  await client.set('a', 'b')
  await eventually('the replica has it', async () => await second.command('get', 'a') === 'b')
  await first.kill()
  await promoted(second)
  t.equal(await master(), second)
  await eventually('the client finds the new master', async () => await client.set('a', 'c').catch(() => '') === 'OK', 20_000)
  t.equal(await second.command('get', 'a'), 'c')
})

/** A server that sends back what it gets, and one connection to it through a proxy. */
async function startEcho (t: Test): Promise<{ proxy: Proxy, open: () => Promise<Line>, accepted: Socket[] }> {
  const accepted: Socket[] = []
  const server = createServer(socket => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  t.teardown(() => { server.close() })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await startProxy(t, { port: (server.address() as AddressInfo).port })
  return { proxy, accepted, open: async () => await openLine(t, proxy.port) }
}

interface Line {
  /** Everything received. */
  readonly text: string
  readonly end: 'open' | 'end' | 'ECONNRESET'
  send (text: string): void
  close (): void
}

async function openLine (t: Test, port: number): Promise<Line> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const line = { text: '', end: 'open' as Line['end'], send: (text: string) => { socket.write(text) }, close: () => { socket.end() } }
  socket.on('data', (chunk: Buffer) => { line.text += chunk.toString() })
  socket.on('end', () => { line.end = 'end' })
  await once(socket, 'connect')
  socket.on('error', (error: NodeJS.ErrnoException) => { line.end = error.code as Line['end'] })
  return line
}

async function heard (line: Line, text: string): Promise<void> {
  await eventually(`${JSON.stringify(text)} is heard, not ${JSON.stringify(line.text.slice(0, 100))}`, () => line.text === text)
}

t.test('a proxy', async t => {
  t.test('passes on, both ways and to the end, and counts', async t => {
    const { proxy, open, accepted } = await startEcho(t)
    const line = await open()
    line.send('hello')
    await heard(line, 'hello')
    line.close()
    await eventually('the end comes back', () => line.end === 'end')
    await eventually('the connection is over', () => proxy.counts.open === 0)
    t.match(proxy.counts, { connections: 1, bytes: { toServer: 5, toClient: 5 }, lost: { toServer: 0, toClient: 0 } })

    const reset = await open()
    reset.send('x')
    await heard(reset, 'x')
    accepted[1]?.resetAndDestroy()
    await eventually('a reset is passed on', () => reset.end === 'ECONNRESET')
  })

  t.test('reaches a Unix socket, and a client of Redis notices nothing', async t => {
    const redis = await startRedis(t)
    const proxy = await startProxy(t, { path: redis.socket })
    const client = clientOf(t, proxy.port)
    const long = 'x'.repeat(1_000_000)
    await client.set('a', long)
    t.equal(await client.get('a'), long)
    await client.quit()
    await eventually('the connection is over', () => proxy.counts.open === 0)
  })

  t.test('tells a client when nobody is behind it', async t => {
    const redis = await startRedis(t)
    const proxy = await startProxy(t, redis)
    await redis.kill()
    await t.rejects(clientOf(t, proxy.port).connect())
    await redis.restart()
    t.equal(await clientOf(t, proxy.port).ping(), 'PONG')
  })

  t.test('delays, and keeps the order', async t => {
    const { proxy, open } = await startEcho(t)
    const line = await open()
    proxy.delay(100)
    const startedAt = performance.now()
    line.send('a')
    await eventually('the first byte has arrived at the proxy', () => proxy.counts.bytes.toServer === 1)
    proxy.delay(0, 'toServer')
    proxy.delay(50, 'toClient')
    line.send('b')
    await heard(line, 'ab')
    t.ok(performance.now() - startedAt >= 145, `after ${performance.now() - startedAt} ms`)

    proxy.delay(Infinity, 'toClient')
    line.send('c')
    await eventually('the server has answered', () => proxy.counts.bytes.toServer === 3)
    proxy.delay(0)
    line.send('d')
    await eventually('the server has answered', () => proxy.counts.bytes.toServer === 4)
    t.equal(line.text, 'ab')
    await proxy.heal()
    await heard(line, 'abcd')
    t.equal(line.end, 'open')
  })

  t.test('cuts, and refuses until it is healed', async t => {
    const { proxy, open } = await startEcho(t)
    const line = await open()
    line.send('a')
    await heard(line, 'a')
    await proxy.cut()
    await eventually('the client is told', () => line.end === 'ECONNRESET')
    t.equal(proxy.counts.open, 0)
    await t.rejects(open(), { code: 'ECONNREFUSED' })
    await proxy.heal()
    const next = await open()
    next.send('b')
    await heard(next, 'b')
    proxy.reset()
    await eventually('the client is told', () => next.end === 'ECONNRESET')
    const last = await open()
    last.send('c')
    await heard(last, 'c')
  })

  t.test('is a black hole, where neither bytes nor ends get through', async t => {
    const { proxy, open, accepted } = await startEcho(t)
    const line = await open()
    const idle = await open()
    const leaving = await open()
    await eventually('all have reached the server', () => accepted.length === 3)
    proxy.blackhole()
    line.send('lost')
    accepted[0]?.write('lost too')
    leaving.close()
    const late = await open()
    late.send('unheard')
    await eventually('the bytes are swallowed', () => proxy.counts.lost.toServer === 11 && proxy.counts.lost.toClient === 8)
    t.same([line.text, late.text, line.end, late.end, leaving.end], ['', '', 'open', 'open', 'open'])
    t.equal(accepted.length, 3)
    t.notOk(accepted[2]?.readableEnded)

    await proxy.heal()
    await eventually('who has lost something is told', () => [line, late].every(({ end }) => end === 'ECONNRESET'))
    idle.send('i')
    await heard(idle, 'i')
  })

  t.test('forgets connections, which then stay silent for ever', async t => {
    const { proxy, open } = await startEcho(t)
    const line = await open()
    proxy.blackhole()
    await proxy.heal({ forget: true })
    line.send('lost')
    const next = await open()
    next.send('n')
    await heard(next, 'n')
    await eventually('the bytes are swallowed', () => proxy.counts.lost.toServer === 4)
    t.same([line.text, line.end], ['', 'open'])
  })

  t.test('drops one direction only', async t => {
    const redis = await startRedis(t)
    const proxy = await startProxy(t, redis)
    const client = clientOf(t, proxy.port)
    await client.connect()
    proxy.drop('toClient')
    const answer = client.set('a', 'done')
    const refused = t.rejects(answer)
    await eventually('the command has arrived', async () => await redis.command('get', 'a') === 'done')
    await proxy.heal()
    await refused
  })
})

t.test('a page tells whether it is whole', t => {
  const page = { key: '/page/1', version: 3, render: 'r', instance: 'a' }
  const other = showPage({ ...page, version: 4 })
  const body = showPage(page)
  t.same(parsePage(body), page)
  t.throws(() => parsePage(body.slice(0, -10)), /torn/)
  t.throws(() => parsePage(body.slice(0, 500) + other.slice(500)), /torn/)
  t.throws(() => parsePage('<h1>Not Found</h1>'), /no page/)
  t.end()
})

t.test('an instance', async t => {
  t.test('renders what the origin has, as fast and as well as the origin says', async t => {
    const origin = await startOrigin(t)
    const instance = await startInstance(t, { origin, policy: { ttl: 60 } })
    const cold = await instance.get('/page/1')
    t.match(cold, { status: 200, page: { key: '/page/1', version: 1, instance: 'a' } })
    origin.bump(1)
    const hit = await instance.get('/page/1', { 'accept-encoding': 'br' })
    t.equal(hit.headers['content-encoding'], 'br')
    t.same(hit.page, cold.page)
    t.equal(origin.rendersOf(1), 1)
    t.match(origin.renders, [{ id: '1', render: cold.page?.render, isLive: false, outcome: 'page' }])

    t.match(await instance.purge({ path: '/page/1' }), { matched: 1 })
    t.match((await instance.get('/page/1')).page, { version: 2 })
    await t.rejects(instance.purge({ path: 'nonsense' }), { code: /^FST_ISR/ })

    origin.delay = 50
    const slow = await instance.get('/page/2')
    t.ok(slow.endedAt - slow.startedAt >= 49)
    const gate = makeGate()
    origin.gate = gate
    const waiting = Promise.all([instance.get('/page/3'), instance.get('/page/3')])
    await eventually('the render has begun', () => origin.running === 1)
    gate.open()
    const [one, two] = await waiting
    t.same(one.page, two.page)
    t.equal(origin.mostRunning, 1)

    origin.delay = 0
    origin.outcome = id => id === '4' ? 'failure' : 'gone'
    t.match(await instance.get('/page/4'), { status: 500, page: null })
    t.match(await instance.get('/page/5'), { status: 404, page: null })
    t.match(await instance.stats(), { renders: { stored: 4, failed: 1 } })
    t.ok(instance.warnings.length > 0)
  })

  t.test('may have bytes that depend on the version only', async t => {
    const origin = await startOrigin(t)
    origin.isStable = true
    const [a, b] = await startInstances(t, 2, { origin, dir: t.testdir() })
    const first = await a?.get('/page/1')
    t.same((await b?.get('/page/1'))?.body, first?.body)
    t.equal(origin.rendersOf(1), 2)
    origin.bump()
    t.match((await b?.get('/page/2'))?.page, { version: 2 })
  })

  t.test('has a clock of its own', async t => {
    const origin = await startOrigin(t)
    const instance = await startInstance(t, { origin, policy: { ttl: 60, staleWhileRevalidate: 0 }, clockOffset: -3_600_000 })
    const { page } = await instance.get('/page/1')
    t.same((await instance.get('/page/1')).page, page)
    await instance.setClock(-3_500_000)
    t.not((await instance.get('/page/1')).page?.render, page?.render)
  })

  t.test('reports its events', async t => {
    const origin = await startOrigin(t)
    const instance = await startInstance(t, { origin, events: ['render', 'serve'] })
    await instance.get('/page/1')
    await instance.stats()
    t.same(new Set(instance.events.map(({ name }) => name)), new Set(['render', 'serve']))
  })

  t.test('is frozen and goes on', async t => {
    const origin = await startOrigin(t)
    const instance = await startInstance(t, { origin })
    await instance.get('/page/1')
    instance.pause()
    await t.rejects(instance.get('/page/1', {}, { timeout: 100 }))
    instance.resume()
    t.equal((await instance.get('/page/1')).status, 200)
  })

  t.test('is killed in the middle of a render, or closes when that has ended', async t => {
    const origin = await startOrigin(t)
    const [a, b] = await startInstances(t, 2, { origin }) as [Instance, Instance]
    const gate = makeGate()
    origin.gate = gate
    const failed = t.rejects(a.get('/page/1'), { code: 'ECONNRESET' })
    const served = b.get('/page/1')
    await eventually('both render', () => origin.running === 2)
    const closing = b.close()
    await a.kill()
    await failed
    await eventually('the origin sees it', () => origin.running === 1)
    t.equal(origin.renders.find(({ instance }) => instance === 'a')?.outcome, 'aborted')
    gate.open()
    t.equal((await served).status, 200)
    await closing
    await t.rejects(a.stats(), { message: 'instance a does not run' })
    await t.rejects(b.get('/page/1'), { code: 'ECONNREFUSED' })
  })

  t.test('brings a Redis client of its own, and takes it along', async t => {
    const origin = await startOrigin(t)
    const redis = await startRedis(t)
    for (const library of ['ioredis', 'ioredis5', 'iovalkey'] as const) {
      const instance = await startInstance(t, { origin, client: { library, options: { path: redis.socket } }, redis: { prefix: library } })
      t.ok(Number((await redis.info('clients'))['connected_clients']) > 1)
      t.equal((await instance.get('/page/1')).status, 200)
      await instance.close()
      await eventually('only the test is connected', async () => (await redis.info('clients'))['connected_clients'] === '1')
    }
  })

  t.test('says why it does not start', async t => {
    const origin = await startOrigin(t)
    await t.rejects(startInstance(t, { origin, isr: { render: { timeout: -1 } } }), { code: 'FST_ISR_ERR_INVALID_OPTION' })
  })
})
