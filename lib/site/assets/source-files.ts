import { constants, type Dirent, type Stats } from 'node:fs'
import { open, readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AssetBroken, AssetClash } from '../errors.js'
import { isPart, publicName } from './kinds.js'

export interface SourceFile {
  /** Relative to the folder of assets, with slashes: what authors call it. */
  name: string
  /** Absolute, without symbolic links. */
  file: string
}

/** Editors save in less time. */
const READS = 5
/** Milliseconds: the clock of a file system ticks no more slowly. Within one tick two changes look like one. */
const TICK = 20

/**
 * All files below a folder, sorted. Names that begin with a dot are nobody's
 * assets.
 *
 * @throws FST_ISR_ERR_SITE_ASSET_BROKEN | FST_ISR_ERR_SITE_ASSET_CLASH
 */
export async function listSources (folder: string): Promise<SourceFile[]> {
  const root = await realpath(folder)
  const files: SourceFile[] = []
  for (const found of await walk(root, '')) {
    const name = found.split(path.sep).join('/')
    checkName(name)
    files.push({ name, file: await realFile(root, found) })
  }
  files.sort((a, b) => a.name < b.name ? -1 : 1)
  checkClashes(files)
  return files
}

/**
 * @throws FST_ISR_ERR_SITE_ASSET_BROKEN, if it never stands still
 */
export async function readWhole ({ name, file }: SourceFile): Promise<Buffer> {
  for (let reads = 0; reads < READS; reads++) {
    const bytes = await readUnchanged(file).catch(cause => { throw unreadable(name, cause) })
    if (bytes !== null) return bytes
  }
  throw new AssetBroken(name, 'it changes all the time while it is read; build when nothing writes to it')
}

async function walk (root: string, folder: string): Promise<string[]> {
  const found: string[] = []
  const entries = await readdir(path.join(root, folder), { withFileTypes: true }).catch(cause => { throw unreadable(folder, cause) })
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue
    const name = path.join(folder, entry.name)
    if (entry.isDirectory()) found.push(...await walk(root, name))
    else found.push(name)
    checkType(name, entry)
  }
  return found
}

function unreadable (name: string, cause: Error): Error {
  return new AssetBroken(name, `it can't be read: ${cause.message}`, { cause })
}

function checkType (name: string, entry: Dirent): void {
  if (entry.isDirectory() || entry.isFile() || entry.isSymbolicLink()) return
  throw new AssetBroken(name, 'it is neither a file nor a folder; remove it')
}

function checkName (name: string): void {
  // What is no text in UTF-8 has become a replacement character, and can't be opened by that name.
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f\\\ufffd]/.test(name)) {
    throw new AssetBroken(JSON.stringify(name), 'its name has characters that no URL should have; rename it')
  }
}

async function realFile (root: string, name: string): Promise<string> {
  const file = await realpath(path.join(root, name)).catch(cause => {
    throw new AssetBroken(name, 'it is a link to nothing; remove it', { cause })
  })
  const below = path.relative(root, file)
  if (below.startsWith('..') || path.isAbsolute(below)) throw new AssetBroken(name, 'it is a link to a file outside of the folder of assets; copy the file')
  if (!(await stat(file)).isFile()) throw new AssetBroken(name, 'it is a link to a folder; copy the folder, or link its files')
  return file
}

/** Somebody's file system tells neither case nor ways to write an accent apart. */
function checkClashes (files: readonly SourceFile[]): void {
  const seen = new Map<string, string>()
  for (const { name } of files) {
    const key = (isPart(name) ? name : publicName(name)).normalize().toLowerCase()
    const other = seen.get(key)
    if (other !== undefined) throw new AssetClash(other, name)
    seen.set(key, name)
  }
}

/** Null: it has changed meanwhile. */
async function readUnchanged (file: string): Promise<Buffer | null> {
  // Not blocking: what was a file a moment ago may be a pipe now.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const before = await handle.stat()
    const age = Date.now() - before.mtimeMs
    if (age >= 0 && age < TICK) {
      await delay(TICK)
      return null
    }
    const bytes = await handle.readFile()
    const after = await handle.stat()
    return stampOf(before) === stampOf(after) && bytes.length === after.size ? bytes : null
  } finally {
    await handle.close()
  }
}

function stampOf ({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
}
