import { validateHeaderName, validateHeaderValue, type ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Held } from '../cache/source.js'
import type { Settings } from '../options.js'
import { isNotModified } from './conditional.js'
import { connectionLines, headerLines, headOf, statusLine } from './head.js'
import { negotiate } from './negotiate.js'
import { endWithHead, outHeadersOf, takesHead, type NodeResponse, type OutHeaders } from './node-http.js'
import { probeHeads } from './prebuilt-probe.js'
import { fieldsOf, isEmpty, type Fields } from './reply-fields.js'
import { mergeVary, sentOf } from './respond.js'
import { noteUse, type PageView } from './view.js'
import { Wholes } from './wholes.js'

/** What says how the connection goes on is Node's to write. */
const OF_THE_CONNECTION = new Set(['connection', 'keep-alive', 'transfer-encoding', 'trailer', 'upgrade', 'expect'])

/** What other hooks have added to a page, as it is written. */
interface Foreign {
  readonly names: readonly string[]
  readonly values: readonly unknown[]
  readonly lines: string
  /** How many of them were set on Node's response; the others on Fastify's reply. */
  readonly outs: number
}

/**
 * Writes hits with a head that is made already: what Node does to make one,
 * checking each header again, is a good part of what a hit costs. Earlier
 * hooks have run, and onResponse hooks will; the bytes are those that Node
 * would have written. Whatever is unusual about an answer leaves it to Node.
 */
export class Prebuilt {
  readonly #settings: Settings
  readonly #wholes = new Wholes()
  /** Other hooks mostly add the same to every answer. */
  #foreign: Foreign | null = null
  #keepAliveTimeout = -1
  #connection = ''

  constructor (settings: Settings) {
    this.#settings = settings
  }

  /** Sends a fresh page of a route whose answers nobody else looks at; false: not like this. */
  sendFresh (request: FastifyRequest, reply: FastifyReply, held: Held<PageView>, now: number, isDisconnected: boolean): boolean {
    const raw: ServerResponse = reply.raw
    const { view } = held
    const set = fieldsOf(reply)
    if (set === null || set.trailers !== null || !isEmpty(set.headers) || !takesHead(raw) || !isEmpty(outHeadersOf(raw))) return false
    const encoding = negotiate(request.headers['accept-encoding'] as string | undefined, view.encodings)
    const variant = encoding === null ? undefined : view.variants.get(encoding)
    if (variant === undefined) return false
    noteUse(view)
    const head = headOf(held, variant, now, isDisconnected, this.#connectionOf(raw), this.#settings)
    reply.hijack()
    if (view.status === 200 && isNotModified(request.headers, variant.etag, view.lastModified)) {
      endWithHead(raw, 304, head.notModified.text, null, null)
    } else if (request.raw.method === 'HEAD') endWithHead(raw, view.status, head.full.text, null, null)
    else endWithHead(raw, view.status, head.full.text, variant.body, this.#wholes.of(head, variant.body))
    return true
  }

  /**
   * The last onSend hook of a page: sends it, with what other hooks have added.
   * False if they changed what is the page's, or anything else is to be decided.
   */
  sendHooked (reply: FastifyReply): boolean {
    const sent = sentOf(reply)
    const raw: ServerResponse = reply.raw
    if (sent?.type !== 'page' || sent.block === null || sent.body === undefined || reply.request.raw.method !== 'GET') return false
    if (!takesHead(raw)) return false
    const { block } = sent
    const own: Readonly<Record<string, string>> = block.headers
    const set = fieldsOf(reply)
    if (set === null || set.trailers !== null) return false
    for (const name in own) if (set.headers[name] !== own[name] && !(name === 'vary' && isMerged(set.headers[name], own[name]))) return false
    const foreign = this.#foreignOf(outHeadersOf(raw), set.headers, own)
    if (foreign === null) return false
    block.ownLines ??= ownLines(own)
    const head = `${statusLine(sent.status)}${foreign}${block.ownLines}${this.#connectionOf(raw)}\r\n`
    reply.hijack()
    endWithHead(raw, sent.status, head, sent.body, null)
    return true
  }

  #connectionOf ({ _keepAliveTimeout: timeout }: NodeResponse): string {
    if (timeout !== this.#keepAliveTimeout) {
      this.#keepAliveTimeout = timeout
      this.#connection = connectionLines(timeout)
    }
    return this.#connection
  }

  /** Null: what is there is not for us to write. */
  #foreignOf (out: OutHeaders, set: Fields['headers'], own: Readonly<Record<string, string>>): string | null {
    const known = this.#foreign
    if (known === null) return this.#readForeign(out, set, own)
    const { names, values } = known
    let count = 0
    for (const name in out) {
      // What one page leaves to be set may be another one's own.
      if (names[count] !== name || values[count] !== out[name]?.[1] || own[name] !== undefined) return this.#readForeign(out, set, own)
      count++
    }
    if (count !== known.outs) return this.#readForeign(out, set, own)
    for (const name in set) {
      if (isOwn(name, own)) continue
      if (names[count] !== name || values[count] !== set[name]) return this.#readForeign(out, set, own)
      count++
    }
    return count === names.length ? known.lines : this.#readForeign(out, set, own)
  }

  #readForeign (out: OutHeaders, set: Fields['headers'], own: Readonly<Record<string, string>>): string | null {
    const names: string[] = []
    const values: unknown[] = []
    let lines = ''
    for (const name in out) {
      const [spelled, value] = out[name] as [string, unknown]
      // One of the two replaces the other, in its place.
      if (own[name] !== undefined || set[name] !== undefined || !isPlain(name, value)) return null
      names.push(name)
      values.push(value)
      lines += `${spelled}: ${value}\r\n`
    }
    for (const name in set) {
      if (isOwn(name, own)) continue
      const value = set[name]
      if (!isPlain(name, value)) return null
      names.push(name)
      values.push(value)
      lines += `${name}: ${value}\r\n`
    }
    this.#foreign = { names, values, lines, outs: Object.keys(out).length }
    return lines
  }
}

/** Null: this Node's responses look different, and make their heads themselves. */
export async function openPrebuilt (settings: Settings, log: FastifyBaseLogger): Promise<Prebuilt | null> {
  const difference = await probeHeads()
  if (difference === null) return new Prebuilt(settings)
  log.info(`heads of answers are not prebuilt: the HTTP server of Node ${process.version} is not as expected (${difference})`)
  return null
}

/** Whether nothing of ours is missing in what hooks have made of Vary. */
function isMerged (live: unknown, own: string | undefined): boolean {
  return typeof live === 'string' && own !== undefined && mergeVary(live, own) === live
}

/** Vary is shared: what hooks have said of it is there already. */
function isOwn (name: string, own: Readonly<Record<string, string>>): boolean {
  return name !== 'vary' && own[name] !== undefined
}

function ownLines ({ vary, ...own }: Readonly<Record<string, string>>): string {
  return headerLines(own)
}

/** One that the page does not have must not come with it. */
function isOfTheBody (name: string): boolean {
  return name === 'content-type' || name === 'content-length' || name === 'content-encoding' || name === 'content-language'
}

/** A cookie changes what else may be said; lists are Node's business, and so is what can't be written. */
function isPlain (name: string, value: unknown): value is string | number {
  if ((typeof value !== 'string' && typeof value !== 'number') || OF_THE_CONNECTION.has(name) || name === 'set-cookie' || isOfTheBody(name)) return false
  try {
    validateHeaderName(name)
    validateHeaderValue(name, String(value))
    return true
  } catch {
    return false
  }
}
