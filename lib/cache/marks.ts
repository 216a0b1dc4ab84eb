import type { Mark } from '../cluster/coordinator.js'
import { epochOf, type Entry } from './entry.js'

/** What the marks say of one entry; the strictest wins. */
export type Verdict =
  | { kind: 'none' }
  | { kind: 'soft', deadline: number }
  | { kind: 'hard' }

interface TagMarks {
  hard: number
  /** Ascending epochs with ascending deadlines: a later, stricter order makes an earlier one redundant. */
  soft: { epoch: number, deadline: number }[]
}

const NONE: Verdict = Object.freeze({ kind: 'none' })
const HARD: Verdict = Object.freeze({ kind: 'hard' })

/** Orders with deadlines of their own kept per tag; beyond it the two oldest become one, as strict as both. */
const MOST_STEPS = 32

/**
 * All marks in force, by tag. Bounded: beyond `maxTags` the oldest go and a
 * floor rises instead, below which everything counts as marked. Forgetting
 * makes pages stale too early, never too late.
 */
export class Marks {
  readonly #byTag = new Map<string, TagMarks>()
  readonly #maxTags: number
  #softFloor = 0
  #softFloorDeadline = Infinity
  #hardFloor = 0

  constructor (maxTags = 10_000) {
    this.#maxTags = maxTags
  }

  get size (): number {
    return this.#byTag.size
  }

  add (mark: Mark): void {
    const marks = this.#byTag.get(mark.tag) ?? { hard: 0, soft: [] }
    // Re-inserted: the map stays ordered by the newest mark of each tag.
    this.#byTag.delete(mark.tag)
    this.#byTag.set(mark.tag, marks)
    if (mark.kind === 'hard') marks.hard = Math.max(marks.hard, mark.epoch)
    else addSoft(marks.soft, mark)
    if (this.#byTag.size > this.#maxTags) this.#forgetOldest()
  }

  judge (entry: Pick<Entry, 'epoch' | 'older' | 'tags'>): Verdict {
    // Which tags the floors stand for is forgotten: what is oldest counts.
    const oldest = entry.older === undefined ? entry.epoch : Math.min(entry.epoch, ...Object.values(entry.older))
    if (oldest < this.#hardFloor) return HARD
    let deadline = oldest < this.#softFloor ? this.#softFloorDeadline : null
    for (const tag of entry.tags) {
      const marks = this.#byTag.get(tag)
      if (marks === undefined) continue
      const epoch = epochOf(entry, tag)
      if (marks.hard > epoch) return HARD
      // The first mark above the entry is the strictest one above it.
      const soft = marks.soft.find(mark => mark.epoch > epoch)
      if (soft !== undefined) deadline = Math.min(deadline ?? Infinity, soft.deadline)
    }
    return deadline === null ? NONE : { kind: 'soft', deadline }
  }

  * [Symbol.iterator] (): IterableIterator<Mark> {
    for (const [tag, marks] of this.#byTag) {
      if (marks.hard > 0) yield { kind: 'hard', tag, epoch: marks.hard, deadline: 0 }
      for (const soft of marks.soft) yield { kind: 'soft', tag, ...soft }
    }
  }

  #forgetOldest (): void {
    const [tag, marks] = this.#byTag.entries().next().value as [string, TagMarks]
    this.#byTag.delete(tag)
    this.#hardFloor = Math.max(this.#hardFloor, marks.hard)
    for (const soft of marks.soft) {
      this.#softFloor = Math.max(this.#softFloor, soft.epoch)
      this.#softFloorDeadline = Math.min(this.#softFloorDeadline, soft.deadline)
    }
  }
}

function addSoft (list: TagMarks['soft'], { epoch, deadline }: Mark): void {
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
