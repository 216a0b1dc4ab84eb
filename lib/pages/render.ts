import { inject, type DispatchFunc, type Response } from 'light-my-request'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RenderReason, ReplyIsr } from '../../types/index.js'
import { InvalidTtl, RenderFailed } from '../errors.js'
import { isSeconds, show, type Settings } from '../options.js'
import type { PageKey } from './key.js'
import type { PageRoute } from './registry.js'
import { checkTag } from './tags.js'

export type Headers = Record<string, string | string[]>

/** One internal request, from before its dispatch to the end of its answer. */
export interface RenderJob {
  readonly route: PageRoute
  readonly page: PageKey
  readonly reason: RenderReason
  /** Headers that stood before the route's own code ran: they are per-request, the same hooks run on each hit. */
  snapshot: Headers | null
  /** The router chose another route or URL than the one expected. */
  isMisrouted: boolean
  /** The answer went the way of a Fastify reply, not around it. */
  sawOnSend: boolean
  /** A Date header of the handler's own. */
  date: string | null
  readonly tags: Set<string>
  ttl: number | null
  noStore: boolean
  /** Why it answers with an error, if who knows has said so. */
  failure: string | null
}

export interface Rendered {
  readonly job: RenderJob
  readonly status: number
  readonly headers: Headers
  /** Null when it was larger than the policy allows. */
  readonly body: Buffer | null
}

/**
 * The mark of an internal request: an object in this process, out of reach for
 * anything a client can send.
 */
const jobs = new WeakMap<object, RenderJob>()

export function jobOf (request: FastifyRequest): RenderJob | undefined {
  return jobs.get(request.raw)
}

export interface RenderRequest {
  settings: Settings
  route: PageRoute
  page: PageKey
  reason: RenderReason
  signal: AbortSignal
  /** Another render waits for it. */
  isNested: boolean
}

export type RenderPage = (request: RenderRequest) => Promise<Rendered>

/**
 * Answers a page's URL through the whole app: a synthetic, anonymous GET made
 * of nothing but what is in the cache key.
 */
export async function render (app: FastifyInstance, { settings, route, page, reason, signal }: Omit<RenderRequest, 'isNested'>): Promise<Rendered> {
  const job: RenderJob = { route, page, reason, snapshot: null, isMisrouted: false, sawOnSend: false, date: null, tags: new Set(), ttl: null, noStore: false, failure: null }
  const { baseUrl } = settings
  const dispatch = ((request: { url: string, socket: { encrypted?: boolean } }, response: object) => {
    // inject() normalises its URL; the router must see the one the page is stored under.
    request.url = page.url
    if (baseUrl.protocol === 'https:') request.socket.encrypted = true
    jobs.set(request, job)
    app.routing(request as never, response as never)
    // A rewritten URL may lead to a route that has no hook of ours to notice it.
    if (request.url !== page.url) job.isMisrouted = true
  }) as unknown as DispatchFunc
  try {
    const response = await inject(dispatch, {
      method: 'GET',
      url: page.url,
      headers: { accept: 'text/html, */*;q=0.9', 'user-agent': 'fastify-isr', host: baseUrl.host, ...page.headers },
      // An address that no allow-list and no proxy rule trusts.
      remoteAddress: '0.0.0.0',
      payloadAsStream: true,
      signal
    })
    const body = await readBody(response, route.policy.maxBytes)
    return { job, status: response.statusCode, headers: response.headers as Headers, body }
  } catch (cause) {
    throw signal.aborted ? signal.reason : new RenderFailed(page.key, { cause })
  }
}

/** Null when the body is larger than `maxBytes`; the rest is not produced then. */
async function readBody (response: Response, maxBytes: number): Promise<Buffer | null> {
  const stream = response.stream()
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stream) {
    length += (chunk as Buffer).length
    if (length > maxBytes) {
      response.raw.res.destroy()
      return null
    }
    chunks.push(chunk as Buffer)
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
}

/** Tells a build, or an order, why the answer that follows is an error; a visitor sees nothing of it. */
export function explainFailure (request: FastifyRequest, reason: string): void {
  const job = jobOf(request)
  if (job !== undefined) job.failure = reason
}

/** What the serve hook does for an internal request. Returns false when the result is void. */
export function enterRender (job: RenderJob, route: PageRoute, request: FastifyRequest, reply: FastifyReply): boolean {
  job.isMisrouted = job.route !== route || request.raw.url !== job.page.url
  if (job.isMisrouted) return false
  job.snapshot = { ...reply.getHeaders() } as Headers
  return true
}

const NOT_RENDERING: ReplyIsr = Object.freeze({ tags () {}, ttl () {}, noStore () {} })

/** `reply.isr`: writes to the page being rendered; does nothing in a live answer. */
export function replyIsr (request: FastifyRequest): ReplyIsr {
  const job = jobOf(request)
  if (job === undefined) return NOT_RENDERING
  return {
    tags (...tags) { for (const tag of tags) job.tags.add(checkTag(tag, ` (route ${job.route.pattern})`)) },
    ttl (seconds) {
      if (!isSeconds(seconds)) throw new InvalidTtl(show(seconds))
      job.ttl = seconds
    },
    noStore () { job.noStore = true }
  }
}
