import { createHash, randomBytes, randomInt } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import type { Mark } from './coordinator.js'

/** Below this many files nothing is gained by merging them. */
const FILES_WORTH_COMPACTING = 8
/** A file that nobody wrote to for so long belongs to a process that is gone or idle (milliseconds). */
const UNTOUCHED = 3_600_000
const CHECKSUM_LENGTH = 16
/** With a number when a process has taken it to merge it or to hand it over: until then it counts. */
const FILE = /^[0-9]+-[0-9a-f]{12}\.marks(?:\.[0-9]+)*$/
const MOST_NUMBER = 2 ** 47
const LINE_BREAK = 0x0a
/** How often a file may vanish under a reader or writer before that is an error. */
const TRIES = 3

/**
 * Marks beside the pages on disk: append-only, one file per process, one
 * checksummed line per mark. A torn line is skipped, never an error.
 */
export class MarkLog {
  readonly #dir: string
  readonly #own: string
  readonly #isNeeded: () => boolean
  readonly #onError: (operation: 'read' | 'write', error: Error) => void
  /** Bytes read so far, per file. */
  readonly #offsets = new Map<string, number>()
  #writing: Promise<unknown> = Promise.resolve()

  /** Without pages on disk (`isNeeded`) there is nothing that marks would have to outlive. */
  constructor (dir: string, isNeeded: () => boolean, onError: (operation: 'read' | 'write', error: Error) => void) {
    this.#dir = dir
    this.#isNeeded = isNeeded
    this.#own = `${process.pid}-${randomBytes(6).toString('hex')}.marks`
    this.#onError = onError
  }

  /** Resolves with whether the marks are on disk. */
  append (marks: readonly Mark[]): Promise<boolean> {
    return this.#isNeeded() ? this.#append(marks) : Promise.resolve(true)
  }

  /** What was written since the last call, by anybody but this process. */
  async readNew (): Promise<Mark[]> {
    const marks: Mark[] = []
    for (let tries = 0; tries < TRIES; tries++) {
      let isComplete = true
      for (const name of await this.#files()) {
        const tail = await this.#readTail(name)
        for (const mark of tail ?? []) marks.push(mark)
        if (tail === null) isComplete = false
      }
      // One that is gone has been merged into another since it was listed.
      if (isComplete) break
    }
    return marks
  }

  /** Merges files of the past into this process's own one. */
  async compact (): Promise<void> {
    const names = await this.#files()
    if (names.length < FILES_WORTH_COMPACTING) return
    /** The newest of equal orders; an older one says nothing more. */
    const merged = new Map<string, Mark>()
    const taken: string[] = []
    try {
      for (const name of names) {
        const file = path.join(this.#dir, name)
        const facts = await lstat(file)
        if (!facts.isFile() || Date.now() - facts.mtimeMs < UNTOUCHED) continue
        // Renamed first: whoever still writes begins a new file.
        const mine = path.join(this.#dir, takenName(name))
        await rename(file, mine)
        taken.push(mine)
        this.#offsets.delete(name)
        for (const mark of parseLines((await readFrom(mine, 0)).toString())) {
          const order = `${mark.kind} ${mark.deadline} ${mark.tag}`
          if (mark.epoch > (merged.get(order)?.epoch ?? 0)) merged.set(order, mark)
        }
      }
      if (await this.#append([...merged.values()])) await Promise.all(taken.map(file => unlink(file)))
    } catch (error) {
      // What was taken is still read by its new name.
      this.#onError('write', error as Error)
    }
  }

  /**
   * Hands over everything that lies there, file by file, and removes what was
   * accepted: for orders that belong to a wider circle than this disk.
   */
  async handOver (accept: (marks: readonly Mark[]) => Promise<boolean>): Promise<void> {
    for (const name of await this.#files()) {
      const file = path.join(this.#dir, name)
      const mine = path.join(this.#dir, takenName(name))
      try {
        // Renamed first, so that of several processes one has it, and whoever still writes begins a new file.
        await rename(file, mine)
        // What is not accepted keeps its new name: a new file may be there by the old one.
        if (await accept(parseLines((await readFrom(mine, 0)).toString()))) await unlink(mine)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onError('read', error as Error)
      }
    }
  }

  async close (): Promise<void> {
    await this.#writing
  }

  #append (marks: readonly Mark[]): Promise<boolean> {
    // Begins with a line break: what a full disk has left of an earlier write ends there.
    const lines = `\n${marks.map(toLine).join('')}`
    const done = this.#writing.then(async () => {
      try {
        await mkdir(this.#dir, { recursive: true, mode: 0o700 })
        for (let tries = 0; tries < TRIES; tries++) {
          if (await appendDurably(path.join(this.#dir, this.#own), lines)) return true
        }
        throw new Error('the file is taken away again and again')
      } catch (error) {
        this.#onError('write', error as Error)
        return false
      }
    })
    this.#writing = done
    return done
  }

  /** All files but this process's own. */
  async #files (): Promise<string[]> {
    try {
      return (await readdir(this.#dir)).filter(name => FILE.test(name) && name !== this.#own)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onError('read', error as Error)
      return []
    }
  }

  /** Null when the file is gone. */
  async #readTail (name: string): Promise<Mark[] | null> {
    const file = path.join(this.#dir, name)
    const offset = this.#offsets.get(name) ?? 0
    try {
      if ((await stat(file)).size <= offset) return []
      const bytes = await readFrom(file, offset)
      // A line that is still being written is read next time.
      const end = bytes.lastIndexOf(LINE_BREAK) + 1
      this.#offsets.set(name, offset + end)
      return parseLines(bytes.toString('utf8', 0, end))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      this.#onError('read', error as Error)
      return []
    }
  }
}

/** Nobody has another file by that name: processes of several containers may have the same number. */
function takenName (name: string): string {
  return `${name.slice(0, name.indexOf('.marks'))}.marks.${randomInt(MOST_NUMBER)}`
}

/** False when the file was taken away meanwhile: whoever took it may have read it before this was in it. */
async function appendDurably (name: string, lines: string): Promise<boolean> {
  // Opened anew each time: a sibling that merges files may have taken the last one away.
  const file = await open(name, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600)
  try {
    await file.appendFile(lines)
    await file.datasync()
    const [mine, there] = [await file.stat(), await stat(name).catch(() => null)]
    return there !== null && there.ino === mine.ino
  } finally {
    await file.close()
  }
}

async function readFrom (file: string, offset: number): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size } = await handle.stat()
    const bytes = Buffer.alloc(Math.max(0, size - offset))
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset)
    return bytes.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

function toLine (mark: Mark): string {
  const json = JSON.stringify([mark.kind, mark.tag, mark.epoch, mark.deadline === Infinity ? null : mark.deadline])
  return `${checksum(json)} ${json}\n`
}

function parseLines (text: string): Mark[] {
  const marks: Mark[] = []
  for (const line of text.split('\n')) {
    const json = line.slice(CHECKSUM_LENGTH + 1)
    if (line !== `${checksum(json)} ${json}`) continue
    const mark = parseMark(json)
    if (mark !== null) marks.push(mark)
  }
  return marks
}

function parseMark (json: string): Mark | null {
  let fields: unknown
  try {
    fields = JSON.parse(json)
  } catch {
    return null
  }
  if (!Array.isArray(fields)) return null
  const [kind, tag, epoch, deadline] = fields as unknown[]
  const isMark = (kind === 'soft' || kind === 'hard') && typeof tag === 'string' && Number.isFinite(epoch) && (deadline === null || Number.isFinite(deadline))
  return isMark ? { kind, tag, epoch: epoch as number, deadline: (deadline as number | null) ?? Infinity } : null
}

function checksum (text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, CHECKSUM_LENGTH)
}
