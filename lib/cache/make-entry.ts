import { createHash } from 'node:crypto'
import type { EncodedBody, Entry } from './entry.js'
import type { Draft } from './source.js'

export interface EntryFacts {
  key: string
  buildId: string
  epoch: number
  /** Of what it was made of, by tag. */
  older: Readonly<Record<string, number>> | null
  renderedAt: number
  jitter: number
  /** What stands: equal bytes are not encoded a second time. */
  old: Entry | null
}

/** Turns a draft into an entry; one way for visitors, regeneration and builds. */
export async function makeEntry (draft: Draft, { old, older, ...facts }: EntryFacts): Promise<{ entry: Entry, isRenewed: boolean }> {
  const hash = createHash('sha256').update(draft.body).digest('base64url')
  const isRenewed = old !== null && old.hash === hash && sameJson(old.meta, draft.meta) && sameJson(old.tags, draft.tags)
  const entry: Entry = {
    ...facts,
    ...(older === null ? {} : { older }),
    ttl: draft.ttl,
    staleWhileRevalidate: draft.staleWhileRevalidate,
    staleIfError: draft.staleIfError,
    tags: draft.tags,
    meta: draft.meta,
    hash,
    bodies: isRenewed ? old.bodies : (await draft.encode()).map(ownBytes)
  }
  return { entry, isRenewed }
}

/** More than this of somebody else's memory is not kept alive for a body. */
const SPARE = 128

/** A slice holds all that it was cut from: a pool of Node's, or the output chunk of a compressor. */
function ownBytes (body: EncodedBody): EncodedBody {
  const { encoding, bytes } = body
  if (bytes.buffer.byteLength - bytes.length <= SPARE) return body
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return { encoding, bytes: own }
}

function sameJson (a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
