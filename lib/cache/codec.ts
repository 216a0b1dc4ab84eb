import { createHash } from 'node:crypto'
import { BadEntry } from '../errors.js'
import type { EncodedBody, Entry, Meta } from './entry.js'

/*
 * Entry ⇄ bytes:
 *
 *   'FISR' | version u8 | length of the head u32 | head (JSON) | bodies | sha256 of all before
 *
 * One file per entry, written whole: a page is never torn between its
 * metadata and its encodings, and anything altered fails the checksum.
 */
const MAGIC = Buffer.from('FISR')
const VERSION = 1
const PREFIX = MAGIC.length + 1 + 4
const CHECKSUM = 32

/** Nothing larger is read as an entry, whatever it claims to be. */
export const MAX_ENTRY_BYTES = 256 * 1024 * 1024

/** Content codings (RFC 9110 section 8.4.1), several of them divided by commas: nothing that could end a header. */
const ENCODING = /^[\w!#$%&'*+.^`|~-]+(?:, *[\w!#$%&'*+.^`|~-]+)*$/

/** Infinity has no JSON form. */
const FOREVER = -1

interface Head {
  key: string
  buildId: string
  renderedAt: number
  epoch: number
  incarnation?: string
  windows: [ttl: number, staleWhileRevalidate: number, staleIfError: number]
  jitter: number
  tags: string[]
  older?: Record<string, number>
  meta: Meta
  hash: string
  bodies: [encoding: string, bytes: number][]
}

export function encode (entry: Entry): Buffer {
  const head: Head = {
    key: entry.key,
    buildId: entry.buildId,
    renderedAt: entry.renderedAt,
    // A part of it counts the orders of one process that nobody else has heard of.
    epoch: Math.floor(entry.epoch),
    ...(entry.incarnation === undefined ? {} : { incarnation: entry.incarnation }),
    windows: [toJson(entry.ttl), toJson(entry.staleWhileRevalidate), toJson(entry.staleIfError)],
    jitter: entry.jitter,
    tags: [...entry.tags],
    ...(entry.older === undefined ? {} : { older: Object.fromEntries(Object.entries(entry.older).map(([tag, epoch]) => [tag, Math.floor(epoch)])) }),
    meta: entry.meta,
    hash: entry.hash,
    bodies: entry.bodies.map(body => [body.encoding, body.bytes.length])
  }
  const json = Buffer.from(JSON.stringify(head))
  const prefix = Buffer.alloc(PREFIX)
  MAGIC.copy(prefix)
  prefix.writeUInt8(VERSION, MAGIC.length)
  prefix.writeUInt32BE(json.length, MAGIC.length + 1)

  const parts = [prefix, json, ...entry.bodies.map(body => body.bytes)]
  const checksum = createHash('sha256')
  for (const part of parts) checksum.update(part)
  return Buffer.concat([...parts, checksum.digest()])
}

/**
 * Reads an entry and proves it: magic, version, lengths, checksum, schema, and
 * that it is the entry asked for.
 *
 * @throws FST_ISR_ERR_BAD_ENTRY
 */
export function decode (bytes: Buffer, expected: { key: string, buildId: string }): Entry {
  if (bytes.length < PREFIX + CHECKSUM || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new BadEntry('not an entry')
  if (bytes.readUInt8(MAGIC.length) !== VERSION) throw new BadEntry('written by another version')
  const end = bytes.length - CHECKSUM
  const checksum = createHash('sha256').update(bytes.subarray(0, end)).digest()
  if (!checksum.equals(bytes.subarray(end))) throw new BadEntry('checksum mismatch')

  const bodiesAt = PREFIX + bytes.readUInt32BE(MAGIC.length + 1)
  if (bodiesAt > end) throw new BadEntry('head longer than the entry')
  const head = parseHead(bytes.subarray(PREFIX, bodiesAt))
  if (head.key !== expected.key || head.buildId !== expected.buildId) throw new BadEntry('it holds another key or build')

  return {
    key: head.key,
    buildId: head.buildId,
    renderedAt: head.renderedAt,
    epoch: head.epoch,
    ...(head.incarnation === undefined ? {} : { incarnation: head.incarnation }),
    ttl: fromJson(head.windows[0]),
    staleWhileRevalidate: fromJson(head.windows[1]),
    staleIfError: fromJson(head.windows[2]),
    jitter: head.jitter,
    tags: head.tags,
    ...(head.older === undefined ? {} : { older: head.older }),
    meta: head.meta,
    hash: head.hash,
    bodies: cutBodies(head.bodies, bytes.subarray(bodiesAt, end))
  }
}

function cutBodies (list: Head['bodies'], bytes: Buffer): EncodedBody[] {
  let offset = 0
  const bodies = list.map(([encoding, length]) => {
    const body = { encoding, bytes: bytes.subarray(offset, offset + length) }
    offset += length
    return body
  })
  if (offset !== bytes.length) throw new BadEntry('bodies of another length')
  return bodies
}

function parseHead (json: Buffer): Head {
  let head: unknown
  try {
    head = JSON.parse(json.toString('utf8'))
  } catch (cause) {
    throw new BadEntry('unreadable head', { cause })
  }
  if (!isHead(head)) throw new BadEntry('head of another shape')
  return head
}

function isHead (value: unknown): value is Head {
  if (!isRecord(value)) return false
  const { key, buildId, renderedAt, epoch, incarnation, windows, jitter, tags, older, meta, hash, bodies } = value
  return typeof key === 'string' && typeof buildId === 'string' && typeof hash === 'string' &&
    isCount(renderedAt) && isCount(epoch) && (incarnation === undefined || typeof incarnation === 'string') &&
    typeof jitter === 'number' && jitter >= 0 && jitter <= 0.1 &&
    Array.isArray(windows) && windows.length === 3 && windows.every(seconds => typeof seconds === 'number' && (seconds >= 0 || seconds === FOREVER)) &&
    Array.isArray(tags) && tags.every(tag => typeof tag === 'string') &&
    (older === undefined || (isRecord(older) && Object.values(older).every(isCount))) &&
    isRecord(meta) &&
    Array.isArray(bodies) && bodies.length > 0 &&
    bodies.every(body => Array.isArray(body) && body.length === 2 && typeof body[0] === 'string' && ENCODING.test(body[0]) && Number.isSafeInteger(body[1]) && body[1] >= 0)
}

function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

export function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function toJson (seconds: number): number {
  return seconds === Infinity ? FOREVER : seconds
}

function fromJson (seconds: number): number {
  return seconds === FOREVER ? Infinity : seconds
}
