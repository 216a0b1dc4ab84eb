import { stat } from 'node:fs/promises'
import type { Manifest } from '../../types/index.js'
import { manifestFile, readManifest } from './manifest.js'
import { GRACE, removeOldBuilds, touchBuild } from './old-builds.js'

export interface FollowerOptions {
  dir: string
  /** Called with the manifest as it is at start, and with each new one. */
  onManifest: (manifest: Manifest) => void
  onError: (error: Error) => void
  /** Builds that this process reads. */
  inUse: () => readonly string[]
}

/** Notices builds: looks at the manifest at start and whenever it is told to, never per request. */
export class BuildFollower {
  readonly #options: FollowerOptions
  #seen = ''
  #tidiedAt = 0
  #checking: Promise<void> | null = null

  constructor (options: FollowerOptions) {
    this.#options = options
  }

  /** Single-flight; never rejects. */
  check (): Promise<void> {
    this.#checking ??= this.#check().finally(() => { this.#checking = null })
    return this.#checking
  }

  async #check (): Promise<void> {
    const { dir, onManifest, onError } = this.#options
    const facts = await stat(manifestFile(dir), { bigint: true }).catch(() => null)
    const identity = facts === null ? '' : `${facts.ino} ${facts.size} ${facts.mtimeNs}`
    if (identity !== this.#seen) {
      // A manifest that can't be read is reported once and left alone until it changes.
      this.#seen = identity
      try {
        const manifest = facts === null ? null : await readManifest(dir)
        if (manifest !== null) onManifest(manifest)
      } catch (error) {
        onError(error as Error)
      }
    }
    await this.#tidy()
  }

  async #tidy (): Promise<void> {
    const now = Date.now()
    if (now - this.#tidiedAt < GRACE / 2) return
    this.#tidiedAt = now
    const inUse = this.#options.inUse()
    if (inUse.length === 0) return
    for (const buildId of inUse) await touchBuild(this.#options.dir, buildId)
    await removeOldBuilds(this.#options.dir, inUse)
  }
}
