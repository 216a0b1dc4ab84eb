import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import type { Mark } from './coordinator.js'

/** Below this many files nothing is gained by merging them. */
const FILES_WORTH_COMPACTING = 8
/** A file that nobody wrote to for so long belongs to a process that is gone or idle (milliseconds). */
const UNTOUCHED = 3_600_000
const CHECKSUM_LENGTH = 16
const FILE = /^[0-9]+-[0-9a-f]{12}\.marks$/

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
    if (!this.#isNeeded()) return Promise.resolve(true)
    const lines = marks.map(toLine).join('')
    const done = this.#writing.then(async () => {
      try {
        await mkdir(this.#dir, { recursive: true, mode: 0o700 })
        // Opened anew each time: a sibling that merges files may have taken this one away.
        const file = await open(path.join(this.#dir, this.#own), constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600)
        try {
          await file.appendFile(lines)
          await file.datasync()
        } finally {
          await file.close()
        }
        return true
      } catch (error) {
        this.#onError('write', error as Error)
        return false
      }
    })
    this.#writing = done
    return done
  }

  /** What was written since the last call, by anybody but this process. */
  async readNew (): Promise<Mark[]> {
    const marks: Mark[] = []
    for (const name of await this.#files()) {
      if (name !== this.#own) marks.push(...await this.#readTail(name))
    }
    return marks
  }

  /** Merges files of the past into this process's own one. */
  async compact (): Promise<void> {
    const names = (await this.#files()).filter(name => name !== this.#own)
    if (names.length < FILES_WORTH_COMPACTING) return
    /** The newest of equal orders; an older one says nothing more. */
    const merged = new Map<string, Mark>()
    const taken: string[] = []
    try {
      for (const name of names) {
        const file = path.join(this.#dir, name)
        if (Date.now() - (await stat(file)).mtimeMs < UNTOUCHED) continue
        // Renamed first: whoever still writes begins a new file.
        const mine = `${file}.${process.pid}`
        await rename(file, mine)
        taken.push(mine)
        this.#offsets.delete(name)
        for (const mark of parseLines(await readFrom(mine, 0))) {
          const order = `${mark.kind} ${mark.deadline} ${mark.tag}`
          if (mark.epoch > (merged.get(order)?.epoch ?? 0)) merged.set(order, mark)
        }
      }
      if (await this.append([...merged.values()])) await Promise.all(taken.map(file => unlink(file)))
    } catch (error) {
      this.#onError('write', error as Error)
    }
  }

  async close (): Promise<void> {
    await this.#writing
  }

  async #files (): Promise<string[]> {
    try {
      return (await readdir(this.#dir)).filter(name => FILE.test(name))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onError('read', error as Error)
      return []
    }
  }

  async #readTail (name: string): Promise<Mark[]> {
    const file = path.join(this.#dir, name)
    const offset = this.#offsets.get(name) ?? 0
    try {
      if ((await stat(file)).size <= offset) return []
      const text = await readFrom(file, offset)
      // A line that is still being written is read next time.
      const end = text.lastIndexOf('\n') + 1
      this.#offsets.set(name, offset + Buffer.byteLength(text.slice(0, end)))
      return parseLines(text.slice(0, end))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onError('read', error as Error)
      return []
    }
  }
}

async function readFrom (file: string, offset: number): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { size } = await handle.stat()
    const bytes = Buffer.alloc(Math.max(0, size - offset))
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset)
    return bytes.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

function toLine (mark: Mark): string {
  const json = JSON.stringify([mark.kind, mark.tag, mark.epoch, mark.deadline === Infinity ? null : mark.deadline])
  return `${checksum(json)} ${json}\n`
}

function parseLines (text: string): Mark[] {
  return text.split('\n').flatMap((line) => {
    const json = line.slice(CHECKSUM_LENGTH + 1)
    if (checksum(json) !== line.slice(0, CHECKSUM_LENGTH)) return []
    const [kind, tag, epoch, deadline] = JSON.parse(json) as ['soft' | 'hard', string, number, number | null]
    return [{ kind, tag, epoch, deadline: deadline ?? Infinity }]
  })
}

function checksum (text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, CHECKSUM_LENGTH)
}
