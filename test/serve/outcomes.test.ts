import { Readable } from 'node:stream'
import zlib from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { RoutePolicy } from '../../lib/index.js'
import { cacheStatus, counted, makeGate, rawGet, settle, start, until, type Counted, type Site, type SiteOptions } from '../helpers/app.js'

type Answering = (nth: number, request: FastifyRequest, reply: FastifyReply) => unknown

/** A site of one page. */
async function site (t: Parameters<typeof start>[0], answer: Answering, policy: RoutePolicy = {}, options: SiteOptions = {}): Promise<Site & { page: Counted }> {
  const page = counted(answer)
  const started = await start(t, (app) => { app.get('/page', { config: { prerender: policy } }, page) }, options)
  return { ...started, page }
}

t.test('what is stored', async (t) => {
  const kinds: Record<string, { answer: Answering, type: string | undefined, body: string | Buffer }> = {
    'a string': { answer: () => 'text', type: 'text/plain; charset=utf-8', body: 'text' },
    undefined: { answer: () => undefined, type: undefined, body: '' },
    'an empty string': { answer: () => '', type: 'text/plain; charset=utf-8', body: '' },
    JSON: { answer: () => ({ a: 1 }), type: 'application/json; charset=utf-8', body: '{"a":1}' },
    XML: { answer: (_n, _q, reply) => reply.type('application/xml').send('<a/>'), type: 'application/xml', body: '<a/>' },
    'an image': { answer: (_n, _q, reply) => reply.type('image/png').send(Buffer.from([137, 80, 78, 71, 0, 255])), type: 'image/png', body: Buffer.from([137, 80, 78, 71, 0, 255]) },
    'a stream': { answer: (_n, _q, reply) => reply.type('text/html').send(Readable.from(['one ', 'two'])), type: 'text/html', body: 'one two' },
    'a Web stream': { answer: (_n, _q, reply) => reply.type('text/html').send(new Blob(['web']).stream()), type: 'text/html', body: 'web' },
    'a Response': { answer: () => new Response('response', { headers: { 'content-type': 'text/html', 'x-own': '1' } }), type: 'text/html', body: 'response' }
  }
  for (const [name, { answer, type, body }] of Object.entries(kinds)) {
    t.test(name, async (t) => {
      const { get, page } = await site(t, answer)
      const miss = await get('/page')
      const hit = await get('/page')
      for (const response of [miss, hit]) {
        t.equal(response.statusCode, 200)
        t.equal(response.headers['content-type'], type)
        t.same(response.rawPayload, Buffer.from(body))
        t.equal(response.headers['content-length'], String(Buffer.from(body).length))
        t.equal(response.headers['transfer-encoding'], undefined)
      }
      t.equal(cacheStatus(miss), 'fwd=uri-miss; stored')
      t.equal(cacheStatus(hit), 'hit')
      t.equal(hit.headers['x-own'], miss.headers['x-own'])
      t.equal(page.renders, 1)
    })
  }
})

t.test('what is rendered well but not stored, and runs live from then on', async (t) => {
  const kinds: Record<string, { answer: Answering, status: number, reason: string, isWarned?: boolean }> = {
    'a cookie': { answer: (nth, _q, reply) => reply.header('set-cookie', `sid=${nth}; Path=/`).send('x'), status: 200, reason: 'set-cookie', isWarned: true },
    'Clear-Site-Data': { answer: (_n, _q, reply) => reply.header('clear-site-data', '"cache"').send('x'), status: 200, reason: 'clear-site-data', isWarned: true },
    204: { answer: (_n, _q, reply) => reply.code(204).send(), status: 204, reason: 'status-204' },
    201: { answer: (_n, _q, reply) => reply.code(201).send('x'), status: 201, reason: 'status-201' },
    206: { answer: (_n, _q, reply) => reply.code(206).header('content-range', 'bytes 0-0/2').send('x'), status: 206, reason: 'status-206' },
    302: { answer: (_n, _q, reply) => reply.redirect('/other'), status: 302, reason: 'status-302' },
    301: { answer: (_n, _q, reply) => reply.redirect('/other', 301), status: 301, reason: 'status-301' },
    403: { answer: (_n, _q, reply) => reply.code(403).send('x'), status: 403, reason: 'status-403' },
    404: { answer: (_n, _q, reply) => reply.callNotFound(), status: 404, reason: 'status-404' },
    410: { answer: (_n, _q, reply) => reply.code(410).send('gone'), status: 410, reason: 'status-410' },
    private: { answer: (_n, _q, reply) => reply.header('cache-control', 'private, max-age=5').send('x'), status: 200, reason: 'cache-control' },
    'no-store': { answer: (_n, _q, reply) => reply.header('cache-control', 'No-Store').send('x'), status: 200, reason: 'cache-control' },
    'no-cache="x"': { answer: (_n, _q, reply) => reply.header('cache-control', 'max-age=9,no-cache="x"').send('x'), status: 200, reason: 'cache-control' },
    'reply.isr.noStore()': { answer: (_n, _q, reply) => { reply.isr.noStore(); return 'x' }, status: 200, reason: 'no-store' },
    'Vary: Cookie': { answer: (_n, _q, reply) => reply.header('vary', 'Cookie').send('x'), status: 200, reason: 'vary', isWarned: true },
    'Vary: *': { answer: (_n, _q, reply) => reply.header('vary', 'accept-encoding, *').send('x'), status: 200, reason: 'vary', isWarned: true },
    'a nonce in the header': { answer: (_n, _q, reply) => reply.header('content-security-policy', "script-src 'nonce-abc'").send('x'), status: 200, reason: 'nonce', isWarned: true },
    'a nonce in the page': { answer: (_n, _q, reply) => reply.type('text/html').send('<meta http-equiv="Content-Security-Policy" content="script-src \'nonce-abc\'">'), status: 200, reason: 'nonce', isWarned: true },
    'a nonce in the page, escaped': { answer: (_n, _q, reply) => reply.type('text/html').send("<META content='script-src &#39;nonce-abc&#39;' http-equiv='content-security-policy'>"), status: 200, reason: 'nonce', isWarned: true },
    'a coding that nobody can ask for': { answer: (_n, _q, reply) => reply.header('content-encoding', 'utf-8').send('x'), status: 200, reason: 'content-encoding', isWarned: true },
    'several codings': { answer: (_n, _q, reply) => reply.header('content-encoding', 'gzip, br').send('x'), status: 200, reason: 'content-encoding', isWarned: true },
    'reply.raw': { answer: (_n, _q, reply) => { reply.hijack(); reply.raw.end('x') }, status: 200, reason: 'raw', isWarned: true },
    'too large': { answer: () => 'x'.repeat(101), status: 200, reason: 'max-bytes', isWarned: true }
  }
  for (const [name, { answer, status, reason, isWarned = false }] of Object.entries(kinds)) {
    t.test(name, async (t) => {
      const { get, page, warnings, app, clock } = await site(t, answer, { maxBytes: 100 })
      const first = await get('/page')
      t.equal(first.statusCode, status)
      t.equal(first.headers.etag, undefined)
      t.equal(first.headers.age, undefined)
      t.notMatch(first.headers['cache-control'], /public/)
      // A hijacked answer carries no headers of Fastify's.
      if (reason !== 'raw') t.equal(cacheStatus(first), `fwd=miss; stored=?0; detail=${reason}`)
      const rendersThen = page.renders
      const next = await get('/page')
      t.equal(next.statusCode, status)
      if (reason !== 'raw') t.equal(cacheStatus(next), 'fwd=bypass; detail=unstorable')
      t.equal(page.renders, rendersThen)
      t.equal(rendersThen, 1)
      clock.forward(11)
      await get('/page')
      t.equal(page.renders, 2, 'the marker ends after 10 s')
      t.same(warnings().length, isWarned ? 1 : 0, 'one warning per route and reason')
      if (isWarned) t.match(warnings()[0], /^route GET \/page can't be stored: /)
      t.equal(app.isr.stats().memory.entries, 0)
    })
  }
})

t.test('the warning names the route and the cookie', async (t) => {
  const { get, warnings } = await site(t, (_n, _q, reply) => reply.header('set-cookie', ['sid=1', 'theme=dark']).send('x'))
  await get('/page')
  t.match(warnings()[0], /route GET \/page .*cookie 'sid', 'theme'.*saveUninitialized: false/)
})

t.test('a visitor with cookies gets what his own handler says when a page may not be stored', async (t) => {
  const { get, page } = await site(t, (nth, request, reply) => reply.header('cache-control', 'private').send(`hello ${request.headers.cookie ?? 'stranger'}`))
  t.equal((await get('/page', { cookie: 'name=ann' })).body, 'hello name=ann')
  t.same([page.renders, page.live], [1, 1])
})

t.test('the visitor who causes an unstorable render gets it only if nothing in his request was hidden from it', async (t) => {
  const greet: Answering = (nth, request, reply) => {
    const language = request.headers['accept-language'] ?? 'none'
    return reply.header('vary', 'accept-language').send(`${language} ${(request.query as { q?: string }).q ?? ''}`)
  }
  const varied = await site(t, greet)
  t.equal((await varied.get('/page', { 'accept-language': 'de' })).body, 'de ')
  const search = await site(t, (nth, request, reply) => reply.header('cache-control', 'no-store').send(`results for ${(request.query as { q?: string }).q ?? 'nothing'}`))
  t.equal((await search.get('/page?q=tea')).body, 'results for tea')
})

t.test('what fails', async (t) => {
  const kinds: Record<string, { answer: Answering, status: number }> = {
    'a handler that throws': { answer: () => { throw new Error('secret of the database') }, status: 500 },
    'a 500': { answer: (_n, _q, reply) => reply.code(500).header('etag', '"x"').header('age', '3').header('last-modified', 'x').header('cache-control', 'public, max-age=60').send('broken'), status: 500 },
    'a 503': { answer: (_n, _q, reply) => reply.code(503).send('later'), status: 503 },
    'a 429': { answer: (_n, _q, reply) => reply.code(429).send('later'), status: 429 },
    'a 408': { answer: (_n, _q, reply) => reply.code(408).send('later'), status: 408 },
    'a handler that hangs': { answer: async () => await new Promise(() => {}), status: 504 },
    'a stream that breaks midway': { answer: (_n, _q, reply) => reply.type('text/html').send(Readable.from(breaking())), status: 500 }
  }
  for (const [name, { answer, status }] of Object.entries(kinds)) {
    t.test(name, async (t) => {
      const { get, page, warnings, app } = await site(t, answer, {}, { isr: { render: { timeout: 40 } } })
      const first = await get('/page')
      t.equal(first.statusCode, status)
      t.equal(first.headers['cache-control'], 'no-store')
      t.equal(first.headers['retry-after'], '1')
      t.equal(cacheStatus(first), 'fwd=uri-miss; stored=?0; detail=failed')
      for (const header of ['etag', 'age', 'last-modified']) t.equal(first.headers[header], undefined, header)
      const next = await get('/page')
      t.equal(next.statusCode, status)
      t.equal(next.body, first.body)
      t.same([page.renders, page.live], [1, 0], 'the failure is shared for the back-off')
      t.equal(warnings().filter(message => message === 'page could not be rendered').length, 1)
      t.equal(app.isr.stats().renders.running, 0)
    })
  }

  async function * breaking (): AsyncGenerator<string> {
    yield 'half a page'
    throw new Error('cut')
  }
})

t.test('a failing page shares its error, not what it would set for one visitor', async (t) => {
  const { get } = await site(t, (nth, _q, reply) => reply.code(500).headers({ 'set-cookie': `sid=${nth}`, 'clear-site-data': '"cookies"', 'x-request-id': String(nth), 'x-kept': '1', 'retry-after': '77', vary: 'x' }).send('broken'))
  for (let i = 0; i < 2; i++) {
    const answer = await get('/page')
    t.equal(answer.statusCode, 500)
    t.equal(answer.headers['set-cookie'], undefined)
    t.equal(answer.headers['clear-site-data'], undefined)
    t.equal(answer.headers['x-request-id'], undefined)
    t.equal(answer.headers['x-kept'], '1')
    t.equal(answer.headers['retry-after'], '77')
    t.equal(answer.headers.vary, 'x')
  }
})

t.test("the app's own error handler shapes the failures", async (t) => {
  const page = counted(() => { throw new Error('boom') })
  const hanging = counted(async () => await new Promise(() => {}))
  const { get } = await start(t, (app) => {
    app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => reply.code(error.statusCode ?? 500).type('text/html').send(`<h1>Sorry: ${error.message}</h1>`))
    app.get('/page', { config: { prerender: true } }, page)
    app.get('/hanging', { config: { prerender: true } }, hanging)
  }, { isr: { render: { timeout: 40 } } })
  t.equal((await get('/page')).body, '<h1>Sorry: boom</h1>')
  const timeout = await get('/hanging')
  t.equal(timeout.statusCode, 504)
  t.match(timeout.body, /<h1>Sorry: rendering \/hanging took longer than render.timeout \(40 ms\)/)
  t.equal(timeout.headers['cache-control'], 'no-store')
})

t.test('a body of 50 MB is passed on whole, and a render stops at the limit', async (t) => {
  const SIZE = 50 * 1024 * 1024
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const produced = { render: 0, live: 0 }
  const large = counted((_n, request, reply) => {
    const who = request.isrRender === null ? 'live' : 'render'
    let sent = 0
    const stream = new Readable({
      read () {
        produced[who] += chunk.length
        sent += chunk.length
        this.push(sent > SIZE ? null : chunk)
      }
    })
    return reply.type('text/plain').send(stream)
  })
  const whole = Buffer.alloc(SIZE, 'y')
  const buffered = counted((_n, _q, reply) => reply.type('text/plain').send(whole))
  const started = await start(t, (app) => {
    app.get('/stream', { config: { prerender: true } }, large)
    app.get('/buffer', { config: { prerender: true } }, buffered)
  })
  const port = await started.listen()
  for (const path of ['/stream', '/buffer', '/stream', '/buffer']) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    let length = 0
    for await (const part of response.body ?? []) length += (part as Uint8Array).length
    t.equal(length, SIZE, path)
  }
  t.ok(produced.render < 8 * 1024 * 1024, `the render produced ${produced.render} bytes`)
  t.same([large.renders, large.live, buffered.renders, buffered.live], [1, 2, 1, 2])
  t.equal(started.app.isr.stats().memory.bytes, 0)
})

t.test("a handler's own content-encoding is stored as it is and goes to clients that accept it", async (t) => {
  for (const [encoding, bytes] of [['gzip', zlib.gzipSync('hello')], ['br', zlib.brotliCompressSync('hello')], ['deflate', zlib.deflateSync('hello')]] as const) {
    for (const encodings of [['br', 'gzip'], ['gzip'], []] as ('br' | 'gzip')[][]) {
      const { get } = await site(t, (_n, _q, reply) => reply.type('text/html').header('content-encoding', encoding).send(bytes), {}, { isr: { encodings } })
      for (let i = 0; i < 2; i++) {
        const answer = await get('/page', { 'accept-encoding': encoding })
        t.equal(answer.statusCode, 200, `${encoding} of ${encodings.join()}`)
        t.equal(answer.headers['content-encoding'], encoding)
        t.equal(answer.headers.vary, 'accept-encoding')
        t.same(answer.rawPayload, bytes)
      }
      const refused = await get('/page', { 'accept-encoding': 'identity' })
      t.equal(refused.statusCode, 406)
      t.equal(refused.headers['cache-control'], 'no-store')
    }
  }
})

t.test('headers of one connection or one visitor are not stored', async (t) => {
  const { app, listen } = await site(t, (_n, _q, reply) => reply.headers({
    connection: 'x-hop',
    'x-hop': '1',
    'keep-alive': 'timeout=5',
    'proxy-authenticate': 'Basic',
    te: 'trailers',
    upgrade: 'h2c',
    'x-ratelimit-remaining': '3',
    'server-timing': 'db;dur=1',
    'x-request-id': 'r',
    'retry-after': '9',
    'accept-ranges': 'bytes',
    'x-stays': 'yes',
    link: '</a.css>; rel=preload'
  }).send('x'))
  const port = await listen()
  for (let i = 0; i < 2; i++) {
    const { headers } = await rawGet(port, '/page')
    t.equal(headers['x-stays'], 'yes')
    t.equal(headers.link, '</a.css>; rel=preload')
    t.equal(headers.connection, 'close')
    for (const name of ['x-hop', 'keep-alive', 'proxy-authenticate', 'te', 'upgrade', 'x-ratelimit-remaining', 'server-timing', 'x-request-id', 'retry-after', 'accept-ranges']) {
      t.equal(headers[name], undefined, name)
    }
  }
  t.equal(app.isr.stats().requests.hit, 1)
})

t.test('a page open to all origins says so on each answer; any other origin is for hooks to name', async (t) => {
  for (const [origin, stored] of [['*', '*'], ['https://a.example', undefined], ['null', undefined]] as const) {
    const { get } = await site(t, (_n, _q, reply) => reply.header('access-control-allow-origin', origin).send({ open: true }))
    for (let i = 0; i < 2; i++) t.equal((await get('/page')).headers['access-control-allow-origin'], stored)
  }
})

t.test("a policy's headers function decides which headers are stored", async (t) => {
  const { get } = await site(t, (_n, _q, reply) => reply.headers({ 'x-a': '1', 'x-b': '2' }).type('text/html').send('x'), { headers: name => name !== 'x-b' })
  await get('/page')
  const hit = await get('/page')
  t.equal(hit.headers['x-a'], '1')
  t.equal(hit.headers['x-b'], undefined)
  t.equal(hit.headers['content-type'], 'text/html')
})

t.test('a failing render never replaces a good page, and a good answer that may not be stored drops it', async (t) => {
  let answer: Answering = () => 'good'
  const { get, clock, app, page } = await site(t, (...args) => answer(...args), { ttl: 10 })
  await get('/page')
  answer = () => { throw new Error('down') }
  clock.forward(11)
  t.equal((await get('/page')).body, 'good')
  await until(() => app.isr.stats().renders.failed === 1)
  t.equal((await get('/page')).body, 'good')
  answer = (_n, _q, reply) => reply.code(404).send('gone')
  clock.forward(60)
  t.equal((await get('/page')).body, 'good')
  await until(() => app.isr.stats().renders.unstorable === 1)
  const gone = await get('/page')
  t.equal(gone.statusCode, 404)
  t.equal(page.live, 1)
})

t.test('a page that only speaks of nonces is stored, and looking for them takes no time', async (t) => {
  const { get } = await site(t, (_n, _q, reply) => reply.type('text/html').send(`<p>content-security-policy 'nonce-abc'</p>${'<meta '.repeat(500_000)}`))
  const startedAt = Date.now()
  t.equal(cacheStatus(await get('/page')), 'fwd=uri-miss; stored')
  t.ok(Date.now() - startedAt < 2000)
})

t.test('what a handler does after its render was given up harms nobody', async (t) => {
  const late: Answering[] = [
    () => 'late',
    () => { throw new Error('late') },
    (_n, _q, reply) => reply.send(Readable.from(['late'])),
    () => new Response('late'),
    (_n, _q, reply) => { reply.hijack(); reply.raw.write('late'); reply.raw.end() },
    (_n, _q, reply) => { reply.isr.tags('late'); reply.isr.ttl(1); return 'late' }
  ]
  for (const answer of late) {
    const gate = makeGate()
    let isDone = false
    const { get, app } = await site(t, async (...args) => {
      await gate.opened
      isDone = true
      return await answer(...args)
    }, {}, { isr: { render: { timeout: 20 } } })
    t.equal((await get('/page')).statusCode, 504)
    gate.open()
    await until(() => isDone)
    await settle()
    t.equal((await get('/page')).statusCode, 504, 'the failure stands')
    t.equal(app.isr.stats().memory.entries, 0)
  }
})

t.test('tags that can not be told cost no visitor his answer: the page is not stored, and one warning says why', async (t) => {
  const authors: Record<string, string> = { a: 'ann' }
  const { get, warnings, app } = await start(t, (app) => {
    app.get('/posts/:slug', { config: { prerender: { onDemand: true, tags: ({ slug = '' }) => [authors[slug]?.toUpperCase() ?? fail(slug)] } } },
      async (request, reply) => (request.params as { slug: string }).slug === 'a' ? 'there' : await reply.code(404).send('none'))
    app.get('/nonsense', { config: { prerender: { tags: () => 5 as unknown as string[] } } }, async () => 'x')
  })
  function fail (slug: string): never { throw new Error(`no post ${slug}`) }
  t.equal(cacheStatus(await get('/posts/a')), 'fwd=uri-miss; stored')
  t.equal((await get('/posts/b')).statusCode, 404)
  for (let i = 0; i < 2; i++) t.equal((await get('/nonsense')).body, 'x')
  t.equal(warnings().length, 1)
  t.match(warnings()[0], /route GET \/nonsense can't be stored: its tags can't be told/)
  t.same((await app.isr.refresh({ all: true })).pages.map(({ path, outcome }) => `${path} ${outcome}`).sort(), ['/nonsense unstorable', '/posts/a renewed'])
})

t.test("Fastify's own timeout may answer before the render has ended", async (t) => {
  for (const enabled of [true, false]) {
    const gate = makeGate()
    const page = counted(async () => { await gate.opened; return 'late' })
    const { get, app, logs } = await start(t, (app) => { app.get('/page', { handlerTimeout: 20, config: { prerender: true } }, page) }, { isr: { enabled } })
    t.equal((await get('/page')).statusCode, 503)
    gate.open()
    await until(() => app.isr.stats().renders.running === 0)
    await settle()
    const ofVisitor = logs.filter(({ reqId, err }) => reqId === 'req-1' && JSON.stringify(err ?? '').includes('already sent'))
    t.same(ofVisitor, [])
  }
})

t.test('an error in a hook takes nothing over from the page that it replaces', async (t) => {
  const { get } = await start(t, (app) => {
    app.addHook('onSend', async (request, _reply, payload) => {
      if (request.headers['x-fail'] !== undefined) throw new Error('a broken hook')
      return payload
    })
    app.get('/page', { config: { prerender: true } }, async (_request, reply) => reply.type('text/html').send('text '.repeat(1000)))
  })
  await get('/page')
  const failed = await get('/page', { 'x-fail': '1', 'accept-encoding': 'br' })
  t.equal(failed.statusCode, 500)
  t.equal(failed.json<{ message: string }>().message, 'a broken hook')
  t.equal(failed.headers['cache-control'], 'no-store')
  for (const name of ['etag', 'age', 'content-encoding', 'cache-status']) t.equal(failed.headers[name], undefined, name)
  t.equal(cacheStatus(await get('/page')), 'hit')
})
