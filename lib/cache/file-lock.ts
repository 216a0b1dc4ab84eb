import { lstat, open, rename, unlink } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

/** A lock that stood for so long belongs to a process that died or stands still (milliseconds). */
const STUCK = 2000
const LONGEST_WAIT = 16

/**
 * Keeps processes from replacing one file at the same time: a file beside it
 * that only one of them can make. Readers need no lock.
 *
 * Who dies with it delays others by `STUCK`. Who stands still with it, and
 * wakes up after others have taken it over, finds that it is no longer sure
 * and starts again: two hold it only if one of them stood still for more than
 * `STUCK / 2` between its last look and the system call after that.
 */
export class FileLock {
  readonly #file: string
  readonly #until: number

  private constructor (file: string, until: number) {
    this.#file = file
    this.#until = until
  }

  /** Waits for its turn. Throws when no lock can be made there. */
  static async take (file: string): Promise<FileLock> {
    const name = `${file}.lock`
    const seen = { id: '', since: 0 }
    for (let tries = 0; ; tries++) {
      const startedAt = performance.now()
      if (await isMade(name)) return new FileLock(name, startedAt + STUCK / 2)
      const id = await idOf(name)
      // By this process's own watch: the clock of a disk elsewhere says nothing here.
      if (id !== seen.id) Object.assign(seen, { id, since: performance.now() })
      else if (id !== '' && performance.now() - seen.since > STUCK) await takeAway(name)
      await delay(Math.random() * Math.min(2 ** tries, LONGEST_WAIT))
    }
  }

  /** To be asked before each step that must not be taken without it. */
  get isSure (): boolean {
    return performance.now() < this.#until
  }

  async release (): Promise<void> {
    // Else it may be somebody else's by now.
    if (this.isSure) await unlink(this.#file).catch(() => {})
  }
}

async function isMade (name: string): Promise<boolean> {
  try {
    await (await open(name, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Empty when it is gone. */
async function idOf (name: string): Promise<string> {
  const facts = await lstat(name).catch(() => null)
  return facts === null ? '' : `${facts.ino} ${facts.mtimeMs}`
}

async function takeAway (name: string): Promise<void> {
  // Renamed first: of several who want to remove it, one does.
  const mine = `${name.slice(0, -'.lock'.length)}.${randomBytes(6).toString('hex')}.tmp`
  await rename(name, mine).then(() => unlink(mine)).catch(() => {})
}
