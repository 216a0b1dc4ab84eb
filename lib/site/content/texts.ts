import type { Source, SourceText } from '../../../types/site.js'
import { mapAtOnce } from '../source/at-once.js'
import { Deadline } from './deadline.js'

/** Milliseconds. A network file system that is gone answers never. */
const PATIENCE = 30_000
/** For who is about to close. */
const HURRY = 1000

export interface Look {
  /** Files that are new, or have another stamp than before. */
  read: SourceText[]
  removed: string[]
  /** Why a file could not be read; what was read of it before stays. */
  failed: Map<string, Error>
  /** Every file that was looked at. */
  seen: Set<string>
}

/** The texts of some folders of a source, as they were when last looked at. One look at a time. */
export class Texts {
  readonly #source: Source
  readonly #folders: readonly string[]
  readonly #isWanted: (path: string) => boolean
  /** Path → stamp; null: it could not be read. */
  readonly #held = new Map<string, string | null>()
  /** With a slash at their end: they could not be read, and what was in them holds. */
  readonly #broken = new Set<string>()
  #patience: number
  #deadline: Deadline | null = null

  constructor (source: Source, folders: readonly string[], isWanted: (path: string) => boolean, patience = PATIENCE) {
    this.#source = source
    this.#patience = patience
    this.#isWanted = isWanted
    // A folder within another is listed with it.
    this.#folders = folders.filter(folder => !folders.some(other => folder.startsWith(`${other}/`)))
  }

  /**
   * Without paths at everything; else at these files and, where a path ends in
   * a slash, at all there is in a folder. Others' files are no concern.
   *
   * @throws FST_ISR_ERR_SITE_FOLDER, FST_ISR_ERR_SITE_SILENT, and then nothing has changed
   */
  async look (paths?: Iterable<string>): Promise<Look> {
    const deadline = new Deadline(this.#patience)
    this.#deadline = deadline
    try {
      return await this.#look(this.#wanted(paths), deadline)
    } finally {
      deadline.close()
      this.#deadline = null
    }
  }

  /** The site closes: who does not answer is not waited for. */
  hurry (): void {
    this.#patience = HURRY
    this.#deadline?.limit(HURRY)
  }

  async #look ({ folders, files }: { folders: string[], files: Set<string> }, deadline: Deadline): Promise<Look> {
    const listed = new Map<string, string>()
    const broken = new Map<string, Error>()
    for (const folder of folders) {
      for (const { path, stamp, error } of await deadline.of(folder, this.#source.list(folder))) {
        if (error !== undefined) broken.set(path, error)
        else if (this.#isWanted(path)) listed.set(path, stamp)
      }
    }
    const seen = new Set(listed.keys())
    const isHeld = (path: string): boolean => [...broken.keys()].some(folder => path.startsWith(folder))
    const stamps: { path: string, stamp: string | null }[] = Array.from(listed, ([path, stamp]) => ({ path, stamp }))
    for (const path of this.#held.keys()) {
      if (!seen.has(path) && folders.some(folder => path.startsWith(`${folder}/`)) && !isHeld(path)) stamps.push({ path, stamp: null })
    }
    const single = [...files].filter(path => !seen.has(path) && !folders.some(folder => path.startsWith(`${folder}/`)))
    stamps.push(...await mapAtOnce(single, async path => ({ path, stamp: await deadline.of(path, this.#source.stamp(path)) })))

    const look: Look = { read: [], removed: [], failed: new Map(broken), seen: new Set([...stamps.map(({ path }) => path), ...broken.keys()]) }
    await mapAtOnce(stamps, async file => { await this.#compare(file, look, deadline) })
    for (const folder of this.#broken) {
      if (folders.some(looked => folder.startsWith(`${looked}/`)) && !broken.has(folder) && this.#broken.delete(folder)) look.removed.push(folder)
    }
    for (const folder of broken.keys()) this.#broken.add(folder)
    return look
  }

  async #compare ({ path, stamp }: { path: string, stamp: string | null }, look: Look, deadline: Deadline): Promise<void> {
    if (stamp === null) return this.#forget(path, look)
    if (this.#held.get(path) === stamp) return
    try {
      const read = await deadline.of(path, this.#source.read(path))
      if (read === null) return this.#forget(path, look)
      this.#held.set(path, read.stamp)
      look.read.push(read)
    } catch (error) {
      // Read again by the next look, whatever its stamp.
      this.#held.set(path, null)
      look.failed.set(path, error as Error)
    }
  }

  #forget (path: string, look: Look): void {
    if (this.#held.delete(path)) look.removed.push(path)
  }

  #wanted (paths: Iterable<string> | undefined): { folders: string[], files: Set<string> } {
    if (paths === undefined) return { folders: [...this.#folders], files: new Set() }
    const folders = new Set<string>()
    const files = new Set<string>()
    for (const path of paths) {
      const isFolder = path.endsWith('/')
      const bare = isFolder ? path.slice(0, -1) : path
      if (!this.#folders.some(folder => bare === folder || bare.startsWith(`${folder}/`))) continue
      if (isFolder) folders.add(bare)
      else if (this.#isWanted(bare)) files.add(bare)
    }
    return { folders: [...folders].filter(folder => ![...folders].some(other => folder.startsWith(`${other}/`))), files }
  }
}
