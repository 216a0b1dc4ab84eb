import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import isr, { type IsrOptions } from '../../lib/index.js'
import { probeNode } from '../../lib/pages/express-probe.js'
import type { Head } from '../../lib/pages/head.js'
import { Wholes } from '../../lib/pages/wholes.js'
import { record, start, until, type Site } from '../helpers/app.js'
import { makeCertificates } from '../helpers/certificates.js'
import { Connection } from '../security/wire.js'

const PAGE = '<h1>page</h1>'.repeat(200)
const LARGE = 'large '.repeat(800_000)

function declare (app: FastifyInstance): void {
  app.get('/page', { config: { prerender: { ttl: 60 } } }, async (_request, reply) => reply.type('text/html').send(PAGE))
  app.get('/large', { config: { prerender: { ttl: 60 } } }, async (_request, reply) => reply.type('application/octet-stream').send(LARGE))
  app.get('/live', async () => 'live')
}

async function lane (t: Test, options: IsrOptions = {}, fastify: FastifyServerOptions = {}): Promise<Site & { port: number, hits: () => number, ask: (...requests: string[]) => Promise<string[]> }> {
  const site = await start(t, declare, { isr: { expressLane: true, ...options }, fastify })
  const port = await site.listen()
  for (const path of ['/page', '/large']) {
    for (const method of ['GET', 'GET', 'HEAD']) await (await fetch(`http://127.0.0.1:${port}${path}`, { method })).arrayBuffer()
  }
  const hits = (): number => site.app.isr.stats().expressLane?.hits ?? NaN
  const ask = async (...requests: string[]): Promise<string[]> => {
    const connection = new Connection(port)
    const answers = await connection.send(requests)
    connection.close()
    return answers.map(({ bytes }) => bytes.toString('latin1'))
  }
  return { ...site, port, hits, ask }
}

function get (path: string, ...lines: string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n')
}

/** A connection, and all that came over it. */
function open (t: Test, port: number): { socket: Socket, received: () => string } {
  const socket = net.connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => { chunks.push(chunk) })
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  return { socket, received: () => Buffer.concat(chunks).toString('latin1') }
}

t.test('a page goes by the express lane once the default lane has answered with it', async (t) => {
  const site = await start(t, declare, { isr: { expressLane: true } })
  const port = await site.listen()
  const connection = new Connection(port)
  t.teardown(() => { connection.close() })
  const lanes: (string | undefined)[] = []
  const events = record(t, 'serve')
  for (let i = 0; i < 4; i++) await connection.send([get('/page')])
  for (const event of events) lanes.push(event.lane)
  t.same(lanes, [undefined, undefined, 'express', 'express'], 'rendered, routed, then express')
  t.match(events.at(-1), { key: '/page', path: '/page', outcome: 'hit', source: 'memory', lane: 'express' })
  t.match(site.app.isr.stats(), { requests: { hit: 3, miss: 1 }, expressLane: { hits: 2, fallThrough: 2 } })
  await fetch(`http://127.0.0.1:${port}/page`, { method: 'HEAD' })
  t.equal(site.app.isr.stats().expressLane?.hits, 2, 'each method for itself')
})

t.test('off unless it is asked for', async (t) => {
  const site = await start(t, declare)
  t.equal(site.app.isr.stats().expressLane, null)
  const disabled = await start(t, declare, { isr: { expressLane: true, enabled: false } })
  t.equal(disabled.app.isr.stats().expressLane, null)
  for (const expressLane of [1, 'yes', null, { hooks: true }, { ignoreHooks: 1 }] as unknown[]) {
    const app = Fastify()
    await t.rejects(async () => { await app.register(isr, { expressLane } as IsrOptions) }, { code: 'FST_ISR_ERR_INVALID_OPTION' }, JSON.stringify(expressLane))
  }
})

t.test('what differs from a plain hit goes on to the default lane', async (t) => {
  const { ask, hits, clock, app } = await lane(t, { bypass: { cookies: ['session'], headers: ['x-preview'] } })
  const before = hits()
  const [plain = ''] = await ask(get('/page'))
  t.match(plain, 'cache-status: fastify-isr; hit; ttl=60')
  t.equal(hits(), before + 1)
  for (const lines of [
    ['Authorization: x'], ['Cookie: a=b; session=1'], ['X-Preview: '], ['Expect: 100-continue'], ['Upgrade: h2c'], ['Content-Length: 0'], ['Accept-Version: 1.x'], ['Range: bytes=0-1'],
    ['If-Match: "a"'], ['If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT'], ['Host: second'], ['Accept-Encoding: br', 'Accept-Encoding: gzip'], ['If-None-Match: "a"', 'If-None-Match: "b"'],
    ['Accept-Encoding: identity;q=0, *;q=0'], Array.from({ length: 64 }, (_, i) => `X-${i}: 1`)
  ]) await ask(get('/page', ...lines))
  await ask(get('/page?a=1'), get('/live'), get('/page/'), 'POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
  t.equal(hits(), before + 1)
  await ask(get('/page', 'Cookie: theme=dark', 'Accept: */*', 'User-Agent: x'))
  t.equal(hits(), before + 2)
  clock.forward(61)
  t.match((await ask(get('/page')))[0], /detail=stale/, 'a stale page is for the default lane')
  await until(() => app.isr.stats().renders.renewed > 0)
  await ask(get('/page'), get('/page'))
  t.equal(hits(), before + 2, 'one that was renewed is new here')
  await ask(get('/page'))
  t.equal(hits(), before + 3)
  await app.isr.purge({ path: '/page' })
  t.match((await ask(get('/page')))[0], /fwd=uri-miss; stored/)
})

t.test('Age and Cache-Status count on', async (t) => {
  const { ask, hits, clock } = await lane(t)
  const before = hits()
  const seen: string[] = []
  for (const ms of [0, 400, 700, -2000, 30_000]) {
    clock.now += ms
    const [answer = ''] = await ask(get('/page'))
    seen.push(`${/age: \d+/.exec(answer)?.[0] ?? ''} ${/ttl=\d+/.exec(answer)?.[0] ?? ''}`)
  }
  t.same(seen, ['age: 0 ttl=60', 'age: 0 ttl=60', 'age: 1 ttl=59', 'age: 0 ttl=61', 'age: 29 ttl=31'])
  t.equal(hits(), before + 5)
})

t.test('304, HEAD and encodings', async (t) => {
  const { ask, hits } = await lane(t)
  const before = hits()
  const [full = '', br = '', gzip = ''] = await ask(get('/page'), get('/page', 'Accept-Encoding: gzip, br'), get('/page', 'accept-encoding: gzip'))
  t.match(br, 'content-encoding: br')
  t.match(gzip, 'content-encoding: gzip')
  const etag = /etag: (\S+)/.exec(full)?.[1] ?? ''
  const [notModified = '', modified = ''] = await ask(get('/page', `If-None-Match: "a", W/${etag}`), get('/page', 'If-None-Match: "a"'))
  t.match(notModified, /^HTTP\/1\.1 304 Not Modified\r\n/)
  t.notMatch(notModified, /content-length|content-type|<h1>/)
  t.equal(modified, full)
  t.equal(hits(), before + 5)
})

t.test('answers come in the order of the requests, whoever gives them', async (t) => {
  const { ask } = await lane(t)
  const requests = Array.from({ length: 60 }, (_, i) => i % 5 === 3 ? get('/live') : i % 7 === 6 ? get('/large') : get('/page'))
  const answers = await ask(...requests)
  answers.forEach((answer, i) => {
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4)
    if (body !== (i % 5 === 3 ? 'live' : i % 7 === 6 ? LARGE : PAGE)) t.fail(`answer ${i}`)
  })
  t.equal(answers.length, 60)
})

t.test('an idle connection is closed as Node does it, and a slow handler is waited for', async (t) => {
  const { port, hits } = await lane(t, {}, { keepAliveTimeout: 200 })
  const idle = open(t, port)
  const startedAt = Date.now()
  idle.socket.write(get('/page'))
  await once(idle.socket, 'close')
  const took = Date.now() - startedAt
  t.ok(took > 1100 && took < 4000, `${took} ms`)
  t.match(idle.received(), 'Keep-Alive: timeout=0')
  t.ok(hits() > 0)
})

t.test('what is on its way to a slow reader is not idle', async (t) => {
  const { port, hits } = await lane(t, {}, { keepAliveTimeout: 1 })
  const before = hits()
  const { socket, received } = open(t, port)
  socket.pause()
  socket.write(get('/large'))
  await until(() => hits() === before + 1)
  await new Promise((resolve) => { setTimeout(resolve, 2500) })
  socket.resume()
  await once(socket, 'close')
  t.equal(received().length - received().indexOf('\r\n\r\n') - 4, LARGE.length, 'all of it, and then the connection is idle')
})

t.test('a reader that does not read holds up itself, not the memory', async (t) => {
  const { port, hits } = await lane(t)
  const before = hits()
  const { socket } = open(t, port)
  socket.pause()
  socket.write(get('/large').repeat(200))
  await until(() => hits() > before)
  await new Promise((resolve) => { setTimeout(resolve, 200) })
  t.ok(hits() - before < 10, `${hits() - before} answers were written`)
  socket.destroy()
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  t.equal((await fetch(`http://127.0.0.1:${port}/page`)).status, 200)
})

t.test('closing: idle connections go at once, requests are refused as Fastify does', async (t) => {
  const site = await lane(t)
  const idle = open(t, site.port)
  idle.socket.write(get('/page'))
  await once(idle.socket, 'data')
  let release = (): void => {}
  site.app.server.prependOnceListener('close', () => { release() })
  const busy = open(t, site.port)
  busy.socket.write(get('/page').slice(0, 20))
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  const closed = new Promise<void>((resolve) => { release = resolve })
  const closing = site.app.close()
  await once(idle.socket, 'close')
  busy.socket.write(get('/page').slice(20))
  await once(busy.socket, 'close')
  t.match(busy.received(), /^HTTP\/1\.1 503 [\s\S]*Connection: close/)
  await closing
  await closed
})

t.test('closing amid traffic cuts no answer and does not hang', async (t) => {
  const site = await lane(t)
  const connections = Array.from({ length: 20 }, () => open(t, site.port))
  for (const { socket } of connections) {
    const ask = (): void => { if (socket.writable) socket.write(get('/page').repeat(3)) }
    socket.on('connect', ask)
    socket.on('data', ask)
  }
  await until(() => site.hits() > 500)
  await site.app.close()
  await until(() => connections.every(({ socket }) => socket.closed))
  let answers = 0
  for (const { received } of connections) {
    const [, ...all] = received().split('HTTP/1.1 ')
    answers += all.length
    for (const answer of all) {
      const body = answer.slice(answer.indexOf('\r\n\r\n') + 4)
      const isWhole = answer.startsWith('200') ? body === PAGE : answer.startsWith('503') && body.endsWith('}')
      if (!isWhole) t.fail(`cut: ${answer.slice(-200)}`)
    }
  }
  t.ok(answers > 500, `${answers} answers, all of them whole`)
})

t.test('with maxRequestsPerSocket Node counts, and the default lane answers', async (t) => {
  const site = await lane(t, {}, { maxRequestsPerSocket: 2 })
  const answers = await site.ask(get('/page'), get('/page'), get('/page')).catch(() => [])
  t.equal(site.hits(), 0)
  t.equal(answers.length, 3)
  t.match(answers[1], 'Connection: close')
  t.match(answers[2], /^HTTP\/1\.1 503/)
  t.ok(site.warnings().some(message => message.includes('maxRequestsPerSocket')))
})

t.test('over TLS', async (t) => {
  const { key, cert } = await makeCertificates(t)
  const site = await start(t, declare, { isr: { expressLane: true }, fastify: { https: { key, cert } } as FastifyServerOptions })
  const port = await site.listen()
  const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  const ask = async (path: string): Promise<string> => await new Promise((resolve, reject) => {
    https.get({ port, host: '127.0.0.1', path, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => { chunks.push(chunk) })
      response.on('end', () => { resolve(Buffer.concat(chunks).toString()) })
    }).on('error', reject)
  })
  for (let i = 0; i < 5; i++) {
    t.equal(await ask('/page'), PAGE)
    t.equal(await ask('/large') === LARGE, true)
    t.equal(await ask('/live'), 'live')
  }
  t.equal(site.app.isr.stats().expressLane?.hits, 6)
})

t.test('every address of localhost', async (t) => {
  const site = await start(t, declare, { isr: { expressLane: true } })
  await site.app.listen({ port: 0 })
  const { port } = site.app.server.address() as AddressInfo
  const addresses = site.app.addresses() as AddressInfo[]
  for (const { address, family } of addresses) {
    for (let i = 0; i < 3; i++) await (await fetch(`http://${family === 'IPv6' ? `[${address}]` : address}:${port}/page`)).arrayBuffer()
  }
  t.equal(site.app.isr.stats().expressLane?.hits, 3 * addresses.length - 2)
})

t.test('refused at ready, with all the reasons', async (t) => {
  const app = Fastify({ rewriteUrl: request => request.url ?? '' })
  app.addHook('onRequest', async function authenticate () {})
  app.addHook('onSend', async () => {})
  app.addHook('preHandler', async function later () {})
  await app.register(isr, { disk: false, expressLane: true, bypass: () => false })
  app.addHook('onResponse', async function count () {})
  app.server.on('request', () => {})
  app.get('/a', { config: { prerender: { bypass: () => false } } }, async () => 'a')
  app.get('/b', { config: { prerender: { vary: { 'accept-language': { values: ['en'], select: () => 'en' } } } } }, async () => 'b')
  app.get('/c', { config: { prerender: true }, constraints: { version: '1.0.0' } }, async () => 'c')
  app.register(async (instance) => {
    instance.addHook('onRequest', async function elsewhere () {})
    instance.get('/live', async () => 'live')
  })
  const error = await app.ready().then(() => new Error('ready'), (error: Error & { code?: string }) => error)
  t.match(error, { code: 'FST_ISR_ERR_EXPRESS_LANE' })
  for (const reason of ['rewriteUrl', "option 'bypass' is a function", "GET /a: 'bypass' is a function", "GET /b: 'vary'", "GET /c: constraint 'version'", "onRequest hook 'authenticate' (GET /a and ", 'onSend hook without a name', "onResponse hook 'count'", "a 'request' listener"]) {
    t.ok(error.message.includes(reason), `${reason} in ${error.message}`)
  }
  t.notMatch(error.message, /later|elsewhere|ignoreHooks|http2|serverFactory/)
})

t.test('hooks alone can be overridden', async (t) => {
  let runs = 0
  const before = (app: FastifyInstance): void => { app.addHook('onRequest', async function count () { runs++ }) }
  await t.rejects(start(t, declare, { isr: { expressLane: true }, before }), { message: /onRequest hook 'count' .*ignoreHooks: true/ })
  const site = await start(t, declare, { isr: { expressLane: { ignoreHooks: true } }, before })
  const port = await site.listen()
  for (let i = 0; i < 2; i++) await (await fetch(`http://127.0.0.1:${port}/page`)).text()
  const soFar = runs
  for (let i = 0; i < 5; i++) await (await fetch(`http://127.0.0.1:${port}/page`)).text()
  t.equal(runs, soFar)
  await t.rejects(start(t, declare, { isr: { expressLane: { ignoreHooks: true }, bypass: () => false }, before }), { message: /'bypass' is a function \(lists of cookies and headers are fine\)$/ })
})

t.test('http2, a server factory and strategies of the app are refused, too', async (t) => {
  await t.rejects(start(t, declare, { isr: { expressLane: true }, fastify: { http2: true } as FastifyServerOptions }), { message: /http2/ })
  await t.rejects(start(t, declare, { isr: { expressLane: true }, fastify: { serverFactory: handler => http.createServer(handler) } }), { message: /serverFactory/ })
  const strategy = { name: 'secret', storage: () => ({ get: () => null, set: () => {} }), validate: () => true, deriveConstraint: () => 'x' }
  await t.rejects(start(t, (app) => {
    declare(app)
    app.get('/other', { constraints: { secret: 'x' } as Record<string, string> }, async () => 'other')
  }, { isr: { expressLane: true }, fastify: { constraints: { secret: strategy } } as unknown as FastifyServerOptions }), { message: /\/other: constraint 'secret'/ })
})

t.test('a route for some hosts on the same path keeps the page out of it', async (t) => {
  const site = await start(t, (app) => {
    declare(app)
    app.get('/page', { constraints: { host: 'other.example' } }, async () => 'of another host')
    app.get('/elsewhere', { constraints: { host: 'other.example' } }, async () => 'elsewhere')
    app.get('/third', { config: { prerender: true } }, async () => 'third')
  }, { isr: { expressLane: true } })
  const port = await site.listen()
  const connection = new Connection(port)
  t.teardown(() => { connection.close() })
  for (let i = 0; i < 3; i++) await connection.send([get('/page'), get('/third')])
  const [other] = await connection.send([get('/page').replace('Host: x', 'Host: other.example')])
  t.equal(other?.body.toString(), 'of another host')
  for (let i = 0; i < 3; i++) await connection.send([get('/page')])
  const { hits } = site.app.isr.stats().expressLane as { hits: number }
  await connection.send([get('/third')])
  t.equal(site.app.isr.stats().expressLane?.hits, hits + 1)
  t.ok(hits <= 2, 'only of the page that nothing competes with')
})

t.test('a connection that looks different is answered by the default lane', async (t) => {
  const site = await start(t, declare, { isr: { expressLane: true }, before: (app) => { app.server.on('connection', (socket: { parser: { incoming?: unknown } }) => { delete socket.parser.incoming }) } })
  const port = await site.listen()
  for (let i = 0; i < 3; i++) t.equal(await (await fetch(`http://127.0.0.1:${port}/page`, { headers: { connection: 'close' } })).text(), PAGE)
  t.equal(site.app.isr.stats().expressLane?.hits, 0)
  t.equal(site.warnings().filter(message => message.includes('express lane')).length, 1)
})

t.test('nothing that goes wrong in it costs an answer', async (t) => {
  let isBroken = false
  const site = await lane(t, {}, {})
  const { clock } = site
  const read = clock.read
  const broken = await start(t, declare, { isr: { expressLane: true, clock: () => { if (isBroken) { isBroken = false; throw new Error('the clock stopped') } return read() } } })
  const port = await broken.listen()
  const connection = new Connection(port)
  t.teardown(() => { connection.close() })
  for (let i = 0; i < 3; i++) await connection.send([get('/page')])
  isBroken = true
  t.equal((await connection.send([get('/page')]))[0]?.body.toString(), PAGE)
  t.equal((await connection.send([get('/page')]))[0]?.body.toString(), PAGE)
  t.equal(broken.app.isr.stats().expressLane?.hits, 1)
  t.match(broken.warnings().join(), /the express lane is off from now on/)
})

t.test('this Node is one that the lane knows', async (t) => {
  t.equal(await probeNode(), null)
})

t.test('another one would not be', async (t) => {
  const { prototype } = http.Server
  const emit = prototype.emit
  t.teardown(() => { prototype.emit = emit })
  prototype.emit = function (this: http.Server, name: string, ...args: unknown[]) {
    const result = Reflect.apply(emit, this, [name, ...args]) as boolean
    if (name === 'connection') delete (args[0] as { parser?: unknown }).parser
    return result
  } as typeof emit
  const site = await start(t, declare, { isr: { expressLane: true } })
  t.match(site.warnings(), [/the express lane stays off: the HTTP server of Node .* is not as expected \(its parser looks different\)/])
  t.equal(site.app.isr.stats().expressLane, null)
})

t.test('heads and bodies in one piece are bounded, and last for a second', async (t) => {
  const lines = () => ({ text: 'head', bytes: null })
  const head = (until: number): Head => ({ from: 0, until, freshUntil: 0, isDisconnected: false, connection: '', full: lines(), notModified: lines(), whole: null, isAsked: false })
  const wholes = new Wholes(100)
  const first = head(1000)
  t.equal(wholes.of(first, Buffer.alloc(40), 0), null, 'not for one answer')
  t.equal(wholes.of(first, Buffer.from('body'.repeat(10)), 0)?.toString(), `head${'body'.repeat(10)}`)
  t.equal(wholes.of(first, Buffer.alloc(40), 0), first.whole)
  t.equal(first.whole?.buffer.byteLength, 44, 'it holds no memory but its own')
  const second = head(1000)
  wholes.of(second, Buffer.alloc(90), 10)
  wholes.of(second, Buffer.alloc(90), 10)
  t.equal(first.whole, null, 'there is no room for both')
  t.equal(wholes.bytes, 94)
  t.equal(wholes.of({ ...head(1000), isAsked: true }, Buffer.alloc(100), 20), null, 'nor for what is larger than all of them')

  for (let page = 0; page < 50; page++) {
    const late = head(1000 * (page + 2))
    for (let times = 0; times < 2; times++) wholes.of(late, Buffer.alloc(4), 1000 * (page + 1))
    t.equal(wholes.bytes, 8, 'those of seconds that are over are gone')
  }
})
