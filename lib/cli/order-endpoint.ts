import http from 'node:http'
import https from 'node:https'
import type { TargetItem } from '../../types/index.js'
import { isRecord } from '../cache/codec.js'
import { sign } from '../ops/credentials.js'
import { MAX_BODY, MAX_ITEMS, type Action } from '../ops/endpoint.js'
import { CliError, codeOf } from './cli-error.js'
import { printable } from './format.js'
import { merge, Refused, type OrderAnswer, type OrderTaker } from './order-answer.js'

/** What stands around the targets in a body. */
const ENVELOPE = 100

interface Reply { status: number, location: string | undefined, text: string }

/** Gives orders to the revalidate endpoint of a running app. */
export class EndpointOrders implements OrderTaker {
  readonly #url: URL
  readonly #secret: string

  constructor (url: URL, secret: string) {
    this.#url = url
    this.#secret = secret
  }

  async give (action: Action, targets: readonly TargetItem[]): Promise<OrderAnswer> {
    let answer: OrderAnswer = {}
    for (const batch of batches(targets)) answer = merge(answer, await this.#post({ [action]: batch }))
    return answer
  }

  async #post (orders: Partial<Record<Action, TargetItem[]>>): Promise<OrderAnswer> {
    const body = Buffer.from(JSON.stringify(orders))
    const timestamp = String(Math.floor(Date.now() / 1000))
    // Signed: the secret itself goes over no wire.
    const signature = `sha256=${sign(this.#secret, timestamp, body).toString('hex')}`
    const reply = await ask(this.#url, { method: 'POST', body, headers: { 'content-type': 'application/json', 'isr-timestamp': timestamp, 'isr-signature': signature } })
    return this.#read(reply)
  }

  #read ({ status, location, text }: Reply): OrderAnswer {
    const name = nameOf(this.#url)
    const json = parse(text)
    if ((status === 200 || status === 503) && isAnswer(json)) return json
    if (status === 401 || status === 429) throw new CliError(`${name} refused the signature (${status})`, { hint: 'Is ISR_SECRET one of its secrets, and do the clocks of both machines agree within five minutes?' })
    // Not followed: what is signed is meant for one address.
    if (location !== undefined && status >= 300 && status < 400) throw new CliError(`${name} redirects to ${printable(location)}`, { hint: 'Give that address, if it is the right one.' })
    if (status === 404 || status === 405 || status < 400) throw new CliError(`${name} is no revalidate endpoint (it answered ${status})`, { hint: "Is it the 'path' of the option revalidateEndpoint?" })
    const problem = isRecord(json) && typeof json.message === 'string' ? `: ${printable(json.message)}` : ''
    throw new Refused(`${name} answered ${status}${problem}`)
  }
}

/** A request as it is: no redirects followed, no time limit, for a refresh may render for long. */
export function ask (url: URL, { method = 'GET', headers = {}, body, maxBytes = Infinity }: { method?: string, headers?: Record<string, string>, body?: Buffer, maxBytes?: number } = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => { reject(new CliError(`can't reach ${nameOf(url)}: ${codeOf(error) ?? String((error as Error).message)}`)) }
    const { request } = url.protocol === 'https:' ? https : http
    request(url, { method, headers: { ...headers, ...(body === undefined ? {} : { 'content-length': String(body.length) }) } }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > maxBytes) response.destroy(new Error('the answer is too large'))
      })
      response.on('error', fail)
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, location: response.headers.location, text: Buffer.concat(chunks).toString('utf8') }) })
    }).on('error', fail).end(body)
  })
}

/** As many targets at a time as the endpoint takes. */
function * batches (targets: readonly TargetItem[]): Generator<TargetItem[]> {
  let batch: TargetItem[] = []
  let bytes = ENVELOPE
  for (const target of targets) {
    const size = Buffer.byteLength(JSON.stringify(target)) + 1
    if (batch.length === MAX_ITEMS || bytes + size > MAX_BODY) {
      yield batch
      batch = []
      bytes = ENVELOPE
    }
    batch.push(target)
    bytes += size
  }
  if (batch.length > 0) yield batch
}

/** Without credentials and query. */
function nameOf (url: URL): string {
  return url.origin + url.pathname
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** A proxy in between may have answered instead. */
function isAnswer (value: unknown): value is OrderAnswer {
  if (!isRecord(value)) return false
  const { revalidate, purge, refresh, inspect } = value
  const isOrder = (result: unknown): boolean => isRecord(result) && typeof result.matched === 'number' && typeof result.degraded === 'boolean'
  return [revalidate, purge].some(isOrder) || (isRecord(refresh) && Array.isArray(refresh.pages)) || Array.isArray(inspect)
}
