import { createHash } from 'node:crypto'
import type { Moment } from '../cluster/coordinator.js'
import type { EncodedBody, Entry } from './entry.js'
import type { Draft } from './source.js'

export interface EntryFacts {
  key: string
  buildId: string
  start: Moment
  /** Of what it was made of, by tag. */
  older: Readonly<Record<string, number>> | null
  renderedAt: number
  jitter: number
  /** What stands: equal bytes are not encoded a second time. */
  old: Entry | null
}

/** Turns a draft into an entry; one way for visitors, regeneration and builds. */
export async function makeEntry (draft: Draft, { old, older, start: { epoch, incarnation }, ...facts }: EntryFacts): Promise<{ entry: Entry, isRenewed: boolean }> {
  const hash = createHash('sha256').update(draft.body).digest('base64url')
  const isRenewed = old !== null && old.hash === hash && sameJson(old.meta, draft.meta) && sameJson(old.tags, draft.tags)
  const entry: Entry = {
    ...facts,
    epoch,
    ...(incarnation === undefined ? {} : { incarnation }),
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

function ownBytes ({ encoding, bytes }: EncodedBody): EncodedBody {
  return { encoding, bytes: owned(bytes) }
}

/** A slice holds all that it was cut from: a pool of Node's, the output chunk of a compressor, what came over a socket. */
export function owned (bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength - bytes.length <= SPARE) return bytes
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}

function sameJson (a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
