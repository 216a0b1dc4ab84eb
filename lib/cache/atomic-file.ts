import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open, rename, unlink } from 'node:fs/promises'
import path from 'node:path'
import { BadEntry } from '../errors.js'
import { FileLock } from './file-lock.js'

const MODES = { file: 0o600, folder: 0o700 }

/** Tells one file under a name from the next. */
export type Stamp = string

/** Readers see the old file or the new one, whole; a process killed in between leaves a temporary file. */
export async function writeFileAtomically (file: string, bytes: Buffer | string, modes = MODES): Promise<void> {
  await withTemporary(file, bytes, modes, temporary => rename(temporary, file))
}

/**
 * The same among processes that write one file: `staying` looks at what is
 * there, and says what is to stay. Nobody else writes in between.
 */
export async function replaceFile<T> (file: string, bytes: Buffer, staying: () => Promise<T | null>): Promise<{ stamp: Stamp } | { stayed: T }> {
  return await withTemporary(file, bytes, MODES, async (temporary, stamp) => {
    for (;;) {
      const lock = await FileLock.take(file)
      try {
        const stayed = await staying()
        if (stayed !== null) {
          await unlink(temporary).catch(() => {})
          return { stayed }
        }
        if (!lock.isSure) continue
        await rename(temporary, file)
        return { stamp }
      } finally {
        await lock.release()
      }
    }
  })
}

/** Removes a file unless it is to stay, by the same rule. Resolves with what stayed. */
export async function removeFile<T> (file: string, staying: () => Promise<T | null>): Promise<T | null> {
  // Where no lock can be made, on a full disk say, a page too few is better than one too many.
  const lock = await FileLock.take(file).catch(() => null)
  try {
    const stayed = await staying()
    if (stayed === null) await unlinkIfThere(file)
    return stayed
  } finally {
    await lock?.release()
  }
}

/** For what others may have removed as well. */
export async function unlinkIfThere (file: string): Promise<void> {
  await unlink(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Null when nothing is there. */
export async function stampOf (file: string): Promise<Stamp | null> {
  try {
    return toStamp(await lstat(file))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

export async function readRegularFile (file: string, maxBytes: number): Promise<{ bytes: Buffer, stamp: Stamp }> {
  // Not blocking: what looks like an entry may be a pipe that nobody writes to.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const facts = await handle.stat()
    if (!facts.isFile()) throw new BadEntry('not a regular file')
    if (facts.size > maxBytes) throw new BadEntry('too large')
    return { bytes: await handle.readFile(), stamp: toStamp(facts) }
  } finally {
    await handle.close()
  }
}

async function withTemporary<T> (file: string, bytes: Buffer | string, modes: typeof MODES, work: (temporary: string, stamp: Stamp) => Promise<T>): Promise<T> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const stamp = await writeNew(temporary, bytes, modes.file).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      await mkdir(path.dirname(file), { recursive: true, mode: modes.folder })
      return await writeNew(temporary, bytes, modes.file)
    })
    return await work(temporary, stamp)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

async function writeNew (file: string, bytes: Buffer | string, mode: number): Promise<Stamp> {
  const handle = await open(file, 'wx', mode)
  try {
    await handle.writeFile(bytes)
    // A date of its own: the clock of a file system ticks every few milliseconds only, and a
    // file that is gone leaves its number to the next.
    const date = (Date.now() + Math.random()) / 1000
    await handle.utimes(date, date)
    return toStamp(await handle.stat())
  } finally {
    await handle.close()
  }
}

function toStamp ({ ino, mtimeMs, size }: Stats): Stamp {
  return `${ino} ${mtimeMs} ${size}`
}
