import { lstat, mkdir, realpath, rmdir, unlink } from 'node:fs/promises'
import path from 'node:path'
import type { UrlStyle } from '../../types/index.js'
import { writeFileAtomically } from '../cache/disk-tier.js'
import type { EncodedBody } from '../cache/entry.js'

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

/**
 * Names taken so far. Two pages whose files would be one on a file system that
 * folds case, or of which one would be the other's folder, can't both have one.
 */
export class ExportNames {
  readonly #files = new Map<string, string>()
  readonly #folders = new Map<string, string>()

  /** Null when the name is free, else the page that has it. */
  claim (file: string, key: string): string | null {
    const name = file.toLowerCase()
    const parents = name.split('/').slice(0, -1).map((_, index, parts) => parts.slice(0, index + 1).join('/'))
    const other = this.#files.get(name) ?? this.#folders.get(name) ?? parents.map(parent => this.#files.get(parent)).find(key => key !== undefined)
    if (other !== undefined) return other
    this.#files.set(name, key)
    for (const parent of parents) this.#folders.set(parent, this.#folders.get(parent) ?? key)
    return null
  }
}

/** Writes a page and its encodings beside it; removes encodings that it no longer has. */
export async function writeExport (dir: string, file: string, bodies: readonly EncodedBody[]): Promise<void> {
  const target = await inside(dir, file)
  for (const encoding of ['br', 'gzip'] as const) {
    const body = bodies.find(body => body.encoding === encoding)
    if (body === undefined) await remove(target + SUFFIXES[encoding])
    else await writeFileAtomically(target + SUFFIXES[encoding], body.bytes, MODES)
  }
  const identity = bodies.find(body => body.encoding === 'identity')
  if (identity !== undefined) await writeFileAtomically(target, identity.bytes, MODES)
}

/** Whether the export of an unchanged page is there still. */
export async function hasExport (dir: string, file: string, bodies: readonly EncodedBody[]): Promise<boolean> {
  for (const body of bodies) {
    const suffix = body.encoding === 'identity' ? '' : SUFFIXES[body.encoding as 'br' | 'gzip']
    const facts = await lstat(path.join(dir, ...file.split('/')) + suffix).catch(() => null)
    if (facts === null || !facts.isFile() || facts.size !== body.bytes.length) return false
  }
  return true
}

/** Removes the files of a page and folders that this leaves empty. */
export async function removeExport (dir: string, file: string): Promise<void> {
  const target = await inside(dir, file)
  for (const suffix of ['', '.br', '.gz']) await remove(target + suffix)
  const root = await realpath(dir)
  for (let folder = path.dirname(target); folder.startsWith(root + path.sep); folder = path.dirname(folder)) {
    const isRemoved = await rmdir(folder).then(() => true, () => false)
    if (!isRemoved) return
  }
}

/** Names come from the allow-list above, or from a manifest: neither may lead out of `dir`, not by a link either. */
async function inside (dir: string, file: string): Promise<string> {
  const target = path.join(dir, ...file.split('/'))
  await mkdir(path.dirname(target), { recursive: true, mode: MODES.folder })
  const root = await realpath(dir)
  const folder = await realpath(path.dirname(target))
  if (folder !== root && !folder.startsWith(root + path.sep)) throw new Error(`'${file}' leads out of the output directory`)
  if (folder === path.join(root, '.isr') || folder.startsWith(path.join(root, '.isr') + path.sep)) throw new Error(`'${file}' lies among the entries`)
  return path.join(folder, path.basename(target))
}

async function remove (file: string): Promise<void> {
  await unlink(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
  })
}
