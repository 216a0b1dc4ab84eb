import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { cacheStatus, exchange, parseAnswer, rawGet, start } from '../helpers/app.js'

/** A site whose pages say what they were asked for. */
function declare (app: FastifyInstance): void {
  const config = { prerender: { onDemand: true } }
  app.get('/', { config }, async () => 'home')
  app.get('/account', async () => 'account')
  app.get('/page/:slug', { config }, async request => `page ${JSON.stringify((request.params as { slug: string }).slug)}`)
  app.get('/docs/*', { config }, async request => `docs ${JSON.stringify((request.params as { '*': string })['*'])}`)
  app.get('/two/:a/:b', { config }, async request => `two ${JSON.stringify(request.params)}`)
  app.get('/slash/', { config }, async () => 'slash')
}

const TARGETS = [
  '/', '/page/a', '//x', '//page/a', '/page//a', '///', '/./page/a', '/page/./a', '/page/../account', '/docs/../account', '/docs/../../etc/passwd', '/docs/a/../b',
  '/docs/..\\account', '/docs/%2e%2e/account', '/docs/.%2e/account', '/docs/%252e%252e/account', '/docs/..%2faccount', '/docs/..%5caccount', '/docs/%c0%ae%c0%ae/account',
  'http://evil.example/', 'http://evil.example/page/a', 'https://visitor.example/page/a', '*',
  '/page/%61', '/page/a%2fb', '/page/a%2Fb', '/page/%00', '/page/a%00.html', '/page/%0a', '/page/%7f', '/page/%', '/page/%zz', '/page/%ff', '/page/%e4', '/page/%C3%A4', '/page/%c3%a4', '/page/ä',
  '/page/a;b', '/page/a;jsessionid=1', '/page/a%3Bb', '/page/a#b', '/page/a%23b', '/page/a%3Fb', '/page/a\\b', '/page/a%5Cb', '/page/a"b', '/page/<a>', '/page/a|b', '/page/{a}', '/page/a^b', '/page/a`b',
  '/page/a%20b', '/page/a+b', '/page/a%2Bb', '/page/a:b', '/page/a%3Ab', '/page/a@b', '/page/a,b', "/page/a'b", '/page/a(b)', '/page/!$&*=~',
  '/page/a/', '/page/', '/page', '/slash', '/slash/', '/slash//', '/account', '/account/x.css', '/account;x.css', '/account%2fx.css',
  '/constructor', '/__proto__', '/page/constructor', '/page/__proto__', '/page/toString', '/docs/__proto__/constructor', '/prototype', '/hasOwnProperty',
  '?', '?a=1', '/?', '/??', '/?#', '/page/a?', '/page/a?x=1', '/page/a?x=1?y=2', '/page/a?%', '/page/a?__proto__[x]=1', '/page/a&b', '/page/a%26b',
  '/.isr/manifest.json', '/docs/.isr/manifest.json', '/docs/.prerender/secret', '/../secret', '/%2e%2e/secret', '/docs/secret',
  '/two/a/b', '/two/a%2Fb/c', '/two/a/b/c', '/two//b', '/two/./..',
  '/PAGE/a', '/Page/a', `/page/${'x'.repeat(100)}`, `/page/${'x'.repeat(101)}`, `/docs/${'y'.repeat(300)}`, `/docs/${'z/'.repeat(1500)}`, `/${'a'.repeat(8000)}`, `/docs/${'%C3%A4'.repeat(1300)}`
]

t.test('no form of a URL gets another answer than from the same app without the plugin', async (t) => {
  const dir = t.testdir({ site: {} })
  writeFileSync(path.join(dir, 'secret'), 'SECRET')
  const site = await start(t, declare, { isr: { dir: path.join(dir, 'site'), disk: {}, buildId: 'b' } })
  writeFileSync(path.join(dir, 'site', 'secret'), 'SECRET')
  mkdirSync(path.join(dir, 'site', '.isr'), { recursive: true })
  const twin = Fastify({ logger: false })
  t.teardown(() => twin.close())
  declare(twin)
  await twin.listen({ port: 0, host: '127.0.0.1' })
  const port = await site.listen()
  const twinPort = (twin.server.address() as { port: number }).port

  // Twice, so that what the first round stored answers the second; then backwards, for other neighbours.
  for (const targets of [TARGETS, TARGETS, TARGETS.toReversed()]) {
    for (const target of targets) {
      const [mine, theirs] = await Promise.all([rawGet(port, target), rawGet(twinPort, target)])
      const name = target.length > 60 ? `${target.slice(0, 60)}… (${target.length})` : target
      t.equal(mine.status, theirs.status, `${name}: status`)
      t.equal(mine.body.toString(), theirs.body.toString(), `${name}: body`)
      t.notMatch(mine.body.toString(), 'SECRET')
    }
  }
})

t.test('only the one spelling of a page is looked up; the others run live and are not stored', async (t) => {
  const site = await start(t, declare)
  const port = await site.listen()
  for (const target of ['/page/a', '/page/%C3%A4', '/page/a%20b', '/page/a+b', '/docs/a/b', '/docs/a/', '/slash/', '/', '/page/constructor']) {
    t.equal(cacheStatus(await rawGet(port, target)), 'fwd=uri-miss; stored', target)
    t.equal(cacheStatus(await rawGet(port, target)), 'hit', target)
  }
  const { entries } = site.app.isr.stats().memory
  const others = ['/page/%61', '/page/%c3%a4', '/page/a%2Bb', '/page/a%2Fb', '/page/%00', '/page/a;b', '/page/a%3Ab', '/docs/../account', '/docs/a//b', '/docs/./a', '/docs/a/..', '/docs/%2E%2E/x', 'http://visitor.example/page/a']
  for (const target of others) {
    for (let i = 0; i < 2; i++) t.equal(cacheStatus(await rawGet(port, target)), 'fwd=bypass; detail=path', target)
  }
  t.equal(site.app.isr.stats().memory.entries, entries)
})

t.test('a query that is not allow-listed changes nothing, however it looks', async (t) => {
  const site = await start(t, declare)
  const port = await site.listen()
  await rawGet(port, '/page/a')
  for (const target of ['/page/a?', '/page/a?utm_source=x', '/page/a?x[]=1&x[]=2', '/page/a?%00', '/page/a?a=1;b=2', '/page/a??', `/page/a?${'q'.repeat(6000)}`]) {
    t.equal(cacheStatus(await rawGet(port, target)), 'hit', target)
  }
})

t.test('requests that follow each other on one connection get their own answers', async (t) => {
  const site = await start(t, declare)
  const port = await site.listen()
  const request = (method: string, target: string, more = ''): string => `${method} ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
  const bytes = await exchange(port, request('HEAD', '/page/a') + request('GET', '/page/b') + request('GET', '/page/a') + request('HEAD', '/page/b') + request('GET', '/account', 'Connection: close\r\n'))
  const bodies = bytes.toString().split(/HTTP\/1\.1 200 OK\r\n/).slice(1).map(part => part.slice(part.indexOf('\r\n\r\n') + 4))
  t.same(bodies, ['', 'page "b"', 'page "a"', '', 'account'])
})

t.test('only GET and HEAD are answered from the cache', async (t) => {
  const site = await start(t, (app) => {
    app.route({ method: ['GET', 'POST', 'OPTIONS'], url: '/page', config: { prerender: true }, handler: async request => `live ${request.method} ${request.isrRender?.path ?? ''}` })
  })
  await site.get('/page')
  for (const method of ['POST', 'OPTIONS'] as const) {
    const answer = await site.app.inject({ method, url: '/page' })
    t.equal(answer.body, `live ${method} `)
    t.equal(answer.headers['cache-status'], undefined)
  }
  t.equal((await site.app.inject({ method: 'DELETE', url: '/page' })).statusCode, 404)
  t.equal((await site.get('/page', { 'x-http-method-override': 'POST' })).body, 'live GET /page')
})

t.test('a request without a Host, or with two, gets the page', async (t) => {
  const site = await start(t, declare)
  const port = await site.listen()
  await rawGet(port, '/page/a')
  const old = parseAnswer(await exchange(port, 'GET /page/a HTTP/1.0\r\n\r\n'))
  t.equal(old.body.toString(), 'page "a"')
  for (const host of ['evil.example', '"><script>', 'user@evil', '']) {
    const answer = parseAnswer(await exchange(port, `GET /page/a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`))
    t.equal(answer.body.toString(), 'page "a"')
    t.equal(cacheStatus(answer), 'hit')
  }
})

t.test('the router options of the app decide which aliases are answered, and aliases are never stored', async (t) => {
  const routerOptions = { ignoreTrailingSlash: true, caseSensitive: false, ignoreDuplicateSlashes: true }
  const site = await start(t, declare, { fastify: { routerOptions } })
  const twin = Fastify({ routerOptions })
  t.teardown(() => twin.close())
  declare(twin)
  for (const url of ['/page/a', '/PAGE/a', '/page/A', '/page/a/', '/slash', '/slash/', '/docs/a', '/docs//a', '/DOCS/A/', '/two/a/b/']) {
    for (let i = 0; i < 2; i++) t.equal((await site.get(url)).body, (await twin.inject(url)).body, url)
  }
  const stored = (await site.app.isr.entries()).entries.map(entry => entry.key)
  t.same(stored, ['/docs/a', '/page/A', '/page/a', '/slash/'])
})

t.test('a rewritten URL is stored under what the router sees', async (t) => {
  const site = await start(t, declare, { fastify: { rewriteUrl: request => request.url?.startsWith('/old/') === true ? request.url.replace('/old/', '/page/') : request.url ?? '/' } })
  const port = await site.listen()
  t.equal((await rawGet(port, '/old/a')).body.toString(), 'page "a"')
  t.equal(cacheStatus(await rawGet(port, '/page/a')), 'hit')
  t.equal(cacheStatus(await rawGet(port, '/old/a')), 'hit')
})

t.test('a rewriting that sends the page elsewhere is noticed: it runs live, and one warning says why', async (t) => {
  const rewriteUrl = (request: { url?: string | undefined }): string => request.url === '/page/a' ? '/page/b' : request.url === '/page/b' ? '/account' : request.url ?? '/'
  const site = await start(t, declare, { fastify: { rewriteUrl } })
  const port = await site.listen()
  for (let i = 0; i < 2; i++) t.equal((await rawGet(port, '/page/a')).body.toString(), 'page "b"')
  t.equal(site.app.isr.stats().memory.entries, 0)
  t.equal(site.warnings().length, 1)
  t.match(site.warnings()[0], /sent the URL of the page to another route; check rewriteUrl/)
})
