import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { BadEntry } from '../errors.js'
import { decode, encode, MAX_ENTRY_BYTES } from './codec.js'
import { isNewer, type Entry } from './entry.js'

export interface DiskTierOptions {
  /** `<dir>/.isr` */
  root: string
  buildId: string
  /** Bounds what this tier wrote at run time; built entries are not counted. */
  maxBytes: number
  writeBack: boolean
  onError: (operation: 'read' | 'write' | 'delete' | 'scan', key: string | null, error: Error) => void
  /** An operation that may have failed before worked. */
  onWorking: (operation: 'read' | 'write' | 'delete' | 'scan') => void
}

const NAME = /^[0-9a-f]{64}$/
const TEMPORARY = /^[0-9a-f]{64}\.[0-9a-f]+\.tmp$/
/** A temporary file older than this was left by a process that died (milliseconds). */
const ABANDONED = 60_000

/** A file that is there; another object for each write. */
interface Known {
  readonly bytes: number
}

/** Where a key lies below `.isr`: hashed, so that no key can name a path. */
export function entryFile (buildId: string, key: string): string {
  const name = fileName(key)
  return path.join(buildId, name.slice(0, 2), name)
}

/**
 * One file per entry, replaced by rename. An index in memory knows what is
 * there: the disk is never asked for a page that is not.
 */
export class DiskTier {
  readonly #options: DiskTierOptions
  /** By file name. Built entries are never evicted. */
  readonly #built = new Map<string, Known>()
  /** Written at run time; least recently used first. */
  readonly #extra = new Map<string, Known>()
  /** A write or delete failed, or was not allowed: what lies there must not be believed. */
  readonly #distrusted = new Set<string>()
  /** What this process wrote last, so that a slow older write never replaces a newer one. */
  readonly #pending = new Map<string, { entry: Entry | null, done: Promise<void> }>()
  #extraBytes = 0
  #isScanned = false
  #isClosed = false
  #scanning: Promise<void> = Promise.resolve()
  errors = 0

  constructor (options: DiskTierOptions) {
    this.#options = options
  }

  get buildId (): string {
    return this.#options.buildId
  }

  get writeBack (): boolean {
    return this.#options.writeBack
  }

  get entries (): number {
    return this.#built.size + this.#extra.size
  }

  get bytes (): number {
    return this.#extraBytes
  }

  /** Takes the keys of the build into the index and looks for other entries behind. */
  open (built: Iterable<{ key: string, bytes: number }>): void {
    this.addBuilt(built)
    this.#scanning = this.#scan()
  }

  /** Entries that a build has written since. */
  addBuilt (built: Iterable<{ key: string, bytes: number }>): void {
    for (const { key, bytes } of built) {
      const name = fileName(key)
      this.#forgetExtra(name)
      this.#distrusted.delete(name)
      this.#built.set(name, { bytes })
    }
  }

  /** Resolves when the first look at the directory is over. */
  get scanned (): Promise<void> {
    return this.#scanning
  }

  /** False means certainly not there. */
  mayHave (key: string): boolean {
    const name = fileName(key)
    return this.#pending.has(name) || this.#knows(name)
  }

  /** Null when there is no whole, right entry of this key. Never throws. */
  async read (key: string): Promise<Entry | null> {
    const name = fileName(key)
    const pending = this.#pending.get(name)
    if (pending !== undefined) return pending.entry
    if (!this.#knows(name)) return null
    const known = this.#find(name)
    try {
      const bytes = await this.#readFile(name)
      const entry = decode(bytes, { key, buildId: this.#options.buildId })
      this.#touch(name)
      this.#options.onWorking('read')
      return entry
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      if (!isMissing) this.#failed('read', key, error as Error)
      // Unless something else has been written there since.
      const isThat = !this.#pending.has(name) && this.#find(name) === known
      if (isThat && isMissing) this.#forget(name)
      if (isThat && error instanceof BadEntry) await this.#giveUp(name)
      return null
    }
  }

  /** Resolves when the entry is on disk or given up. Never rejects. */
  write (entry: Entry): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    const name = fileName(entry.key)
    if (!this.#options.writeBack) {
      this.#distrusted.add(name)
      return Promise.resolve()
    }
    const pending = this.#pending.get(name)
    if (pending?.entry != null && isNewer(pending.entry, entry)) return pending.done
    return this.#inOrder(name, entry, () => this.#replace(name, entry))
  }

  /** Removes the entry; if it may not be removed, it is not believed any more. Never rejects. */
  delete (key: string): Promise<void> {
    const name = fileName(key)
    if (this.#isClosed || (!this.#pending.has(name) && !this.#knows(name) && !this.#distrusted.has(name))) return Promise.resolve()
    if (!this.#options.writeBack) {
      this.#distrusted.add(name)
      return Promise.resolve()
    }
    return this.#inOrder(name, null, async () => {
      try {
        this.#forget(name)
        await this.#unlink(name)
        this.#distrusted.delete(name)
        this.#options.onWorking('delete')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
        this.#distrusted.add(name)
        this.#failed('delete', key, error as Error)
      }
    })
  }

  /** Waits for writes under way. */
  async close (): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#pending.values()].map(pending => pending.done))
    await this.#scanning
  }

  #knows (name: string): boolean {
    if (this.#distrusted.has(name)) return false
    return this.#built.has(name) || this.#extra.has(name) || !this.#isScanned
  }

  #find (name: string): Known | undefined {
    return this.#built.get(name) ?? this.#extra.get(name)
  }

  /** Removes what is no entry. */
  async #giveUp (name: string): Promise<void> {
    this.#forget(name)
    if (this.#options.writeBack) await this.#inOrder(name, null, () => this.#unlink(name).catch(() => {}))
    else this.#distrusted.add(name)
  }

  #inOrder (name: string, entry: Entry | null, work: () => Promise<void>): Promise<void> {
    const before = this.#pending.get(name)?.done ?? Promise.resolve()
    const done = before.then(async () => {
      // Overtaken while it waited: only the latest is worth writing.
      if (this.#pending.get(name) === pending) await work()
    }).finally(() => {
      if (this.#pending.get(name) === pending) this.#pending.delete(name)
    })
    const pending = { entry, done }
    this.#pending.set(name, pending)
    return done
  }

  async #replace (name: string, entry: Entry): Promise<void> {
    try {
      const bytes = encode(entry)
      if (bytes.length > this.#options.maxBytes) return await this.#makeWay(name)
      await writeFileAtomically(this.#path(name), bytes)
      this.#forget(name)
      this.#distrusted.delete(name)
      this.#addExtra(name, bytes.length)
      this.#options.onWorking('write')
      await this.#evict(name)
    } catch (error) {
      // An older copy may still lie there: it must not come back when memory evicts the new one.
      this.#forget(name)
      this.#distrusted.add(name)
      this.#failed('write', entry.key, error as Error)
    }
  }

  /** For an entry that is larger than the whole budget: its older copy must not come back. */
  async #makeWay (name: string): Promise<void> {
    this.#forget(name)
    await this.#unlink(name).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }

  async #evict (justWritten: string): Promise<void> {
    for (const name of this.#extra.keys()) {
      if (this.#extraBytes <= this.#options.maxBytes) return
      if (name === justWritten) continue
      this.#forget(name)
      await this.#unlink(name).catch(() => { this.#distrusted.add(name) })
    }
  }

  async #readFile (name: string): Promise<Buffer> {
    // Not blocking: what looks like an entry may be a pipe that nobody writes to.
    const file = await open(this.#path(name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const facts = await file.stat()
      if (!facts.isFile()) throw new BadEntry('not a regular file')
      if (facts.size > MAX_ENTRY_BYTES) throw new BadEntry('too large')
      return await file.readFile()
    } finally {
      await file.close()
    }
  }

  /** Finds entries of earlier runs; removes what dead processes left half-written. */
  async #scan (): Promise<void> {
    const found: { name: string, bytes: number, mtime: number }[] = []
    try {
      for (const folder of await listDir(this.#folder())) {
        if (!/^[0-9a-f]{2}$/.test(folder)) continue
        for (const name of await listDir(path.join(this.#folder(), folder))) {
          const file = path.join(this.#folder(), folder, name)
          if (TEMPORARY.test(name) && this.#options.writeBack) await removeAbandoned(file)
          if (!NAME.test(name) || this.#built.has(name) || this.#extra.has(name)) continue
          const facts = await lstat(file).catch(() => null)
          if (facts?.isFile()) found.push({ name, bytes: facts.size, mtime: facts.mtimeMs })
          if (this.#isClosed) return
        }
      }
    } catch (error) {
      this.#failed('scan', null, error as Error)
    }
    for (const { name, bytes } of found.sort((a, b) => a.mtime - b.mtime)) {
      if (this.#find(name) === undefined && !this.#pending.has(name)) this.#addExtra(name, bytes)
    }
    this.#isScanned = true
  }

  #touch (name: string): void {
    const known = this.#extra.get(name)
    if (known === undefined) return
    this.#extra.delete(name)
    this.#extra.set(name, known)
  }

  #addExtra (name: string, bytes: number): void {
    this.#extra.set(name, { bytes })
    this.#extraBytes += bytes
  }

  #forget (name: string): void {
    this.#built.delete(name)
    this.#forgetExtra(name)
  }

  #forgetExtra (name: string): void {
    this.#extraBytes -= this.#extra.get(name)?.bytes ?? 0
    this.#extra.delete(name)
  }

  #failed (operation: 'read' | 'write' | 'delete' | 'scan', key: string | null, error: Error): void {
    this.errors++
    this.#options.onError(operation, key, error)
  }

  #unlink (name: string): Promise<void> {
    return unlink(this.#path(name))
  }

  #folder (): string {
    return path.join(this.#options.root, this.#options.buildId)
  }

  #path (name: string): string {
    return path.join(this.#folder(), name.slice(0, 2), name)
  }
}

/** Readers see the old file or the new one, whole; a process killed in between leaves a temporary file. */
export async function writeFileAtomically (file: string, bytes: Buffer | string, modes = { file: 0o600, folder: 0o700 }): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await writeNew(temporary, bytes, modes.file).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      await mkdir(path.dirname(file), { recursive: true, mode: modes.folder })
      await writeNew(temporary, bytes, modes.file)
    })
    await rename(temporary, file)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

async function writeNew (file: string, bytes: Buffer | string, mode: number): Promise<void> {
  const handle = await open(file, 'wx', mode)
  try {
    await handle.writeFile(bytes)
  } finally {
    await handle.close()
  }
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

function fileName (key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
