// Rows of the threat table that no other test of this folder, or of test/serve, has in full.
import net from 'node:net'
import fc from 'fast-check'
import Fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import isr from '../../lib/index.js'
import { pageKey, type KeyParts } from '../../lib/pages/key.js'
import type { PageRoute } from '../../lib/pages/registry.js'
import { cacheStatus, counted, exchange, parseAnswer, rawGet, start } from '../helpers/app.js'

const onDemand = true

t.test('F1, F5 a render comes from nowhere: no allow-list of addresses lets it in, and no proxy header makes it one', async (t) => {
  for (const trustProxy of ['127.0.0.1', true, 'loopback'] as const) {
    const site = await start(t, (app) => {
      const isLocal = (request: FastifyRequest): boolean => request.ip === '127.0.0.1' || request.ip === '::1'
      app.get('/internal/metrics', { config: { prerender: true } }, async (request, reply) => isLocal(request) ? 'SECRET' : reply.code(403).send('no'))
      app.get('/docs/*', { config: { prerender: { onDemand } } }, async request => `docs for ${request.ip} of ${request.ips?.join() ?? ''}`)
    }, { fastify: { trustProxy } })
    const port = await site.listen()
    const stranger = ['X-Forwarded-For: 10.0.0.1']
    for (let i = 0; i < 2; i++) t.equal((await rawGet(port, '/internal/metrics', stranger)).status, 403)
    for (const target of ['/docs/../internal/metrics', '/docs/%2e%2e/internal/metrics', '/docs/..\\internal/metrics']) t.notMatch((await rawGet(port, target, stranger)).body.toString(), 'SECRET')
    t.equal((await rawGet(port, '/docs/a', ['X-Forwarded-For: 127.0.0.1'])).body.toString(), 'docs for 0.0.0.0 of 0.0.0.0')
    t.match((await site.app.isr.entries()).entries.map(entry => entry.key), ['/docs/a'])
  }
})

t.test('F13, T17 HEAD says what GET would, whoever comes first', async (t) => {
  const body = 'x'.repeat(5000)
  for (const methods of [['HEAD', 'GET', 'HEAD'], ['GET', 'HEAD', 'GET']]) {
    const site = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, async (_request, reply) => reply.type('text/html').send(body)) })
    const port = await site.listen()
    for (const method of methods) {
      for (const encoding of ['identity', 'br']) {
        const answer = await rawGet(port, '/page', [`Accept-Encoding: ${encoding}`], method)
        const get = await rawGet(port, '/page', [`Accept-Encoding: ${encoding}`])
        t.equal(answer.headers['content-length'], String(get.body.length), `${method} ${encoding}`)
        t.equal(answer.headers.etag, get.headers.etag)
        t.equal(answer.body.length, method === 'HEAD' ? 0 : get.body.length)
      }
    }
  }
})

t.test('F14 an answer that ends before its length is no page', async (t) => {
  const site = await start(t, (app) => {
    app.get('/hijacked', { config: { prerender: true } }, (_request, reply) => {
      reply.hijack()
      reply.raw.write('half')
      reply.raw.destroy()
    })
    app.get('/ended', { config: { prerender: true } }, (_request, reply) => {
      reply.hijack()
      reply.raw.end('half')
    })
  })
  for (const url of ['/hijacked', '/ended']) {
    await site.get(url).catch(() => null)
    await site.get(url).catch(() => null)
  }
  t.equal(site.app.isr.stats().memory.entries, 0)
})

t.test('F17, T08 Vary', async (t) => {
  const kinds: [vary: string | string[], isStored: boolean][] = [
    ['Accept-Encoding', true], ['accept-language', true], ['Accept-Language, accept-encoding', true], [['accept-language', 'accept-encoding'], true],
    ['*', false], [', *', false], ['accept-language,*', false], ['Cookie', false], [['accept-language', 'cookie'], false], ['x-other', false], ['Authorization', false], ['User-Agent', false],
    // Every object has these; a policy has not declared them.
    ['constructor', false], ['__proto__', false], ['toString', false], ['hasOwnProperty', false]
  ]
  const site = await start(t, (app) => {
    kinds.forEach(([vary], index) => app.get(`/${index}`, { config: { prerender: { vary: { 'Accept-Language': { values: ['en', 'de'], select: header => header ?? 'en' } } } } }, async (_request, reply) => reply.header('vary', vary).type('text/html').send('x'.repeat(2000))))
  })
  for (const [index, [vary, isStored]] of kinds.entries()) {
    await site.get(`/${index}`)
    const answer = await site.get(`/${index}`)
    t.equal(cacheStatus(answer) === 'hit', isStored, String(vary))
    if (!isStored) continue
    const again = await site.get(`/${index}`, { 'if-none-match': String(answer.headers.etag) })
    t.equal(again.statusCode, 304)
    for (const { headers } of [answer, again]) t.same(new Set(String(headers.vary).toLowerCase().split(/, */)), new Set(['accept-encoding', 'accept-language']), 'what is declared is always named')
  }
})

t.test('T07 one page, one representation, whatever a client says that it accepts', async (t) => {
  const site = await start(t, (app) => {
    app.get('/page', { config: { prerender: true } }, async (request, reply) => request.headers.accept?.includes('json') === true ? { secret: 'as data' } : reply.type('text/html').send('<p>page'))
  })
  for (const accept of ['application/json', 'text/html', '*/*', 'text/x-component', '']) {
    for (const url of ['/page', '/page?_rsc=1', '/page?format=json']) t.equal((await site.get(url, { accept, 'x-requested-with': 'XMLHttpRequest', rsc: '1' })).body, '<p>page')
  }
})

t.test('T10 headers that are too large or broken never reach the app, and the page is what it was', async (t) => {
  const page = counted()
  const site = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, page) })
  const port = await site.listen()
  for (const [line, status] of [[`X-A: ${'a'.repeat(40_000)}`, 431], ['X-A: \x07', 400], ['X-A: a\x00b', 400], ['X-A: a\nX-B: b', 400]] as const) t.equal((await rawGet(port, '/page', [line])).status, status)
  t.same([page.renders, page.live], [0, 0])
  t.equal((await rawGet(port, '/page', [`X-A: ${'a'.repeat(12_000)}`])).body.toString(), '#1')
  t.equal(cacheStatus(await rawGet(port, '/page')), 'hit')
})

t.test('T12 a redirect is stored only if it leads to the site itself', async (t) => {
  const kinds: [location: string, isStored: boolean][] = [
    ['/other', true], ['other', true], ['?a=1', true], ['https://site.example/other', true], ['https://site.example:443/x', true],
    ['//evil.example/', false], ['/\\evil.example/', false], ['\\\\evil.example', false], ['https://evil.example/', false], ['https://site.example.evil.example/', false], ['https://site.example@evil.example/', false], ['http://site.example/', false], ['https://site.example:8443/', false], ['javascript:alert(1)', false], ['data:text/html,x', false], ['https:evil.example', true], ['///evil.example', false], ['\t//evil.example', false]
  ]
  const site = await start(t, (app) => {
    kinds.forEach(([location], index) => app.get(`/${index}`, { config: { prerender: { statuses: { 301: 60 } } } }, async (_request, reply) => reply.code(301).header('location', location).send()))
  }, { isr: { baseUrl: 'https://site.example' } })
  for (const [index, [location, isStored]] of kinds.entries()) {
    // To a page of https, `https:x` is a relative URL.
    await site.get(`/${index}`)
    const answer = await site.get(`/${index}`)
    t.equal(answer.statusCode, 301)
    t.equal(answer.headers.location, location)
    t.equal(cacheStatus(answer).startsWith('hit'), isStored, location)
  }
})

t.test('T13 status, headers and body are replaced together', async (t) => {
  const states = [404, 200, 404, 410, 200]
  const site = await start(t, (app) => {
    app.get('/page', { config: { prerender: { ttl: 5, statuses: { 404: 5, 410: 5 } } } }, counted(async (nth, _request, reply) => {
      const status = states[nth - 1] ?? 200
      return await reply.code(status).header('x-status', status).send(`body of ${status}`)
    }))
  })
  const seen: number[] = []
  for (let round = 0; round < states.length; round++) {
    for (let i = 0; i < 3; i++) {
      const answer = await site.get('/page')
      t.equal(answer.headers['x-status'], String(answer.statusCode))
      t.equal(answer.body, `body of ${answer.statusCode}`)
      if (i === 2) seen.push(answer.statusCode)
    }
    site.clock.forward(6)
    await site.get('/page')
  }
  t.ok(new Set(seen).size > 1)
})

t.test('T14 what a param says can not split an answer', async (t) => {
  const site = await start(t, (app) => {
    app.get('/page/:slug', { config: { prerender: { onDemand } } }, async (request, reply) => reply.header('x-slug', (request.params as { slug: string }).slug).send('x'))
    app.get('/query', { config: { prerender: { onDemand, query: ['q'] } } }, async (request, reply) => reply.header('x-q', (request.query as { q?: string }).q ?? '').send('x'))
  })
  const port = await site.listen()
  for (const target of ['/page/a%0d%0aset-cookie:%20sid=1', '/page/a%0D%0Aset-cookie:%20sid=1', '/query?q=a%0d%0aset-cookie:%20sid=1', '/query?q=a%0Ab']) {
    for (let i = 0; i < 2; i++) {
      const answer = await rawGet(port, target)
      t.equal(answer.status, 500, target)
      t.equal(answer.headers['set-cookie'], undefined)
    }
  }
  t.equal(site.app.isr.stats().memory.entries, 0)
})

t.test('T18 what looks like a file below a live route is as live as the route', async (t) => {
  const site = await start(t, (app) => {
    app.get('/account', async request => `account of ${request.headers.cookie ?? ''}`)
    app.get('/account/*', async request => `account of ${request.headers.cookie ?? ''}`)
    app.get('/styles/*', { config: { prerender: { onDemand } } }, async () => 'style')
  })
  const port = await site.listen()
  for (const suffix of ['', '/x.css', '/x.js', '%2fx.css', '/%2e%2e/styles/x.css', '/..%2fstyles/x.css', ';x.css', '%3bx.css', '%00.css', '%0a.css', '%23.css', '%3f.css', '/styles/x.css', '?x.css']) {
    await rawGet(port, `/account${suffix}`, ['Cookie: victim'])
    const answer = await rawGet(port, `/account${suffix}`, ['Cookie: attacker'])
    t.notMatch(answer.body.toString(), 'victim', suffix)
    t.equal(answer.headers['cache-status'], undefined)
  }
  for (const target of ['/styles/../account', '/styles/%2e%2e/account', '/styles/..%2faccount', '/styles/x.css/../../account']) t.notMatch((await rawGet(port, target, ['Cookie: victim'])).body.toString(), 'account', target)
})

for (const place of ['onRequest', 'preValidation', 'preHandler'] as const) {
  for (const scope of ['before the plugin', 'after the plugin', 'on the route'] as const) {
    t.test(`T21 a page behind a login, refused in ${place} ${scope}, is never stored`, async (t) => {
      const login = async (request: FastifyRequest, reply: { code (status: number): { send (body: string): unknown } }): Promise<unknown> =>
        request.headers.cookie === 'user=ann' ? undefined : reply.code(401).send('log in')
      const site = await start(t, (app) => {
        if (scope === 'after the plugin') app.addHook(place, login)
        app.get('/page', { config: { prerender: true }, ...(scope === 'on the route' ? { [place]: login } : {}) }, async request => `for ${request.headers.cookie ?? 'nobody'}`)
      }, { before: (app) => { if (scope === 'before the plugin') app.addHook(place, login) } })
      for (let i = 0; i < 3; i++) {
        t.equal((await site.get('/page', { cookie: 'user=ann' })).body, 'for user=ann')
        const stranger = await site.get('/page')
        t.equal(stranger.statusCode, 401)
        t.equal(stranger.body, 'log in')
        site.clock.forward(11)
      }
      t.equal(site.app.isr.stats().memory.entries, 0)
      const isSkipped = scope === 'on the route' && place !== 'onRequest'
      t.equal(site.warnings().filter(line => line.includes('skips its')).length, isSkipped ? 1 : 0)
    })
  }
}

t.test('T23 whoever sends Authorization gets his own answer, which nobody else may keep', async (t) => {
  const page = counted((_nth, request) => `for ${request.headers.authorization ?? 'nobody'}`)
  const site = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, page) })
  for (const authorization of ['Bearer ann', 'Basic YQ==', '', 'x']) {
    const answer = await site.get('/page', { authorization })
    t.equal(answer.body, `for ${authorization}`)
    t.equal(answer.headers['cache-control'], 'private, no-cache')
    t.equal((await site.get('/page')).body, 'for nobody')
  }
  t.equal(page.renders, 1)
})

t.test('T28 Cache-Status tells of outcomes, not of keys', async (t) => {
  const site = await start(t, (app) => {
    const config = { prerender: { onDemand, ttl: 5, query: ['q'], hosts: ['secret-host.example'] } }
    app.get('/secret-path/:slug', { config }, async () => 'x')
    app.get('/secret-path/broken', { config }, async () => { throw new Error('secret-message') })
    app.get('/secret-path/cookie', { config }, async (_request, reply) => reply.header('set-cookie', 'secret-cookie=1').send('x'))
  })
  for (const host of ['secret-host.example', 'other.example']) {
    for (const url of ['/secret-path/a', '/secret-path/a?q=secret-query', '/secret-path/a?q=1&q=2', '/secret-path/%61', '/secret-path/broken', '/secret-path/cookie']) {
      for (let i = 0; i < 3; i++) {
        const answer = await site.get(url, { host })
        t.match(cacheStatus(answer), /^(?:hit|fwd=(?:bypass|uri-miss|miss|stale))(?:; (?:stored|collapsed|stored=\?0|ttl=-?\d+|fwd-status=\d+|detail=[a-z-]+))*$/)
        site.clock.forward(i * 4)
      }
    }
  }
})

t.test('T39 a crawl opens no connection, whatever pages link to', async (t) => {
  let connections = 0
  const canary = net.createServer((socket) => {
    connections++
    socket.destroy()
  })
  await new Promise<void>(resolve => { canary.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => canary.close())
  const { port } = canary.address() as net.AddressInfo
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { dir: t.testdir(), baseUrl: 'https://site.example' })
  const links = [`http://127.0.0.1:${port}/`, `//127.0.0.1:${port}/x`, `\\\\127.0.0.1:${port}\\x`, `/\\127.0.0.1:${port}/x`, `https://site.example@127.0.0.1:${port}/`, 'http://169.254.169.254/latest', 'javascript:alert(1)', 'file:///etc/passwd', '/page/../live', '/page/%2e%2e/live', '/live', '/page/found', 'https://site.example/page/absolute', '/page/a%2fb', '/page/x?q=1#y']
  const live = counted()
  app.get('/', { config: { prerender: true } }, async (_request, reply) => reply.type('text/html').send(links.map(href => `<a href="${href}">x</a>`).join('')))
  app.get('/page/:slug', { config: { prerender: { paths: [] } } }, async request => (request.params as { slug: string }).slug)
  app.get('/live', live)
  await app.ready()
  const { pages } = await app.isr.prerender({ crawl: true })
  t.same(pages.map(page => page.path).sort(), ['/', '/page/absolute', '/page/found', '/page/x'])
  t.equal(connections, 0)
  t.same([live.renders, live.live], [0, 0])
})

t.test('T50 different parts make different keys', async (t) => {
  const route = (names: string[], keySuffix: string): PageRoute => ({ policy: { vary: Object.fromEntries(names.map(name => [name, { values: ['x'], select: () => 'x' }])) }, keySuffix, renderHeaders: {} }) as unknown as PageRoute
  const word = fc.oneof(fc.constantFrom('a', 'b', '', 'a b', 'a=b', '&', ' host=a', 'a&b=c', '%20', '?', 'a\0', '\n', '\u2028'), fc.string({ maxLength: 5 })).map(text => Buffer.from(text).toString())
  const parts: fc.Arbitrary<KeyParts & { names: string[], suffix: string }> = fc.record({
    path: fc.constantFrom('/', '/a', '/a/b', '/a%20host=a', '/a=b', '/a&b=c'),
    params: fc.constant({}),
    query: fc.uniqueArray(fc.tuple(word, word), { maxLength: 2, selector: ([name]) => name }),
    host: fc.constantFrom('a', 'a.b', 'a%20b'),
    classes: fc.dictionary(fc.constantFrom('x-a', 'x-b'), fc.constantFrom('a', 'b', 'a%20x-b=b'), { maxKeys: 2 }),
    names: fc.constant(['x-a', 'x-b']),
    suffix: fc.constantFrom('', ' host=a', ' version=1')
  })
  const keys = new Map<string, string>()
  for (const sample of fc.sample(parts, 20_000)) {
    const { key } = pageKey(route(sample.names, sample.suffix), sample)
    const identity = JSON.stringify([sample.path, sample.query, sample.host, sample.names.map(name => sample.classes?.[name] ?? 'x'), sample.suffix])
    const known = keys.get(key) ?? identity
    if (known !== identity) t.fail(`${key} stands for ${known} and for ${identity}`)
    keys.set(key, identity)
  }
  t.ok(keys.size > 5000, `${keys.size} keys`)
})

t.test('T02, F4 a host that is part of the key is one of the list, in whatever way it is written', async (t) => {
  const site = await start(t, (app) => {
    app.get('/page', { config: { prerender: { hosts: ['a.example', 'b.example'] } } }, async request => `page of ${request.host}`)
  }, { fastify: { trustProxy: true } })
  const port = await site.listen()
  const ask = async (...lines: string[]): Promise<string> => parseAnswer(await exchange(port, ['GET /page HTTP/1.1', ...lines, 'Connection: close', '', ''].join('\r\n'))).body.toString()
  t.equal(await ask('Host: a.example'), 'page of a.example')
  t.equal(await ask('Host: A.Example:8080'), 'page of a.example')
  t.equal(await ask('Host: b.example'), 'page of b.example')
  t.equal(await ask('Host: evil.example'), 'page of evil.example', 'live')
  t.equal(await ask('Host: a.example', 'X-Forwarded-Host: b.example'), 'page of b.example')
  t.equal(await ask('Host: a.example', 'X-Forwarded-Host: a.example, evil.example'), 'page of evil.example', 'live')
  t.equal(parseAnswer(await exchange(port, 'GET /page HTTP/1.0\r\n\r\n')).status, 200)
  t.same((await site.app.isr.entries()).entries.map(entry => entry.key), ['/page host=a.example', '/page host=b.example'])
})

t.test('T15 a server that reads requests leniently is refused', async (t) => {
  const app = Fastify({ http: { insecureHTTPParser: true } })
  t.teardown(() => app.close())
  await t.rejects(async () => await app.register(isr, { disk: false }), { code: 'FST_ISR_ERR_INSECURE_PARSER' })
})
