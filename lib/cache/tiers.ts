import type { Floor, Mark, Moment, RenderedAt } from '../cluster/coordinator.js'
import type { DiskTier } from './disk-tier.js'
import { deadlines, isNewer, sizeOf, type Entry } from './entry.js'
import { isGone, makeGone } from './gone.js'
import { Marks } from './marks.js'
import { MemoryTier } from './memory-tier.js'
import type { SharedTier } from './shared-tier.js'
import type { Held, TierName } from './source.js'
import { TagIndex } from './tag-index.js'

export interface TiersOptions<View> {
  maxBytes: number
  clock: () => number
  /** Where all instances find pages, if there are others. */
  shared: SharedTier | null
  /** Logical time now. */
  now: () => Moment
  /** Told of the logical time of what is found on disk. */
  observe: (moment: Moment) => void
  /** Makes what serving needs, once, when an entry enters memory. Throws for an entry that can't be served. */
  prepare: (entry: Entry) => View
  /** A stored entry that can't be served. */
  onError: (key: string, error: Error) => void
}

/** Keys of which another instance has said that the disk is behind, of which the earliest are forgotten beyond it; keys that the shared tier was asked for. */
const MOST_BEHIND = 100_000

/** Where entries are: memory above disk above what is shared, one truth of all, kept to the marks. */
export class Tiers<View> {
  readonly marks = new Marks()
  readonly memory: MemoryTier<Held<View>>
  readonly #options: TiersOptions<View>
  readonly #index = new TagIndex()
  readonly #loads = new Map<string, Promise<Held<View> | null>>()
  /** What the shared tier has newer than the disk. */
  readonly #behind = new Set<string>()
  /** What the shared tier was asked for, or told of, since it could last be asked. */
  readonly #reconciled = new Set<string>()
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

  /** Other instances can be asked for pages. */
  get isShared (): boolean {
    return this.#options.shared?.isUp === true && this.#buildId !== ''
  }

  /** Entries of another build take over, all at once. */
  adopt (buildId: string, disk: DiskTier | null): void {
    this.#buildId = buildId
    this.#disk = disk
    this.#loads.clear()
    this.#behind.clear()
    this.#reconciled.clear()
    this.memory.clear()
  }

  /** From the nearest tier, whatever its state; null when purged or not there. Counts as a use. */
  load (key: string): Held<View> | null | Promise<Held<View> | null> {
    const held = this.memory.get(key)
    if (held !== undefined) return held
    if (!this.isShared && this.#disk?.mayHave(key) !== true) return null
    return this.#once(key, isCurrent => this.#read(key, isCurrent))
  }

  /** What this instance has, without asking others. */
  find (key: string): Held<View> | null | Promise<Held<View> | null> {
    const held = this.memory.get(key)
    if (held !== undefined) return held
    const disk = this.#disk
    if (disk?.mayHave(key) !== true) return null
    return this.#loads.get(key) ?? this.#once(key, isCurrent => this.#readDisk(key, disk, isCurrent))
  }

  /** The newest that this instance and the shared tier have. */
  async reconcile (key: string): Promise<Held<View> | null> {
    // It may have begun before what is looked for was there.
    await this.#loads.get(key)
    return await this.#once(key, isCurrent => this.#readShared(key, isCurrent))
  }

  /** What a process that shares the disk has written since; null when there is nothing newer. */
  async newer (key: string, than: Entry | null): Promise<Held<View> | null> {
    const disk = this.#disk
    const entry = await disk?.newer(key, than) ?? null
    // Of a build that is gone by now, it is no use.
    if (entry === null || disk !== this.#disk) return null
    if (entry.incarnation !== undefined) this.#options.observe(entry)
    return this.#take(this.comparable(entry), 'disk')
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
    this.#noteReconciled(entry.key)
    if (isPersistent && entry.buildId !== '') void this.#disk?.write(entry)
    return held
  }

  /** Puts an entry where other instances find it; resolves with whether it, or something newer, is there. */
  share (entry: Entry): Promise<boolean> {
    const { shared } = this.#options
    // Also when it can't be asked: what lies there is older then, and must not be believed later.
    return shared === null || this.#buildId === '' ? Promise.resolve(false) : shared.write(entry)
  }

  /** Removes what was rendered up to a moment from where other instances find it. */
  async unshare (key: string, version: RenderedAt): Promise<void> {
    if (this.#buildId !== '') await this.#options.shared?.write(makeGone(key, this.#buildId, version))
  }

  /** An entry as it would be served, stored nowhere. */
  prepare (entry: Entry): Held<View> {
    return { entry, view: this.#options.prepare(entry), tier: 'memory', ...deadlines(entry), isMarked: false, freshAgainUntil: null }
  }

  /** What memory holds with a tag, without looking at anything else. */
  keysTagged (tag: string): Iterable<string> {
    return this.#index.keysOf(tag)
  }

  /** What memory holds, and what is being read into it. */
  keysAtHand (): string[] {
    return [...this.memory.keys(), ...this.#loads.keys()]
  }

  /** Removes an entry of this instance everywhere; with `upTo`, unless a sibling has put something newer on the disk. */
  drop (key: string, upTo: Entry | null = null): void {
    this.#loads.delete(key)
    this.memory.delete(key)
    void this.#disk?.delete(key, upTo)
  }

  /** Forgets what memory holds of a key that another process has written to disk. */
  reload (key: string): void {
    this.#loads.delete(key)
    this.memory.delete(key)
  }

  /** The shared tier has something newer: it is asked for at the next use, not before. */
  supersede (key: string, version: RenderedAt): void {
    const held = this.memory.peek(key)
    if (held === undefined) {
      if (this.#disk?.mayHave(key) !== true) return
      this.#behind.add(key)
      const [earliest] = this.#behind
      if (this.#behind.size > MOST_BEHIND && earliest !== undefined) this.#behind.delete(earliest)
    } else if (isNewer(version, held.entry)) doubt(held)
  }

  /** What others have told in the meantime was not heard: everything is asked for once more, at its next use. */
  doubtAll (): void {
    this.#reconciled.clear()
    for (const key of this.memory.keys()) {
      const held = this.memory.peek(key)
      if (held !== undefined) doubt(held)
    }
  }

  /** Whether `supersede` was told of it, once. It is as fresh as before then. */
  wake (held: Held<View>): boolean {
    if (held.freshAgainUntil === null) return false
    held.freshUntil = held.freshAgainUntil
    held.freshAgainUntil = null
    return true
  }

  /** A mark has come: what it concerns is stale or gone from here on. */
  mark (mark: Mark): void {
    this.marks.add(mark)
    for (const key of [...this.#index.keysOf(mark.tag)]) {
      const held = this.memory.peek(key)
      if (held === undefined || !this.marks.concerns(mark, held.entry)) continue
      if (mark.kind === 'hard') this.drop(key, held.entry)
      else soften(held, mark.deadline)
    }
  }

  /** Marks below it are forgotten: what is older counts as marked. */
  raise (floor: Floor): void {
    this.marks.raise(floor)
    this.#judgeAll()
  }

  /** Another logical time counts from now on: what is from before is stale, once. */
  begin (incarnation: string): void {
    this.marks.begin(incarnation)
    this.#judgeAll()
  }

  /** What memory holds, marks keep up to date; anything else they may have overtaken. Null when it is purged. */
  judge (held: Held<View>): Held<View> | null {
    if (this.memory.peek(held.entry.key) === held) return held
    const verdict = this.marks.judge(held.entry)
    if (verdict.kind === 'soft') soften(held, verdict.deadline)
    return verdict.kind === 'hard' ? null : held
  }

  #judgeAll (): void {
    for (const key of [...this.memory.keys()]) {
      const held = this.memory.peek(key)
      if (held === undefined) continue
      const verdict = this.marks.judge(held.entry)
      if (verdict.kind === 'hard') this.drop(key, held.entry)
      else if (verdict.kind === 'soft') soften(held, verdict.deadline)
    }
  }

  /** One read at a time per key. */
  #once (key: string, read: (isCurrent: () => boolean) => Promise<Held<View> | null>): Promise<Held<View> | null> {
    const loading = this.#loads.get(key)
    if (loading !== undefined) return loading
    let mine: Promise<Held<View> | null> | null = null
    // Nothing can have come in between as long as it has not waited.
    const isCurrent = (): boolean => mine === null || this.#loads.get(key) === mine
    mine = read(isCurrent).finally(() => {
      if (this.#loads.get(key) === mine) this.#loads.delete(key)
    })
    this.#loads.set(key, mine)
    return mine
  }

  async #read (key: string, isCurrent: () => boolean): Promise<Held<View> | null> {
    const held = this.#disk?.mayHave(key) === true ? await this.#readDisk(key, this.#disk, isCurrent) : null
    if (!isCurrent()) return held
    const isFresh = held !== null && (held.freshAgainUntil ?? held.freshUntil) > this.#options.clock()
    const isEnough = isFresh && !this.#behind.has(key)
    return isEnough || !this.isShared ? held : await this.#readShared(key, isCurrent)
  }

  async #readDisk (key: string, disk: DiskTier, isCurrent: () => boolean): Promise<Held<View> | null> {
    const read = await disk.read(key)
    // Written, dropped or replaced by another build since: what was read is not what stands.
    if (!isCurrent()) return await this.load(key)
    if (read === null) return this.memory.peek(key) ?? null
    if (read.incarnation !== undefined) this.#options.observe(read)
    const held = this.#take(this.comparable(read), 'disk')
    if (held === null) void disk.delete(key, read)
    // From before this process began, or from a sibling: the others may have something newer, and nobody has said so.
    else if (this.isShared && !this.#reconciled.has(key)) doubt(held)
    return held
  }

  async #readShared (key: string, isCurrent: () => boolean): Promise<Held<View> | null> {
    const { shared } = this.#options
    const entry = shared === null ? null : await shared.read(key, this.#buildId)
    if (!isCurrent()) return await this.load(key)
    const standing = this.memory.peek(key) ?? null
    if (this.isShared) this.#noteReconciled(key)
    if (entry === null) return standing
    if (isGone(entry)) {
      if (standing === null || !isNewer(standing.entry, entry)) this.drop(key, entry)
      return this.memory.peek(key) ?? null
    }
    const newest = this.comparable(entry)
    const held = this.#take(newest, shared?.name ?? '')
    // Promoted, so that it is there when nobody can be asked.
    if (held?.entry === newest) void this.#disk?.write(newest)
    return held
  }

  #noteReconciled (key: string): void {
    // Without others there is nobody to be ahead, and no use in names by the thousand.
    if (this.#options.shared === null) return
    this.#behind.delete(key)
    if (this.#reconciled.size >= MOST_BEHIND) this.#reconciled.clear()
    this.#reconciled.add(key)
  }

  /** What an entry says of its logical time counts as far as it can be compared. */
  comparable (read: Entry): Entry {
    if (read.incarnation !== undefined) return read
    const { epoch, incarnation } = this.#options.now()
    // From a clock that has gone back since, or from a time without Redis: it can't say which marks its render knew.
    return incarnation !== undefined || read.epoch > epoch ? { ...read, epoch: 0 } : read
  }

  /** The newer of what was read and what stands by now; null when it is purged or can't be served. */
  #take (entry: Entry, tier: TierName): Held<View> | null {
    const standing = this.memory.peek(entry.key)
    if (standing !== undefined && !isNewer(entry, standing.entry)) return standing
    try {
      return this.#hold(entry, tier)
    } catch (error) {
      this.#options.onError(entry.key, error as Error)
      return null
    }
  }

  /** Puts an entry into memory, judged by the marks; null when it is purged. */
  #hold (entry: Entry, tier: TierName): Held<View> | null {
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

/** It is served as it is once more, and asked for behind then. */
function doubt<View> (held: Held<View>): void {
  if (held.freshAgainUntil !== null) return
  held.freshAgainUntil = held.freshUntil
  held.freshUntil = -Infinity
}

function soften<View> (held: Held<View>, deadline: number): void {
  held.freshUntil = -Infinity
  held.freshAgainUntil = null
  held.staleUntil = Math.min(held.staleUntil, deadline)
  held.isMarked = true
}
