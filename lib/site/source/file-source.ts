import { readdir, realpath, stat } from 'node:fs/promises'
import nodePath from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Dirent } from 'node:fs'
import type { Source, SourceFile, SourceText } from '../../../types/site.js'
import { FileOutside, FileUnreadable, FolderMissing, LinksEndless } from '../errors.js'
import { mapAtOnce } from './at-once.js'
import { byPath, isHidden, isSourcePath } from './paths.js'
import { readText, stampOf } from './read-text.js'

/**
 * A folder on disk. Nothing outside of it is ever read, whatever a symbolic
 * link or a path says; files of editors and version control (`.name`, `name~`)
 * are not part of it.
 *
 * @throws FST_ISR_ERR_SITE_FOLDER by `list`, if there is no such folder
 * @throws FST_ISR_ERR_SITE_FILE by `list`, if that folder may not be read; one below it has its `error` in the list
 * @throws FST_ISR_ERR_SITE_LINKS by `list`, if symbolic links lead to ever more folders
 * @throws FST_ISR_ERR_SITE_OUTSIDE by `read`, for a link that leads out of the root
 * @throws FST_ISR_ERR_SITE_FILE by `read`, for what is no text of reasonable size
 */
export function fileSource (root: string | URL): Source {
  const folder = nodePath.resolve(root instanceof URL || root.startsWith('file:') ? fileURLToPath(root) : root)
  const locate = (path: string): string => path === '' ? folder : nodePath.join(folder, ...path.split('/'))
  return {
    locate: path => path === '' || isSourcePath(path) ? locate(path) : null,

    async list (path) {
      if (path !== '' && !isSourcePath(path)) throw new FolderMissing(path, locate(''))
      const walk = new Walk(await realFolder(folder, ''), locate)
      return await walk.list(path, await realFolder(locate(path), path))
    },

    async stamp (path) {
      if (!isSourcePath(path)) return null
      const stats = await stat(locate(path), { bigint: true }).catch(unlessGone)
      return stats === UNREADABLE ? stats : stats?.isFile() === true ? stampOf(stats) : null
    },

    async read (path): Promise<SourceText | null> {
      if (!isSourcePath(path)) return null
      try {
        // Both anew each time: a deploy may put another folder in the place of the root.
        const [inside, file] = await Promise.all([realpath(folder), realpath(locate(path))])
        if (!contains(inside, file)) throw new FileOutside(path, file)
        return await readText(file, path)
      } catch (error) {
        if (isGone(error)) return null
        throw error instanceof Error && 'syscall' in error ? new FileUnreadable(path, error.message, { cause: error }) : error
      }
    }
  }

  async function realFolder (location: string, path: string): Promise<string> {
    const real = await realpath(location).catch((cause: unknown) => { throw new FolderMissing(path, location, { cause }) })
    const stats = await stat(real).catch((cause: unknown) => { throw new FolderMissing(path, location, { cause }) })
    if (!stats.isDirectory()) throw new FolderMissing(path, location)
    return real
  }
}

/** In the place of a stamp. It is that of no file. */
const UNREADABLE = 'unreadable'
/** Folders that one look gets to by way of links. Each that leads to the next multiplies them. */
const MOST_LINKED = 1000

/** One look at all files below a folder. */
class Walk {
  readonly #root: string
  readonly #locate: (path: string) => string
  /** Folders that links have led to, and those in them. */
  #linked = 0

  constructor (root: string, locate: (path: string) => string) {
    this.#root = root
    this.#locate = locate
  }

  async list (path: string, real: string): Promise<SourceFile[]> {
    if (!contains(this.#root, real)) throw new FileOutside(path, real)
    return (await this.#below(path, [real], false)).sort(byPath)
  }

  /** `within`: real paths of the folder and of those above it, which a link must not lead back to. */
  async #below (path: string, within: readonly string[], isLinked: boolean): Promise<SourceFile[]> {
    if (isLinked && ++this.#linked > MOST_LINKED) throw new LinksEndless(path, MOST_LINKED)
    let found: Dirent[]
    try {
      found = await readdir(within.at(-1) as string, { withFileTypes: true })
    } catch (cause) {
      if (isGone(cause)) return []
      const error = new FileUnreadable(`${path}/`, (cause as Error).message, { cause })
      // Of the folder that was asked for nothing is known; one below it is no reason to know nothing of the others.
      if (within.length === 1) throw error
      return [{ path: `${path}/`, stamp: UNREADABLE, error }]
    }
    const shown = found.filter(({ name }) => !isHidden(name) && isSourcePath(name))
    const lists = await mapAtOnce(shown, async entry => {
      const below = path === '' ? entry.name : `${path}/${entry.name}`
      if (entry.isSymbolicLink()) return await this.#link(below, within, isLinked)
      if (entry.isDirectory()) return await this.#below(below, [...within, nodePath.join(within.at(-1) as string, entry.name)], isLinked)
      return entry.isFile() ? await this.#file(below) : []
    })
    return lists.flat()
  }

  async #link (path: string, within: readonly string[], isLinked: boolean): Promise<SourceFile[]> {
    const real = await realpath(this.#locate(path)).catch(unlessGone)
    if (real === null) return []
    const stats = real === UNREADABLE ? real : await stat(real).catch(unlessGone)
    // A file outside is listed: whoever reads it is told why it is refused.
    if (stats === UNREADABLE || stats?.isDirectory() !== true) return await this.#file(path)
    return contains(this.#root, real) && !within.includes(real) ? await this.#below(path, [...within, real], true) : []
  }

  async #file (path: string): Promise<SourceFile[]> {
    const stats = await stat(this.#locate(path), { bigint: true }).catch(unlessGone)
    // Whoever reads it is told why it can't be.
    if (stats === UNREADABLE) return [{ path, stamp: stats }]
    return stats?.isFile() === true ? [{ path, stamp: stampOf(stats) }] : []
  }
}

function contains (folder: string, real: string): boolean {
  return real === folder || real.startsWith(folder.endsWith(nodePath.sep) ? folder : folder + nodePath.sep)
}

function isGone (error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP'
}

/** What is deleted while it is looked at was not there. */
function unlessGone (error: unknown): null | typeof UNREADABLE {
  return isGone(error) ? null : UNREADABLE
}
