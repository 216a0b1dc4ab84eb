// The server of limits.test.ts, in a process of its own so that its memory can be measured.
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import isr from '../../lib/index.js'

const MIB = 1024 * 1024
const [scenario = '', budget = '16'] = process.argv.slice(2)

declare const gc: () => void

/** Bytes that are in use, garbage not counted. */
async function inUse (): Promise<number> {
  // What buffers held is given back behind the collector's back.
  for (let i = 0; i < 10; i++) {
    gc()
    await sleep(5)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const LANGUAGE = { values: ['en', 'de'], select: (header: string | undefined) => header?.startsWith('de') === true ? 'de' : 'en' }
const BODY = 'x'.repeat(900)

function declareRoutes (app: FastifyInstance): void {
  const onDemand = true
  app.get('/page/:id', { config: { prerender: { onDemand } } }, async (_request, reply) => reply.type('text/html').send(BODY))
  app.get('/docs/*', { config: { prerender: { onDemand, tags: params => [`doc-${(params['*'] ?? '').slice(0, 20)}`] } } }, async (_request, reply) => reply.type('text/html').send(BODY))
  app.get('/query', { config: { prerender: { onDemand, query: ['q'] } } }, async (_request, reply) => reply.type('text/html').send(BODY))
  app.get('/missing/*', { config: { prerender: { onDemand } } }, async (_request, reply) => reply.callNotFound())
  app.get('/broken/*', { config: { prerender: { onDemand } } }, async () => { throw new Error('broken') })
  app.get('/big-broken/*', { config: { prerender: { onDemand } } }, async (_request, reply) => reply.code(500).send('x'.repeat(MIB)))
  app.get('/varied', { config: { prerender: { hosts: ['a.example', 'b.example'], vary: { 'accept-language': LANGUAGE } } } }, async (_request, reply) => reply.type('text/html').send(BODY.repeat(4)))
}

let counter = 0
/** Never twice the same. */
function word (length = 8): string {
  return `${(counter++).toString(36)}-${Math.random().toString(36).slice(2).repeat(Math.ceil(length / 8))}`.slice(0, length + 8)
}

/** 80 of them are a path of 2,000 characters and more. */
function longPath (): string {
  return Array.from({ length: 9 }, () => word(200)).join('/')
}

type Visit = () => { url: string, headers?: Record<string, string> }

const FLOODS: [count: number, visit: Visit][] = [
  [10_500, () => ({ url: `/page/${word()}` })],
  [3000, () => ({ url: `/docs/${longPath()}` })],
  [4000, () => ({ url: `/query?q=${word(200)}&_=${word()}` })],
  [4000, () => ({ url: `/missing/${longPath()}` })],
  [2000, () => ({ url: `/broken/${longPath()}` })],
  [150, () => ({ url: `/big-broken/${word()}` })],
  [58_000, () => ({ url: `/page/same?utm_source=${word(100)}` })],
  [5000, () => ({ url: '/varied', headers: { host: `${word()}.example` } })],
  [10_000, () => ({ url: '/varied', headers: { host: 'a.example', 'accept-language': word(500) } })],
  [2000, () => ({ url: '/varied', headers: { host: 'b.example', 'accept-encoding': Array.from({ length: 250 }, (_, i) => (counter * 250 + i).toString(36)).join() + word(1) } })],
  [2000, () => ({ url: '/page/same', headers: { cookie: word(500), 'user-agent': word(500), 'x-forwarded-host': word(500), 'accept-encoding': word(2000) } })]
]

async function keys (): Promise<void> {
  const app = Fastify()
  await app.register(isr, { disk: false, memory: { maxBytes: Number(budget) * MIB }, render: { concurrency: 8 } })
  declareRoutes(app)
  await app.ready()
  for (const [, visit] of FLOODS) for (let i = 0; i < 20; i++) await app.inject(visit())
  await app.isr.purge({ all: true })
  const before = await inUse()
  const grown: Record<string, number> = {}
  let requests = 0
  for (const [count, visit] of FLOODS) {
    const then = await inUse()
    const name = visit().url.split(/[/?]/)[1] ?? ''
    for (let start = 0; start < count; start += 50) await Promise.all(Array.from({ length: 50 }, () => app.inject(visit())))
    requests += count
    grown[`${name} ${count}`] = Math.round((await inUse() - then) / MIB * 10) / 10
  }
  const after = await inUse()
  const { memory, renders } = app.isr.stats()
  console.log(JSON.stringify({ requests, grown, total: (after - before) / MIB, memory, renders }))
  await app.close()
}

async function stream (): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const produced = { render: 0, live: 0 }
  const app = Fastify({ forceCloseConnections: true })
  await app.register(isr, { disk: false })
  app.get('/stream', { config: { prerender: true } }, async (request, reply) => {
    const who = request.isrRender === null ? 'live' : 'render'
    let left = 300 * MIB
    return reply.type('text/html').send(new Readable({
      read () {
        produced[who] += chunk.length
        left -= chunk.length
        this.push(left < 0 ? null : chunk)
      }
    }))
  })
  app.get('/small', { config: { prerender: true } }, async () => 'small')
  await app.listen({ port: 0, host: '127.0.0.1' })
  const port = (app.server.address() as { port: number }).port
  for (let i = 0; i < 20; i++) await app.inject('/small')
  await inUse()
  const before = process.memoryUsage()
  let peak = 0
  let peakExternal = 0
  setInterval(() => {
    const { rss, external, heapUsed } = process.memoryUsage()
    peak = Math.max(peak, rss - before.rss)
    peakExternal = Math.max(peakExternal, external + heapUsed - before.external - before.heapUsed)
  }, 5)
  process.on('message', () => { process.send?.({ peak: peak / MIB, peakExternal: peakExternal / MIB, produced }) })
  process.send?.({ port })
}

await (scenario === 'keys' ? keys() : stream())
