// Leaks between visitors (F8, F9, F10, F16, T22 to T27): two users, the plugins that know them, and
// 10,000 requests in no order. Nothing of one may ever reach the other.
import zlib from 'node:zlib'
import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import csrf from '@fastify/csrf-protection'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import session from '@fastify/session'
import fc from 'fast-check'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { InjectOptions, Response } from 'light-my-request'
import t from 'tap'
import isr from '../../lib/index.js'
import { TestClock } from '../helpers/app.js'
import naive from './naive.js'

declare module 'fastify' {
  interface Session {
    user?: string
  }
}

const REQUESTS = 10_000
const SEED = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
const AT_ONCE = 20
const FILLER = '<p>the same for everybody</p>'.repeat(60)

async function registerPlugins (app: FastifyInstance): Promise<void> {
  await app.register(cookie)
  await app.register(session, { secret: 'a secret of more than thirty-two characters', cookie: { secure: false }, saveUninitialized: false })
  await app.register(csrf, { sessionPlugin: '@fastify/session' })
  await app.register(helmet)
  await app.register(cors, { origin: true, credentials: true, exposedHeaders: ['x-user'] })
  await app.register(rateLimit, { max: 1_000_000, keyGenerator: request => String(request.headers['x-client']) })
  await app.register(compress, { threshold: 0 })
  await app.register(etag)
}

function who (request: FastifyRequest): string {
  return request.session.user ?? 'stranger'
}

function everything (request: FastifyRequest): string {
  const { headers, cookies, query, host, ip, url } = request
  return JSON.stringify({ headers, cookies, query, host, ip, url, user: who(request) })
}

/** Every route greets its visitor, if it knows him. */
function declare (app: FastifyInstance): void {
  const prerender = { ttl: 2, staleWhileRevalidate: 5, onDemand: true }
  const config = { prerender }
  let nth = 0
  app.get('/public/:id', { config }, async (request, reply) => reply.type('text/html').send(`<h1>#${nth++} ${everything(request)}</h1>${FILLER}`))
  app.get('/form', { config }, async (request, reply) => reply.type('text/html').send(`<input value="csrf=${reply.generateCsrf()}">${who(request)}${FILLER}`))
  app.get('/nonce', { config, helmet: { enableCSPNonces: true } }, async (request, reply) => reply.type('text/html').send(`<script nonce="${reply.cspNonce.script}">${who(request)}</script>${FILLER}`))
  app.get('/cookie', { config }, async (request, reply) => reply.type('text/html').setCookie('seen', who(request)).send(everything(request)))
  app.get('/varied', { config }, async (request, reply) => reply.type('text/html').header('vary', 'cookie').send(everything(request)))
  app.get('/private', { config }, async (request, reply) => reply.type('text/html').header('cache-control', 'private').send(everything(request)))
  app.get('/profile', { config: { prerender: { ...prerender, bypass: { cookies: ['sessionId'] } } } }, async request => everything(request))
  app.get('/query', { config: { prerender: { ...prerender, query: ['page'] } } }, async request => everything(request))
  app.get('/broken', { config }, async request => { throw new Error(`broken for ${everything(request)}`) })
  app.get('/absent', { config }, async (request, reply) => reply.callNotFound())
  app.get('/moved', { config: { prerender: { ...prerender, statuses: { 301: 3 } } } }, async (request, reply) => reply.redirect(`/public/${encodeURIComponent(who(request))}?${encodeURIComponent(String(request.headers['user-agent']))}`, 301))
  app.get('/me', async (request, reply) => reply.header('x-user', who(request)).send(everything(request)))
  app.post('/login', async (request) => {
    request.session.user = (request.body as { user: string }).user
    return 'hello'
  })
  app.post('/note', { config: { revalidate: [{ path: '/public/1' }, { route: '/query' }] } }, async request => `noted for ${who(request)}`)
  app.setNotFoundHandler(async (request, reply) => reply.code(404).send(`nothing here for ${everything(request)}`))
}

class User {
  readonly secret: string
  readonly name: string
  #cookie = ''
  readonly #etags = new Map<string, string>()

  constructor (name: string) {
    this.name = name
    this.secret = `${name}-${Math.random().toString(36).slice(2)}-secret`
  }

  request (options: InjectOptions, { target, dice }: Step): InjectOptions {
    const { secret } = this
    const headers: Record<string, string> = { 'x-client': secret, 'user-agent': `browser of ${secret}` }
    if (dice % 4 !== 0) headers.cookie = `theme=${secret}; ${this.#cookie}`
    if (dice % 3 === 0) headers.origin = `https://${secret}.example`
    if (dice % 5 === 0) headers['accept-encoding'] = 'br, gzip'
    if (dice % 7 === 0) headers.authorization = `Bearer ${secret}`
    if (dice % 11 === 0) headers['if-none-match'] = this.#etags.get(target) ?? '*'
    if (dice % 13 === 0) headers['x-forwarded-host'] = `${secret}.example`
    if (dice % 17 === 0) headers.host = `${secret}.example`
    return { ...options, headers: { ...headers, ...options.headers } }
  }

  /** Keeps the session; returns what was made for this user alone. */
  read (target: string, response: Response, text: string): string[] {
    const cookies = [response.headers['set-cookie'] ?? []].flat()
    const id = cookies.find(line => line.startsWith('sessionId='))?.split(';')[0]
    // A session begun without the cookie of an older one would only forget who the user is.
    if (id !== undefined && target === '/login') this.#cookie = id
    if (response.headers.etag !== undefined) this.#etags.set(target, String(response.headers.etag))
    return [...cookies.map(line => line.split(';')[0] ?? ''), ...text.match(/csrf=[\w.-]+/g) ?? [], ...text.match(/nonce="[^"]+"/g) ?? [], ...String(response.headers['content-security-policy']).match(/nonce-[\w+/=]+/g) ?? []]
  }
}

const TARGETS = ['/public/1', '/public/1', '/public/2', '/public/3', '/form', '/nonce', '/cookie', '/varied', '/private', '/profile', '/query', '/query?page=1', '/broken', '/absent', '/moved', '/me', '/nowhere']

interface Step {
  user: 0 | 1
  target: string
  dice: number
  kind: number
}

const steps = fc.record<Step>({
  user: fc.constantFrom(0 as const, 1 as const),
  target: fc.constantFrom(...TARGETS),
  dice: fc.nat(1_000_000),
  kind: fc.nat(99)
})

function optionsOf ({ target, kind }: Step, secret: string): InjectOptions {
  if (kind === 0) return { method: 'POST', url: '/note' }
  if (kind < 6) return { method: 'HEAD', url: target }
  return { method: 'GET', url: kind < 20 ? `${target}${target.includes('?') ? '&' : '?'}ref=${secret}` : target }
}

function textOf ({ rawPayload, headers }: Response): string {
  if (rawPayload.length === 0) return ''
  if (headers['content-encoding'] === 'br') return zlib.brotliDecompressSync(rawPayload).toString()
  if (headers['content-encoding'] === 'gzip') return zlib.gunzipSync(rawPayload).toString()
  return rawPayload.toString()
}

interface Result {
  leaks: string[]
  /** How often each status was answered. */
  statuses: Map<number, number>
  /** Things made for one user. */
  tokens: number
}

async function mix (app: FastifyInstance, clock: TestClock, count: number): Promise<Result> {
  const users = [new User('alice'), new User('bob')] as const
  const result: Result = { leaks: [], statuses: new Map(), tokens: 0 }
  const owners = new Map<string, User>()
  const look = (user: User, target: string, response: Response): void => {
    const other = user === users[0] ? users[1] : users[0]
    const text = textOf(response)
    const whole = JSON.stringify(response.headers) + text
    if (whole.includes(other.secret)) result.leaks.push(`${target}: ${user.name} sees ${other.name}'s secret`)
    for (const token of user.read(target, response, text)) {
      const owner = owners.get(token) ?? user
      owners.set(token, owner)
      if (owner !== user && token !== 'seen=stranger') result.leaks.push(`${target}: ${user.name} gets ${owner.name}'s ${token.slice(0, 12)}`)
    }
    result.statuses.set(response.statusCode, (result.statuses.get(response.statusCode) ?? 0) + 1)
  }
  for (const user of users) {
    look(user, '/login', await app.inject({ method: 'POST', url: '/login', payload: { user: user.secret } }))
  }
  const list = fc.sample(steps, { numRuns: count, seed: SEED })
  for (let start = 0; start < list.length; start += AT_ONCE) {
    await Promise.all(list.slice(start, start + AT_ONCE).map(async (step) => {
      const user = users[step.user]
      look(user, step.target, await app.inject(user.request(optionsOf(step, user.secret), step)))
    }))
    clock.forward((list[start]?.dice ?? 0) % 3 === 0 ? 3 : 0.1)
  }
  result.tokens = owners.size
  return result
}

t.comment(`FC_SEED=${SEED}`)

for (const order of ['before', 'after'] as const) {
  t.test(`nothing of one user reaches the other; the other plugins are registered ${order}`, async (t) => {
    const clock = new TestClock()
    const app = Fastify({ trustProxy: true })
    t.teardown(() => app.close())
    if (order === 'before') await registerPlugins(app)
    await app.register(isr, { disk: false, clock: clock.read, baseUrl: 'https://site.example' })
    if (order === 'after') await registerPlugins(app)
    declare(app)
    await app.ready()
    const { leaks, statuses, tokens } = await mix(app, clock, REQUESTS)
    t.same(leaks, [])
    const { requests, renders } = app.isr.stats()
    t.comment(JSON.stringify({ ...Object.fromEntries(statuses), tokens, ...requests, ...renders }))
    // The mixture has something of everything, or the test says nothing.
    for (const [name, count] of Object.entries({ hit: requests.hit, stale: requests.stale, unstorable: requests.unstorable, bypass: requests.bypass, failed: requests.failed, stored: renders.stored })) t.ok(count > 50, `${name}: ${count}`)
    for (const status of [200, 301, 304, 404, 500]) t.ok((statuses.get(status) ?? 0) > 20, `${status}: ${statuses.get(status)}`)
    t.ok(tokens > 500, `${tokens} tokens`)
  })
}

t.test('the same requests on a cache that renders what visitors send', async (t) => {
  const clock = new TestClock()
  const app = Fastify({ trustProxy: true })
  t.teardown(() => app.close())
  await registerPlugins(app)
  await app.register(naive)
  declare(app)
  const { leaks } = await mix(app, clock, 500)
  t.ok(leaks.length >= 50, `${leaks.length} leaks: the test bites`)
})
