import { watch, type FSWatcher } from 'node:fs'
import { basename, join, sep } from 'node:path'

export interface HintsOptions {
  /** Something may have changed. */
  onHint: () => void
  /** The system has no more watches to give. Called once; nothing is watched from then on. */
  onExhausted: (error: Error) => void
}

/** What the system says when it has run out of watches or of open files. */
const EXHAUSTED = new Set(['ENOSPC', 'EMFILE', 'ENFILE'])

/**
 * Events of the operating system, one watch per folder: recursive watches take one per file on Linux.
 * They only say that it is worth a look; which files, and what happened to them, they tell unreliably.
 */
export class Hints {
  readonly #options: HintsOptions
  readonly #watchers = new Map<string, FSWatcher>()
  #isClosed = false

  constructor (options: HintsOptions) {
    this.#options = options
  }

  /** Watched folders. */
  get size (): number {
    return this.#watchers.size
  }

  add (folder: string): void {
    if (this.#isClosed || this.#watchers.has(folder)) return
    try {
      const watcher = watch(folder, (event, name) => {
        if (event === 'rename' && name !== null) this.#forget(folder, name)
        this.#options.onHint()
      })
      watcher.on('error', error => {
        this.#drop(folder)
        this.#onError(error)
      })
      // The listening server keeps the process alive, not this.
      watcher.unref()
      this.#watchers.set(folder, watcher)
    } catch (error) {
      this.#onError(error as Error)
    }
  }

  /** Drops the watches of folders that are gone. */
  keep (folders: ReadonlySet<string>): void {
    for (const folder of this.#watchers.keys()) {
      if (!folders.has(folder)) this.#drop(folder)
    }
  }

  close (): void {
    this.#isClosed = true
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  /**
   * A folder that is removed leaves a dead watch behind, and one that is made again at once may get the same inode:
   * whatever is renamed is watched anew, by the next look.
   */
  #forget (folder: string, name: string): void {
    this.#drop(join(folder, name))
    // A folder reports its own end with its own name.
    if (name === basename(folder)) this.#drop(folder)
  }

  #drop (top: string): void {
    for (const [folder, watcher] of this.#watchers) {
      if (folder !== top && !folder.startsWith(top + sep)) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
  }

  #onError (error: Error & { code?: string }): void {
    if (this.#isClosed) return
    if (EXHAUSTED.has(error.code ?? '')) {
      this.close()
      this.#options.onExhausted(error)
      return
    }
    // Gone again, most likely: the next look tells.
    if (error.code !== 'ENOENT') this.#options.onHint()
  }
}
