import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface FileState {
  /** Equal stamps need no second read. Empty: too young for that. */
  stamp: string
  content: string
  /** In bytes. */
  size: number
}

/** Files by their absolute path. */
export type Files = ReadonlyMap<string, FileState>

export interface Change {
  type: 'added' | 'changed' | 'removed'
  /** Absolute. */
  path: string
}

export interface LookOptions {
  /** What the last look found: a file with an equal stamp is not read again. */
  before: Files
  isIgnored: (name: string) => boolean
  /** Called with each folder before it is listed: what is put into it afterwards is somebody else's to notice. */
  onFolder: (folder: string) => void
}

export interface Look {
  files: Map<string, FileState>
  /** All of them, as found. */
  folders: Set<string>
}

/** Larger files are known by their stamp alone: reading every video at start costs more than one reload too many. */
const MOST_READ = 1024 * 1024
/** File systems count time in steps of up to two seconds: within one, a second write can leave the stamp as it was. */
const YOUNG = 2000
/** Open files at the same time. */
const AT_ONCE = 16

/** What is in the folders, and below them, now. Folders that are not there are empty. Links to folders are not followed. */
export async function look (roots: Iterable<string>, options: LookOptions): Promise<Look> {
  const folders = new Set<string>()
  const paths: string[] = []
  for (const root of roots) await walk(root, options, folders, paths)

  const files = new Map<string, FileState>()
  const queue = paths.values()
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const path of queue) {
      const state = await stateOf(path, options.before.get(path))
      if (state !== null) files.set(path, state)
    }
  }))
  return { files, folders }
}

async function walk (folder: string, options: LookOptions, folders: Set<string>, paths: string[]): Promise<void> {
  // Roots may lie in each other.
  if (folders.has(folder)) return
  options.onFolder(folder)
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => null)
  if (entries === null) return
  folders.add(folder)
  await Promise.all(entries.map(async entry => {
    if (options.isIgnored(entry.name)) return
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await walk(path, options, folders, paths)
    else paths.push(path)
  }))
}

/** Null: it is gone, or no file. */
async function stateOf (path: string, before: FileState | undefined): Promise<FileState | null> {
  try {
    const facts = await stat(path, { bigint: true })
    if (!facts.isFile()) return null
    const stamp = `${facts.mtimeNs} ${facts.ctimeNs} ${facts.size} ${facts.ino}`
    if (before?.stamp === stamp) return before
    const size = Number(facts.size)
    if (size > MOST_READ) return { stamp, content: stamp, size }
    const content = createHash('sha256').update(await readFile(path)).digest('base64')
    const isYoung = Number(facts.mtimeMs) > Date.now() - YOUNG
    return { stamp: isYoung ? '' : stamp, content, size }
  } catch {
    return null
  }
}

/** In the order of their paths. */
export function compare (before: Files, after: Files): Change[] {
  const changes: Change[] = []
  for (const [path, state] of after) {
    const old = before.get(path)
    if (old === undefined) changes.push({ type: 'added', path })
    else if (old.content !== state.content) changes.push({ type: 'changed', path })
  }
  for (const path of before.keys()) {
    if (!after.has(path)) changes.push({ type: 'removed', path })
  }
  return changes.sort((a, b) => a.path < b.path ? -1 : 1)
}
