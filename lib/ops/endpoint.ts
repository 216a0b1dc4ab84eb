import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import { LRUMap } from 'mnemonist'
import type { Isr, OrderResult, TargetItem } from '../../types/index.js'
import { isRecord } from '../cache/codec.js'
import { InvalidTarget } from '../errors.js'
import { show } from '../options.js'
import { readTargets } from '../pages/targets.js'
import { Credentials } from './credentials.js'

export interface EndpointOptions {
  path: string
  secrets: readonly string[]
  clock: () => number
}

export const MAX_BODY = 64 * 1024
export const MAX_ITEMS = 256
const MAX_ITEM_LENGTH = 2048
/** Wrong credentials that an address may send in a minute before it hears 429. */
const MOST_FAILURES = 10
const FAILURE_WINDOW = 60_000
const MOST_ADDRESSES = 10_000
const ACTIONS = ['revalidate', 'purge', 'refresh', 'inspect'] as const

export type Action = typeof ACTIONS[number]
type Actions = Partial<Record<Exclude<Action, 'inspect'>, TargetItem[]> & { inspect: { path: string }[] }>

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
      const status = error.code === 'FST_ISR_ERR_INVALID_TARGET' ? 422 : error.statusCode ?? 500
      if (status >= 500) request.log.error({ err: error }, 'the revalidate endpoint failed')
      // A hook of the app may have refused before the one above ran.
      reply.header('cache-control', 'no-store')
      // Only what is wrong with an order is told: nobody gets there without a secret.
      return await reply.code(status).send({ ...wordFor(status), ...(error.code === 'FST_ISR_ERR_INVALID_TARGET' ? { message: error.message } : {}) })
    })
    instance.route({
      method: 'POST',
      url: options.path,
      config: { prerender: false },
      logLevel: 'warn',
      handler: async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        if (!isAllowed(request, body, credentials, options.clock())) {
          const count = failures.note(request.ip)
          // Whoever guesses does not fill the log.
          if (count <= MOST_FAILURES) request.log.warn({ address: request.ip }, 'the revalidate endpoint was asked with wrong credentials')
          const status = count > MOST_FAILURES ? 429 : 401
          return await reply.code(status).send(wordFor(status))
        }
        const { answer, isDegraded } = await run(isr, readActions(body))
        return await reply.code(isDegraded ? 503 : 200).send(answer)
      }
    })
  })
}

function wordFor (status: number): { error: string } {
  return { error: STATUS_CODES[status] ?? 'Error' }
}

function isAllowed ({ headers }: FastifyRequest, body: Buffer, credentials: Credentials, now: number): boolean {
  if (credentials.hasBearer(headers.authorization)) return true
  return credentials.hasSignature({ timestamp: text(headers['isr-timestamp']), signature: text(headers['isr-signature']), body, now })
}

function text (value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? undefined : value
}

/**
 * Judges all of it before anything is done: an order is given as a whole or not at all.
 *
 * @throws FST_ISR_ERR_INVALID_TARGET, answered 422
 */
function readActions (body: Buffer): Actions {
  const value = parse(body)
  const entries = Object.entries(value)
  if (entries.length === 0) throw new InvalidTarget(`it has none of the keys ${ACTIONS.join(', ')}`)
  let items = 0
  for (const [action, targets] of entries) {
    if (!(ACTIONS as readonly string[]).includes(action)) throw new InvalidTarget(`the key ${show(action)} is none of ${ACTIONS.join(', ')}`)
    if (!Array.isArray(targets)) throw new InvalidTarget(`'${action}' must be an array of targets`)
    items += targets.length
  }
  if (items > MAX_ITEMS) throw new InvalidTarget(`${items} targets; the most is ${MAX_ITEMS}`)
  for (const [action, targets] of entries) {
    for (const target of targets as unknown[]) checkItem(action, target)
  }
  return value as Actions
}

function checkItem (action: string, target: unknown): void {
  const isTooLong = isRecord(target) && Object.values(target).some(text => typeof text === 'string' && text.length > MAX_ITEM_LENGTH)
  if (isTooLong) throw new InvalidTarget(`a target of '${action}' is longer than ${MAX_ITEM_LENGTH} characters`)
  if (action !== 'inspect') readTargets([target as TargetItem])
  else if (!isRecord(target) || Object.keys(target).length !== 1 || typeof target.path !== 'string') throw new InvalidTarget("inspect takes { path: '/about' }")
}

function parse (body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    throw new InvalidTarget('the body is no JSON')
  }
  if (!isRecord(value)) throw new InvalidTarget('the body must be an object')
  return value
}

async function run (isr: Isr, actions: Actions): Promise<{ answer: Record<string, unknown>, isDegraded: boolean }> {
  const answer: Record<string, unknown> = {}
  const orders: OrderResult[] = []
  // Purges first: what they concern is not worth anything else.
  if (actions.purge !== undefined) orders.push(answer.purge = await isr.purge(actions.purge))
  if (actions.revalidate !== undefined) orders.push(answer.revalidate = await isr.revalidate(actions.revalidate))
  if (actions.refresh !== undefined) {
    const { pages } = await isr.refresh(actions.refresh)
    answer.refresh = { pages: pages.map(({ error: _error, ...page }) => page) }
  }
  if (actions.inspect !== undefined) answer.inspect = await Promise.all(actions.inspect.map(async ({ path }) => await isr.inspect(path)))
  return { answer, isDegraded: orders.some(order => order.degraded) }
}

/** Failed attempts per address, in windows of a minute. */
class Failures {
  readonly #clock: () => number
  readonly #counts = new LRUMap<string, { since: number, count: number }>(MOST_ADDRESSES)

  constructor (clock: () => number) {
    this.#clock = clock
  }

  /** Returns how many they are with this one. */
  note (address: string): number {
    const now = this.#clock()
    const known = this.#counts.get(address)
    const counted = known === undefined || now - known.since > FAILURE_WINDOW ? { since: now, count: 0 } : known
    counted.count++
    this.#counts.set(address, counted)
    return counted.count
  }
}
