// What an answer must look like, whoever asks: one test per rule, each with its number. Everything
// goes over a socket, for client libraries mend, decode and add.
import zlib from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { RoutePolicy } from '../lib/index.js'
import { cacheStatus, counted, makeGate, rawGet, start, until, type Counted, type RawAnswer, type Site, type SiteOptions } from './helpers/app.js'

type Test = Parameters<typeof start>[0]
type Answering = (nth: number, request: FastifyRequest, reply: FastifyReply) => unknown

interface Served extends Site {
  page: Counted
  /** One raw request for `/page`, or another target. */
  ask (headers?: Record<string, string>, more?: { method?: string, target?: string }): Promise<RawAnswer>
}

/** A listening site with a page at `/page`. */
async function serve (t: Test, answer: Answering, policy: RoutePolicy = {}, { declare, ...options }: SiteOptions & { declare?: (app: Site['app']) => void } = {}): Promise<Served> {
  const page = counted(answer)
  const site = await start(t, (app) => {
    app.get('/page', { config: { prerender: policy } }, page)
    declare?.(app)
  }, options)
  const port = await site.listen()
  return {
    ...site,
    page,
    ask: async (headers = {}, { method = 'GET', target = '/page' } = {}) => await rawGet(port, target, Object.entries(headers).map(([name, value]) => `${name}: ${value}`), method)
  }
}

/** Large and repetitive enough for both encodings. */
const TEXT = 'A sentence that is worth compressing. '.repeat(100)
const html: Answering = (_nth, _request, reply) => reply.type('text/html').send(TEXT)
/** The same page, with a body that says how often it was rendered. */
const nthHtml: Answering = (nth, _request, reply) => reply.type('text/html').send(`${TEXT} #${nth}`)

const DEFAULT = 'public, max-age=0, must-revalidate'

t.test('H01 a miss that is stored', async (t) => {
  const { ask, clock } = await serve(t, html, { ttl: 60 })
  const { status, headers, body } = await ask()
  t.equal(status, 200)
  t.match(headers.etag, /^"[\w-]{22}"$/)
  t.equal(headers.date, new Date(clock.now).toUTCString())
  t.equal(headers.age, '0')
  t.equal(headers.vary, 'accept-encoding')
  t.equal(headers['cache-control'], DEFAULT)
  t.equal(headers['content-type'], 'text/html')
  t.equal(headers['content-length'], String(TEXT.length))
  t.equal(headers['cache-status'], 'fastify-isr; fwd=uri-miss; stored')
  t.equal(body.toString(), TEXT)
  for (const name of ['set-cookie', 'transfer-encoding', 'keep-alive']) t.equal(headers[name], undefined, name)
})

t.test('H02 a fresh hit', async (t) => {
  const { ask, clock } = await serve(t, html, { ttl: 60 })
  const miss = await ask()
  clock.forward(7.9)
  const hit = await ask()
  t.equal(hit.status, 200)
  t.equal(hit.headers.etag, miss.headers.etag)
  t.equal(hit.headers.date, miss.headers.date)
  t.equal(hit.headers.age, '7')
  t.equal(hit.headers['cache-status'], 'fastify-isr; hit; ttl=53')
  t.same(hit.body, miss.body)
  clock.forward(52)
  t.equal((await ask()).headers['cache-status'], 'fastify-isr; hit; ttl=1', 'never 0 or less while it is fresh')
})

t.test('H03 a stale hit', async (t) => {
  const { ask, clock, page } = await serve(t, nthHtml, { ttl: 60 })
  const miss = await ask()
  clock.forward(65.5)
  const stale = await ask()
  t.equal(stale.status, 200)
  t.same(stale.body, miss.body)
  t.equal(stale.headers.date, miss.headers.date)
  t.equal(stale.headers.age, '65')
  t.equal(stale.headers['cache-status'], 'fastify-isr; hit; ttl=-6; detail=stale')
  t.equal(stale.headers.warning, undefined)
  await until(() => page.renders === 2)
})

t.test('H04 an old page hides a failure', async (t) => {
  const failures: Record<string, [answer: Answering, status: number]> = {
    'a throw': [() => { throw new Error('down') }, 500],
    'a 503': [(_nth, _request, reply) => reply.code(503).send('later'), 503]
  }
  for (const [name, [fail, code]] of Object.entries(failures)) {
    t.test(name, async (t) => {
      let answer = html
      const { ask, clock } = await serve(t, (...args) => answer(...args), { ttl: 10, staleWhileRevalidate: 0 })
      await ask()
      answer = fail
      clock.forward(15)
      const tried = await ask()
      t.equal(tried.status, 200)
      t.equal(tried.body.toString(), TEXT)
      t.equal(tried.headers.age, '15')
      t.equal(cacheStatus(tried), `fwd=stale; fwd-status=${code}; detail=stale-if-error`)
      const backingOff = await ask()
      t.equal(backingOff.status, 200)
      t.equal(backingOff.body.toString(), TEXT)
      t.equal(cacheStatus(backingOff), 'hit; ttl=-5; detail=stale-if-error')
    })
  }
})

t.test('H05 who waits for the render of another', async (t) => {
  const gate = makeGate()
  const { ask, app, page } = await serve(t, async (_nth, _request, reply) => {
    await gate.opened
    return reply.type('text/html').send(TEXT)
  }, { ttl: 60 })
  let arrived = 0
  app.server.on('request', () => { arrived++ })
  const asked = [ask(), ask(), ask()]
  await until(() => page.renders === 1 && arrived === 3)
  gate.open()
  const answers = await Promise.all(asked)
  t.same(answers.map(cacheStatus).sort(), ['fwd=uri-miss; collapsed', 'fwd=uri-miss; collapsed', 'fwd=uri-miss; stored'])
  for (const { status, headers } of answers) t.same([status, headers.age], [200, '0'])
  t.equal(page.renders, 1)
})

t.test('H06 after an order', async (t) => {
  const { ask, app, clock, page } = await serve(t, nthHtml, { ttl: 60 })
  await ask()
  clock.forward(5)
  await app.isr.revalidate({ path: '/page' })
  const marked = await ask()
  t.equal(cacheStatus(marked), 'hit; ttl=0; detail=stale')
  t.equal(marked.headers.age, '5')
  t.match(marked.body.toString(), /#1$/)
  await until(() => app.isr.stats().renders.stored === 2)

  clock.forward(5)
  await app.isr.revalidate({ path: '/page' }, { expire: 0 })
  const expired = await ask()
  t.equal(cacheStatus(expired), 'fwd=stale; stored')
  t.equal(expired.headers.age, '0')
  t.match(expired.body.toString(), /#3$/)

  clock.forward(5)
  await app.isr.purge({ path: '/page' })
  const purged = await ask()
  t.equal(cacheStatus(purged), 'fwd=uri-miss; stored')
  t.equal(purged.headers.age, '0')
  t.match(purged.body.toString(), /#4$/)
  t.equal(page.renders, 4)
})

t.test('H07 an answer that may not be stored is the handler\'s own', async (t) => {
  const { ask } = await serve(t, (_nth, _request, reply) => reply.headers({ 'cache-control': 'no-store, max-age=9', 'x-own': '1', etag: '"own"' }).send('x'))
  const { status, headers } = await ask()
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'no-store, max-age=9')
  t.equal(headers['x-own'], '1')
  t.equal(headers.etag, '"own"')
  t.equal(headers.age, undefined)
  t.equal(cacheStatus({ headers }), 'fwd=miss; stored=?0; detail=cache-control')

  const cookies = await serve(t, (_nth, _request, reply) => reply.header('set-cookie', 'sid=1').send('x'))
  for (const expected of ['fwd=miss; stored=?0; detail=set-cookie', 'fwd=bypass; detail=unstorable']) {
    const { headers } = await cookies.ask()
    t.equal(cacheStatus({ headers }), expected)
    t.equal(headers['set-cookie'], 'sid=1')
    for (const name of ['age', 'etag', 'cache-control']) t.equal(headers[name], undefined, name)
  }
})

t.test('H08 requests that bypass the cache', async (t) => {
  const declare = (app: Site['app']): void => {
    app.get('/:slug', { config: { prerender: { onDemand: true, query: ['q'] } } }, async () => 'x')
  }
  const { ask, app, page } = await serve(t, html, { bypass: { cookies: ['session'], headers: ['x-preview'] } }, { declare })
  const kinds: [headers: Record<string, string>, target: string, reason: string, cacheControl: string | undefined][] = [
    [{ authorization: 'Bearer x' }, '/page', 'authorization', 'private, no-cache'],
    [{ cookie: 'a=b; session=1' }, '/page', 'cookie', 'private, no-cache'],
    [{ 'x-preview': '1' }, '/page', 'header', 'private, no-cache'],
    [{}, '/%61', 'path', undefined],
    [{}, '/other?q=1&q=2', 'query', undefined]
  ]
  for (const state of ['cold', 'stored']) {
    for (const [headers, target, reason, cacheControl] of kinds) {
      const answer = await ask(headers, { target })
      t.equal(answer.status, 200)
      t.equal(cacheStatus(answer), `fwd=bypass; detail=${reason}`, `${reason}, ${state}`)
      t.equal(answer.headers.age, undefined)
      t.equal(answer.headers['cache-control'], cacheControl)
    }
    t.equal(app.isr.stats().memory.entries, state === 'cold' ? 0 : 1)
    if (state === 'cold') await ask()
  }
  t.same([page.renders, page.live], [1, 6])
})

t.test('H09 If-None-Match that matches', async (t) => {
  for (const coding of ['identity', 'gzip', 'br']) {
    t.test(coding, async (t) => {
      const { ask, app, clock } = await serve(t, (_nth, _request, reply) => reply.headers({ 'content-location': '/page.html', expires: 'Thu, 01 Jan 2099 00:00:00 GMT', 'content-language': 'en', link: '</a.css>; rel=preload' }).type('text/html').send(TEXT), { ttl: 60 })
      const headers = { 'accept-encoding': coding }
      const full = await ask(headers)
      t.equal(full.headers['content-encoding'], coding === 'identity' ? undefined : coding)
      const { etag = '' } = full.headers
      for (const ifNoneMatch of [etag, `W/${etag}`, `"x", W/"y" ,${etag}`, `,, ${etag},`, '*']) {
        for (const state of ['miss', 'hit', 'stale']) {
          if (state === 'miss') await app.isr.purge({ all: true })
          if (state === 'stale') clock.forward(61)
          const answer = await ask({ ...headers, 'if-none-match': ifNoneMatch })
          const name = `${ifNoneMatch}, ${state}`
          t.equal(answer.status, 304, name)
          t.equal(answer.body.length, 0)
          t.match(cacheStatus(answer), { miss: /^fwd=uri-miss; stored$/, hit: /^hit; ttl=60$/, stale: /^hit; ttl=-1; detail=stale$/ }[state], name)
          t.equal(answer.headers.age, state === 'stale' ? '61' : '0')
          for (const kept of ['etag', 'vary', 'cache-control', 'content-location', 'expires', 'link']) t.equal(answer.headers[kept], full.headers[kept], `${kept}, ${name}`)
          t.type(answer.headers.date, 'string')
          for (const gone of ['content-type', 'content-length', 'content-encoding', 'content-language', 'transfer-encoding']) t.equal(answer.headers[gone], undefined, `${gone}, ${name}`)
        }
        await until(() => isIdle(app))
      }
    })
  }
})

t.test('H10 If-None-Match that does not match, or is none', async (t) => {
  const { ask } = await serve(t, (_nth, _request, reply) => reply.header('etag', 'W/"a,b"').type('text/html').send(TEXT))
  await ask()
  for (const ifNoneMatch of ['"other"', 'W/"other", "a", "b"', 'a,b', 'W/a,b', 'w/"a,b"', 'W\\"a,b"', 'W"a,b"', '"a,b', 'a,b"', '"*"', '', '""', '*, "a,b"', '"a,b" junk']) {
    const answer = await ask({ 'if-none-match': ifNoneMatch })
    t.equal(answer.status, 200, ifNoneMatch)
    t.equal(answer.body.toString(), TEXT)
  }
  t.equal((await ask({ 'if-none-match': '"x", "a,b"' })).status, 304, 'a comma inside a tag divides nothing')
})

const MODIFIED = 'Sun, 06 Nov 1994 08:49:37 GMT'
const datedHtml: Answering = (_nth, _request, reply) => reply.header('last-modified', MODIFIED).type('text/html').send(TEXT)

t.test('H11 If-None-Match decides when If-Modified-Since is there as well', async (t) => {
  const { ask } = await serve(t, datedHtml)
  const { headers: { etag = '' } } = await ask()
  t.equal((await ask({ 'if-none-match': '"other"', 'if-modified-since': MODIFIED })).status, 200)
  t.equal((await ask({ 'if-none-match': 'junk', 'if-modified-since': MODIFIED })).status, 200)
  t.equal((await ask({ 'if-none-match': etag, 'if-modified-since': 'Sat, 05 Nov 1994 08:49:37 GMT' })).status, 304)
})

t.test('H12 If-Modified-Since', async (t) => {
  const zone = process.env.TZ
  t.teardown(() => {
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
  })
  // No date of HTTP is in local time, whatever it looks like.
  for (const local of ['America/New_York', 'Asia/Tokyo']) {
    process.env.TZ = local
    const { ask, clock } = await serve(t, datedHtml, { ttl: 60 })
    for (const state of ['miss', 'hit', 'stale']) {
      if (state === 'stale') clock.forward(61)
      const answer = await ask({ 'if-modified-since': MODIFIED })
      t.equal(answer.status, 304, state)
      t.equal(answer.headers['last-modified'], MODIFIED)
      for (const kept of ['etag', 'vary', 'cache-control', 'date', 'age', 'cache-status']) t.type(answer.headers[kept], 'string', kept)
      for (const gone of ['content-type', 'content-length']) t.equal(answer.headers[gone], undefined, gone)
    }
    for (const since of ['Sun, 06 Nov 1994 08:49:38 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994', 'sun, 06 nov 1994 08:49:37 gmt', 'Tue, 01 Jan 2199 00:00:00 GMT', 'Sat, 31 Dec 2016 23:59:60 GMT']) {
      t.equal((await ask({ 'if-modified-since': since })).status, 304, `${since}, ${local}`)
    }
    for (const since of ['Sun, 06 Nov 1994 08:49:36 GMT', 'Sunday, 06-Nov-94 08:49:36 GMT', 'Sun Nov  6 08:49:36 1994']) {
      t.equal((await ask({ 'if-modified-since': since })).status, 200, `${since}, ${local}`)
    }
    for (const since of ['', '0', '2030', '2030-01-01', '2030-01-01T00:00:00Z', 'tomorrow 1', 'Tue, 01 Jan 2199 00:00:00', 'Tue, 01 Jan 2199 00:00:00 +0100', 'Tue, 01 Jan 2199 00:00:00 EST', 'Tue, 1 Jan 2199 00:00:00 GMT', 'Tue, 01 Jan 2199 24:00:00 GMT', 'Sun, 31 Feb 2199 00:00:00 GMT', 'Tue, 01 Foo 2199 00:00:00 GMT', `${MODIFIED}, ${MODIFIED}`]) {
      t.equal((await ask({ 'if-modified-since': since })).status, 200, `invalid: ${since}`)
    }
  }

  const undated = await serve(t, html)
  t.equal((await undated.ask({ 'if-modified-since': 'Tue, 01 Jan 2199 00:00:00 GMT' })).status, 200)
  const badlyDated = await serve(t, (_nth, _request, reply) => reply.header('last-modified', '1994-11-06').send('x'))
  t.equal((await badlyDated.ask({ 'if-modified-since': MODIFIED })).status, 200)
})

t.test('H13 If-Match and If-Unmodified-Since ask for a precondition of changes: the page is sent', async (t) => {
  for (const headers of [{ 'if-match': '"other"' }, { 'if-match': '*' }, { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }]) {
    const { ask, page } = await serve(t, datedHtml, { ttl: 60 })
    for (const how of [headers, headers, {}]) {
      const answer = await ask(how)
      t.equal(answer.status, 200)
      t.equal(answer.body.toString(), TEXT)
    }
    t.equal(page.renders, 1)
  }
})

t.test('H14 HEAD', async (t) => {
  for (const coding of ['identity', 'br']) {
    const { ask, app, clock } = await serve(t, datedHtml, { ttl: 60 })
    const accept = { 'accept-encoding': coding }
    for (const state of ['miss', 'hit', 'stale', '304']) {
      const headers: Record<string, string> = state === '304' ? { ...accept, 'if-none-match': '*' } : accept
      const prepare = async (): Promise<void> => {
        if (state === 'miss') await app.isr.purge({ all: true })
        if (state === 'stale') {
          await app.isr.refresh({ path: '/page' })
          clock.forward(61)
        }
      }
      await prepare()
      const head = await ask(headers, { method: 'HEAD' })
      await until(() => isIdle(app))
      await prepare()
      const get = await ask(headers)
      await until(() => isIdle(app))
      t.equal(head.body.length, 0)
      t.equal(head.status, get.status)
      const { date: _head, ...ofHead } = head.headers
      const { date: _get, ...ofGet } = get.headers
      t.same(ofHead, ofGet, `${state}, ${coding}`)
      if (state !== '304') t.equal(head.headers['content-length'], String(get.body.length))
    }
  }
})

t.test('H15 Range is ignored', async (t) => {
  const { ask, app } = await serve(t, (_nth, _request, reply) => reply.header('accept-ranges', 'bytes').type('text/html').send(TEXT), { ttl: 60 })
  for (const state of ['miss', 'hit']) {
    for (const range of ['bytes=0-3', 'bytes=-5', 'bytes=99999999-', 'bytes=0-0,5-9', 'junk']) {
      if (state === 'miss') await app.isr.purge({ all: true })
      const answer = await ask({ range, 'if-range': '"x"' })
      t.equal(answer.status, 200)
      t.equal(answer.body.toString(), TEXT)
      t.equal(answer.headers['content-range'], undefined)
      t.match(answer.headers['accept-ranges'] ?? 'none', /^none$/)
    }
  }
})

/** What was begun behind has its place in the queue by the time of the answer. */
function isIdle (app: Site['app']): boolean {
  const { running, queued } = app.isr.stats().renders
  return running === 0 && queued === 0
}

const decode: Record<string, (bytes: Buffer) => Buffer> = { identity: bytes => bytes, gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync }

t.test('H16 Accept-Encoding', async (t) => {
  const chosen: Record<string, string | null> = {
    '': 'identity',
    gzip: 'gzip',
    br: 'br',
    'gzip, deflate, br, zstd': 'br',
    'br;q=0.1, gzip;q=1': 'br',
    'BR;q=0, GZip': 'gzip',
    'x-gzip': 'gzip',
    '*': 'br',
    'br;q=0, *': 'gzip',
    '*;q=0, gzip': 'gzip',
    'gzip;q=0, gzip;q=0.5': 'gzip',
    'br;q=nonsense': 'br',
    deflate: 'identity',
    identity: 'identity',
    'br;q=0, gzip;q=0': 'identity',
    'identity;q=0, *;q=0': null,
    '*;q=0': null,
    'deflate, identity;q=0': null,
    'gzip;q=0, br;q=0.000, identity;q=0': null
  }
  for (const [own, etags] of [[null, /^"[\w-]+"$/], ['"own"', /^(?:W\/)?"own"$/], ['W/"own"', /^W\/"own"$/]] as const) {
    const { ask } = await serve(t, (_nth, _request, reply) => (own === null ? reply : reply.header('etag', own)).type('text/html').send(TEXT), { ttl: 60 })
    const seen = new Map<string, string>()
    for (const [acceptEncoding, coding] of Object.entries(chosen)) {
      const answer = await ask({ 'accept-encoding': acceptEncoding })
      t.equal(answer.headers.vary, 'accept-encoding', acceptEncoding)
      if (coding === null) {
        t.equal(answer.status, 406, acceptEncoding)
        t.equal(answer.headers['cache-control'], 'no-store')
        t.equal(answer.headers.etag, undefined)
        continue
      }
      t.equal(answer.status, 200)
      t.equal(answer.headers['content-encoding'] ?? 'identity', coding, acceptEncoding)
      t.equal(decode[coding]?.(answer.body).toString(), TEXT)
      const { etag = '' } = answer.headers
      t.match(etag, etags)
      seen.set(coding, etag)
      const again = await ask({ 'accept-encoding': acceptEncoding, 'if-none-match': etag })
      t.equal(again.status, 304)
      t.equal(again.headers.vary, 'accept-encoding')
      t.equal(again.headers.etag, etag)
    }
    const strong = [...seen.values()].filter(etag => !etag.startsWith('W/'))
    t.equal(new Set(strong).size, strong.length, 'strong tags differ per coding')
  }
  const short = await serve(t, () => 'short')
  t.equal((await short.ask({ 'accept-encoding': 'br' })).headers.vary, undefined, 'what is never negotiated varies on nothing')
})

t.test('H17 404 and 410 are stored when the policy says so, for their own time', async (t) => {
  for (const code of [404, 410]) {
    const { ask, clock, page } = await serve(t, (_nth, _request, reply) => reply.code(code).type('text/html').send(TEXT), { ttl: 600, staleWhileRevalidate: 0, statuses: { [code]: 5 } })
    t.equal(cacheStatus(await ask()), 'fwd=uri-miss; stored')
    clock.forward(2)
    const hit = await ask()
    t.equal(hit.status, code)
    t.equal(hit.body.toString(), TEXT)
    t.equal(hit.headers.age, '2')
    t.equal(cacheStatus(hit), 'hit; ttl=3')
    t.equal((await ask({ 'if-none-match': '*' })).status, code, 'conditions are for what is there')
    clock.forward(4)
    t.equal(cacheStatus(await ask()), 'fwd=stale; stored')
    t.equal(page.renders, 2)
  }
})

t.test('H18 301 and 308 are stored when the policy says so', async (t) => {
  for (const code of [301, 308]) {
    for (const location of ['/other', 'http://localhost/other']) {
      const { ask, clock } = await serve(t, (_nth, _request, reply) => reply.redirect(location, code), { statuses: { [code]: 5 } })
      await ask()
      clock.forward(2)
      const hit = await ask()
      t.equal(hit.status, code)
      t.equal(hit.headers.location, location)
      t.equal(hit.headers.age, '2')
      t.equal(cacheStatus(hit), 'hit; ttl=3')
    }
  }
})

t.test('H19 a failure with no page to fall back on', async (t) => {
  const failures: [answer: Answering, status: number][] = [
    [() => { throw new Error('down') }, 500],
    [(_nth, _request, reply) => reply.code(503).headers({ etag: '"x"', age: '5', 'cache-control': 'public, max-age=60' }).send('later'), 503]
  ]
  for (const [answer, code] of failures) {
    const { ask } = await serve(t, answer)
    for (const conditions of [{}, { 'if-none-match': '*' }]) {
      const { status, headers } = await ask(conditions)
      t.equal(status, code)
      t.equal(headers['cache-control'], 'no-store')
      for (const name of ['age', 'etag']) t.equal(headers[name], undefined, name)
    }
  }
})

t.test('H20 an unsafe request revalidates what its route names, if it succeeds', async (t) => {
  const methods = ['POST', 'PUT', 'PATCH', 'DELETE'] as const
  const declare = (app: Site['app']): void => {
    app.route({
      method: [...methods],
      url: '/page',
      config: { revalidate: { path: '/page' } },
      handler: async (request, reply) => await reply.code(Number(request.headers['x-code'])).send('done')
    })
  }
  const { ask, app } = await serve(t, html, { ttl: 60 }, { declare })
  for (const method of methods) {
    for (const code of [200, 201, 204, 302, 400, 404, 500]) {
      await app.isr.refresh({ path: '/page' })
      const answer = await ask({ 'x-code': String(code) }, { method })
      t.equal(answer.status, code)
      t.equal(answer.headers['cache-status'], undefined)
      t.match(cacheStatus(await ask()), code < 400 ? /^hit; ttl=0; detail=stale$/ : /^hit; ttl=\d\d$/, `${method} ${code}`)
      await until(() => isIdle(app))
    }
  }
})

t.test('H21 what the handler does not want stored', async (t) => {
  const kinds: [headers: Record<string, string>, reason: string][] = [
    [{ 'cache-control': 'private' }, 'cache-control'],
    [{ 'cache-control': 'max-age=60, No-Store' }, 'cache-control'],
    [{ 'cache-control': 'no-cache="set-cookie"' }, 'cache-control'],
    [{ vary: 'Cookie' }, 'vary'],
    [{ vary: 'Accept-Encoding, X-Any' }, 'vary'],
    [{ vary: '*' }, 'vary']
  ]
  for (const [own, reason] of kinds) {
    const { ask, app } = await serve(t, (_nth, _request, reply) => reply.headers(own).type('text/html').send(TEXT))
    for (const how of [`fwd=miss; stored=?0; detail=${reason}`, 'fwd=bypass; detail=unstorable']) {
      const answer = await ask()
      t.equal(answer.status, 200)
      t.equal(cacheStatus(answer), how)
      t.equal(answer.headers['cache-control'], own['cache-control'])
      t.equal(answer.headers.vary, own.vary)
      for (const name of ['age', 'etag']) t.equal(answer.headers[name], undefined, name)
    }
    t.equal(app.isr.stats().memory.entries, 0)
  }
})

t.test('H22 the handler\'s own ETag, Last-Modified, Date, Age and Cache-Control', async (t) => {
  const date = 'Tue, 14 Nov 2023 22:13:00 GMT'
  const { ask, clock } = await serve(t, (_nth, _request, reply) => reply.headers({ etag: '"v1"', 'last-modified': MODIFIED, date, age: '20', 'cache-control': 'max-age=30' }).type('text/html').send(TEXT), { ttl: 60 })
  for (const age of ['20', '25']) {
    const { headers } = await ask()
    t.equal(headers.etag, '"v1"')
    t.equal(headers['last-modified'], MODIFIED)
    t.equal(headers.date, date)
    t.equal(headers.age, age)
    t.equal(headers['cache-control'], 'max-age=30')
    clock.forward(5)
  }
  t.equal((await ask({ 'accept-encoding': 'br' })).headers.etag, 'W/"v1"')

  // RFC 9111 section 5.1: of a list the first counts; what is invalid is ignored, what is too large is cut.
  for (const [own, age] of [['7, 9', '7'], ['abc', '0'], ['-5', '0'], ['7.5', '0'], ['7;x=1', '0'], ['', '0'], ['99999999999999999999999', '2147483648']] as const) {
    const { ask } = await serve(t, (_nth, _request, reply) => reply.header('age', own).send('x'))
    t.equal((await ask()).headers.age, age, `Age: ${own}`)
  }
})

t.test('H23 the revalidate endpoint: no answer of it may be stored, and who may not ask learns nothing', async (t) => {
  const secret = 'a-secret-that-is-long-enough-to-be-one'
  const { ask, app } = await serve(t, html, {}, { isr: { revalidateEndpoint: { path: '/orders', secret } } })
  await ask()
  const order = async (payload: string, headers: Record<string, string>): Promise<{ status: number, text: string }> => {
    const { statusCode, body, headers: sent } = await app.inject({ method: 'POST', url: '/orders', payload, headers: { 'content-type': 'application/json', ...headers } })
    t.equal(sent['cache-control'], 'no-store', String(statusCode))
    t.match(sent['content-type'], /^application\/json/)
    t.notMatch(body, secret)
    return { status: statusCode, text: body }
  }
  const authorization = `Bearer ${secret}`
  const given = await order('{"revalidate":[{"path":"/page"}]}', { authorization })
  t.equal(given.status, 200)
  t.match(JSON.parse(given.text), { revalidate: { matched: 1, epoch: Number, degraded: false } })
  t.equal((await order('{}', { authorization })).status, 422)
  t.equal((await order('x'.repeat(70_000), { authorization })).status, 413)
  t.equal((await order('x', { authorization, 'content-type': 'text/plain' })).status, 415)
  const there = await order('{"inspect":[{"path":"/page"}]}', {})
  const missing = await order('{"inspect":[{"path":"/nowhere"}]}', { authorization: 'Bearer wrong' })
  t.equal(there.status, 401)
  t.same(there, missing)
})

t.test('H24 the same bytes have the same ETag, whenever and wherever they are rendered', async (t) => {
  const etags = new Map<string, Set<string>>()
  for (let instance = 0; instance < 2; instance++) {
    const { ask, app, clock } = await serve(t, html)
    clock.forward(instance * 1000)
    for (const coding of ['identity', 'gzip', 'br']) {
      for (let i = 0; i < 2; i++) {
        const { headers: { etag = '' } } = await ask({ 'accept-encoding': coding })
        etags.set(coding, (etags.get(coding) ?? new Set()).add(etag))
        clock.forward(1)
        await app.isr.purge({ all: true })
      }
    }
  }
  t.same([...etags.values()].map(({ size }) => size), [1, 1, 1])
  const other = await serve(t, () => 'other')
  t.notOk(etags.get('identity')?.has((await other.ask()).headers.etag ?? ''))
})

t.test('H22 an ETag of another form than the RFC has gives way to ours', async (t) => {
  for (const own of ['abc', '"a"b"', '""x', 'w/"x"', '"a b"']) {
    const { ask } = await serve(t, (_nth, _request, reply) => reply.header('etag', own).type('text/html').send(TEXT), { ttl: 60 })
    const { headers: { etag = '' } } = await ask({ 'accept-encoding': 'br' })
    t.match(etag, /^"[\w-]{22}-br"$/, own)
    t.equal((await ask({ 'accept-encoding': 'br', 'if-none-match': etag })).status, 304)
  }
})
