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
  #reported = ''
  /** Of the manifest on disk, served or not; null when nobody knows. */
  #latest: string | null = null
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

  /** For somebody who knows of a new manifest: a check under way may have missed it. */
  async checkAgain (): Promise<void> {
    await this.#checking
    await this.check()
  }

  async #check (): Promise<void> {
    const { dir, onManifest, onError } = this.#options
    const facts = await stat(manifestFile(dir), { bigint: true }).catch(() => null)
    const identity = facts === null ? '' : `${facts.ino} ${facts.size} ${facts.mtimeNs}`
    if (identity !== this.#seen) {
      // A manifest that can't be used is reported once and left alone until it changes.
      this.#seen = identity
      try {
        const manifest = facts === null ? null : await readManifest(dir)
        this.#latest = manifest?.buildId ?? null
        if (manifest !== null) onManifest(manifest)
      } catch (error) {
        this.#latest = null
        // One that could not even be read may be readable next time.
        if (isTransient(error as Error)) this.#seen = ''
        if (this.#reported !== identity) onError(error as Error)
        this.#reported = identity
      }
    }
    await this.#tidy()
  }

  async #tidy (): Promise<void> {
    const now = Date.now()
    if (now - this.#tidiedAt < GRACE / 2) return
    const inUse = this.#options.inUse()
    if (inUse.length === 0) return
    this.#tidiedAt = now
    for (const buildId of inUse) await touchBuild(this.#options.dir, buildId)
    // The last build may be one that is served after the next restart.
    if (this.#latest !== null) await removeOldBuilds(this.#options.dir, [...inUse, this.#latest])
  }
}

function isTransient (error: Error): boolean {
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException
  return code === 'EMFILE' || code === 'ENFILE' || code === 'EIO' || code === 'EACCES' || code === 'ENOENT'
}
