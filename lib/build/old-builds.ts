import { readdir, rm, stat, utimes } from 'node:fs/promises'
import path from 'node:path'

/** A build that no server has touched for so long is read by nobody (milliseconds). */
export const GRACE = 10 * 60_000

/** Says that a server reads this build. */
export async function touchBuild (dir: string, buildId: string): Promise<void> {
  const now = new Date()
  // Nothing there, or a read-only disk: nothing to protect, or nobody who could remove it.
  await utimes(path.join(dir, '.isr', buildId), now, now).catch(() => {})
}

/** Removes entries of builds that are neither `kept` nor in use. Best effort. */
export async function removeOldBuilds (dir: string, kept: readonly string[]): Promise<void> {
  const root = path.join(dir, '.isr')
  const names = await readdir(root, { withFileTypes: true }).catch(() => [])
  for (const entry of names) {
    if (!entry.isDirectory() || entry.name === 'marks' || kept.includes(entry.name)) continue
    const folder = path.join(root, entry.name)
    const facts = await stat(folder).catch(() => null)
    if (facts === null || Date.now() - facts.mtimeMs < GRACE) continue
    await rm(folder, { recursive: true, force: true }).catch(() => {})
  }
}
