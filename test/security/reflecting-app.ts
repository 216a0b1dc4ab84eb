import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { RoutePolicy } from '../../lib/index.js'

/** Kinds of prerender routes; the first segment of their paths. */
export const FAMILIES = ['page', 'docs', 'query', 'vary', 'host', 'stale', 'status'] as const
export type Family = typeof FAMILIES[number]

export const HOST = 'good.example'

const POLICIES: Record<Family, RoutePolicy> = {
  page: {},
  docs: {},
  query: { query: ['q', 'page'] },
  vary: { vary: { 'accept-language': { values: ['en', 'de'], select: header => header?.startsWith('de') === true ? 'de' : 'en' } } },
  host: { hosts: [HOST, 'b.example'] },
  stale: { ttl: 0 },
  status: {}
}

const PATTERNS: Record<Family, string> = {
  page: '/page/:id', docs: '/docs/*', query: '/query/:id', vary: '/vary/:id', host: '/host/:id', stale: '/stale/:id', status: '/status/:code/:id'
}

const OTHER_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY', 'TRACE']

/** An app whose every answer shows all that it knows of its request, and that does what the request says. */
export async function reflectingApp (addCache: (app: FastifyInstance) => unknown): Promise<{ app: FastifyInstance, port: number }> {
  const app = Fastify({
    trustProxy: true,
    requestIdHeader: 'x-request-id',
    // A counter would make answers differ for no reason.
    genReqId: () => 'id',
    forceCloseConnections: true
  })
  app.addHttpMethod('PROPFIND', { hasBody: true })
  await app.register(cookie)
  await addCache(app)
  for (const family of FAMILIES) {
    const policy: RoutePolicy = { onDemand: true, statuses: { 301: 60, 308: 60, 404: 60, 410: 60 }, ...POLICIES[family] }
    app.get(PATTERNS[family], { config: { prerender: policy } }, reflect)
    app.route({ method: OTHER_METHODS, url: PATTERNS[family], handler: reflect })
  }
  app.get('/account', reflect)
  app.setNotFoundHandler(reflect)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, port: (app.server.address() as { port: number }).port }
}

async function reflect (request: FastifyRequest, reply: FastifyReply): Promise<string> {
  const { headers, query, params, cookies, host, hostname, protocol, ip, ips, method, url, originalUrl, id } = request
  const { rawHeaders } = request.raw
  const body = request.body ?? await rawBody(request)
  const seen = JSON.stringify({ headers, rawHeaders, query, params, cookies, host, hostname, protocol, ip, ips, method, url, originalUrl, id, body })
  const wanted = wantedStatus(request)
  const link = encodeURI(wellFormed(`${protocol}://${host}${originalUrl}`))
  reply
    .type('text/html')
    .header('x-seen', encodeURIComponent(wellFormed(seen)).slice(0, 1500))
    .header('link', `<${link}>; rel=canonical`)
    .header('content-location', link)
    .header('content-language', encodeURIComponent(String(headers['accept-language'] ?? 'none')))
  if (headers['x-login'] !== undefined) reply.header('set-cookie', `sid=${encodeURIComponent(String(headers['x-login']))}`)
  if (wanted === 'throw') throw new Error(`broken by ${seen}`)
  if (wanted >= 300 && wanted < 400) reply.header('location', link)
  if (wanted === 206) reply.header('content-range', 'bytes 0-3/100')
  return await reply.code(wanted).send(wanted === 204 || wanted === 304 ? undefined : `<pre>${seen}</pre>`)
}

/** encodeURI throws at halves of characters. */
function wellFormed (text: string): string {
  return Buffer.from(text).toString()
}

/** What the request asks to go wrong. Of the page itself only the route `/status` says so. */
function wantedStatus (request: FastifyRequest): number | 'throw' {
  const { params, query, cookies, headers } = request as FastifyRequest<{ Params: { code?: string }, Querystring: { status?: string } }>
  const wanted = headers['x-status'] ?? query.status ?? cookies.status ?? params.code
  if (wanted === 'throw') return 'throw'
  const status = Number(wanted)
  return Number.isInteger(status) && status >= 200 && status < 600 ? status : 200
}

/** Fastify leaves the body of a GET alone; a handler need not. */
async function rawBody (request: FastifyRequest): Promise<string | null> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return null
  let body = ''
  try {
    for await (const chunk of request.raw) body += String(chunk)
  } catch {
    // The attacker has left.
  }
  return body
}
