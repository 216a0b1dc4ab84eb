import t from 'tap'
import type { RoutePolicy } from '../../lib/index.js'
import { cacheStatus, counted, makeGate, rawGet, record, start, until, type Counted, type RawAnswer, type Site } from '../helpers/app.js'

type Handler = Parameters<typeof counted>[0]

const BODY = `<p>${'a page '.repeat(300)}</p>`
const ENCODINGS = ['identity', 'gzip', 'br']

interface Page extends Site {
  page: Counted
  port: number
  raw (headers?: string[], method?: string): Promise<RawAnswer>
}

async function site (t: Parameters<typeof start>[0], policy: RoutePolicy = {}, answer: Handler = (_n, _q, reply) => reply.type('text/html').send(BODY), isr = {}): Promise<Page> {
  const page = counted(answer)
  const started = await start(t, (app) => { app.get('/page', { config: { prerender: { ttl: 60, ...policy } } }, page) }, { isr })
  const port = await started.listen()
  return { ...started, page, port, raw: async (headers = [], method = 'GET') => await rawGet(port, '/page', headers, method) }
}

t.test('H01 a miss that is stored', async (t) => {
  const { raw, clock } = await site(t, {}, (_n, _q, reply) => reply.type('text/html').send(BODY))
  const { status, headers, body } = await raw()
  t.equal(status, 200)
  t.match(headers.etag, /^"[\w-]{22}"$/)
  t.equal(headers.date, new Date(clock.now).toUTCString())
  t.equal(headers.age, '0')
  t.equal(headers.vary, 'accept-encoding')
  t.equal(headers['cache-control'], 'public, max-age=0, must-revalidate')
  t.equal(headers['content-type'], 'text/html')
  t.equal(headers['content-length'], String(BODY.length))
  t.equal(body.toString(), BODY)
  t.equal(headers['cache-status'], 'fastify-isr; fwd=uri-miss; stored')
  for (const name of ['set-cookie', 'transfer-encoding', 'accept-ranges', 'warning']) t.equal(headers[name], undefined, name)
})

t.test('H02 a fresh hit', async (t) => {
  const { raw, clock } = await site(t)
  const miss = await raw()
  clock.now += 7900
  const hit = await raw()
  t.equal(hit.status, 200)
  for (const name of ['etag', 'date', 'vary', 'cache-control', 'content-type', 'content-length']) t.equal(hit.headers[name], miss.headers[name], name)
  t.equal(hit.headers.age, '7')
  t.equal(cacheStatus(hit), 'hit; ttl=53')
  t.same(hit.body, miss.body)
})

t.test('H02 the remaining lifetime is never negative and never 0 while fresh', async (t) => {
  const { raw, clock } = await site(t)
  await raw()
  clock.now += 59_999
  t.equal(cacheStatus(await raw()), 'hit; ttl=1')
  clock.now += 1
  t.equal(cacheStatus(await raw()), 'hit; ttl=0; detail=stale')
})

t.test('H03 a stale hit', async (t) => {
  const regenerations = record(t, 'regenerate')
  const { raw, clock } = await site(t)
  const miss = await raw()
  clock.forward(75)
  const { status, headers } = await raw()
  t.equal(status, 200)
  t.equal(headers.age, '75')
  t.equal(headers.date, miss.headers.date)
  t.equal(cacheStatus({ headers }), 'hit; ttl=-15; detail=stale')
  t.equal(headers.warning, undefined)
  await until(() => regenerations.length === 1)
  t.equal((await raw()).headers.age, '0')
})

t.test('H04 the old page instead of a failure', async (t) => {
  let isBroken = false
  const { raw, clock, page } = await site(t, { staleWhileRevalidate: 10, staleIfError: 100 }, (_n, _q, reply) => isBroken ? reply.code(500).send('x') : reply.type('text/html').send(BODY))
  await raw()
  isBroken = true
  clock.forward(80)
  const tried = await raw()
  t.equal(tried.status, 200)
  t.equal(tried.body.toString(), BODY)
  t.equal(cacheStatus(tried), 'fwd=stale; fwd-status=500; detail=stale-if-error')
  const duringBackoff = await raw()
  t.equal(cacheStatus(duringBackoff), 'hit; ttl=-20; detail=stale-if-error')
  t.equal(page.renders, 2)
})

t.test('H05 a visitor who waited for the render of another', async (t) => {
  const gate = makeGate()
  const { raw, page } = await site(t, {}, async () => { await gate.opened; return 'x' })
  const first = raw()
  await until(() => page.renders === 1)
  const second = raw()
  await new Promise(resolve => setTimeout(resolve, 20))
  gate.open()
  t.equal(cacheStatus(await first), 'fwd=uri-miss; stored')
  const waited = await second
  t.equal(cacheStatus(waited), 'fwd=uri-miss; collapsed')
  t.equal(waited.headers.age, '0')
})

t.test('H06 after an invalidation', async (t) => {
  const regenerations = record(t, 'regenerate')
  const { raw, app, clock } = await site(t, {}, nth => `#${nth}`)
  await raw()
  clock.forward(5)
  await app.isr.revalidate({ path: '/page' })
  const marked = await raw()
  t.equal(cacheStatus(marked), 'hit; ttl=0; detail=stale')
  t.equal(marked.body.toString(), '#1')
  await until(() => regenerations.length === 1)

  await app.isr.revalidate({ path: '/page' }, { expire: 0 })
  const expired = await raw()
  t.equal(cacheStatus(expired), 'fwd=stale; stored')
  t.equal(expired.headers.age, '0')
  t.equal(expired.body.toString(), '#3')

  await app.isr.purge({ path: '/page' })
  const purged = await raw()
  t.equal(cacheStatus(purged), 'fwd=uri-miss; stored')
  t.equal(purged.headers.age, '0')
  t.equal(purged.body.toString(), '#4')
})

t.test('H07 H21 an answer that may not be stored keeps its own headers', async (t) => {
  const { raw } = await site(t, {}, (_n, _q, reply) => reply.headers({ 'cache-control': 'private, max-age=9', vary: 'accept-encoding', 'x-own': '1' }).send('mine'))
  const first = await raw()
  t.equal(cacheStatus(first), 'fwd=miss; stored=?0; detail=cache-control')
  const second = await raw()
  t.equal(cacheStatus(second), 'fwd=bypass; detail=unstorable')
  for (const { headers } of [first, second]) {
    t.equal(headers['cache-control'], 'private, max-age=9')
    t.equal(headers['x-own'], '1')
    t.equal(headers.vary, 'accept-encoding')
    t.equal(headers.age, undefined)
    t.equal(headers.etag, undefined)
  }
})

t.test('H08 a bypass', async (t) => {
  const { app, get, listen } = await start(t, (app) => {
    app.get('/page/:id', { config: { prerender: { onDemand: true, query: ['q'], hosts: ['visitor.example'], bypass: { cookies: ['sid'], headers: ['x-preview'] } } } }, async () => 'x')
    app.get('/listed/:id', { config: { prerender: { paths: ['/listed/1'] } } }, async () => 'x')
  })
  const port = await listen()
  const cases: [target: string, headers: string[], detail: string, isPrivate: boolean][] = [
    ['/page/1', ['authorization: Bearer x'], 'authorization', true],
    ['/page/1', ['cookie: a=1; sid=2'], 'cookie', true],
    ['/page/1', ['x-preview: 1'], 'header', true],
    ['/page/%61', [], 'path', false],
    ['/page/1?q=1&q=2', [], 'query', false],
    ['/listed/2', [], 'unlisted', false]
  ]
  for (const [target, more, detail, isPrivate] of cases) {
    const { headers } = await rawGet(port, target, more)
    t.equal(cacheStatus({ headers }), `fwd=bypass; detail=${detail}`)
    t.equal(headers.age, undefined)
    t.equal(headers['cache-control'], isPrivate ? 'private, no-cache' : undefined)
  }
  t.equal(cacheStatus(await get('/page/1', { host: 'other.example' })), 'fwd=bypass; detail=host')
  t.equal(app.isr.stats().memory.entries, 0)
})

for (const state of ['hit', 'stale', 'miss', 'regenerated'] as const) {
  t.test(`H09 If-None-Match that matches, in the state of a ${state}`, async (t) => {
    const twin = await site(t)
    for (const encoding of ENCODINGS) {
      const { headers: full } = await twin.raw([`accept-encoding: ${encoding}`])
      const tag = full.etag ?? ''
      const opaque = tag.replace('W/', '')
      for (const value of [tag, `W/${opaque}`, `"other", ${tag}`, `"a",W/"b" , ${opaque},`, '*', ' * ']) {
        const { raw, clock, app } = await site(t, { cacheControl: 'max-age=5' }, (_n, _q, reply) => reply.type('text/html').headers({ 'content-location': '/page.html', 'content-language': 'en', expires: 'Thu, 01 Jan 2026 00:00:00 GMT', 'x-own': '1' }).send(BODY))
        if (state !== 'miss') await raw()
        if (state === 'stale') clock.forward(61)
        if (state === 'regenerated') await app.isr.refresh({ path: '/page' })
        for (const method of ['GET', 'HEAD']) {
          const { status, headers, body } = await raw([`accept-encoding: ${encoding}`, `if-none-match: ${value}`], method)
          t.equal(status, 304, `${method} ${encoding} ${value}`)
          t.equal(body.length, 0)
          t.equal(headers.etag, tag)
          t.ok(headers.date)
          t.ok(headers.age)
          t.ok(headers['cache-status'])
          t.equal(headers.vary, 'accept-encoding')
          t.equal(headers['cache-control'], 'max-age=5')
          t.equal(headers['content-location'], '/page.html')
          t.equal(headers.expires, 'Thu, 01 Jan 2026 00:00:00 GMT')
          for (const name of ['content-length', 'content-encoding', 'content-type', 'content-language', 'transfer-encoding']) t.equal(headers[name], undefined, name)
        }
        await app.close()
      }
    }
  })
}

t.test('H10 If-None-Match that does not match, or makes no sense', async (t) => {
  const { raw } = await site(t)
  const { headers: { etag = '' } } = await raw()
  const bare = etag.slice(1, -1)
  for (const value of ['"other"', bare, `w/${etag}`, `"${bare}`, `${bare}"`, `'${bare}'`, `${etag} ${etag} x`, '"*"', '**', '*, "x"', '']) {
    const answer = await raw([`if-none-match: ${value}`])
    t.equal(answer.status, 200, value)
    t.equal(answer.body.toString(), BODY)
  }
})

t.test('H11 If-None-Match decides when both are sent', async (t) => {
  const modified = 'Mon, 01 Jan 2024 00:00:00 GMT'
  const { raw } = await site(t, {}, (_n, _q, reply) => reply.header('last-modified', modified).send('x'))
  const { headers: { etag = '' } } = await raw()
  t.equal((await raw(['if-none-match: "other"', `if-modified-since: ${modified}`])).status, 200)
  t.equal((await raw([`if-none-match: ${etag}`, 'if-modified-since: Sun, 01 Jan 2023 00:00:00 GMT'])).status, 304)
})

t.test('H12 If-Modified-Since counts only for a page that has a date', async (t) => {
  const modified = 'Mon, 01 Jan 2024 00:00:00 GMT'
  const dated = await site(t, {}, (_n, _q, reply) => reply.header('last-modified', modified).send('x'))
  for (const [since, status] of [[modified, 304], ['Tue, 02 Jan 2024 00:00:00 GMT', 304], ['Sun, 31 Dec 2023 23:59:59 GMT', 200], ['yesterday', 200], ['', 200]] as const) {
    const answer = await dated.raw([`if-modified-since: ${since}`])
    t.equal(answer.status, status, since)
    t.equal(answer.headers['last-modified'], modified)
  }
  const undated = await site(t)
  for (let i = 0; i < 2; i++) t.equal((await undated.raw(['if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT'])).status, 200)
  const broken = await site(t, {}, (_n, _q, reply) => reply.header('last-modified', 'once').send('x'))
  for (let i = 0; i < 2; i++) t.equal((await broken.raw(['if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT'])).status, 200)
})

t.test('H13 If-Match and If-Unmodified-Since never change what is stored', async (t) => {
  for (const header of ['if-match: "other"', 'if-match: *', 'if-unmodified-since: Thu, 01 Jan 1970 00:00:00 GMT']) {
    const { raw } = await site(t)
    t.ok([200, 412].includes((await raw([header])).status))
    const after = await raw()
    t.equal(after.status, 200)
    t.equal(after.body.toString(), BODY)
  }
})

for (const encoding of ENCODINGS) {
  t.test(`H14 HEAD has the headers of GET (${encoding})`, async (t) => {
    const twin = await site(t)
    const header = [`accept-encoding: ${encoding}`]
    const { raw, page, app } = await site(t)
    const coldHead = await raw(header, 'HEAD')
    const coldGet = await twin.raw(header)
    const head = await raw(header, 'HEAD')
    const get = await raw(header)
    for (const [mine, theirs] of [[coldHead, coldGet], [head, get]] as const) {
      t.equal(mine.status, 200)
      t.equal(mine.body.length, 0)
      t.same(mine.headers, theirs.headers)
      t.equal(mine.headers['content-length'], String(theirs.body.length))
    }
    const tag = get.headers.etag ?? ''
    const notModified = await raw([...header, `if-none-match: ${tag}`], 'HEAD')
    t.equal(notModified.status, 304)
    t.same(notModified.headers, (await raw([...header, `if-none-match: ${tag}`])).headers)
    t.equal(page.renders, 1)
    t.equal(page.live, 0)
    t.same(app.isr.stats().requests, { hit: 4, stale: 0, miss: 1, staleIfError: 0, bypass: 0, unstorable: 0, failed: 0 })
  })
}

t.test('H14 HEAD of what is not stored', async (t) => {
  const { raw, app } = await site(t, {}, (_n, _q, reply) => reply.header('cache-control', 'no-store').send('0123456789'))
  for (let i = 0; i < 2; i++) {
    const head = await raw([], 'HEAD')
    t.equal(head.status, 200)
    t.equal(head.body.length, 0)
    t.equal(head.headers['content-length'], '10')
  }
  t.same(app.isr.stats().requests.unstorable, 2)
  const bypassed = await raw(['authorization: x'], 'HEAD')
  t.equal(bypassed.headers['content-length'], '10')
  t.equal(app.isr.stats().requests.bypass, 1, 'counted once')
})

t.test('H15 Range is ignored', async (t) => {
  const { raw } = await site(t)
  for (const header of ['range: bytes=0-3', 'range: bytes=-5', 'range: bytes=99999-', 'range: nonsense']) {
    for (let i = 0; i < 2; i++) {
      const answer = await raw([header])
      t.equal(answer.status, 200)
      t.equal(answer.body.toString(), BODY)
      t.equal(answer.headers['accept-ranges'], undefined)
      t.equal(answer.headers['content-range'], undefined)
    }
  }
})

t.test('H16 the encoding that a client accepts', async (t) => {
  const { raw, port } = await site(t)
  const cases: [accepts: string[], gets: string | undefined][] = [
    [[], undefined], [[''], undefined], [['identity'], undefined],
    [['gzip'], 'gzip'], [['GZip'], 'gzip'], [['x-gzip'], 'gzip'], [['br'], 'br'], [['gzip, br'], 'br'], [['gzip', 'br'], 'br'],
    [['br;q=0.1, gzip;q=0.9'], 'br'], [['br;q=0, gzip'], 'gzip'], [['br;q=0.000'], undefined], [['br; q=0 , gzip ; q=0'], undefined],
    [['*'], 'br'], [['*;q=0.5'], 'br'], [['*, br;q=0'], 'gzip'], [['br;q=0, gzip;q=0, *'], undefined],
    [['identity;q=0, gzip'], 'gzip'], [['identity;q=0, *'], 'br'],
    [['gzip;q=nonsense'], 'gzip'], [['gzip;q=2'], 'gzip'], [['gzip;q=-1'], 'gzip'], [['gzip;q=0, gzip;q=1'], 'gzip'],
    [['deflate'], undefined], [['zstd, deflate'], undefined], [[',,,'], undefined], [['brx, gzipx'], undefined]
  ]
  const tags = new Map<string | undefined, Set<string | undefined>>()
  for (const [accepts, gets] of cases) {
    const answer = await raw(accepts.map(value => `accept-encoding: ${value}`))
    t.equal(answer.status, 200, accepts.join(' + '))
    t.equal(answer.headers['content-encoding'], gets, accepts.join(' + '))
    t.equal(answer.headers.vary, 'accept-encoding')
    t.equal(answer.headers['content-length'], String(answer.body.length))
    tags.set(answer.headers.etag, (tags.get(answer.headers.etag) ?? new Set()).add(gets))
  }
  t.same([...tags.values()].map(codings => codings.size), [1, 1, 1], 'one tag per coding')
  for (const header of ['identity;q=0', '*;q=0', 'identity;q=0, br;q=0, gzip;q=0', 'deflate, *;q=0', 'gzip;q=0, br;q=0, identity;q=0.0']) {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await rawGet(port, '/page', [`accept-encoding: ${header}`], method)
      t.equal(status, 406, header)
      t.equal(headers.vary, 'accept-encoding')
      t.equal(headers['cache-control'], 'no-store')
      t.equal(headers.etag, undefined)
      t.equal(headers.age, undefined)
    }
  }
})

t.test('H16 a cold page refuses the same clients as a warm one, and is stored for the next', async (t) => {
  const { raw } = await site(t)
  t.equal((await raw(['accept-encoding: identity;q=0, deflate'])).status, 406)
  t.equal(cacheStatus(await raw()), 'hit; ttl=60')
})

t.test('H16 what is small or does not compress has one form, and says so to nobody', async (t) => {
  for (const [type, body] of [['text/html', 'small'], ['image/png', 'x'.repeat(5000)]] as const) {
    const { raw } = await site(t, {}, (_n, _q, reply) => reply.type(type).send(body))
    for (let i = 0; i < 2; i++) {
      const { headers } = await raw(['accept-encoding: br, gzip'])
      t.equal(headers['content-encoding'], undefined)
      t.equal(headers.vary, undefined)
    }
  }
})

t.test('H17 H18 statuses that a route opts into', async (t) => {
  const statuses = { 301: 30, 308: 30, 404: 5, 410: 5 }
  for (const [status, ttl] of Object.entries(statuses)) {
    const code = Number(status)
    const { raw, clock, page } = await site(t, { statuses, ttl: 3600, staleWhileRevalidate: 0, staleIfError: 0 }, (nth, _q, reply) => code < 400 ? reply.redirect('/elsewhere', code) : reply.code(code).send(`#${nth}`))
    t.equal(cacheStatus(await raw()), 'fwd=uri-miss; stored')
    const hit = await raw()
    t.equal(hit.status, code)
    t.equal(hit.headers.age, '0')
    t.equal(cacheStatus(hit), `hit; ttl=${ttl}`)
    t.equal(hit.headers.location, code < 400 ? '/elsewhere' : undefined)
    t.equal((await raw(['if-none-match: *'])).status, code)
    clock.forward(ttl + 1)
    await raw()
    t.equal(page.renders, 2)
  }
})

t.test('H18 a redirect to another site is not stored', async (t) => {
  for (const [location, isStored] of [['/path', true], ['?q', true], ['http://localhost/x', true], ['https://evil.example/', false], ['//evil.example/', false], ['javascript:x', false], ['/\\evil.example', false]] as const) {
    const { raw, app } = await site(t, { statuses: { 301: 60 } }, (_n, _q, reply) => reply.code(301).header('location', location).send())
    t.equal((await raw()).headers.location, location)
    t.equal(app.isr.stats().memory.entries, isStored ? 1 : 0, location)
  }
})

t.test('H19 a failure without an older page', async (t) => {
  const { raw } = await site(t, {}, (_n, _q, reply) => reply.code(503).headers({ etag: '"x"', age: '5', 'cache-control': 'public, max-age=60' }).send('down'))
  for (let i = 0; i < 2; i++) {
    const { status, headers, body } = await raw()
    t.equal(status, 503)
    t.equal(body.toString(), 'down')
    t.equal(headers['cache-control'], 'no-store')
    t.equal(headers.age, undefined)
    t.equal(headers.etag, undefined)
  }
})

t.test("H22 a handler's own validators and dates", async (t) => {
  const own = { etag: '"v1"', 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT', date: 'Tue, 02 Jan 2024 00:00:00 GMT', age: '100' }
  const { raw, clock } = await site(t, {}, (_n, _q, reply) => reply.type('text/html').headers(own).send(BODY))
  for (const age of ['100', '107']) {
    const plain = await raw()
    t.equal(plain.headers.etag, '"v1"')
    t.equal(plain.headers['last-modified'], own['last-modified'])
    t.equal(plain.headers.date, own.date)
    t.equal(plain.headers.age, age)
    const encoded = await raw(['accept-encoding: br'])
    t.equal(encoded.headers.etag, 'W/"v1"', 'a strong tag names one coding')
    t.equal((await raw(['if-none-match: "v1"'])).status, 304)
    t.equal((await raw(['if-none-match: "v1"', 'accept-encoding: br'])).status, 304)
    clock.forward(7)
  }
})

t.test('H22 who decides on Cache-Control: the route, else the handler, else the default', async (t) => {
  const handler: Handler = (_n, _q, reply) => reply.header('cache-control', 'public, max-age=7').send('x')
  t.equal((await (await site(t, {}, handler)).raw()).headers['cache-control'], 'public, max-age=7')
  t.equal((await (await site(t, { cacheControl: 'public, max-age=9' }, handler)).raw()).headers['cache-control'], 'public, max-age=9')
  t.equal((await (await site(t, { cacheControl: page => `max-age=${page.ttl}` }, handler)).raw()).headers['cache-control'], 'max-age=60')
  t.equal((await (await site(t, {}, handler, { defaults: { cacheControl: 'public, max-age=3' } })).raw()).headers['cache-control'], 'public, max-age=3')
})

t.test('H24 equal bytes have equal tags, on any instance and after any render', async (t) => {
  const one = await site(t)
  const other = await site(t, { ttl: 5 })
  const tags = new Set<string | undefined>()
  tags.add((await one.raw()).headers.etag)
  tags.add((await other.raw()).headers.etag)
  one.clock.forward(1000)
  await one.app.isr.refresh({ path: '/page' })
  tags.add((await one.raw()).headers.etag)
  t.equal(tags.size, 1)
  const changed = await site(t, {}, () => 'other')
  t.notOk(tags.has((await changed.raw()).headers.etag))
})

t.test('a page that renders to the same bytes is renewed, not replaced', async (t) => {
  const { raw, clock, app } = await site(t)
  await raw()
  clock.forward(30)
  t.same((await app.isr.refresh({ path: '/page' })).pages.map(page => page.outcome), ['renewed'])
  t.equal((await raw()).headers.age, '0')
})

t.test('a client can not force a render', async (t) => {
  const { raw, page } = await site(t)
  await raw()
  for (const header of ['cache-control: no-cache', 'cache-control: no-store', 'cache-control: max-age=0', 'pragma: no-cache', 'cache-control: only-if-cached']) {
    t.match(cacheStatus(await raw([header])), /^hit/, header)
  }
  t.equal(page.renders, 1)
})

t.test('Cache-Status can be turned off', async (t) => {
  const { raw } = await site(t, {}, undefined, { cacheStatus: false })
  for (const header of [[], [], ['authorization: x'], ['if-none-match: *'], ['accept-encoding: *;q=0']]) t.equal((await raw(header)).headers['cache-status'], undefined)
})
