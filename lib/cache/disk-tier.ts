import { createHash } from 'node:crypto'
import path from 'node:path'
import { BadEntry } from '../errors.js'
import { readRegularFile, removeFile, replaceFile, stampOf, unlinkIfThere, type Stamp } from './atomic-file.js'
import { decode, encode, MAX_ENTRY_BYTES } from './codec.js'
import { DiskIndex, type Known } from './disk-index.js'
import { scanFolder } from './disk-scan.js'
import { isNewer, type Entry, type Version } from './entry.js'
import { NameSet } from './name-set.js'

type Operation = 'read' | 'write' | 'delete' | 'scan'

export interface DiskTierOptions {
  /** `<dir>/.isr` */
  root: string
  buildId: string
  /** Bounds what was written at run time, as far as this process knows; built entries are not counted. */
  maxBytes: number
  writeBack: boolean
  /** What an entry on disk says of its logical time, as far as it counts here: that from before a clock went back does not. */
  comparable?: (entry: Entry) => Version
  onError: (operation: Operation, key: string | null, error: Error) => void
  /** An operation that may have failed before worked. */
  onWorking: (operation: Operation) => void
}

/** A write, or, without an entry, a removal of what is not newer than `upTo`. */
interface Pending {
  readonly entry: Entry | null
  readonly upTo: Version | null
  readonly done: Promise<void>
}

/** What siblings have written is counted whenever this process has written such a part of `maxBytes` itself. */
const PART_PER_SCAN = 1 / 8

/** Where a key lies below `.isr`: hashed, so that no key can name a path. */
export function entryFile (buildId: string, key: string): string {
  const name = fileName(key)
  return path.join(buildId, name.slice(0, 2), name)
}

/**
 * One file per entry, replaced by rename, shared with sibling processes. An
 * index in memory knows what this process has seen there: the disk is asked
 * for other pages only by `newer`, for callers who would have to render.
 *
 * Siblings never replace a newer entry by an older one (see FileLock for how
 * sure that is); they may remove any entry at any time, which makes a miss.
 */
export class DiskTier {
  readonly #options: DiskTierOptions
  readonly #index = new DiskIndex()
  /** What this process wrote last, so that a slow older write never replaces a newer one. */
  readonly #pending = new Map<string, Pending>()
  #isScanned = false
  #writtenSinceScan = 0
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
    return this.#index.entries
  }

  get bytes (): number {
    return this.#index.bytes
  }

  /**
   * Takes the entries of a build into the index, which are never evicted, and
   * looks for others behind. Until then any page may be there, for all it knows.
   */
  open (built = new NameSet()): void {
    this.#index.setBuilt(built)
    this.#scanning = this.#scan()
  }

  /** Keys whose entries a build has written since. */
  addBuilt (keys: Iterable<string>): void {
    for (const key of keys) this.#index.addBuilt(fileName(key))
  }

  /** Resolves when the first look at the directory is over. */
  get scanned (): Promise<void> {
    return this.#scanning
  }

  /** False: not there, unless a sibling has written it since. */
  mayHave (key: string): boolean {
    const name = fileName(key)
    return this.#pending.has(name) || this.#knows(name)
  }

  /** Null when there is no whole, right entry of this key that this process knows of. Never throws. */
  async read (key: string): Promise<Entry | null> {
    const name = fileName(key)
    const pending = this.#pending.get(name)
    if (pending !== undefined) return pending.entry
    if (!this.#knows(name)) return null
    return await this.#load(name, key)
  }

  /**
   * The entry on disk if a sibling has put one there that is newer than what
   * the caller has; null lets any be newer. Costs one `lstat` when there is
   * none, or the one that this process knows: for the moment before a render,
   * which costs far more. Never throws.
   */
  async newer (key: string, than: Version | null): Promise<Entry | null> {
    const name = fileName(key)
    if (this.#isClosed) return null
    const pending = this.#pending.get(name)
    if (pending?.entry != null) return this.#isWanted(pending.entry, than) ? pending.entry : null
    if (pending?.upTo === null) return null
    const known = this.#index.find(name)
    const isCurrent = (): boolean => this.#pending.get(name) === pending && this.#index.find(name) === known
    let stamp: Stamp | null
    try {
      stamp = await stampOf(this.#path(name))
    } catch (error) {
      this.#failed('read', key, error as Error)
      return null
    }
    if (!isCurrent()) return await this.newer(key, than)
    if (stamp === null) {
      this.#index.forget(name)
      return null
    }
    if (known?.seen?.stamp === stamp && !this.#isWanted(known.seen.version, than)) return null
    const distrusted = this.#index.distrusted(name)
    const entry = distrusted === null ? null : await this.#load(name, key)
    const isNews = entry !== null && [than, pending?.upTo, distrusted].every(upTo => this.#isWanted(this.#versionOf(entry), upTo ?? null))
    if (isNews) this.#index.trust(name)
    return isNews ? entry : null
  }

  /** Resolves when the entry, or a newer one of a sibling, is on disk, or when it is given up. Never rejects. */
  write (entry: Entry): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    const name = fileName(entry.key)
    if (!this.#options.writeBack) {
      this.#index.distrust(name, versionOf(entry))
      return Promise.resolve()
    }
    const pending = this.#pending.get(name)
    if (pending?.entry != null && isNewer(pending.entry, entry)) return pending.done
    return this.#inOrder(name, { entry }, () => this.#replace(name, entry))
  }

  /**
   * Removes the entry, unless a sibling has put one there that is newer than
   * `upTo`; if it may not be removed, it is not believed any more. Never rejects.
   */
  delete (key: string, upTo: Version | null = null): Promise<void> {
    const name = fileName(key)
    const isDistrusted = this.#index.distrusted(name) !== undefined
    if (this.#isClosed || (!this.#pending.has(name) && !this.#knows(name) && !isDistrusted)) return Promise.resolve()
    if (!this.#options.writeBack) {
      this.#index.distrust(name, upTo)
      return Promise.resolve()
    }
    return this.#inOrder(name, { upTo }, async () => {
      try {
        await this.#remove(name, key, upTo)
        this.#index.trust(name)
        this.#options.onWorking('delete')
      } catch (error) {
        this.#index.forget(name)
        this.#index.distrust(name, upTo)
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
    if (this.#index.distrusted(name) !== undefined) return false
    return this.#index.find(name) !== undefined || !this.#isScanned
  }

  #isWanted (version: Version, than: Version | null): boolean {
    return than === null || isNewer(version, than)
  }

  /** Reads what lies there, whoever wrote it. */
  async #load (name: string, key: string): Promise<Entry | null> {
    const known = this.#index.find(name)
    // Unless something else has been written there since.
    const isThat = (): boolean => !this.#pending.has(name) && this.#index.find(name) === known
    try {
      const { entry, ...seen } = await this.#open(name, key)
      if (isThat()) this.#index.see(name, seen)
      this.#options.onWorking('read')
      return entry
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      if (!isMissing) this.#failed('read', key, error as Error)
      if (isThat() && isMissing) this.#index.forget(name)
      if (isThat() && error instanceof BadEntry) await this.#giveUp(name, key)
      return null
    }
  }

  async #open (name: string, key: string): Promise<Known & { entry: Entry }> {
    const { bytes, stamp } = await readRegularFile(this.#path(name), MAX_ENTRY_BYTES)
    const entry = decode(bytes, { key, buildId: this.#options.buildId })
    return { entry, bytes: bytes.length, seen: { stamp, version: this.#versionOf(entry) } }
  }

  /** What lies there now, if it is newer; read only if somebody has touched it since this process last looked. */
  async #standing (name: string, key: string, than: Version | null): Promise<Known | null> {
    const stamp = await stampOf(this.#path(name))
    if (stamp === null) return null
    let known = this.#index.find(name)
    if (known?.seen?.stamp !== stamp) known = await this.#open(name, key).then(toKnown, () => undefined)
    return known?.seen != null && this.#isWanted(known.seen.version, than) ? known : null
  }

  #versionOf (entry: Entry): Version {
    return versionOf(this.#options.comparable?.(entry) ?? entry)
  }

  /** Removes what is no entry. */
  async #giveUp (name: string, key: string): Promise<void> {
    this.#index.forget(name)
    if (!this.#options.writeBack) return this.#index.distrust(name, null)
    await this.#inOrder(name, {}, async () => {
      await removeFile(this.#path(name), () => this.#standing(name, key, null)).catch(() => {})
    })
  }

  #inOrder (name: string, { entry = null, upTo = null }: Partial<Pending>, work: () => Promise<void>): Promise<void> {
    const before = this.#pending.get(name)?.done ?? Promise.resolve()
    const done = before.then(async () => {
      // Overtaken while it waited: only the latest is worth writing.
      if (this.#pending.get(name) === pending) await work()
    }).finally(() => {
      if (this.#pending.get(name) === pending) this.#pending.delete(name)
    })
    const pending: Pending = { entry, upTo, done }
    this.#pending.set(name, pending)
    return done
  }

  async #replace (name: string, entry: Entry): Promise<void> {
    try {
      const bytes = encode(entry)
      // Larger than everything: its older copy must not come back.
      if (bytes.length > this.#options.maxBytes) return await this.#remove(name, entry.key, entry)
      const result = await replaceFile(this.#path(name), bytes, () => this.#standing(name, entry.key, entry))
      if ('stayed' in result) this.#index.see(name, result.stayed)
      else this.#index.addExtra(name, { bytes: bytes.length, seen: { stamp: result.stamp, version: versionOf(entry) } })
      this.#index.trust(name)
      this.#options.onWorking('write')
      this.#writtenSinceScan += bytes.length
      if (this.#writtenSinceScan > this.#options.maxBytes * PART_PER_SCAN) this.#scanAgain()
      await this.#evict(name)
    } catch (error) {
      // An older copy may still lie there: it must not come back when memory evicts the new one.
      this.#index.forget(name)
      this.#index.distrust(name, versionOf(entry))
      this.#failed('write', entry.key, error as Error)
    }
  }

  async #remove (name: string, key: string, upTo: Version | null): Promise<void> {
    const stayed = upTo === null
      ? await unlinkIfThere(this.#path(name))
      : await removeFile(this.#path(name), () => this.#standing(name, key, upTo))
    if (stayed == null) this.#index.forget(name)
    else this.#index.see(name, stayed)
  }

  #scanAgain (): void {
    this.#writtenSinceScan = 0
    this.#scanning = this.#scanning.then(() => this.#scan()).then(() => this.#evict(null))
  }

  async #evict (justWritten: string | null): Promise<void> {
    for (const name of this.#index.evictable()) {
      if (this.#index.bytes <= this.#options.maxBytes) return
      if (name === justWritten) continue
      const upTo = this.#index.find(name)?.seen?.version ?? null
      this.#index.forget(name)
      await unlinkIfThere(this.#path(name)).catch(() => { this.#index.distrust(name, upTo) })
    }
  }

  /** Finds entries of earlier runs and of siblings; forgets what siblings have removed. */
  async #scan (): Promise<void> {
    const before = new Map([...this.#index.evictable()].map(name => [name, this.#index.find(name)]))
    try {
      const scan = await scanFolder(this.#folder(), {
        mayClean: this.#options.writeBack,
        isKnown: name => this.#index.find(name) !== undefined,
        expected: before.keys(),
        isStopped: () => this.#isClosed
      })
      if (scan === null) return
      for (const { name, bytes } of scan.found) {
        if (this.#index.find(name) === undefined && !this.#pending.has(name)) this.#index.addExtra(name, { bytes, seen: null })
      }
      for (const name of scan.missing) {
        if (this.#index.find(name) === before.get(name) && !this.#pending.has(name)) this.#index.forget(name)
      }
    } catch (error) {
      this.#failed('scan', null, error as Error)
    }
    this.#isScanned = true
  }

  #failed (operation: Operation, key: string | null, error: Error): void {
    this.errors++
    this.#options.onError(operation, key, error)
  }

  #folder (): string {
    return path.join(this.#options.root, this.#options.buildId)
  }

  #path (name: string): string {
    return path.join(this.#folder(), name.slice(0, 2), name)
  }
}

function fileName (key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

/** Without the entry it was read with. */
function toKnown ({ bytes, seen }: Known): Known {
  return { bytes, seen }
}

function versionOf ({ epoch, incarnation, renderedAt }: Version): Version {
  return { epoch, renderedAt, ...(incarnation === undefined ? {} : { incarnation }) }
}
