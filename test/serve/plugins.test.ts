import zlib from 'node:zlib'
import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import session from '@fastify/session'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { cacheStatus, counted, rawGet, start, until, type Counted, type Site } from '../helpers/app.js'

type Test = typeof t
type Register = (app: FastifyInstance) => unknown

const ORDERS = ['before', 'after'] as const
const HTML = `<html><title>page</title>${'<p>text that compresses well</p>'.repeat(100)}</html>`

interface Case extends Site {
  page: Counted
  port: number
}

/** A site with other plugins, registered before or after this one. */
async function site (t: Pick<Test, 'teardown'>, order: typeof ORDERS[number], register: Register, handler = counted((nth, request, reply) => reply.type('text/html').send(HTML))): Promise<Case> {
  const declare = async (app: FastifyInstance): Promise<void> => {
    if (order === 'after') await register(app)
    app.get('/page', { config: { prerender: { ttl: 60 } } }, handler)
  }
  const started = await start(t, declare, order === 'before' ? { before: register } : {})
  return { ...started, page: handler, port: await started.listen() }
}

/** The body as a client sees it; fails on a body encoded twice. */
function decoded ({ headers, body }: { headers: Record<string, string>, body: Buffer }): string {
  const encoding = headers['content-encoding']
  if (headers['transfer-encoding'] === 'chunked') throw new Error('a stored page has a length')
  if (headers['content-length'] !== String(body.length)) throw new Error('wrong length')
  if (encoding === 'br') return zlib.brotliDecompressSync(body).toString()
  if (encoding === 'gzip') return zlib.gunzipSync(body).toString()
  return body.toString()
}

const ENCODINGS: [accepts: string, gets: string | undefined][] = [['br, gzip', 'br'], ['gzip', 'gzip'], ['gzip;q=1, br;q=0', 'gzip'], ['identity', undefined], ['', undefined]]

async function checkEncodings (t: Pick<Test, 'equal'>, { port }: Case, body = HTML): Promise<void> {
  const tags = new Set<string>()
  for (const [accepts, gets] of ENCODINGS) {
    for (const round of ['first', 'second']) {
      const answer = await rawGet(port, '/page', [`accept-encoding: ${accepts}`])
      t.equal(answer.status, 200)
      t.equal(answer.headers['content-encoding'], gets, `${accepts}, ${round}`)
      t.equal(decoded(answer), body)
      t.equal(String(answer.headers.vary).split(', ').includes('accept-encoding'), true)
      const tag = answer.headers.etag ?? ''
      tags.add(tag)
      const again = await rawGet(port, '/page', [`accept-encoding: ${accepts}`, `if-none-match: ${tag}`])
      t.equal(again.status, 304, `${accepts}: ${tag}`)
      t.equal(again.body.length, 0)
      t.equal(again.headers.etag, tag)
      t.equal(again.headers['content-length'], undefined)
      t.equal(again.headers['content-encoding'], undefined)
      const head = await rawGet(port, '/page', [`accept-encoding: ${accepts}`], 'HEAD')
      t.equal(head.body.length, 0)
      for (const name of ['content-length', 'content-encoding', 'etag', 'vary', 'content-type']) t.equal(head.headers[name], answer.headers[name], `HEAD: ${name}`)
    }
  }
}

for (const order of ORDERS) {
  t.test(`@fastify/compress, registered ${order}, encodes nothing twice`, async (t) => {
    const started = await site(t, order, async app => await app.register(compress, { threshold: 0 }))
    await checkEncodings(t, started)
    t.equal(started.page.renders, 1)
  })

  t.test(`@fastify/compress, registered ${order}, may see a page that is not worth encoding`, async (t) => {
    const { get } = await site(t, order, async app => await app.register(compress, { threshold: 0 }), counted((_n, _q, reply) => reply.type('text/html').send('tiny')))
    for (let i = 0; i < 2; i++) {
      const answer = await get('/page', { 'accept-encoding': 'gzip' })
      // Registered after, its hook comes last.
      t.equal(answer.headers['content-encoding'], order === 'before' ? undefined : 'gzip')
      t.equal(order === 'before' ? answer.body : zlib.gunzipSync(answer.rawPayload).toString(), 'tiny')
      t.equal((await get('/page')).body, 'tiny')
    }
  })

  t.test(`@fastify/etag, registered ${order}: pages keep one tag per encoding`, async (t) => {
    const started = await site(t, order, async app => await app.register(etag))
    await checkEncodings(t, started)
    t.equal(started.page.renders, 1)
  })

  t.test(`@fastify/etag with weak tags and @fastify/compress, registered ${order}`, async (t) => {
    const started = await site(t, order, async (app) => {
      await app.register(etag, { weak: true })
      await app.register(compress, { threshold: 0 })
    })
    await checkEncodings(t, started)
  })

  t.test(`@fastify/etag, registered ${order}, does not turn a stored 404 into a 304`, async (t) => {
    const declare = async (app: FastifyInstance): Promise<void> => {
      if (order === 'after') await app.register(etag)
      app.get('/gone', { config: { prerender: { statuses: { 404: 60 } } } }, async (request, reply) => reply.code(404).send('gone'))
    }
    const { get } = await start(t, declare, order === 'before' ? { before: async app => await app.register(etag) } : {})
    await get('/gone')
    const hit = await get('/gone')
    const again = await get('/gone', { 'if-none-match': String(hit.headers.etag) })
    t.equal(again.statusCode, 404)
    t.equal(again.body, 'gone')
  })

  t.test(`@fastify/cors with a list of origins, registered ${order}: each origin gets its own header`, async (t) => {
    const { port, page } = await site(t, order, async app => await app.register(cors, { origin: ['https://a.example', 'https://b.example'], credentials: true }))
    for (let i = 0; i < 2; i++) {
      for (const [origin, allowed] of [['https://a.example', 'https://a.example'], ['https://b.example', 'https://b.example'], ['https://evil.example', undefined]] as const) {
        const answer = await rawGet(port, '/page', [`origin: ${origin}`, 'accept-encoding: br'])
        t.equal(answer.headers['access-control-allow-origin'], allowed)
        t.equal(decoded(answer), HTML)
        t.match(answer.headers.vary?.toLowerCase(), /origin/)
        t.match(answer.headers.vary?.toLowerCase(), /accept-encoding/)
        const again = await rawGet(port, '/page', [`origin: ${origin}`, 'accept-encoding: br', `if-none-match: ${answer.headers.etag ?? ''}`])
        t.equal(again.status, 304)
        t.match(again.headers.vary?.toLowerCase(), /origin/)
      }
    }
    t.equal(page.renders, 1)
  })

  t.test(`@fastify/cors that reflects any origin, registered ${order}`, async (t) => {
    const { get, page } = await site(t, order, async app => await app.register(cors, { origin: true }))
    for (const origin of ['https://a.example', 'https://b.example']) t.equal((await get('/page', { origin })).headers['access-control-allow-origin'], origin)
    t.equal((await get('/page')).headers['access-control-allow-origin'], undefined)
    t.equal(page.renders, 1)
  })

  t.test(`@fastify/helmet, registered ${order}: its headers are on every answer, made anew`, async (t) => {
    const { get, page, warnings } = await site(t, order, async app => await app.register(helmet))
    for (let i = 0; i < 2; i++) {
      const answer = await get('/page')
      t.match(answer.headers['content-security-policy'], /default-src 'self'/)
      t.equal(answer.headers['x-content-type-options'], 'nosniff')
      t.equal(answer.headers['x-frame-options'], 'SAMEORIGIN')
    }
    t.equal(page.renders, 1)
    t.same(warnings(), [])
  })

  t.test(`@fastify/helmet with nonces, registered ${order}: the page is not stored, and one warning says why`, async (t) => {
    const { get, page, warnings } = await site(t, order, async app => await app.register(helmet, { enableCSPNonces: true }))
    const nonces = new Set<string>()
    for (let i = 0; i < 3; i++) {
      const policy = String((await get('/page')).headers['content-security-policy'])
      nonces.add(/'nonce-([0-9a-f]+)'/.exec(policy)?.[1] ?? 'none')
    }
    t.equal(nonces.size, 3, 'nobody shares a nonce')
    t.notOk(nonces.has('none'))
    t.same([page.renders, page.live], [1, 2])
    t.equal(warnings().length, 1)
    t.match(warnings()[0], /route GET \/page can't be stored: .*nonce/)
  })

  t.test(`@fastify/session with saveUninitialized, registered ${order}: the page is not stored, and one warning names the cookie`, async (t) => {
    const { get, page, warnings } = await site(t, order, async (app) => {
      await app.register(cookie)
      await app.register(session, { secret: 'a secret of thirty-two characters', cookie: { secure: false } })
    })
    const ids = new Set<string>()
    for (let i = 0; i < 3; i++) ids.add(String((await get('/page')).headers['set-cookie']))
    t.equal(ids.size, 3, 'nobody shares a session')
    t.same([page.renders, page.live], [1, 2])
    t.equal(warnings().length, 1)
    t.match(warnings()[0], /route GET \/page can't be stored: the answer sets the cookie 'sessionId'; .*saveUninitialized: false/)
  })

  t.test(`@fastify/session without saveUninitialized, registered ${order}: the page is stored, sessions live on`, async (t) => {
    const handler = counted((nth, _q, reply) => reply.type('text/html').send(`#${nth}`))
    const { get, app, warnings } = await site(t, order, async (app) => {
      await app.register(cookie)
      await app.register(session, { secret: 'a secret of thirty-two characters', saveUninitialized: false, cookie: { secure: false } })
      app.get('/login', async (request) => { request.session.set('user' as never, 'ann' as never); return 'in' })
      app.get('/me', async request => request.session.get('user' as never) ?? 'nobody')
    }, handler)
    const login = await get('/login')
    const sid = String(login.headers['set-cookie']).split(';')[0] ?? ''
    t.match(sid, /^sessionId=/)
    for (let i = 0; i < 2; i++) {
      t.equal((await get('/page', { cookie: sid })).body, '#1')
      const anonymous = await get('/page')
      t.equal(anonymous.body, '#1')
      t.equal(anonymous.headers['set-cookie'], undefined)
    }
    t.equal((await get('/me', { cookie: sid })).body, 'ann')
    t.equal(handler.renders, 1)
    t.equal(app.isr.stats().memory.entries, 1)
    t.same(warnings(), [])
  })

  t.test(`a session renewed on each answer, registered ${order}: a hit that carries a cookie is private`, async (t) => {
    const { get } = await site(t, order, async (app) => {
      await app.register(cookie)
      await app.register(session, { secret: 'a secret of thirty-two characters', saveUninitialized: false, rolling: true, cookie: { secure: false, maxAge: 60_000 } })
      app.get('/login', async (request) => { request.session.set('user' as never, 'ann' as never); return 'in' })
    })
    const sid = String((await get('/login')).headers['set-cookie']).split(';')[0] ?? ''
    await get('/page')
    const hit = await get('/page', { cookie: sid })
    t.equal(cacheStatus(hit), 'hit; ttl=60')
    t.match(hit.headers['set-cookie'], /^sessionId=/)
    t.equal(hit.headers['cache-control'], 'private, no-cache')
    t.equal((await get('/page')).headers['cache-control'], 'public, max-age=0, must-revalidate')
  })

  t.test(`@fastify/cookie, registered ${order}: a cookie set by a hook on each visit is not stored and does not forbid storing hits`, async (t) => {
    const { get, page, warnings } = await site(t, order, async (app) => {
      await app.register(cookie)
      app.addHook('onRequest', async (request, reply) => { if (request.isrRender === null) reply.setCookie('seen', 'yes', { sameSite: false }) })
    })
    for (let i = 0; i < 2; i++) {
      const answer = await get('/page')
      t.equal(String(answer.headers['set-cookie']), 'seen=yes')
      t.equal(answer.headers['cache-control'], 'private, no-cache')
    }
    t.equal(page.renders, 1)
    t.same(warnings(), [])
  })

  t.test(`@fastify/rate-limit, registered ${order}: its headers are per visitor and a 429 is never stored`, async (t) => {
    const { app, page } = await site(t, order, async app => await app.register(rateLimit, { max: 2, allowList: request => request.isrRender !== null }))
    const from = async (remoteAddress: string) => await app.inject({ url: '/page', remoteAddress })
    const first = await from('10.0.0.1')
    t.equal(first.statusCode, 200)
    await from('10.0.0.1')
    const third = await from('10.0.0.1')
    // Registered after, the limit stands behind the cache and guards only what is rendered live.
    t.equal(third.statusCode, order === 'before' ? 429 : 200)
    const other = await from('10.0.0.2')
    t.equal(other.statusCode, 200)
    t.equal(other.headers['x-ratelimit-remaining'], order === 'before' ? '1' : undefined)
    t.equal(page.renders, 1)
  })

  t.test(`all of them together, registered ${order}`, async (t) => {
    const started = await site(t, order, async (app) => {
      await app.register(cookie)
      await app.register(session, { secret: 'a secret of thirty-two characters', saveUninitialized: false })
      await app.register(cors, { origin: ['https://a.example'] })
      await app.register(helmet)
      await app.register(etag)
      await app.register(compress, { threshold: 0 })
      await app.register(rateLimit, { max: 1000 })
    })
    await checkEncodings(t, started)
    t.equal(started.page.renders, 1)
    t.same(started.warnings(), [])
    const answer = await rawGet(started.port, '/page', ['origin: https://a.example', 'accept-encoding: br'])
    t.equal(answer.headers['access-control-allow-origin'], 'https://a.example')
    t.ok(answer.headers['content-security-policy'])
    t.equal(cacheStatus(answer), 'hit; ttl=60')
  })
}

t.test('what hooks of visitors answer before the page stays theirs', async (t) => {
  const page = counted()
  const { get } = await start(t, (app) => {
    app.addHook('onRequest', async (request, reply) => {
      if (request.headers['x-banned'] !== undefined) return reply.code(403).send('banned')
    })
    app.get('/page', { config: { prerender: true } }, page)
  })
  await get('/page')
  t.equal((await get('/page', { 'x-banned': '1' })).statusCode, 403)
  t.equal((await get('/page')).body, '#1')
})

t.test('a hook that refuses anonymous visitors refuses the render too: the page is not stored', async (t) => {
  const page = counted()
  const { get, warnings } = await start(t, (app) => {
    app.addHook('onRequest', async (request, reply) => {
      if (request.headers.cookie !== 'user=ann') return reply.code(401).send('who are you?')
    })
    app.get('/page', { config: { prerender: true } }, page)
  })
  for (let i = 0; i < 2; i++) {
    t.equal((await get('/page')).statusCode, 401)
    t.equal((await get('/page', { cookie: 'user=ann' })).statusCode, 200)
  }
  t.equal(page.renders, 0)
  t.equal(page.live, 2)
  t.equal(warnings().length, 1)
  t.match(warnings()[0], /a hook answered with 401 before the route was reached/)
})

t.test('an onSend hook that spoils a stored answer is put right by the next', async (t) => {
  const page = counted((_n, _q, reply) => reply.type('text/html').send(HTML))
  const { listen, clock, app } = await start(t, (app) => {
    app.addHook('onSend', async (request, reply, payload) => {
      if (request.isrRender !== null) return payload
      reply.headers({ 'content-type': 'text/plain', etag: '"mine"', age: '99', 'cache-control': 'private', 'x-live': String(clock.now) })
      return 'spoiled'
    })
    app.get('/page', { config: { prerender: true } }, page)
  })
  const port = await listen()
  for (let i = 0; i < 3; i++) {
    clock.forward(1)
    const answer = await rawGet(port, '/page', ['accept-encoding: gzip'])
    t.equal(decoded(answer), HTML)
    t.equal(answer.headers['content-type'], 'text/html')
    t.equal(answer.headers['cache-control'], 'public, max-age=0, must-revalidate')
    t.equal(answer.headers.age, String(i))
    t.equal(answer.headers['x-live'], String(clock.now), 'what a live hook adds stays')
  }
  await until(() => app.isr.stats().requests.hit === 2)
})

t.test('what a hook sets before the page belongs to that one request and is not stored', async (t) => {
  const { get } = await start(t, (app) => {
    app.addHook('onRequest', async (request, reply) => {
      if (request.isrRender !== null || request.headers['x-debug'] !== undefined) reply.headers({ 'x-hook': 'set', vary: 'x-debug' })
    })
    app.get('/page', { config: { prerender: true } }, async (_request, reply) => reply.headers({ 'x-page': 'stored', vary: 'accept-encoding' }).send('x'))
  })
  for (const status of ['fwd=uri-miss; stored', 'hit']) {
    const answer = await get('/page')
    t.equal(cacheStatus(answer), status)
    t.equal(answer.headers['x-hook'], undefined)
    t.equal(answer.headers['x-page'], 'stored')
    t.equal(answer.headers.vary, 'accept-encoding')
  }
  const debugged = await get('/page', { 'x-debug': '1' })
  t.equal(debugged.headers['x-hook'], 'set')
  t.equal(debugged.headers.vary, 'x-debug, accept-encoding')
})

t.test('what the page sets yields to what a hook says about this request', async (t) => {
  const { get } = await start(t, (app) => {
    app.addHook('onRequest', async (request, reply) => { if (request.isrRender === null) reply.header('x-frame-options', 'DENY') })
    app.get('/page', { config: { prerender: true } }, async (_request, reply) => reply.header('x-frame-options', 'SAMEORIGIN').send('x'))
  })
  for (let i = 0; i < 2; i++) t.equal((await get('/page')).headers['x-frame-options'], 'DENY')
})
