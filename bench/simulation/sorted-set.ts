interface Ranked {
  readonly member: string
  readonly score: number
}

/** By score, then by member; members have one character per byte. */
export class SortedSet {
  readonly #scores = new Map<string, number>()
  readonly #ranked: Ranked[] = []

  get size (): number {
    return this.#scores.size
  }

  /** Whether the member is new. */
  add (member: string, score: number): boolean {
    const before = this.#scores.get(member)
    if (before === score) return false
    if (before !== undefined) this.#ranked.splice(this.#rankOf({ member, score: before }), 1)
    this.#scores.set(member, score)
    this.#ranked.splice(this.#rankOf({ member, score }), 0, { member, score })
    return before === undefined
  }

  scoreOf (member: string): string | null {
    const score = this.#scores.get(member)
    return score === undefined ? null : String(score)
  }

  /** Ranks inclusive; negative ones count from the end. */
  range (first: number, last: number): [member: string, score: string][] {
    const [from, to] = this.#bounds(first, last)
    return this.#ranked.slice(from, to).map(toPair)
  }

  /** Like `range`; they are gone then. */
  remove (first: number, last: number): [member: string, score: string][] {
    const [from, to] = this.#bounds(first, last)
    const removed = this.#ranked.splice(from, Math.max(0, to - from))
    for (const { member } of removed) this.#scores.delete(member)
    return removed.map(toPair)
  }

  entries (): [member: string, score: string][] {
    return this.#ranked.map(toPair)
  }

  #bounds (first: number, last: number): [number, number] {
    const { size } = this
    return [Math.max(0, first < 0 ? size + first : first), (last < 0 ? size + last : last) + 1]
  }

  /** Where it is, or belongs. */
  #rankOf ({ member, score }: Ranked): number {
    let [low, high] = [0, this.#ranked.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.#ranked[middle] as Ranked
      if (other.score < score || (other.score === score && other.member < member)) low = middle + 1
      else high = middle
    }
    return low
  }
}

function toPair ({ member, score }: Ranked): [string, string] {
  return [member, String(score)]
}
