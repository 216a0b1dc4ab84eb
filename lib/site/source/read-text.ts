import { createHash } from 'node:crypto'
import { constants, type BigIntStats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import type { SourceText } from '../../../types/site.js'
import { FileUnreadable } from '../errors.js'

/** A template or text beyond it is a mistake, and would stand in memory several times. */
const MAX_BYTES = 8 * 1024 * 1024
/** A file that changes all the time is read by the next look. */
const ATTEMPTS = 5
/** The coarsest clock among file systems in use; a write within it may leave the time as it was. */
const COARSE_MS = 2000n
const NANO = 1_000_000n

/** What reading asks of an open file. */
export type Readable = Pick<FileHandle, 'stat' | 'read'>

// Not waiting for whoever writes to a pipe, and not through a link that has just taken the place of the file. Windows has neither.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0)

/** The change time tells of what size and modification time hide: a copy that keeps both. */
export function stampOf (stats: BigIntStats): string {
  return `${stats.size}-${stats.mtimeNs}-${stats.ctimeNs}`
}

/** Reads until what was read is what is there; null if that is no file. `file` is a real path, `path` is for the result and for messages. */
export async function readText (file: string, path: string): Promise<SourceText | null> {
  const handle = await open(file, FLAGS)
  try {
    return (await handle.stat()).isFile() ? await readSettled(handle, path) : null
  } finally {
    await handle.close()
  }
}

export async function readSettled (handle: Readable, path: string): Promise<SourceText> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const read = await readOnce(handle, path)
    if (read !== null) return read
  }
  throw new FileUnreadable(path, `it changed ${ATTEMPTS} times while it was read`)
}

/** Null if it changed meanwhile. */
async function readOnce (handle: Readable, path: string): Promise<SourceText | null> {
  const before = await handle.stat({ bigint: true })
  if (before.size > MAX_BYTES) throw new FileUnreadable(path, `it has ${before.size} bytes, more than the ${MAX_BYTES} of a text`)
  const bytes = await readAll(handle, Number(before.size))
  const after = await handle.stat({ bigint: true })
  const stamp = stampOf(after)
  if (bytes === null || stamp !== stampOf(before)) return null
  // A write that follows at once may not change the stamp. Such a stamp equals no later one, so the file is read once more then.
  // A copy sets the modification time back; the change time tells when it was made.
  const last = after.mtimeNs > after.ctimeNs ? after.mtimeNs : after.ctimeNs
  const settled = BigInt(Date.now()) - last / NANO > COARSE_MS
  return { ...textOf(bytes, path), stamp: settled ? stamp : `${stamp}-young` }
}

/** Null if there are not as many bytes as there were. */
async function readAll (handle: Readable, size: number): Promise<Buffer | null> {
  // One byte more shows whether it has grown.
  const bytes = Buffer.allocUnsafe(size + 1)
  let length = 0
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return length === size ? bytes.subarray(0, size) : null
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Bytes as text; without a byte order mark. */
export function textOf (bytes: Buffer, path: string): Omit<SourceText, 'stamp'> {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new FileUnreadable(path, 'it is no text in UTF-8')
  }
  if (text.includes('\0')) throw new FileUnreadable(path, 'it holds a NUL character, so it is no text')
  return { path, text, hash: createHash('sha256').update(bytes).digest('hex') }
}
