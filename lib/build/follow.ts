import { stat } from 'node:fs/promises'
import { manifestFile, readBuild, type Build, type ManifestHead } from './manifest.js'
import { GRACE, removeOldBuilds, touchBuild } from './old-builds.js'

export interface FollowerOptions {
  dir: string
  /** Called with the build as it is at start, and with each new one. */
  onBuild: (build: Build) => Promise<void>
  /** Called before a build that takes a while to read. */
  onHead: (head: ManifestHead) => void
  onError: (error: Error) => void
  /** Builds that this process reads. */
  inUse: () => readonly string[]
}

/** A manifest of so many bytes is not waited for at start: some ten thousand pages, or a tenth of a second. */
const LONG = 4 * 1024 * 1024

/** Notices builds: looks at the manifest at start and whenever it is told to, never per request. */
export class BuildFollower {
  readonly #options: FollowerOptions
  #seen = ''
  #reported = ''
  /** Of the manifest on disk, served or not; null when nobody knows. */
  #latest: string | null = null
  #tidiedAt = 0
  #checking: Promise<void> | null = null
  #isClosing = false
  #onLong: () => void = () => {}

  constructor (options: FollowerOptions) {
    this.#options = options
  }

  /** The first check; one that takes long goes on behind, when it is known which build it is. Never rejects. */
  async start (): Promise<void> {
    const isLong = new Promise<void>(resolve => { this.#onLong = resolve })
    await Promise.race([this.check(), isLong])
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

  /** What is being read is not needed any more. */
  async close (): Promise<void> {
    this.#isClosing = true
    await this.#checking
  }

  async #check (): Promise<void> {
    const { dir, onError } = this.#options
    const facts = await stat(manifestFile(dir), { bigint: true }).catch(() => null)
    const identity = facts === null ? '' : `${facts.ino} ${facts.size} ${facts.mtimeNs}`
    if (identity !== this.#seen) {
      // A manifest that can't be used is reported once and left alone until it changes.
      this.#seen = identity
      try {
        await this.#read(facts !== null)
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

  async #read (isThere: boolean): Promise<void> {
    const { dir, onBuild, onHead } = this.#options
    const build = isThere ? await readBuild(dir, { onHead: (head, bytes) => { if (bytes > LONG) this.#begin(head, onHead) }, isStopped: () => this.#isClosing }) : null
    this.#latest = build?.head.buildId ?? null
    if (build !== null) await onBuild(build)
  }

  #begin (head: ManifestHead, onHead: FollowerOptions['onHead']): void {
    onHead(head)
    this.#onLong()
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
