import type { Floor, Mark, Order } from '../cluster/coordinator.js'
import { epochOf, type Entry } from './entry.js'

/** What the marks say of one entry; the strictest wins. */
export type Verdict =
  | { kind: 'none' }
  | { kind: 'soft', deadline: number }
  | { kind: 'hard' }

export const NONE: Verdict = Object.freeze({ kind: 'none' })
export const HARD: Verdict = Object.freeze({ kind: 'hard' })

/** The epoch with which an incarnation begins: nothing of its own is below, everything from before is. */
export const BEGIN = 1

interface TagMarks {
  hard: number
  /** Ascending epochs with ascending deadlines: a later, stricter order makes an earlier one redundant. */
  soft: { epoch: number, deadline: number }[]
}

/** Orders with deadlines of their own kept per tag; beyond it the two oldest become one, as strict as both. */
const MOST_STEPS = 32

/**
 * Marks of one logical time, by tag. Bounded: beyond `maxTags` the oldest go
 * and a floor rises instead, below which everything counts as marked.
 * Forgetting makes pages stale too early, never too late.
 */
export class MarkTable {
  readonly incarnation: string | undefined
  readonly #byTag = new Map<string, TagMarks>()
  readonly #maxTags: number
  #softFloor = 0
  #softFloorDeadline = Infinity
  #hardFloor = 0

  constructor (incarnation: string | undefined, maxTags: number) {
    this.incarnation = incarnation
    this.#maxTags = maxTags
  }

  get size (): number {
    return this.#byTag.size
  }

  add (mark: Order & { epoch: number }): void {
    const marks = this.#byTag.get(mark.tag) ?? { hard: 0, soft: [] }
    // Re-inserted: the map stays ordered by the newest mark of each tag.
    this.#byTag.delete(mark.tag)
    this.#byTag.set(mark.tag, marks)
    if (mark.kind === 'hard') marks.hard = Math.max(marks.hard, mark.epoch)
    else addSoft(marks.soft, mark)
    if (this.#byTag.size > this.#maxTags) this.#forgetOldest()
  }

  raise ({ kind, epoch, deadline }: Pick<Floor, 'kind' | 'epoch' | 'deadline'>): void {
    if (kind === 'hard') this.#hardFloor = Math.max(this.#hardFloor, epoch)
    else {
      this.#softFloor = Math.max(this.#softFloor, epoch)
      this.#softFloorDeadline = Math.min(this.#softFloorDeadline, deadline)
    }
  }

  /** What stood before all of it stands on. */
  inherit (earlier: MarkTable): void {
    for (const mark of earlier) this.add({ ...mark, epoch: BEGIN })
    if (earlier.#hardFloor > 0) this.raise({ kind: 'hard', epoch: BEGIN, deadline: 0 })
    if (earlier.#softFloor > 0) this.raise({ kind: 'soft', epoch: BEGIN, deadline: earlier.#softFloorDeadline })
  }

  /** Of an entry whose epoch belongs to this logical time. */
  judge (entry: Pick<Entry, 'epoch' | 'older' | 'tags'>): Verdict {
    // Which tags the floors stand for is forgotten: what is oldest counts.
    const oldest = entry.older === undefined ? entry.epoch : Math.min(entry.epoch, ...Object.values(entry.older))
    if (oldest < this.#hardFloor) return HARD
    return this.#judge(entry.tags, tag => epochOf(entry, tag), oldest < this.#softFloor ? this.#softFloorDeadline : null)
  }

  /** Of an entry from before all of it. Floors stand for marks of other tags as well: not for all of them is it too old. */
  judgeEarlier (tags: readonly string[], areFloorsMeant: boolean): Verdict {
    if (areFloorsMeant && this.#hardFloor > 0) return HARD
    return this.#judge(tags, () => -1, areFloorsMeant && this.#softFloor > 0 ? this.#softFloorDeadline : null)
  }

  /** The epoch of the newest mark with one of the tags. */
  newest (tags: readonly string[]): number {
    let newest = Math.max(this.#hardFloor, this.#softFloor)
    for (const tag of tags) {
      const marks = this.#byTag.get(tag)
      if (marks !== undefined) newest = Math.max(newest, marks.hard, marks.soft.at(-1)?.epoch ?? 0)
    }
    return newest
  }

  * [Symbol.iterator] (): IterableIterator<Mark> {
    const { incarnation } = this
    for (const [tag, marks] of this.#byTag) {
      if (marks.hard > 0) yield { kind: 'hard', tag, epoch: marks.hard, incarnation, deadline: 0 }
      for (const soft of marks.soft) yield { kind: 'soft', tag, incarnation, ...soft }
    }
  }

  #judge (tags: readonly string[], epochOfTag: (tag: string) => number, floor: number | null): Verdict {
    let deadline = floor
    for (const tag of tags) {
      const marks = this.#byTag.get(tag)
      if (marks === undefined) continue
      const epoch = epochOfTag(tag)
      if (marks.hard > Math.max(0, epoch)) return HARD
      // The first mark above the entry is the strictest one above it.
      const soft = marks.soft.find(mark => mark.epoch > epoch)
      if (soft !== undefined) deadline = Math.min(deadline ?? Infinity, soft.deadline)
    }
    return deadline === null ? NONE : { kind: 'soft', deadline }
  }

  #forgetOldest (): void {
    const [tag, marks] = this.#byTag.entries().next().value as [string, TagMarks]
    this.#byTag.delete(tag)
    if (marks.hard > 0) this.raise({ kind: 'hard', epoch: marks.hard, deadline: 0 })
    for (const soft of marks.soft) this.raise({ kind: 'soft', ...soft })
  }
}

function addSoft (list: TagMarks['soft'], { epoch, deadline }: Pick<Mark, 'epoch' | 'deadline'>): void {
  const isRedundant = list.some(mark => mark.epoch >= epoch && mark.deadline <= deadline)
  if (isRedundant) return
  const kept = list.filter(mark => !(mark.epoch <= epoch && mark.deadline >= deadline))
  kept.push({ epoch, deadline })
  kept.sort((a, b) => a.epoch - b.epoch)
  const [oldest, second] = kept
  if (kept.length > MOST_STEPS && oldest !== undefined && second !== undefined) {
    kept.splice(0, 2, { epoch: second.epoch, deadline: oldest.deadline })
  }
  list.splice(0, list.length, ...kept)
}
