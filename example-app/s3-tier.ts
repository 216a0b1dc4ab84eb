import { setTimeout as sleep } from 'node:timers/promises'
import type { IsrTier, IsrTierRecord, IsrTierVersion } from 'fastify-isr'

export interface S3TierOptions {
  /** Where the objects go: `https://<bucket>.s3.<region>.amazonaws.com/<folder>`. */
  url: string
  /** Headers for a request that is ready to be sent: those that sign it. */
  sign?: (request: { method: string, url: string, headers: Readonly<Record<string, string>>, body: Buffer | null }) => Record<string, string> | Promise<Record<string, string>>
  /** Milliseconds for one request. @default 2000 */
  timeout?: number
}

/** What lies under a name: its version, and what a store calls it. */
interface Standing {
  readonly etag: string
  readonly version: IsrTierVersion | null
}

const MAX_ATTEMPTS = 50
/** Somebody else was there first, or is there right now. */
const CONFLICTS = [404, 409, 412]

/**
 * Pages in an object store with conditional writes (S3 and its like), over
 * plain `fetch`. Versions are compared here and the store is asked to write
 * only if nothing has changed since. Old objects are left to a lifecycle rule
 * of the bucket.
 */
export class S3Tier implements IsrTier {
  readonly name = 's3'
  readonly #options: S3TierOptions
  readonly #closing = new AbortController()

  constructor (options: S3TierOptions) {
    this.#options = options
  }

  async get (name: string, { maxBytes }: { maxBytes: number }): Promise<Buffer | null> {
    const response = await this.#ask('GET', name)
    const text = response.headers.get('x-amz-meta-version')
    const prefix = text === null ? 0 : prefixOf(text).length
    if (response.status === 404 || Number(response.headers.get('content-length')) - prefix > maxBytes) {
      await response.body?.cancel()
      return null
    }
    return Buffer.from(await response.arrayBuffer()).subarray(prefix)
  }

  async set (name: string, { bytes, version }: IsrTierRecord): Promise<boolean> {
    const text = JSON.stringify(version)
    // An ETag is a hash of the bytes: with the version among them, equal pages of two versions are two objects.
    const body = Buffer.concat([prefixOf(text), bytes])
    return await this.#ifNotNewer(name, version, async standing => await this.#ask('PUT', name, {
      'x-amz-meta-version': text,
      ...(standing === null ? { 'if-none-match': '*' } : { 'if-match': standing.etag })
    }, body))
  }

  async delete (name: string, version: IsrTierVersion): Promise<boolean> {
    return await this.#ifNotNewer(name, version, async standing => standing === null
      ? null
      : await this.#ask('DELETE', name, { 'if-match': standing.etag }))
  }

  async close (): Promise<void> {
    this.#closing.abort(new Error('the tier is closed'))
  }

  /** Compares and swaps. */
  async #ifNotNewer (name: string, version: IsrTierVersion, act: (standing: Standing | null) => Promise<Response | null>): Promise<boolean> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const standing = await this.#look(name)
      if (standing?.version != null && isNewer(standing.version, version)) return false
      const response = await act(standing)
      await response?.body?.cancel()
      if (response === null || response.ok) return true
      // What is there has changed in between: once more, from the start.
      await sleep(Math.random() * Math.min(100, attempt * 10), undefined, { signal: this.#closing.signal })
    }
    throw new Error(`${name} is written by too many at once`)
  }

  async #look (name: string): Promise<Standing | null> {
    const { status, headers } = await this.#ask('HEAD', name)
    if (status === 404) return null
    const text = headers.get('x-amz-meta-version')
    return { etag: headers.get('etag') ?? '', version: text === null ? null : JSON.parse(text) as IsrTierVersion }
  }

  /** Resolves with success, or with what may happen when others are at work. */
  async #ask (method: string, name: string, headers: Record<string, string> = {}, body: Buffer<ArrayBuffer> | null = null): Promise<Response> {
    const url = `${this.#options.url}/${name}`
    const signed = { ...headers, ...await this.#options.sign?.({ method, url, headers, body }) }
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#options.timeout ?? 2000)])
    const response = await fetch(url, { method, headers: signed, body, signal })
    if (response.ok || CONFLICTS.includes(response.status)) return response
    await response.body?.cancel()
    throw new Error(`${method} ${url} was answered with ${response.status}`)
  }
}

function prefixOf (version: string): Buffer {
  return Buffer.from(`${version}\n`)
}

function isNewer (there: IsrTierVersion, next: IsrTierVersion): boolean {
  if (there.incarnation !== next.incarnation) return next.incarnation === ''
  return there.epoch !== next.epoch ? there.epoch > next.epoch : there.renderedAt > next.renderedAt
}
