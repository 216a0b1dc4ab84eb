import { randomBytes } from 'node:crypto'
import { cp, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Puts a build in force in a cache directory that outlives it, such as a volume: its pages replace
 * those of the build before, orders and what was rendered since under the same build stay. Like a
 * build itself it can be interrupted at any time, for the manifest comes last.
 *
 * @returns false when that build was in force already
 */
export async function takeBuild (from: string, to: string): Promise<boolean> {
  const buildId = await buildIdOf(from)
  if (buildId === undefined) throw new Error(`there is no build in ${from}`)
  if (buildId === await buildIdOf(to)) return false
  const target = join(to, '.isr')
  await mkdir(target, { recursive: true, mode: 0o700 })
  // A name that the plugin takes for a build that nobody serves, so that it goes if we are killed.
  const staging = join(target, `${buildId}.staging-${randomBytes(4).toString('hex')}`)
  try {
    await cp(join(from, '.isr', buildId), staging, { recursive: true })
    // It is there after a step back to an older image; its pages may have been rendered anew since.
    await rename(staging, join(target, buildId)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
    await mkdir(staging, { recursive: true })
    await cp(manifestOf(from), join(staging, 'manifest.json'))
    await rename(join(staging, 'manifest.json'), manifestOf(to))
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  return true
}

function manifestOf (dir: string): string {
  return join(dir, '.isr', 'manifest.json')
}

/** Undefined when there is no build, or none that can be told. */
async function buildIdOf (dir: string): Promise<string | undefined> {
  try {
    const { buildId } = JSON.parse(await readFile(manifestOf(dir), 'utf8')) as { buildId?: unknown }
    return typeof buildId === 'string' ? buildId : undefined
  } catch {
    return undefined
  }
}
