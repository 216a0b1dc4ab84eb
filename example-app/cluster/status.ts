import Fastify, { type FastifyInstance } from 'fastify'
import { html, table, type Html } from './html.js'
import { sameOrigin } from '../same-origin.js'
import type { Backend } from './front.js'
import type { RedisServer } from './redis.js'

export interface StatusOptions {
  url: string
  backends: () => readonly Backend[]
  /** Null when it is not this example's own. */
  redis: RedisServer | null
}

interface InstanceHealth {
  pid: number
  redis: string
  epoch: number | null
  renders: number
}

const REQUESTS = 9

/** What the front answers itself: who answered what, and the buttons for Redis. */
export async function makeStatus ({ url, backends, redis }: StatusOptions): Promise<FastifyInstance> {
  const app = Fastify()
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 2048 }, (_request, _body, done) => { done(null) })

  app.get<{ Querystring: { done?: string, kept?: string } }>('/', async (request, reply) => {
    const answers: string[][] = []
    for (let number = 1; number <= REQUESTS; number++) {
      const { status, headers } = await fetch(`${url}/page`)
      answers.push([`${number}`, ...['x-instance', 'x-rendered-by', 'x-rendered-at', 'cache-status'].map(name => headers.get(name) ?? `(status ${status})`)])
    }
    const instances = await Promise.all(backends().map(async ({ name, port }) => {
      const health = await fetch(`http://127.0.0.1:${port}/health`).then(async response => await response.json() as InstanceHealth, () => null)
      return health === null ? [name, 'gone', '', '', ''] : [name, `${health.pid}`, health.redis, `${health.epoch}`, `${health.renders}`]
    }))
    return reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(page(html`
${notice(request.query)}
${table(`${REQUESTS} requests for /page, made just now`, ['', 'Answered by', 'Rendered by', 'Rendered at', 'Cache-Status'], answers)}
${table('Instances', ['', 'Process', 'Redis', 'Orders counted', 'Renders'], instances)}
<p>
${button('/purge', 'Purge everywhere')}
${button('/revalidate', 'Make it stale')}
${redis !== null && (redis.pid === null ? button('/redis/start', 'Start Redis') : button('/redis/kill', 'Kill Redis'))}
${button('/', 'Ask again', 'get')}
</p>
<h2>To try</h2>
<ul>
<li>Purge: one instance gets the order, none has the old page, one renders the new one.</li>
<li><code>kill -9</code> one of the processes above: its visitors get the others, and it comes back.</li>
${redis !== null && html`<li>Kill Redis: pages go on, <code>detail=disconnected</code>. Purge then: the order holds where it was given and is no acknowledgement. Start Redis: it reaches all.</li>`}
</ul>`).toString())
  })

  if (redis !== null) {
    app.post('/redis/kill', { onRequest: sameOrigin }, async (_request, reply) => {
      await redis.kill()
      return reply.redirect('/', 303)
    })
    app.post('/redis/start', { onRequest: sameOrigin }, async (_request, reply) => {
      await redis.start()
      return reply.redirect('/', 303)
    })
  }

  await app.ready()
  return app
}

function notice ({ done, kept }: { done?: string, kept?: string }): Html | false {
  if (done !== undefined) return html`<p role="status">Ordered: ${done}. It is in Redis, and reaches every connected instance.</p>`
  return kept !== undefined && html`<p role="status">Not acknowledged: ${kept}. Redis can't be asked; the order holds in one instance, which gives it to Redis later.</p>`
}

function button (action: string, text: string, method: 'get' | 'post' = 'post'): Html {
  return html`<form method="${method}" action="${action}"><button>${text}</button></form>`
}

function page (body: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Many instances · fastify-isr</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1.5rem 0; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600 }
th, td { text-align: left; font-weight: normal; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #8884 }
form { display: inline-block; margin-right: .5rem }
button { font: inherit; padding: .3rem .8rem }
.scroll { overflow-x: auto }
[role=status] { padding: .5rem 1rem; border-left: 4px solid }
</style>
</head>
<body>
<h1>Three instances, one Redis</h1>
<p>A front hands each request to the next instance. They render <a href="/page">/page</a> once for all, for a minute.</p>
${body}
</body>
</html>
`
}
