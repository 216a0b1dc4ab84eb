import { lstat, readdir, stat, unlink } from 'node:fs/promises'
import path from 'node:path'

const FOLDER = /^[0-9a-f]{2}$/
const NAME = /^[0-9a-f]{64}$/
/** Half-written files and locks. */
const TEMPORARY = /^[0-9a-f]{64}\.(?:[0-9a-f]+\.tmp|lock)$/
/** A temporary file older than this was left by a process that died (milliseconds). */
const ABANDONED = 60_000

export interface Scan {
  /** Those that were expected and are not there. */
  readonly missing: ReadonlySet<string>
  /** Those that were not known, the oldest first. */
  readonly found: readonly { readonly name: string, readonly bytes: number }[]
}

export interface ScanOptions {
  /** Whether what dead processes left half-written may be removed. */
  mayClean: boolean
  isKnown: (name: string) => boolean
  expected: Iterable<string>
  isStopped: () => boolean
}

/** Looks through the folder of a build. Null when it was stopped. */
export async function scanFolder (root: string, { mayClean, isKnown, expected, isStopped }: ScanOptions): Promise<Scan | null> {
  const missing = new Set(expected)
  const found: { name: string, bytes: number, mtime: number }[] = []
  for (const folder of await listDir(root)) {
    if (!FOLDER.test(folder)) continue
    for (const name of await listDir(path.join(root, folder))) {
      const file = path.join(root, folder, name)
      if (mayClean && TEMPORARY.test(name)) await removeAbandoned(file)
      if (!NAME.test(name)) continue
      missing.delete(name)
      if (isKnown(name)) continue
      const facts = await lstat(file).catch(() => null)
      if (facts?.isFile()) found.push({ name, bytes: facts.size, mtime: facts.mtimeMs })
      if (isStopped()) return null
    }
  }
  return { missing, found: found.sort((a, b) => a.mtime - b.mtime) }
}

async function listDir (dir: string): Promise<string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function removeAbandoned (file: string): Promise<void> {
  const facts = await stat(file).catch(() => null)
  if (facts !== null && Date.now() - facts.mtimeMs > ABANDONED) await unlink(file).catch(() => {})
}
