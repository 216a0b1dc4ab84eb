import type { ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Held } from '../cache/source.js'
import type { Settings } from '../options.js'
import { isNotModified } from './conditional.js'
import { isBare } from './direct.js'
import { connectionLines, headOf } from './head.js'
import { negotiate } from './negotiate.js'
import { endWithHead, takesHead, type NodeResponse } from './node-http.js'
import { probeHeads } from './prebuilt-probe.js'
import { noteUse, type PageView } from './view.js'
import { Wholes } from './wholes.js'

/**
 * Writes hits with a head that is made already: what Node does to make one,
 * checking each header again, is a good part of what a hit costs. Earlier
 * hooks have run; the bytes are those that Node would have written. Whatever
 * is unusual about an answer leaves it to Node, and so do headers of others:
 * putting them together with ours has been tried, and won nothing certain.
 */
export class Prebuilt {
  readonly #settings: Settings
  readonly #wholes = new Wholes()
  #keepAliveTimeout = -1
  #connection = ''

  constructor (settings: Settings) {
    this.#settings = settings
  }

  /** Sends a fresh page of a route whose answers nobody else looks at; false: not like this. */
  sendFresh (request: FastifyRequest, reply: FastifyReply, held: Held<PageView>, now: number, isDisconnected: boolean): boolean {
    const raw: ServerResponse = reply.raw
    const { view } = held
    if (!takesHead(raw) || !isBare(reply)) return false
    const encoding = negotiate(request.headers['accept-encoding'] as string | undefined, view.encodings)
    const variant = encoding === null ? undefined : view.variants.get(encoding)
    if (variant === undefined) return false
    noteUse(view)
    const head = headOf(held, variant, now, isDisconnected, this.#connectionOf(raw), this.#settings)
    reply.hijack()
    if (view.status === 200 && isNotModified(request.headers, variant.etag, view.lastModified)) {
      endWithHead(raw, 304, head.notModified.text, null, null)
    } else if (request.raw.method === 'HEAD') endWithHead(raw, view.status, head.full.text, null, null)
    else endWithHead(raw, view.status, head.full.text, variant.body, this.#wholes.of(head, variant.body, now))
    return true
  }

  #connectionOf ({ _keepAliveTimeout: timeout }: NodeResponse): string {
    if (timeout !== this.#keepAliveTimeout) {
      this.#keepAliveTimeout = timeout
      this.#connection = connectionLines(timeout)
    }
    return this.#connection
  }
}

/** One Node, one answer, however many apps there are. */
let probed: ReturnType<typeof probeHeads> | null = null

/** Null: this Node's responses look different, and make their heads themselves. */
export async function openPrebuilt (settings: Settings, log: FastifyBaseLogger): Promise<Prebuilt | null> {
  probed ??= probeHeads()
  const difference = await probed
  if (difference === null) return new Prebuilt(settings)
  log.info(`heads of answers are not prebuilt: the HTTP server of Node ${process.version} is not as expected (${difference})`)
  return null
}
