import { createHash } from 'node:crypto'
import type { IsrTier } from '../../types/index.js'
import { BadEntry, RedisUnavailable, TierUnavailable } from '../errors.js'
import { decode, encode, MAX_ENTRY_BYTES } from './codec.js'
import { isNewer, type Entry, type Version } from './entry.js'
import { owned } from './make-entry.js'
import { isSealed, seal, SEAL_BYTES, unseal } from './seal.js'
import { NEWEST, replaces, tierVersion, type RenderVersion } from './tier-version.js'

type Operation = 'read' | 'write' | 'delete'

export interface SharedTierOptions {
  tier: IsrTier
  /** Entries are sealed with it; null: they are not. */
  secret: string | null
  /** Seconds; nothing stays longer. */
  maxAge: number
  onError: (operation: Operation, key: string, error: Error) => void
  /** An operation that may have failed before worked. */
  onWorking: (operation: Operation) => void
}

/** A write or delete that is not over. */
interface Pending {
  /** Null: a delete. */
  readonly entry: Entry | null
  readonly version: Version
  readonly result: Promise<boolean>
  /** When the next one of the same key may begin. */
  readonly over: Promise<void>
}

/** What lies there is believed only if it is newer. */
interface Doubt {
  readonly version: Version
  /** The tier claimed to have something newer. */
  readonly isClaimed: boolean
}

const MAX_DOUBTS = 10_000
const MAX_BYTES = MAX_ENTRY_BYTES + SEAL_BYTES

/** Where an entry lies: hashed, so that no key can say anything to a tier. */
export function entryName (buildId: string, key: string): string {
  return `${buildId}/${createHash('sha256').update(key).digest('hex')}`
}

/**
 * Entries in a tier that instances share. Nothing here ever fails for the
 * caller, and nothing that comes from there is taken on trust.
 */
export class SharedTier {
  readonly #options: SharedTierOptions
  readonly #tier: IsrTier
  /** By name, like the next. */
  readonly #pending = new Map<string, Pending>()
  /** The oldest first. */
  readonly #doubts = new Map<string, Doubt>()
  #isClosed = false
  reads = 0
  hits = 0
  writes = 0
  errors = 0

  constructor (options: SharedTierOptions) {
    this.#options = options
    this.#tier = options.tier
  }

  get name (): string {
    return this.#tier.name
  }

  get isUp (): boolean {
    return !this.#isClosed && this.#canAsk
  }

  get #canAsk (): boolean {
    return this.#tier.isUp !== false
  }

  /** Null when there is no whole, right entry. Never rejects. */
  async read (key: string, buildId: string): Promise<Entry | null> {
    const name = entryName(buildId, key)
    const before = this.#pending.get(name)
    const doubtBefore = this.#doubts.get(name)
    const entry = this.isUp ? await this.#get(name, { key, buildId }) : null
    // Read beside a write, it may be from before that; the write is what stands then.
    const pending = this.#pending.get(name) ?? before
    if (entry === null || (pending !== undefined && !isNewer(entry, pending.version))) return pending?.entry ?? null
    const doubt = this.#doubts.get(name)
    if (doubt !== undefined && !isNewer(entry, doubt.version)) {
      // It claims to be newer than it is, and would keep everything newer out.
      if (doubt.isClaimed && doubt === doubtBefore) this.#discard(name, key)
      return pending?.entry ?? null
    }
    this.#doubts.delete(name)
    this.hits++
    return entry
  }

  /** Resolves with whether it, or something newer, is there then. Never rejects. */
  write (entry: Entry): Promise<boolean> {
    const name = entryName(entry.buildId, entry.key)
    return this.#inOrder(name, entry, wholeVersion(entry), () => this.#set(name, entry))
  }

  /** Removes what is there unless it is newer than `version`. Resolves with whether it is gone. Never rejects. */
  delete (key: string, buildId: string, version: RenderVersion): Promise<boolean> {
    const name = entryName(buildId, key)
    const whole = wholeVersion(version)
    return this.#inOrder(name, null, whole, () => this.#remove(name, key, whole))
  }

  /** Waits for what is being written or deleted. */
  async flush (): Promise<void> {
    await Promise.all([...this.#pending.values()].map(pending => pending.over))
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.flush()
    try {
      await this.#tier.close?.()
    } catch {
      // Whatever it was, nobody needs the tier any more.
    }
  }

  async #get (name: string, what: { key: string, buildId: string }): Promise<Entry | null> {
    this.reads++
    let bytes: Buffer | null = null
    try {
      bytes = await this.#tier.get(name, { maxBytes: MAX_BYTES })
      const entry = bytes === null ? null : this.#unwrap(owned(bytes), what)
      this.#options.onWorking('read')
      return entry
    } catch (error) {
      this.#failed('read', what.key, error as Error)
      // What is sealed may be right: those who have the secret know.
      const mayBeRight = bytes !== null && this.#options.secret === null && isSealed(bytes)
      if (error instanceof BadEntry && !mayBeRight) this.#discard(name, what.key)
      return null
    }
  }

  /** @throws FST_ISR_ERR_BAD_ENTRY */
  #unwrap (bytes: Buffer, what: { key: string, buildId: string }): Entry {
    const { secret } = this.#options
    if (bytes.length > MAX_BYTES) throw new BadEntry('too large')
    if (secret !== null) return decode(unseal(bytes, what, secret), what)
    if (isSealed(bytes)) throw new BadEntry("sealed, and there is no 'secret'")
    return decode(bytes, what)
  }

  #wrap (entry: Entry): Buffer {
    const { secret } = this.#options
    const bytes = encode(entry)
    return secret === null ? bytes : seal(bytes, entry, secret)
  }

  async #set (name: string, entry: Entry): Promise<boolean> {
    const maxAge = Math.min(entry.ttl + entry.staleWhileRevalidate + entry.staleIfError, this.#options.maxAge)
    const version = wholeVersion(entry)
    const doubt = this.#doubts.get(name)
    if (doubt !== undefined && !replaces(tierVersion(version), tierVersion(doubt.version))) return false
    if (!this.#canAsk) return this.#doubt(name, version)
    let isStored: boolean
    try {
      const bytes = maxAge > 0 ? this.#wrap(entry) : null
      if (bytes === null || bytes.length > MAX_BYTES) {
        // Not worth keeping, or too large: it replaces its older copy all the same.
        await this.#remove(name, entry.key, version)
        return this.#doubt(name, version)
      }
      isStored = await this.#tier.set(name, { bytes, version: tierVersion(entry), maxAge })
    } catch (error) {
      this.#failed('write', entry.key, error as Error)
      // The older copy must not come back when memory evicts the new one. Who can't be asked can't remove it, either.
      if (!(error instanceof RedisUnavailable || error instanceof TierUnavailable)) await this.#remove(name, entry.key, version)
      return this.#doubt(name, version)
    }
    this.#options.onWorking('write')
    if (isStored) {
      this.writes++
      this.#doubts.delete(name)
    } else this.#doubt(name, version, { isClaimed: true })
    return true
  }

  async #remove (name: string, key: string, version: Version): Promise<boolean> {
    if (!this.#canAsk) return this.#doubt(name, version)
    try {
      const isGone = await this.#tier.delete(name, tierVersion(version))
      this.#options.onWorking('delete')
      if (isGone) this.#doubts.delete(name)
      else this.#doubt(name, version, { isClaimed: true })
      return isGone
    } catch (error) {
      this.#failed('delete', key, error as Error)
      return this.#doubt(name, version)
    }
  }

  /** Removes what is no entry, whatever version it has. */
  #discard (name: string, key: string): void {
    // What is being written there may mend it.
    if (this.#pending.has(name) || !this.isUp) return
    void this.#inOrder(name, null, { epoch: 0, renderedAt: 0 }, async () => {
      try {
        return await this.#tier.delete(name, NEWEST)
      } catch (error) {
        this.#failed('delete', key, error as Error)
        return false
      }
    }, { isNeeded: true })
  }

  #doubt (name: string, version: Version, { isClaimed = false } = {}): false {
    const standing = this.#doubts.get(name)
    if (standing !== undefined && !replaces(tierVersion(version), tierVersion(standing.version))) return false
    this.#doubts.delete(name)
    this.#doubts.set(name, { version, isClaimed })
    if (this.#doubts.size > MAX_DOUBTS) {
      const [oldest] = this.#doubts.keys()
      if (oldest !== undefined) this.#doubts.delete(oldest)
    }
    return false
  }

  /** One after the other per name; what is overtaken while it waits is not done at all, unless it is needed. */
  #inOrder (name: string, entry: Entry | null, version: Version, work: () => Promise<boolean>, { isNeeded = false } = {}): Promise<boolean> {
    const last = this.#pending.get(name)
    if (last !== undefined && !replaces(tierVersion(version), tierVersion(last.version))) {
      return entry === null || last.entry === null ? Promise.resolve(false) : last.result
    }
    if (this.#isClosed) return Promise.resolve(false)
    let settle!: (result: boolean | Promise<boolean>) => void
    const result = new Promise<boolean>((resolve) => { settle = resolve })
    const over = (last?.over ?? Promise.resolve()).then(async () => {
      const latest = this.#pending.get(name)
      if (!isNeeded && latest !== undefined && latest !== pending) return settle(entry === null || latest.entry !== null ? latest.result : false)
      const isDone = await work()
      if (this.#pending.get(name) === pending) this.#pending.delete(name)
      settle(isDone)
    })
    const pending: Pending = { entry, version, result, over }
    this.#pending.set(name, pending)
    return result
  }

  #failed (operation: Operation, key: string, error: Error): void {
    this.errors++
    this.#options.onError(operation, key, error)
  }
}

/** As the codec keeps it: what is read back is compared with it. */
function wholeVersion ({ epoch, incarnation, renderedAt }: RenderVersion): Version {
  return { epoch: Math.floor(epoch), renderedAt, ...(incarnation === undefined ? {} : { incarnation }) }
}
