// The app of bench/soak.ts: pages by the thousand, made of data, some of which fail. Worker threads
// load it from here.
import type { FastifyInstance } from 'fastify'
import isr, { type CachedContext, type IsrOptions } from 'fastify-isr'

export interface SoakSettings {
  keys: number
  /** Seconds. */
  ttl: number
  /** Bytes. */
  memory: number
  /** Bytes. */
  disk: number
  workers: number
  express: boolean
  dir: string
  redisPort: number | null
}

/** Of the endpoint for orders. */
export const SECRET = 'a-secret-for-the-orders-of-a-soak'
export const ORDERS = '/internal/revalidate'
export const TOPICS = 100
export const LISTED = 100

/** Worker threads share the environment. */
export const SETTINGS = 'BENCH_SOAK'

const WORDS = 'one page of a thousand has words of its own so that no two of them are compressed into the same bytes'.split(' ')

export default async function soakApp (app: FastifyInstance, redis: Pick<IsrOptions, 'redis'> = {}): Promise<void> {
  const { keys, ttl, memory, disk, workers, express, dir } = JSON.parse(process.env[SETTINGS] ?? '{}') as SoakSettings
  await app.register(isr, {
    dir,
    buildId: 'soak',
    memory: { maxBytes: memory },
    disk: { maxBytes: disk },
    render: { workers, app: import.meta.url },
    expressLane: express,
    revalidateEndpoint: { path: ORDERS, secret: SECRET },
    bypass: { cookies: ['session'] },
    ...redis.redis !== undefined && { redis: redis.redis }
  })
  let asked = 0
  const item = app.isr.cached('item', async (id: string, context: CachedContext) => {
    // A source that is down every third time, the first one included, for one in a hundred items.
    if (Number(id) % 101 === 0 && asked++ % 3 === 0) throw new Error('no answer')
    await new Promise(resolve => { setImmediate(resolve) })
    context.tags(`item-${id}`)
    return { id, text: textOf(id) }
  }, { ttl, maxEntries: keys >> 1 })
  const topic = app.isr.cached('topic', async (number: number) => ({ title: `Topic ${number}` }), { ttl: ttl * 2, tags: (_value, number) => [`topic-${number}`] })

  async function render (id: string): Promise<string> {
    const [{ text }, { title }] = await Promise.all([item(id), topic(Number(id) % TOPICS || 0)])
    return `<!doctype html><title>${title}: ${id}</title>${text}`
  }

  app.get<{ Params: { id: string } }>('/items/:id', {
    config: {
      prerender: {
        ttl,
        staleWhileRevalidate: ttl * 4,
        onDemand: true,
        // A little more than there are: what somebody makes up takes the place of others.
        maxPaths: keys + (keys >> 4),
        statuses: { 404: ttl },
        tags: ({ id }) => [`item-${id}`, `topic-${Number(id) % TOPICS || 0}`]
      }
    }
  }, async (request, reply) => {
    const { id } = request.params
    reply.type('text/html; charset=utf-8')
    return id.startsWith('no-') ? reply.code(404).send(`there is no ${id}`) : await render(id)
  })
  app.get<{ Params: { id: string } }>('/listed/:id', {
    config: { prerender: { ttl, inheritTtl: true, paths: Array.from({ length: LISTED }, (_, id) => ({ id })) } }
  }, async (request, reply) => reply.type('text/html; charset=utf-8').send(await render(request.params.id)))
  app.get<{ Params: { id: string } }>('/live/:id', async request => await item(request.params.id))
}

function textOf (id: string): string {
  let seed = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7)
  let text = ''
  for (let count = 0; count < 40; count++) {
    text += '<p>'
    for (let word = 0; word < 20; word++) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      text += `${WORDS[(seed >>> 16) % WORDS.length]} `
    }
    text += '</p>'
  }
  return text
}
