import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { DEV_PREFIX } from '../dev-prefix.js'
import { refusal } from './access.js'
import type { DevPages } from './pages.js'
import type { Streams } from './streams.js'

interface RoutesOptions {
  /** Another one tells browsers that the server has been restarted. */
  boot: string
  client: Buffer
  hosts: readonly string[]
  pages: DevPages
  streams: Streams
}

interface Follower {
  /** The raw URL of the page that it shows. */
  page: string
  /** How the document came to be: fresh from a render, an error page, or it was there before. */
  state: 'new' | 'failed' | 'kept'
  /** Id of the last event that this tab has seen, or empty. */
  since: string
}

/** Characters of a page's URL; of a longer one nobody knows what it is made of. */
const LONGEST_PAGE = 4096

/** The client and its events, for those who may have them. */
export function addRoutes (app: FastifyInstance, { boot, client, hosts, pages, streams }: RoutesOptions): void {
  const names = hosts.map(host => host.toLowerCase())
  const common = { logLevel: 'warn', exposeHeadRoute: false, config: { prerender: false } } as const

  app.addHook('onRequest', async (request, reply) => {
    const reason = refusal(request, names)
    if (reason !== null) return await reply.code(403).send(`live reload: ${reason}`)
  })

  app.get(`${DEV_PREFIX}client.js`, common, async (_request, reply) => {
    return await reply.header('cache-control', 'no-store').type('text/javascript; charset=utf-8').send(client)
  })

  app.get(`${DEV_PREFIX}events`, common, async (request, reply): Promise<FastifyReply> => {
    if (streams.isFull) {
      request.log.warn('live reload: too many browsers follow already; this one does not')
      return await reply.code(503).send('too many browsers follow already')
    }
    const { page, state, since } = readQuery(request)
    // Browsers that connect again by themselves repeat the URL of the first time.
    const last = request.headers['last-event-id']
    if (state === 'new' && last === undefined) pages.rendered(page)

    const id = eventId(boot, pages.now)
    const stream = streams.open(reply, page)
    streams.send(stream, id, { event: 'hello', data: boot })
    const [seenBoot, seen] = String(last ?? since).split('.')
    for (const news of pages.missed(page, seenBoot === boot ? Number(seen) : null)) {
      // An error page says itself what it is about.
      if (state !== 'failed' || news.event !== 'fail') streams.send(stream, id, news)
    }
    return reply
  })
}

/** Number `change` of the server `boot`. */
export function eventId (boot: string, change: number): string {
  return `${boot}.${change}`
}

/** Without the app's own parsers and validators. */
function readQuery ({ raw }: FastifyRequest): Follower {
  const { searchParams } = new URL(raw.url ?? '/', 'http://localhost')
  const state = searchParams.get('state')
  return {
    page: (searchParams.get('page') ?? '/').slice(0, LONGEST_PAGE),
    state: state === 'new' || state === 'failed' ? state : 'kept',
    since: searchParams.get('since') ?? ''
  }
}
