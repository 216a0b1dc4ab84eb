import type { Source } from '../../../types/site.js'
import { byPath, isSourcePath } from './paths.js'
import { textOf } from './read-text.js'

/**
 * Files in memory, for tests: path → text. Each `set` changes the stamp, be the
 * text the same or not, as it is with files. There are no folders that could be
 * missing: a folder without files is an empty list.
 */
export function memorySource (files: Record<string, string>): Source & { set (path: string, text: string): void, delete (path: string): void } {
  const held = new Map<string, { bytes: Buffer, stamp: string }>()
  let version = 0
  const set = (path: string, text: string): void => {
    if (!isSourcePath(path)) throw new TypeError(`a path of a site is relative, with '/' between its parts, got ${JSON.stringify(path)}`)
    held.set(path, { bytes: Buffer.from(text), stamp: `${++version}` })
  }
  for (const [path, text] of Object.entries(files)) set(path, text)
  return {
    set,
    delete (path) { held.delete(path) },
    locate: () => null,
    async list (folder) {
      const below = folder === '' ? '' : `${folder}/`
      return Array.from(held, ([path, { stamp }]) => ({ path, stamp })).filter(({ path }) => path.startsWith(below)).sort(byPath)
    },
    async stamp (path) {
      return held.get(path)?.stamp ?? null
    },
    async read (path) {
      const file = held.get(path)
      return file === undefined ? null : { ...textOf(file.bytes, path), stamp: file.stamp }
    }
  }
}
