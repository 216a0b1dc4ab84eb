import { resolve } from 'node:path'
import { Hints } from './hints.js'
import { compare, look, type Change, type Files, type FileState } from './tree.js'

export type { Change } from './tree.js'

export interface WatchOptions {
  /**
   * Looks every so many milliseconds instead of waiting for events of the operating system, which do not get through
   * to most containers' bind mounts and network file systems. `true`: every 300 ms. Default `false`.
   */
  poll?: number | boolean
  /** Names of files and folders to leave out, besides hidden ones, `node_modules` and what editors leave behind. */
  ignore?: (name: string) => boolean
  /** Told what the developer should know: events are not available, the listener has failed. */
  warn?: (message: string, error: Error) => void
}

/** `changes` is never empty. What happens meanwhile is told after the promise is settled. */
export type OnChange = (changes: Change[]) => unknown

/** Milliseconds without a hint before a look. */
const QUIET = 25
/** Milliseconds after which hints that never cease no longer put off the look. */
const PATIENCE = 500
/** Milliseconds between looks for a folder that is not there: nothing tells that it is back. */
const MISSING = 250
const POLL = 300
/** Hidden files (swap files of most editors among them), backups, files on their way, and vim's probe for whether it may write. */
const LEFTOVER = /^\.|~$|^#.*#$|\.tmp$|___jb_(?:tmp|old)___$|^node_modules$|^4913$/

/**
 * Tells what has changed in folders and below them: each real change once, in batches, whatever way the editor saves.
 * Events of the operating system are hints that it is worth a look; the look, stamps and then contents, is the truth.
 * A file that is written with the content it had is not a change.
 *
 * Resolves when the state that changes are measured against is known: read what you keep of the files after that.
 */
export async function watch (folders: string | readonly string[], onChange: OnChange, options: WatchOptions = {}): Promise<{ close (): void }> {
  const watcher = new Watcher([folders].flat(), onChange, options)
  await watcher.start()
  return watcher
}

class Watcher {
  readonly #roots: readonly string[]
  readonly #onChange: OnChange
  readonly #options: WatchOptions
  readonly #hints: Hints
  #poll: number
  #files: Files = new Map()
  /** Gone, or empty, since the last look. */
  #doubtful = new Set<string>()
  #timer: NodeJS.Timeout | null = null
  #firstHint = 0
  #isLooking = false
  #isHinted = false
  /** Some root is not there. */
  #isIncomplete = false
  #isClosed = false

  constructor (folders: readonly string[], onChange: OnChange, options: WatchOptions) {
    this.#roots = folders.map(folder => resolve(folder))
    this.#onChange = onChange
    this.#options = options
    this.#poll = options.poll === true ? POLL : Number(options.poll ?? 0)
    this.#hints = new Hints({
      onHint: () => { this.#hint() },
      onExhausted: error => {
        this.#poll = POLL
        this.#warn(`the system can't watch more folders (${error.message}): looking every ${POLL} ms instead. On Linux, raise fs.inotify.max_user_watches and max_user_instances`, error)
        this.#hint()
      }
    })
  }

  async start (): Promise<void> {
    this.#isLooking = true
    this.#files = await this.#see()
    this.#rest()
  }

  close (): void {
    this.#isClosed = true
    this.#hints.close()
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #hint (): void {
    if (this.#isLooking) {
      this.#isHinted = true
      return
    }
    const now = performance.now()
    if (this.#firstHint === 0) this.#firstHint = now
    this.#lookAfter(Math.max(0, Math.min(QUIET, this.#firstHint + PATIENCE - now)))
  }

  #lookAfter (ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (!this.#isClosed) this.#timer = setTimeout(() => { void this.#look() }, ms).unref()
  }

  /** Never rejects. */
  async #look (): Promise<void> {
    this.#isLooking = true
    this.#firstHint = 0
    const before = this.#files
    this.#files = this.#withoutDoubtful(await this.#see())
    const changes = compare(before, this.#files)
    if (changes.length > 0 && !this.#isClosed) {
      try {
        await this.#onChange(changes)
      } catch (error) {
        this.#warn('the changed files could not be dealt with', error as Error)
      }
    }
    this.#rest()
  }

  /** Until the next hint, or the next look. */
  #rest (): void {
    this.#isLooking = false
    if (this.#isHinted || this.#doubtful.size > 0) {
      this.#isHinted = false
      this.#hint()
    } else if (this.#poll > 0 || this.#isIncomplete) {
      this.#lookAfter(this.#poll > 0 ? this.#poll : MISSING)
    }
  }

  async #see (): Promise<Map<string, FileState>> {
    const { ignore } = this.#options
    const { files, folders } = await look(this.#roots, {
      before: this.#files,
      isIgnored: name => LEFTOVER.test(name) || ignore?.(name) === true,
      onFolder: folder => { if (this.#poll === 0) this.#hints.add(folder) }
    })
    this.#hints.keep(folders)
    this.#isIncomplete = this.#roots.some(root => !folders.has(root))
    return files
  }

  /**
   * Editors that save in place empty the file first, others move it away before they write a new one: a file that is
   * suddenly empty, or gone, is believed to be at the second look.
   */
  #withoutDoubtful (files: Map<string, FileState>): Map<string, FileState> {
    const doubtful = new Set<string>()
    for (const [path, before] of this.#files) {
      const now = files.get(path)
      const isDoubtful = now === undefined || (now.size === 0 && before.size > 0)
      if (!isDoubtful || this.#doubtful.has(path)) continue
      doubtful.add(path)
      files.set(path, before)
    }
    this.#doubtful = doubtful
    return files
  }

  #warn (message: string, error: Error): void {
    this.#options.warn?.(message, error)
  }
}
