import type { Mark } from '../cluster/coordinator.js'
import type { DiskTier } from './disk-tier.js'
import { deadlines, epochOf, isNewer, sizeOf, type Entry } from './entry.js'
import { Marks } from './marks.js'
import { MemoryTier } from './memory-tier.js'
import type { Held } from './source.js'
import { TagIndex } from './tag-index.js'

export interface TiersOptions<View> {
  maxBytes: number
  clock: () => number
  /** Logical time now. */
  epoch: () => number
  /** Makes what serving needs, once, when an entry enters memory. Throws for an entry that can't be served. */
  prepare: (entry: Entry) => View
  /** An entry on disk that can't be served. */
  onError: (key: string, error: Error) => void
}

/** Where entries are: memory above disk, one truth of both, kept to the marks. */
export class Tiers<View> {
  readonly marks = new Marks()
  readonly memory: MemoryTier<Held<View>>
  readonly #options: TiersOptions<View>
  readonly #index = new TagIndex()
  readonly #loads = new Map<string, Promise<Held<View> | null>>()
  #disk: DiskTier | null = null
  #buildId = ''

  constructor (options: TiersOptions<View>) {
    this.#options = options
    this.memory = new MemoryTier(options.maxBytes, (key, held) => { this.#index.delete(key, held.entry.tags) })
  }

  get buildId (): string {
    return this.#buildId
  }

  get disk (): DiskTier | null {
    return this.#disk
  }

  /** Entries of another build take over, all at once. */
  adopt (buildId: string, disk: DiskTier | null): void {
    this.#buildId = buildId
    this.#disk = disk
    this.#loads.clear()
    this.memory.clear()
  }

  /** From memory or disk, whatever its state; null when purged or not there. Counts as a use. */
  load (key: string): Held<View> | null | Promise<Held<View> | null> {
    const held = this.memory.get(key)
    if (held !== undefined) return held
    if (this.#disk === null || !this.#disk.mayHave(key)) return null
    const loading = this.#loads.get(key)
    if (loading !== undefined) return loading
    const promise: Promise<Held<View> | null> = this.#read(key, this.#disk, () => this.#loads.get(key) === promise).finally(() => {
      if (this.#loads.get(key) === promise) this.#loads.delete(key)
    })
    this.#loads.set(key, promise)
    return promise
  }

  /**
   * Stores what was rendered, and tells what stands then: this entry or a
   * newer one. Null when it is purged already, or of a build that is gone.
   */
  put (entry: Entry, { isPersistent = true } = {}): Held<View> | null {
    const newest = this.memory.peek(entry.key)
    if (newest !== undefined && isNewer(newest.entry, entry)) return newest
    const held = entry.buildId === this.#buildId ? this.#hold(entry, 'memory') : null
    if (held === null) return null
    this.#loads.delete(entry.key)
    if (isPersistent && entry.buildId !== '') void this.#disk?.write(entry)
    return held
  }

  /** An entry as it would be served, stored nowhere. */
  prepare (entry: Entry): Held<View> {
    return { entry, view: this.#options.prepare(entry), tier: 'memory', ...deadlines(entry), isMarked: false }
  }

  /** What memory holds with a tag, without looking at anything else. */
  keysTagged (tag: string): Iterable<string> {
    return this.#index.keysOf(tag)
  }

  /** Removes an entry everywhere. */
  drop (key: string): void {
    this.#loads.delete(key)
    this.memory.delete(key)
    void this.#disk?.delete(key)
  }

  /** Forgets what memory holds of a key that another process has written to disk. */
  reload (key: string): void {
    this.#loads.delete(key)
    this.memory.delete(key)
  }

  /** A mark has come: what it concerns is stale or gone from here on. */
  mark (mark: Mark): void {
    this.marks.add(mark)
    for (const key of [...this.#index.keysOf(mark.tag)]) {
      const held = this.memory.peek(key)
      if (held === undefined || epochOf(held.entry, mark.tag) >= mark.epoch) continue
      if (mark.kind === 'hard') this.drop(key)
      else soften(held, mark.deadline)
    }
  }

  /** What memory holds, marks keep up to date; anything else they may have overtaken. Null when it is purged. */
  judge (held: Held<View>): Held<View> | null {
    if (this.memory.peek(held.entry.key) === held) return held
    const verdict = this.marks.judge(held.entry)
    if (verdict.kind === 'soft') soften(held, verdict.deadline)
    return verdict.kind === 'hard' ? null : held
  }

  async #read (key: string, disk: DiskTier, isCurrent: () => boolean): Promise<Held<View> | null> {
    const read = await disk.read(key)
    // Written, dropped or replaced by another build since: what was read is not what stands.
    if (!isCurrent()) return await this.load(key)
    const standing = this.memory.peek(key)
    if (read === null) return standing ?? null
    // From a clock that has gone back since: it can't say which marks its render knew.
    const entry = read.epoch > this.#options.epoch() ? { ...read, epoch: 0 } : read
    if (standing !== undefined && !isNewer(entry, standing.entry)) return standing
    try {
      const held = this.#hold(entry, 'disk')
      if (held === null) void disk.delete(key)
      return held
    } catch (error) {
      this.#options.onError(key, error as Error)
      void disk.delete(key)
      return null
    }
  }

  /** Puts an entry into memory, judged by the marks; null when it is purged. */
  #hold (entry: Entry, tier: 'memory' | 'disk'): Held<View> | null {
    const verdict = this.marks.judge(entry)
    if (verdict.kind === 'hard') return null
    // An entry from a machine whose clock is ahead must not stay fresh for longer.
    const renderedAt = Math.min(entry.renderedAt, this.#options.clock())
    const held: Held<View> = {
      ...this.prepare(entry),
      tier,
      ...deadlines(renderedAt === entry.renderedAt ? entry : { ...entry, renderedAt })
    }
    if (verdict.kind === 'soft') soften(held, verdict.deadline)
    if (this.memory.set(entry.key, held, sizeOf(entry))) this.#index.add(entry.key, entry.tags)
    return held
  }
}

function soften<View> (held: Held<View>, deadline: number): void {
  held.freshUntil = -Infinity
  held.staleUntil = Math.min(held.staleUntil, deadline)
  held.isMarked = true
}
