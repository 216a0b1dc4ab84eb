import http from 'node:http'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import isr from '../lib/index.js'
import { remainingLifetime } from './freshness.js'

/** Statuses that a policy may opt into; how long each is fresh is said per answer. */
const STATUSES = [301, 308, 404, 410]
const UNSAFE = ['POST', 'PUT', 'DELETE', 'M-SEARCH']
/** They say where a message ends, which Node decides anew on each connection. */
const OF_THE_CONNECTION = new Set(['host', 'connection', 'content-length', 'transfer-encoding'])

interface Answer {
  status: number
  headers: Record<string, string | string[]>
  body: Buffer
}

/** An app whose one page route asks the suite's origin for its pages. */
export async function createAdapter (origin: string): Promise<FastifyInstance> {
  const app = Fastify()
  // No window after ttl: HTTP allows a stale answer only where somebody asked for it.
  await app.register(isr, { disk: false, defaults: { staleWhileRevalidate: 0, staleIfError: 0 }, render: { concurrency: 100 } })
  app.addHttpMethod('M-SEARCH', { hasBody: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })

  // Renders are anonymous, so the origin could not number what it is asked: the last number that
  // the client gave is handed round the cache. It is the suite's bookkeeping and decides nothing.
  const numbers = new Map<string, string>()
  app.addHook('onRequest', async (request) => {
    const number = request.headers['req-num']
    if (typeof number === 'string') numbers.set(testOf(request), number)
  })

  // A visitor whose answer varies by what the render could not see makes the handler run twice. The
  // suite takes the second run for a retry and gives up, so it gets what the first one was told.
  const rendered = new Map<string, { number: string | undefined, answer: Promise<Answer> }>()
  function ask (request: FastifyRequest): Promise<Answer> {
    const number = numbers.get(testOf(request))
    const last = rendered.get(testOf(request))
    if (request.isrRender === null && request.method === 'GET' && number !== undefined && last?.number === number) return last.answer
    const answer = forward(origin, request, number === undefined ? {} : { 'req-num': number })
    if (request.isrRender !== null) rendered.set(testOf(request), { number, answer })
    return answer
  }

  async function proxy (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const answer = await ask(request)
    const { status, headers } = answer
    // The policy has one number per status; here the answer decides.
    if (STATUSES.includes(status)) reply.isr.ttl(remainingLifetime(headers, Date.now()))
    return await copy(reply, answer)
  }

  app.get('/test/*', {
    config: {
      prerender: {
        onDemand: true,
        query: ['test'],
        ttl: page => remainingLifetime(page.headers, Date.now()),
        statuses: Object.fromEntries(STATUSES.map(status => [status, 0]))
      }
    }
  }, proxy)
  app.route({
    method: UNSAFE,
    url: '/test/*',
    async onSend (request, reply, payload) {
      // RFC 9111 section 4.4. `config.revalidate` would let the next visitor have the old page once more.
      if (reply.statusCode < 400) await app.isr.revalidate(targetsOf(request, reply), { expire: 0 })
      return payload
    },
    handler: proxy
  })
  for (const url of ['/config/*', '/state/*']) {
    app.all(url, async (request, reply) => await copy(reply, await forward(origin, request)))
  }
  return app
}

async function copy (reply: FastifyReply, { status, headers, body }: Answer): Promise<FastifyReply> {
  return await reply.code(status).headers(headers).send(body)
}

/** The URL itself and those of this origin that the answer names. */
function targetsOf (request: FastifyRequest, reply: FastifyReply): { path: string }[] {
  const self = new URL(request.url, `http://${request.host}`)
  const named = [reply.getHeader('location'), reply.getHeader('content-location')]
    .filter(url => typeof url === 'string')
    .map(url => new URL(url, self))
  return [self, ...named].filter(({ origin }) => origin === self.origin).map(({ pathname }) => ({ path: pathname }))
}

/** Every test has paths of its own. */
function testOf (request: FastifyRequest): string {
  return request.url.split(/[/?]/)[2] ?? ''
}

/** The origin's answer, with every header as it came. */
function forward (origin: string, request: FastifyRequest, more: http.OutgoingHttpHeaders = {}): Promise<Answer> {
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !OF_THE_CONNECTION.has(name)))
  return new Promise((resolve, reject) => {
    // Some answers are malformed on purpose: no connection is used twice.
    const outgoing = http.request(origin + request.url, { method: request.method, headers: { ...headers, ...more }, agent: false }, (response) => {
      // What comes after the end of an answer is not part of it.
      outgoing.removeListener('error', reject).on('error', (error) => { if (!response.complete) reject(error) })
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => { chunks.push(chunk) })
      response.on('error', reject)
      response.on('end', () => { resolve({ status: response.statusCode ?? 502, headers: headersOf(response), body: Buffer.concat(chunks) }) })
    })
    outgoing.on('error', reject)
    outgoing.end(request.body as Buffer | undefined)
  })
}

function headersOf ({ rawHeaders }: http.IncomingMessage): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    const value = rawHeaders[i + 1] ?? ''
    if (name === 'content-length' || name === 'transfer-encoding') continue
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return headers
}
