// One of each thing that a page can do. The test of twins renders all of it in the main thread and
// in a worker thread: nothing of an answer tells which one it was.
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import isr, { type IsrOptions, type RoutePolicy } from '../../lib/index.js'

export interface TwinAppOptions {
  isr?: IsrOptions
}

type Answer = (request: FastifyRequest, reply: FastifyReply) => unknown

const HTML = '<!doctype html><title>ü</title><p>text</p>'
const BYTES = Buffer.from(Array.from({ length: 4096 }, (_, at) => at % 256))

function html (reply: FastifyReply): FastifyReply {
  return reply.type('text/html; charset=utf-8')
}

function sorted ({ date, ...headers }: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).sort())
}

/** Answers without params, by their path. */
const PAGES: Record<string, Answer> = {
  '/text': () => 'text',
  '/html': (_request, reply) => html(reply).send(HTML),
  '/object': () => ({ a: [1, null, 'ü'], b: { c: true } }),
  '/bytes': () => BYTES,
  '/slice-of-a-pool': (_request, reply) => reply.type('image/png').send(Buffer.from('a few bytes').subarray(2, 5)),
  '/typed-array': (_request, reply) => reply.type('application/octet-stream').send(new Uint8Array([1, 0, 255])),
  '/large': (_request, reply) => reply.type('text/plain').send('0123456789'.repeat(500_000)),
  '/too-large': (_request, reply) => reply.type('text/plain').send('x'.repeat(7 * 2 ** 20)),
  '/stream': (_request, reply) => html(reply).send(Readable.from(['<p>', Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1), '</p>'])),
  '/web-stream': (_request, reply) => html(reply).send(new Blob([HTML]).stream()),
  '/web-response': () => new Response(HTML, { status: 200, headers: { 'content-type': 'text/html', 'x-own': 'yes' } }),
  '/broken-stream': (_request, reply) => html(reply).send(Readable.from((function * () {
    yield '<p>'
    throw new Error('broke off')
  })())),
  '/empty': (_request, reply) => reply.send(),
  '/null': (_request, reply) => reply.send(null),
  '/empty-text': () => '',
  '/no-content': (_request, reply) => reply.code(204).send(),
  '/gone': (_request, reply) => reply.code(410).send('gone'),
  '/missing': (_request, reply) => reply.code(404).send('not here'),
  '/not-found': (_request, reply) => { reply.callNotFound() },
  '/failing': (_request, reply) => reply.code(503).header('retry-after', 7).send('busy'),
  '/moved': (_request, reply) => reply.redirect('/html', 301),
  '/moved-away': (_request, reply) => reply.redirect('https://elsewhere.example/'),
  '/cookie': (_request, reply) => reply.header('set-cookie', ['a=1', 'b=2']).send('x'),
  '/clear': (_request, reply) => reply.header('clear-site-data', '"cache"').send('x'),
  '/varies': (_request, reply) => reply.header('vary', 'x-who').send('x'),
  '/private': (_request, reply) => reply.header('cache-control', 'private').send('x'),
  '/cache-control': (_request, reply) => reply.header('cache-control', 'public, max-age=5').send('x'),
  '/encoded': (_request, reply) => html(reply).header('content-encoding', 'gzip').send(gzipSync(HTML)),
  '/encoded-strangely': (_request, reply) => reply.header('content-encoding', 'rot13').send('k'),
  '/nonce': (_request, reply) => html(reply).header('content-security-policy', "script-src 'nonce-abc'").send(HTML),
  '/etag': (_request, reply) => reply.header('etag', '"own"').header('last-modified', 'Tue, 01 Jan 2030 00:00:00 GMT').send('x'),
  '/date': (_request, reply) => reply.header('date', 'Tue, 01 Jan 2030 00:00:00 GMT').send('x'),
  '/headers': (_request, reply) => reply.headers({ link: ['</a>; rel=preload', '</b>; rel=preload'], 'x-number': 7, 'x-yes': true as never, 'X-Case': 'Kept', 'x-latin': 'caf\u00e9' }).send('x'),
  '/header-date': (_request, reply) => reply.header('x-when', new Date(0)).send('x'),
  '/header-url': (_request, reply) => reply.header('x-where', new URL('https://example.com/a')).send('x'),
  '/header-object': (_request, reply) => reply.header('x-odd', { toString: () => 'odd' }).send('x'),
  '/header-array-of-numbers': (_request, reply) => reply.header('x-list', [1, 2] as unknown as string[]).send('x'),
  '/tags': (_request, reply) => {
    reply.isr.tags('a', 'b', 'a')
    reply.isr.tags('ü'.repeat(50))
    return 'x'
  },
  '/wrong-tag': (_request, reply) => {
    reply.isr.tags('')
    return 'x'
  },
  '/ttl': (_request, reply) => {
    reply.isr.ttl(7)
    return 'x'
  },
  '/ttl-0': (_request, reply) => {
    reply.isr.ttl(0)
    return 'x'
  },
  '/ttl-for-ever': (_request, reply) => {
    reply.isr.ttl(Infinity)
    return 'x'
  },
  '/wrong-ttl': (_request, reply) => {
    reply.isr.ttl(-1)
    return 'x'
  },
  '/no-store': (_request, reply) => {
    reply.isr.noStore()
    return 'x'
  },
  '/throws': () => { throw new Error('thrown') },
  '/throws-404': () => { throw Object.assign(new Error('no such row'), { statusCode: 404 }) },
  // eslint-disable-next-line no-throw-literal
  '/throws-text': () => { throw 'a text' },
  '/raw': (_request, reply) => {
    reply.hijack()
    reply.raw.end('raw')
  },
  '/request': ({ headers, url, originalUrl, method, ip, ips, host, hostname, port, protocol, query, params, body, isrRender, routeOptions }) =>
    ({ headers, url, originalUrl, method, ip, ips, host, hostname, port, protocol, query, params, body, isrRender, route: routeOptions.url })
}

const own: Record<string, RoutePolicy> = {
  '/gone': { statuses: { 410: 30 } },
  '/varies': { vary: { 'x-who': { values: ['a', 'b'], select: header => header === 'b' ? 'b' : 'a' } } },
  '/request': { query: ['q', 'p'], vary: { 'x-who': { values: ['a', 'b'], select: header => header === 'b' ? 'b' : 'a' } } }
}

export const urls: string[] = [
  ...Object.keys(PAGES),
  '/request?q=1&p=%C3%BC%20b&other=2', '/request?p=a%26b',
  '/param/a', '/param/a%20b', '/param/%C3%BC', '/param/a%2Fb', '/param/%25', '/any/a/b%20c', '/digits/12', '/digits/ab', '/two/a-b',
  '/inside/page', '/inside/throws', '/hosts', '/schema', '/hooked', '/answered-by-hook', '/answered-by-data', '/data/a', '/data/throws', '/orders',
  '/asks?of=%2Fhtml', '/asks?of=%2Fthrows', '/asks?of=%2Flive', '/asks?of=%2Fnowhere', '/asks?of=%2Fmoved', '/asks?of=%2Fhooked', '/asks?of=%2Fparam%2Fa%2520b', '/asks?of=%2Fencoded', '/asks?of=%2Fcookie', '/asks-head', '/refuses'
]

export default async function twinApp (app: FastifyInstance, { isr: options }: TwinAppOptions): Promise<void> {
  await app.register(isr, { disk: false, ...options, render: { app: import.meta.url, ...options?.render } })
  const page = (path: string, answer: Answer, policy: RoutePolicy = {}): void => {
    app.get(path, { config: { prerender: path.includes(':') || path.includes('*') || policy.query !== undefined ? { onDemand: true, ...policy } : { tags: ['of-route'], ...policy } } }, async (request, reply) => await answer(request, reply))
  }
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request', request.url.length).header('x-hook', 'before')
  })
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.url !== '/hooked') return payload
    reply.header('x-sent', 'yes')
    return `${String(payload)}, sent`
  })
  for (const [path, answer] of Object.entries(PAGES)) page(path, answer, own[path])
  for (const path of ['/param/:id', '/any/*', '/digits/:id(^\\d+$)', '/two/:a-:b']) page(path, request => ({ params: request.params, said: request.isrRender }))
  page('/hooked', () => 'page')
  page('/hosts', request => request.host, { hosts: ['localhost', 'b.example'] })
  app.get('/live', async () => ({ live: true }))
  app.get('/schema', { config: { prerender: true }, schema: { response: { 200: { type: 'object', properties: { kept: { type: 'number' } } } } } }, async () => ({ kept: '7', cut: 1 }))
  app.get('/answered-by-hook', { config: { prerender: true }, preHandler: async (_request, reply) => reply.code(203).send('by the hook') }, async () => 'by the handler')

  const row = app.isr.cached('row', async (id: string) => {
    if (id === 'throws') throw Object.assign(new Error('no such row'), { code: 'E_ROW', statusCode: 404 })
    return { id, date: new Date(0), map: new Map([['a', new Set([1n])]]), bytes: Buffer.from('ü') }
  }, { tags: value => [`row-${value.id}`] })
  page('/data/:id', async (request) => {
    const value = await row((request.params as { id: string }).id)
    return { ...value, map: [...value.map].map(([key, set]) => [key, [...set].map(String)]), bytes: value.bytes.toString(), frozen: Object.isFrozen(value) }
  })
  const refusing = app.isr.data({ name: 'refusing', tags: ['refusal'], fetch: async () => 'no', apply: (_request, reply, value) => { reply.code(404).send(value) } })
  app.get('/answered-by-data', { config: { prerender: { statuses: { 404: 10 } } }, preHandler: refusing }, async () => 'not reached')
  page('/orders', async () => {
    const { matched, degraded } = await app.isr.revalidate({ tag: 'nobody' })
    const refused: unknown[] = []
    for (const target of [{ tag: '' }, { nothing: 1 }, { tag: () => {} }, null]) {
      await app.isr.purge(target as never).catch((error: Error & { code: string, statusCode: number }) => { refused.push([error.code, error.statusCode, error.message]) })
    }
    const { key, route, cached } = await app.isr.inspect('/param/b')
    return { matched, degraded, refused, key, route, cached, entries: (await app.isr.entries({ filter: 'nothing-like-it' })).entries }
  })
  page('/asks', async (request) => {
    const { statusCode, headers, body } = await app.inject((request.query as { of: string }).of)
    return { statusCode, headers: sorted(headers), body }
  }, { query: ['of'] })
  page('/asks-head', async () => {
    const { statusCode, headers, body } = await app.inject({ method: 'HEAD', url: '/html' })
    return { statusCode, headers: sorted(headers), body }
  })
  page('/refuses', async (_request, reply) => {
    const { statusCode, headers, body } = await app.inject({ url: '/html', headers: { 'if-none-match': '*' } })
    return reply.send({ statusCode, length: headers['content-length'], body })
  })

  await app.register(async (inner) => {
    inner.setErrorHandler((error, _request, reply) => reply.code(500).send(`handled: ${(error as Error).message}`))
    inner.get('/page', { config: { prerender: true } }, async () => 'inside')
    inner.get('/throws', { config: { prerender: true } }, async () => { throw new Error('thrown inside') })
  }, { prefix: '/inside' })
}
