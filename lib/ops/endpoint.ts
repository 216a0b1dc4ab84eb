import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import { LRUMap } from 'mnemonist'
import type { Isr, OrderResult, Target, TargetItem } from '../../types/index.js'
import { isRecord } from '../cache/codec.js'
import { InvalidTarget } from '../errors.js'
import { show } from '../options.js'
import { Credentials } from './credentials.js'

export interface EndpointOptions {
  path: string
  secrets: readonly string[]
  clock: () => number
}

const MAX_BODY = 64 * 1024
const MAX_ITEMS = 256
const MAX_ITEM_LENGTH = 2048
/** Wrong credentials that an address may send in a minute before it hears 429. */
const MOST_FAILURES = 10
const FAILURE_WINDOW = 60_000
const MOST_ADDRESSES = 10_000
const ACTIONS = ['revalidate', 'purge', 'refresh', 'inspect'] as const

type Actions = Partial<Record<typeof ACTIONS[number], TargetItem[]>>

/**
 * Orders over HTTP, for webhooks and the command line: POST, JSON, a secret.
 * Who has none learns nothing, not even which pages exist.
 */
export function addEndpoint (app: FastifyInstance, isr: Isr, options: EndpointOptions): void {
  const credentials = new Credentials(options.secrets)
  const failures = new Failures(options.clock)
  void app.register(async (instance) => {
    instance.removeAllContentTypeParsers()
    // As it came: the signature is over the bytes.
    instance.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_BODY }, (_request, body, done) => { done(null, body) })
    instance.addHook('onRequest', async (_request, reply) => { reply.header('cache-control', 'no-store') })
    instance.setErrorHandler(async (error: FastifyError, request, reply) => {
      const status = error.statusCode ?? 500
      if (status >= 500) request.log.error({ err: error }, 'the revalidate endpoint failed')
      // What came before the credentials were looked at is told to nobody.
      return await reply.code(status).send({ error: WORDS[status] ?? 'Error', ...(status === 422 ? { message: error.message } : {}) })
    })
    instance.route({
      method: 'POST',
      url: options.path,
      config: { prerender: false },
      logLevel: 'warn',
      handler: async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        if (!isAllowed(request, body, credentials, options.clock())) {
          const isTooOften = failures.note(request.ip)
          request.log.warn({ address: request.ip }, 'the revalidate endpoint was asked with wrong credentials')
          return await reply.code(isTooOften ? 429 : 401).send({ error: isTooOften ? WORDS[429] : WORDS[401] })
        }
        const { answer, isDegraded } = await run(isr, readActions(body))
        return await reply.code(isDegraded ? 503 : 200).send(answer)
      }
    })
  })
}

const WORDS: Record<number, string> = { 401: 'Unauthorized', 413: 'Payload Too Large', 415: 'Unsupported Media Type', 422: 'Unprocessable Content', 429: 'Too Many Requests' }

function isAllowed ({ headers }: FastifyRequest, body: Buffer, credentials: Credentials, now: number): boolean {
  if (credentials.hasBearer(headers.authorization)) return true
  return credentials.hasSignature({ timestamp: text(headers['isr-timestamp']), signature: text(headers['isr-signature']), body, now })
}

function text (value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? undefined : value
}

/** @throws FST_ISR_ERR_INVALID_TARGET, answered 422 */
function readActions (body: Buffer): Actions {
  const value = parse(body)
  const entries = Object.entries(value)
  if (entries.length === 0) throw unprocessable(`it has none of the keys ${ACTIONS.join(', ')}`)
  let items = 0
  for (const [action, targets] of entries) {
    if (!(ACTIONS as readonly string[]).includes(action)) throw unprocessable(`the key ${show(action)} is none of ${ACTIONS.join(', ')}`)
    if (!Array.isArray(targets)) throw unprocessable(`'${action}' must be an array of targets`)
    items += targets.length
    if (targets.some(target => JSON.stringify(target).length > MAX_ITEM_LENGTH)) throw unprocessable(`a target of '${action}' is longer than ${MAX_ITEM_LENGTH} characters`)
  }
  if (items > MAX_ITEMS) throw unprocessable(`${items} targets; the most is ${MAX_ITEMS}`)
  return value as Actions
}

function parse (body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    throw unprocessable('the body is no JSON')
  }
  if (!isRecord(value)) throw unprocessable('the body must be an object')
  return value
}

function unprocessable (problem: string): Error {
  return Object.assign(new InvalidTarget(problem), { statusCode: 422 })
}

async function run (isr: Isr, actions: Actions): Promise<{ answer: Record<string, unknown>, isDegraded: boolean }> {
  const answer: Record<string, unknown> = {}
  const orders: OrderResult[] = []
  try {
    // Purges first: what they concern is not worth anything else.
    if (actions.purge !== undefined) orders.push(answer.purge = await isr.purge(actions.purge as Target))
    if (actions.revalidate !== undefined) orders.push(answer.revalidate = await isr.revalidate(actions.revalidate as Target))
    if (actions.refresh !== undefined) {
      const { pages } = await isr.refresh(actions.refresh as Target)
      answer.refresh = { pages: pages.map(({ error: _error, ...page }) => page) }
    }
    if (actions.inspect !== undefined) answer.inspect = await Promise.all(actions.inspect.map(target => inspect(isr, target)))
  } catch (error) {
    if ((error as FastifyError).code === 'FST_ISR_ERR_INVALID_TARGET') throw Object.assign(error as Error, { statusCode: 422 })
    throw error
  }
  return { answer, isDegraded: orders.some(order => order.degraded) }
}

async function inspect (isr: Isr, target: unknown): Promise<unknown> {
  if (!isRecord(target) || typeof target.path !== 'string') throw new InvalidTarget("inspect takes { path: '/about' }")
  return await isr.inspect(target.path)
}

/** Failed attempts per address, in windows of a minute. */
class Failures {
  readonly #clock: () => number
  readonly #counts = new LRUMap<string, { since: number, count: number }>(MOST_ADDRESSES)

  constructor (clock: () => number) {
    this.#clock = clock
  }

  /** Returns whether it is too often. */
  note (address: string): boolean {
    const now = this.#clock()
    const known = this.#counts.get(address)
    const counted = known === undefined || now - known.since > FAILURE_WINDOW ? { since: now, count: 0 } : known
    counted.count++
    this.#counts.set(address, counted)
    return counted.count > MOST_FAILURES
  }
}
