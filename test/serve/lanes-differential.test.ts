// The express lane answers what the default lane answers, byte by byte, and so does the default lane
// with heads that are made already and with heads that Node makes: the same requests, in the same
// pieces, to two apps that differ in nothing else. LANES_SEED repeats a run.
import { once } from 'node:events'
import { ServerResponse, type IncomingMessage, type Server } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import Fastify, { type FastifyHttpOptions, type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { registerCommonPlugins } from '../../bench/common-plugins.js'
import isr, { type IsrOptions } from '../../lib/index.js'
import { TestClock, until } from '../helpers/engine.js'

type Random = (below: number) => number
interface Script {
  pieces: Buffer[]
  /** The last request is none. */
  isMalformed: boolean
  /** Milliseconds after which the client begins to read. */
  slow: number
  /** It leaves after so many bytes. */
  leavesAfter: number
}

const SEED = Number(process.env.LANES_SEED ?? 20261120)
const SEQUENCES = 1500
const AT_ONCE = 20
const WORDS = 'the quick brown fox jumps over the lazy dog '
const PATHS = ['/page', '/small', '/large', '/list/a', '/list/b%20c', '/gone', '/moved', '/tagged', '/plain', '/empty']
const ENCODINGS = ['gzip', 'br', 'gzip, deflate, br, zstd', 'identity', '*', 'identity;q=0', 'br;q=0, gzip;q=0.5', 'GZIP', 'x-gzip', '', 'identity;q=0, br;q=0, gzip;q=0', 'deflate', 'br;q=2', '  br  ']
/** Name, value; empty for none. Most of it is none of the lane's business, and some of it is what it must leave alone. */
const HEADERS = [
  '', '', '', '', 'User-Agent: test', 'Accept: text/html,*/*;q=0.8', 'Cookie: theme=dark', 'Cookie: session=1', 'Cookie: xsession=1; a=b', 'X-Preview: 1', 'x-PREVIEW:',
  'Authorization: Basic eA==', 'Range: bytes=0-3', 'If-Range: "x"', 'If-Match: "x"', 'If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT', 'If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT',
  'Cache-Control: no-cache', 'Pragma: no-cache', 'TE: trailers', 'Trailer: x', 'Connection: keep-alive', 'connection:KEEP-ALIVE', 'Connection: x-foo', 'Keep-Alive: timeout=1', 'Upgrade: h2c',
  'Accept-Version: 1.x', 'Content-Length: 0', 'Expect: nothing', 'X-Forwarded-Host: evil', 'Host: second.example', 'X-Long: ' + 'x'.repeat(3000), 'X-Obs: \xe9\xff',
  'Content-Type: text/plain', 'X-HTTP-Method-Override: POST'
]
const LAST = ['HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 'HTTP/1.1\r\nHost: x\r\nconnection: x, CLOSE\r\n\r\n', 'HTTP/1.0\r\n\r\n', 'HTTP/1.0\r\nHost: x\r\nAccept-Encoding: br\r\n\r\n']
const MALFORMED = [
  'GET /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n', 'GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /page HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /page HTTP/1.0\r\n\r\nGET /page HTTP/1.1\r\n',
  'GET /page HTTP/1.1\r\n\r\n', 'GET /page HTTP/1.1\r\nHost : x\r\n\r\n', 'GET /page HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n', 'GET /page HTTP/9.9\r\nHost: x\r\n\r\n',
  'GET /page HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 'GET /page HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n', 'GET /page HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n', '\x16\x03\x01', 'BREW /page HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /page HTTP/1.1\nHost: x\n\n', 'GET /page\r\n\r\n', 'GET /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n', 'GET /page HTTP/1.1\r\nHost: x\r\nX-Long: ' + 'x'.repeat(20_000) + '\r\n\r\n'
]

function randomOf (seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function pick<T> (random: Random, list: readonly T[]): T {
  return list[random(list.length)] as T
}

function request (random: Random, etags: readonly string[]): string {
  const kind = random(20)
  if (kind === 0) return 'POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello'
  if (kind === 1) return 'GET /page HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc'
  if (kind === 2) return 'GET /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n'
  if (kind === 3) return `GET ${pick(random, ['/live', '/slow', '/nowhere', '/page/', '//page', '/PAGE', '/p%61ge', '/list/c', '/page;a', 'http://x/page', '*', '/constructor'])} HTTP/1.1\r\nHost: x\r\n\r\n`
  const method = pick(random, ['GET', 'GET', 'GET', 'GET', 'HEAD', 'HEAD', kind === 4 ? 'OPTIONS' : 'GET'])
  const target = pick(random, PATHS) + (random(9) === 0 ? pick(random, ['?', '?a=1', '?utm_source=x', '#x']) : '')
  const lines = [`${method} ${target} HTTP/1.1`, pick(random, ['Host: x', 'host: x', 'HOST:x', 'hOsT: \t x \t'])]
  if (random(2) === 0) lines.push(`${pick(random, ['Accept-Encoding', 'accept-encoding', 'ACCEPT-ENCODING', 'aCCept-encodinG'])}: ${pick(random, ENCODINGS)}`)
  if (random(20) === 0) lines.push('Accept-Encoding: gzip')
  if (random(4) === 0) lines.push(`${pick(random, ['If-None-Match', 'if-none-match'])}: ${tag(random, etags)}`)
  if (random(30) === 0) lines.push('If-None-Match: "other"')
  for (let more = random(2) * random(4); more > 0; more--) {
    const header = pick(random, HEADERS)
    if (header !== '') lines.push(header)
  }
  return [...lines, '', ''].join('\r\n')
}

function tag (random: Random, etags: readonly string[]): string {
  const etag = pick(random, etags)
  return pick(random, [etag, etag, etag, `W/${etag}`, `"a", ${etag} , "b"`, '*', ' * ', 'w/"a"', etag.slice(1), `${etag}x`, '', '"\xff"'])
}

/** Requests on one connection and how they are sent; the last one closes it. */
function scriptOf (random: Random, etags: readonly string[]): Script {
  const requests = Array.from({ length: 1 + random(10) }, () => request(random, etags))
  const isMalformed = random(8) === 0
  requests.push(isMalformed ? pick(random, MALFORMED) : `GET ${pick(random, PATHS)} ${pick(random, LAST)}`)
  const way = random(4)
  const bytes = Buffer.from(requests.join(''), 'latin1')
  const pieces = way === 0 ? requests.map(text => Buffer.from(text, 'latin1')) : way === 1 ? cut(random, bytes) : [bytes]
  return { pieces, isMalformed, slow: random(12) === 0 ? 1 + random(15) : 0, leavesAfter: random(15) === 0 ? random(5000) : Infinity }
}

function cut (random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  for (let start = 0; start < bytes.length;) {
    const end = start + 1 + random(pick(random, [2, 40, 400]))
    pieces.push(bytes.subarray(start, end))
    start = end
  }
  return pieces
}

function play (port: number, { pieces, slow, leavesAfter }: Script): Promise<Buffer> {
  return new Promise((resolve) => {
    const received: Buffer[] = []
    let length = 0
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    const give = (): void => {
      clearTimeout(stuck)
      resolve(Buffer.concat(received))
    }
    const stuck = setTimeout(() => {
      received.push(Buffer.from('stuck'))
      socket.destroy()
    }, 15_000)
    socket.on('data', (chunk) => {
      received.push(chunk)
      length += chunk.length
      if (length >= leavesAfter) socket.destroy()
    })
    if (slow > 0) {
      socket.pause()
      setTimeout(() => { socket.resume() }, slow)
    }
    // The server may have closed before the last piece.
    socket.on('error', () => {})
    socket.on('close', give)
    let next = 0
    const send = (): void => {
      const piece = pieces[next++]
      if (piece === undefined || socket.destroyed) return
      socket.write(piece, () => { setImmediate(send) })
    }
    socket.on('connect', send)
  })
}

/** Dates that Node writes are of now. */
function comparable (bytes: Buffer): string {
  return bytes.toString('latin1').replaceAll(/\r\nDate: [^\r]*/g, '')
}

/** What Fastify says to a request that is none, on its way out. */
const REFUSAL = /HTTP\/1\.1 4\d\d [\w ]+\r\nContent-Length: \d+\r\nContent-Type: application\/json\r\n\r\n\{[^}]*\}$/

function isSame (mine: string, theirs: string, { isMalformed, leavesAfter }: Script): boolean {
  if (!isMalformed && leavesAfter === Infinity) return mine === theirs
  // A refusal overtakes answers that wait for their turn. Who leaves early has got some of it.
  const [left, right] = [mine, theirs].map(text => text.replace(REFUSAL, '')) as [string, string]
  return left.startsWith(right) || right.startsWith(left)
}

interface Site { app: FastifyInstance, port: number }
type SetUp = (app: FastifyInstance) => Promise<void>

async function site (options: IsrOptions, fastify: FastifyHttpOptions<Server> = {}, setUp: SetUp = async () => {}): Promise<Site> {
  const app = Fastify({ keepAliveTimeout: 5000, genReqId: () => 'id', ...fastify })
  await setUp(app)
  await app.register(isr, { disk: false, bypass: { cookies: ['session'], headers: ['x-preview'] }, ...options })
  const prerender = { ttl: 100, statuses: { 301: 60, 410: 60 } }
  const html = (size: number) => async (_request: unknown, reply: { type (type: string): { send (body: string): unknown } }) => reply.type('text/html').send(`<title>${size}</title>${WORDS.repeat(size)}`)
  app.get('/page', { config: { prerender } }, html(250))
  app.get('/small', { config: { prerender: { ...prerender, bypass: { headers: ['x-long'] } } } }, html(1))
  app.get('/large', { config: { prerender } }, html(7000))
  app.get('/list/:name', { config: { prerender: { ...prerender, paths: ['/list/a', '/list/b%20c'] } } }, async request => `${(request.params as { name: string }).name} ${WORDS.repeat(60)}`)
  app.get('/gone', { config: { prerender } }, async (_request, reply) => reply.code(410).send('gone'))
  app.get('/moved', { config: { prerender } }, async (_request, reply) => reply.redirect('/page', 301))
  app.get('/tagged', { config: { prerender } }, async (_request, reply) => reply
    .header('etag', '"own"').header('last-modified', 'Thu, 02 Jan 2020 00:00:00 GMT').header('x-own', 'caf\xe9').header('123', 'digits')
    .header('content-security-policy', "default-src 'self'").header('content-language', 'en').header('age', '7').header('date', 'Fri, 03 Jan 2020 00:00:00 GMT').type('text/plain').send(WORDS.repeat(50)))
  app.get('/plain', { config: { prerender: { ...prerender, cacheControl: 'public, max-age=5' } } }, async (_request, reply) => reply.send(Buffer.from('bytes')))
  app.get('/empty', { config: { prerender } }, async () => '')
  app.get('/live', async () => 'live')
  app.get('/slow', async () => {
    await new Promise((resolve) => { setTimeout(resolve, 2) })
    return 'slow'
  })
  app.post('/form', async request => ({ got: request.body }))
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, port: (app.server.address() as AddressInfo).port }
}

async function warm (port: number): Promise<string[]> {
  const etags = new Set<string>()
  for (const path of PATHS) {
    for (const encoding of ['identity', 'gzip', 'br']) {
      for (const method of ['GET', 'GET', 'GET', 'HEAD', 'HEAD']) {
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, redirect: 'manual', headers: { 'accept-encoding': encoding } })
        await response.arrayBuffer()
        const etag = response.headers.get('etag')
        if (etag !== null) etags.add(etag)
      }
    }
  }
  return [...etags]
}

interface Comparison {
  sequences: number
  seed: number
  /** What may differ. */
  read?: (bytes: Buffer) => string
}

async function compareSites (t: Test, clock: TestClock, mine: Site, theirs: Site, { sequences, seed, read = comparable }: Comparison): Promise<void> {
  t.teardown(() => mine.app.close())
  t.teardown(() => theirs.app.close())
  const etags = await warm(mine.port)
  t.same(await warm(theirs.port), etags)
  const random = randomOf(seed)
  let different = 0
  for (let done = 0; done < sequences && different < 3; done += AT_ONCE) {
    // Within the pages' lifetime: a stale one is rendered again behind, and that may be here sooner than there.
    if (done % 100 === 0 && done < 7 * 100) clock.now += 7013
    const scripts = Array.from({ length: AT_ONCE }, () => scriptOf(random, etags))
    await Promise.all(scripts.map(async (script, index) => {
      const [left, right] = (await Promise.all([play(mine.port, script), play(theirs.port, script)])).map(read) as [string, string]
      if (isSame(left, right, script)) return
      different++
      const at = [...left].findIndex((char, index) => char !== right[index])
      t.fail(`seed ${seed}, sequence ${done + index}: ${JSON.stringify(left.slice(Math.max(0, at - 200), at + 200))} instead of ${JSON.stringify(right.slice(Math.max(0, at - 200), at + 200))}`, { script: script.pieces.map(piece => piece.toString('latin1').slice(0, 400)) })
    }))
  }
}

async function compare (t: Test, options: IsrOptions, { fastify, ...comparison }: Comparison & { fastify?: FastifyHttpOptions<Server> }): Promise<{ hits: number, fallThrough: number }> {
  const clock = new TestClock()
  const shared = { ...options, clock: clock.read }
  const express = await site({ ...shared, expressLane: true }, fastify)
  await compareSites(t, clock, express, await site(shared, fastify), comparison)
  return express.app.isr.stats().expressLane as { hits: number, fallThrough: number }
}

t.test('thousands of requests get the same bytes by either lane', async (t) => {
  const { hits, fallThrough } = await compare(t, {}, { sequences: SEQUENCES, seed: SEED })
  t.comment(`${hits} hits of the express lane, ${fallThrough} requests handed on`)
  t.ok(hits > 1000)
  t.ok(fallThrough > 1000)
})

t.test('a request that is none, after a hit', async (t) => {
  const clock = new TestClock()
  const express = await site({ expressLane: true, clock: clock.read })
  const plain = await site({ clock: clock.read })
  t.teardown(() => express.app.close())
  t.teardown(() => plain.app.close())
  await Promise.all([warm(express.port), warm(plain.port)])
  for (const malformed of MALFORMED) {
    const [mine, theirs] = await Promise.all([express, plain].map(async ({ port }) => {
      const socket = net.connect(port, '127.0.0.1')
      const received: Buffer[] = []
      socket.on('data', (chunk) => { received.push(chunk) })
      socket.on('error', () => {})
      socket.write('GET /small HTTP/1.1\r\nHost: x\r\n\r\n')
      await once(socket, 'data')
      socket.write(Buffer.from(malformed, 'latin1'))
      // What looks like the beginning of something is waited for.
      socket.end()
      await once(socket, 'close')
      return comparable(Buffer.concat(received))
    }))
    t.equal(mine, theirs, JSON.stringify(malformed.slice(0, 60)))
  }
})

t.test('and so they do with other options', async (t) => {
  for (const [index, { isr, fastify }] of [
    { isr: { cacheStatus: false, cdn: { cacheControl: true } }, fastify: {} },
    { isr: { encodings: ['gzip' as const] }, fastify: { keepAliveTimeout: 1500 } },
    { isr: {}, fastify: { exposeHeadRoutes: false, ignoreTrailingSlash: true, caseSensitive: false, ignoreDuplicateSlashes: true } },
    { isr: {}, fastify: { maxRequestsPerSocket: 3 } },
    { isr: {}, fastify: { connectionTimeout: 3000, requestTimeout: 5000, trustProxy: true } }
  ].entries()) {
    const { hits } = await compare(t, isr, { fastify, sequences: 120, seed: SEED + index + 1 })
    t.equal(hits > 50, !('maxRequestsPerSocket' in fastify), `${hits} hits with ${JSON.stringify({ isr, fastify })}`)
  }
})

interface Heads { made: number, http: NonNullable<FastifyHttpOptions<Server>['http']> }

/** Counts the heads that Node makes. `isWrapped`: as a tool would that wants to see them all. */
function countHeads (isWrapped: boolean): Heads {
  const { writeHead, _storeHeader } = ServerResponse.prototype as ServerResponse & { _storeHeader: (...args: unknown[]) => unknown }
  class Counted extends ServerResponse<IncomingMessage> {
    _storeHeader (...args: unknown[]): unknown {
      heads.made++
      return Reflect.apply(_storeHeader, this, args)
    }
  }
  if (isWrapped) Object.assign(Counted.prototype, { writeHead (this: Counted, ...args: unknown[]) { return Reflect.apply(writeHead, this, args) as unknown } })
  const heads: Heads = { made: 0, http: { ServerResponse: Counted as unknown as typeof ServerResponse } }
  return heads
}

/** Node writes what hooks add in the order in which they add it. */
function unordered (bytes: Buffer): string {
  return comparable(bytes).replaceAll(/(HTTP\/1\.1 \d+ [^\r]*\r\n)([^]*?)\r\n\r\n/g, (_all, status: string, lines: string) => `${status}${lines.split('\r\n').sort().join('\r\n')}\r\n\r\n`)
}

t.test('who looks at the reply afterwards finds the headers there', async (t) => {
  const { app, port } = await site({}, {}, async (app) => {
    app.addHook('onResponse', async (request, reply) => { if (request.isrRender === null) seen.push([reply.statusCode, reply.getHeader('content-length'), reply.getHeader('cache-status')]) })
  })
  const seen: unknown[] = []
  t.teardown(() => app.close())
  for (let times = 0; times < 3; times++) await (await fetch(`http://127.0.0.1:${port}/plain`)).text()
  await until(() => seen.length === 3)
  t.match(seen, [[200, '5', /stored$/], [200, '5', /hit/], [200, '5', /hit/]])
})

let setUps = 0
const SETUPS: Record<string, SetUp> = {
  'nothing else': async () => {},
  'a hook that adds a header now and then': async (app) => {
    app.addHook('onRequest', async (request, reply) => { if (request.headers['user-agent'] !== undefined) reply.header('x-seen', 'yes') })
  },
  'cookie, cors and helmet': registerCommonPlugins,
  'hooks that add, change and remove': async (app) => {
    await registerCommonPlugins(app)
    app.addHook('onSend', async (request, reply) => {
      if (request.headers.te !== undefined) reply.header('etag', '"of-a-hook"')
      if (request.headers.pragma !== undefined) reply.removeHeader('cache-control')
      if (request.headers.trailer !== undefined) reply.header('vary', 'origin')
      if (request.headers['x-long'] !== undefined) reply.header('set-cookie', ['a=1', 'b=2'])
      if (request.headers['keep-alive'] !== undefined) reply.header('connection', 'close')
      if (request.headers['accept-version'] !== undefined) reply.header('x-list', ['a', 'b'])
      if (request.headers['x-obs'] !== undefined) reply.header('X-Caf\xe9'.slice(0, 5), 'caf\xe9')
      if (request.headers.pragma !== undefined) reply.code(203)
      if (request.headers['cache-control'] !== undefined) reply.header('content-language', 'de').header('x-number', 7 as unknown as string)
    })
  }
}

for (const [name, setUp] of Object.entries(SETUPS)) {
  t.test(`heads that are made already are those that Node would have made, with ${name}`, async (t) => {
    const clock = new TestClock()
    const [mine, theirs] = [countHeads(false), countHeads(true)]
    const sites = [await site({ clock: clock.read }, { http: mine.http }, setUp), await site({ clock: clock.read }, { http: theirs.http }, setUp)] as const
    await compareSites(t, clock, ...sites, { sequences: 300, seed: SEED + setUps++, read: name === 'nothing else' ? comparable : unordered })
    t.comment(`Node made ${mine.made} heads of ${theirs.made}`)
    // Where hooks add to every answer, Node makes them all.
    t.equal(mine.made < theirs.made * 0.7, setUp === SETUPS['nothing else'] || setUp === SETUPS['a hook that adds a header now and then'])
  })
}
