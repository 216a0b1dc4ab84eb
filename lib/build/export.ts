import path from 'node:path'
import type { UrlStyle } from '../../types/index.js'
import { ByteTable } from '../cache/byte-table.js'
import { Column } from '../cache/column.js'
import type { EncodedBody } from '../cache/entry.js'
import { yielding, type Files } from './files.js'

/** What any web server may read. */
const MODES = { file: 0o644, folder: 0o755 }
const SEGMENT = /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?$/i
/** Room for `.br` and a temporary name within the 255 bytes of most file systems. */
const MAX_SEGMENT = 200
const MAX_PATH = 1000
const SUFFIXES = { gzip: '.gz', br: '.br' } as const

export interface Exportable {
  key: string
  path: string
  status: number
  contentType: string
  /** How the body is stored first: `identity` unless the handler encoded it. */
  encoding: string
}

/** The readable file of a page below `dir`, or why it has none. Web servers map URLs to these names by themselves. */
export function exportName (page: Exportable, urlStyle: UrlStyle): { file: string } | { skipped: string } {
  if (page.key !== page.path) return { skipped: 'its key is more than a path' }
  if (page.status !== 200) return { skipped: `its status is ${page.status}` }
  if (page.encoding !== 'identity') return { skipped: `its handler encodes it as ${page.encoding}` }
  const segments = page.path.slice(1).split('/')
  const isFolder = segments.at(-1) === ''
  if (isFolder) segments.pop()
  for (const segment of segments) {
    if (!SEGMENT.test(segment) || segment.endsWith('.') || RESERVED.test(segment)) return { skipped: `'${segment}' is not a portable file name` }
    if (segment.length > MAX_SEGMENT) return { skipped: 'a part of its path is too long for a file name' }
  }
  const isHtml = /^text\/html\b/i.test(page.contentType)
  if (isFolder || segments.length === 0) {
    if (!isHtml) return { skipped: 'its path ends in a slash and it is no HTML' }
    segments.push('index.html')
  } else if (isHtml && !/\.html?$/i.test(page.path)) {
    if (urlStyle === 'directory') segments.push('index.html')
    else segments[segments.length - 1] += '.html'
  }
  const file = segments.join('/')
  return file.length > MAX_PATH ? { skipped: 'its path is too long for a file name' } : { file }
}

/** Whether a name, out of a manifest that anybody may have written, is one that a build gives. */
export function isExportName (file: string): boolean {
  return file.length <= MAX_PATH && file.split('/').every(segment => SEGMENT.test(segment))
}

/**
 * Names taken so far. Two pages whose files would be one on a file system that
 * folds case, or of which one would be the other's folder or the other's
 * encoding, can't both have one.
 */
export class ExportNames {
  /** Names without the suffix of an encoding, and all folders on the way; of each the page that has it. */
  readonly #files = new Owners()
  readonly #folders = new Owners()

  /** Null when the name is free, else the page that has it. */
  claim (file: string, key: string): string | null {
    const name = file.toLowerCase()
    const names = [name, ...Object.values(SUFFIXES).map(suffix => name + suffix)]
    const parents = name.split('/').slice(0, -1).map((_, index, parts) => parts.slice(0, index + 1).join('/'))
    const other = [...names.map(name => this.#fileOf(name) ?? this.#folders.get(name)), ...parents.map(parent => this.#fileOf(parent))].find(key => key !== null)
    if (other !== undefined) return other
    this.#files.add(name, key)
    for (const parent of parents) this.#folders.add(parent, key)
    return null
  }

  /** The page of which this is a file: in one encoding, or as it is. */
  #fileOf (name: string): string | null {
    const suffix = Object.values(SUFFIXES).find(suffix => name.endsWith(suffix))
    return this.#files.get(name) ?? (suffix === undefined ? null : this.#files.get(name.slice(0, -suffix.length)))
  }
}

/** Names and the first who had each, for a million of them. */
class Owners {
  readonly #names = new ByteTable()
  readonly #keys = new ByteTable()
  readonly #owners = new Column(Uint32Array)

  get (name: string): string | null {
    const id = this.#names.find(name)
    return id === -1 ? null : this.#keys.get(this.#owners.get(id))
  }

  add (name: string, key: string): void {
    if (this.#names.add(name) === this.#owners.size) this.#owners.push(this.#keys.add(key))
  }
}

export function suffixOf (encoding: string): string {
  return encoding === 'identity' ? '' : SUFFIXES[encoding as keyof typeof SUFFIXES]
}

/** Writes the files of a page to where `placeExport` takes them from. */
export async function stageExport (files: Files, staged: string, bodies: readonly EncodedBody[]): Promise<void> {
  for (const { encoding, bytes } of bodies) await writeStaged(files, staged + suffixOf(encoding), bytes, MODES)
}

/** For a file that nobody reads before it is moved: no detour by a temporary name. */
export async function writeStaged (files: Files, file: string, bytes: Buffer, modes: { file: number, folder: number }): Promise<void> {
  const options = { mode: modes.file, flag: 'wx' }
  try {
    await files.write(file, bytes, options)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await files.makeFolder(path.dirname(file), modes.folder)
    await files.write(file, bytes, options)
  }
}

/** Puts the staged files of a page in place; encodings that it no longer has go. */
export async function placeExport (files: Files, root: string, file: string, staged: string, encodings: readonly string[]): Promise<void> {
  const folder = path.dirname(path.join(root, ...file.split('/')))
  const isNewFolder = await files.makeFolder(folder, MODES.folder) !== undefined
  const target = await inside(files, root, file)
  // First of all the old encodings: at no time does one lie beside a newer page.
  if (!isNewFolder) for (const suffix of Object.values(SUFFIXES)) await remove(files, target + suffix)
  for (const encoding of encodings) await files.rename(staged + suffixOf(encoding), target + suffixOf(encoding))
}

/** Whether the files of a page are what they should be. */
export async function hasExport (files: Files, dir: string, file: string, bodies: readonly EncodedBody[]): Promise<boolean> {
  const target = path.join(dir, ...file.split('/'))
  try {
    for (const encoding of ['identity', 'br', 'gzip']) {
      const found = await readIfThere(files, target + suffixOf(encoding))
      const wanted = bodies.find(body => body.encoding === encoding)?.bytes ?? null
      if (found === null || wanted === null ? found !== wanted : !found.equals(wanted)) return false
    }
    return true
  } catch {
    return false
  }
}

/** Removes the files of a page and folders that this leaves empty. */
export async function removeExport (dir: string, file: string, files = yielding): Promise<void> {
  if (!isExportName(file)) return
  try {
    const root = await files.realpath(dir)
    const target = await inside(files, root, file)
    for (const suffix of ['', ...Object.values(SUFFIXES)]) await remove(files, target + suffix)
    for (let folder = path.dirname(target); folder.startsWith(root + path.sep); folder = path.dirname(folder)) {
      if (!await isRemoved(files, folder)) return
    }
  } catch (error) {
    if (!isNotThere(error)) throw error
  }
}

/** Names come from the allow-list above: no link on the way may lead out of `root`, either. */
async function inside (files: Files, root: string, file: string): Promise<string> {
  const target = path.join(root, ...file.split('/'))
  const folder = await files.realpath(path.dirname(target))
  if (folder !== root && !folder.startsWith(root + path.sep)) throw new Error(`'${file}' leads out of the output directory`)
  if (folder === path.join(root, '.isr') || folder.startsWith(path.join(root, '.isr') + path.sep)) throw new Error(`'${file}' lies among the entries`)
  return path.join(folder, path.basename(target))
}

async function readIfThere (files: Files, file: string): Promise<Buffer | null> {
  try {
    return await files.read(file)
  } catch (error) {
    if (isNotThere(error)) return null
    throw error
  }
}

async function remove (files: Files, file: string): Promise<void> {
  try {
    await files.unlink(file)
  } catch (error) {
    if (!isNotThere(error)) throw error
  }
}

/** An empty folder, that is. */
async function isRemoved (files: Files, folder: string): Promise<boolean> {
  try {
    await files.rmdir(folder)
    return true
  } catch {
    return false
  }
}

function isNotThere (error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}
