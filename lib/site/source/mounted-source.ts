import type { Source, SourceFile } from '../../../types/site.js'
import { FolderMissing } from '../errors.js'
import { byPath } from './paths.js'

/** Folder of the site → where its files come from in place of the site's own. No folder lies within another. */
export type Mounts = ReadonlyMap<string, Source>

/**
 * A source in which some folders are others' sources. Each of these stays
 * within its own bounds: a path is asked of one of them, and never leads from
 * one to another.
 */
export function mountedSource (base: Source, mounts: Mounts): Source {
  if (mounts.size === 0) return base
  const find = (path: string): { source: Source, within: string, at: string } => {
    for (const [at, source] of mounts) {
      if (path === at || path.startsWith(`${at}/`)) return { source, within: path.slice(at.length + 1), at }
    }
    return { source: base, within: path, at: '' }
  }
  return {
    locate (path) {
      const { source, within } = find(path)
      return source.locate(within)
    },
    async stamp (path) {
      const { source, within } = find(path)
      return await source.stamp(within)
    },
    async read (path) {
      const { source, within } = find(path)
      const read = await source.read(within)
      return read === null ? null : { ...read, path }
    },
    async list (folder) {
      const { source, within, at } = find(folder)
      if (source !== base) return await listAt(source, within, at)
      const below = folder === '' ? '' : `${folder}/`
      const own = (await base.list(folder)).filter(({ path }) => find(path).source === base)
      const mounted = [...mounts].filter(([at]) => at.startsWith(below)).map(async ([at, source]) => await listAt(source, '', at))
      return [own, ...await Promise.all(mounted)].flat().sort(byPath)
    }
  }
}

async function listAt (source: Source, within: string, at: string): Promise<SourceFile[]> {
  const list = await source.list(within).catch((cause: unknown) => {
    // By the name that it has here.
    throw (cause as { code?: unknown }).code === 'FST_ISR_ERR_SITE_FOLDER' ? new FolderMissing(within === '' ? at : `${at}/${within}`, source.locate(within) ?? 'it in its source', { cause }) : cause
  })
  return list.map(file => ({ ...file, path: `${at}/${file.path}` }))
}
