import type { Floor, Mark, Moment } from '../cluster/coordinator.js'
import { epochOf, type Entry } from './entry.js'
import { BEGIN, MarkTable, NONE, type Verdict } from './mark-table.js'

export type { Verdict } from './mark-table.js'

/** Lives of Redis whose marks are kept: the current one, and those that entries on disk may still be from. */
const MOST_TABLES = 3
/** Lives of Redis known to be over, before all of those. */
const MOST_FORGOTTEN = 1000

type Judged = Pick<Entry, 'epoch' | 'incarnation' | 'older' | 'tags'>

/**
 * All marks in force. Epochs compare within one incarnation only, so each has
 * a table of its own; what was rendered in an earlier one is older than every
 * mark of a later.
 */
export class Marks {
  readonly #maxTags: number
  /** In the order in which they began; the last one is current. */
  readonly #tables: MarkTable[]
  readonly #forgotten = new Set<string | undefined>()

  constructor (maxTags = 10_000) {
    this.#maxTags = maxTags
    this.#tables = [new MarkTable(undefined, maxTags)]
  }

  get size (): number {
    return this.#tables.reduce((size, table) => size + table.size, 0)
  }

  get #current (): MarkTable {
    return this.#tables.at(-1)!
  }

  /** Another logical time counts from now on. */
  begin (incarnation: string): void {
    if (this.#current.incarnation === incarnation) return
    if (this.#current.size === 0 && this.#current.incarnation === undefined) this.#tables.pop()
    const known = this.#indexOf(incarnation)
    const table = known === -1 ? new MarkTable(incarnation, this.#maxTags) : this.#tables.splice(known, 1)[0]!
    this.#forgotten.delete(incarnation)
    this.#tables.push(table)
    if (this.#tables.length > MOST_TABLES) this.#forgetOldest()
  }

  add (mark: Mark): void {
    const { table, isOlder } = this.#placeOf(mark)
    table.add(isOlder ? { ...mark, epoch: BEGIN } : mark)
  }

  raise (floor: Floor): void {
    const { table, isOlder } = this.#placeOf(floor)
    table.raise(isOlder ? { ...floor, epoch: BEGIN } : floor)
  }

  judge (entry: Judged): Verdict {
    const own = this.#indexOf(entry.incarnation)
    const last = this.#tables.length - 1
    const table = this.#tables[own]
    let verdict = table === undefined ? NONE : table.judge(entry)
    for (let index = own + 1; index <= last; index++) {
      // Without an incarnation it was built without Redis: orders for it count, forgotten ones don't.
      verdict = stricter(verdict, this.#tables[index]!.judgeEarlier(entry.tags, entry.incarnation !== undefined))
    }
    return this.isForeign(entry) ? stricter(verdict, { kind: 'soft', deadline: Infinity }) : verdict
  }

  /** From another life of Redis: nobody knows which orders it has missed. */
  isForeign ({ incarnation }: Pick<Entry, 'incarnation'>): boolean {
    const current = this.#current.incarnation
    return current !== undefined && incarnation !== undefined && incarnation !== current
  }

  /** Whether an order came after the render of an entry with its tag. */
  concerns (mark: Mark, entry: Judged): boolean {
    if (mark.incarnation === entry.incarnation) return epochOf(entry, mark.tag) < mark.epoch
    return this.#indexOf(entry.incarnation) < this.#tables.indexOf(this.#placeOf(mark).table)
  }

  /** The newest mark with one of the tags, in the current logical time. */
  newest (tags: readonly string[]): Moment {
    return { epoch: this.#current.newest(tags), incarnation: this.#current.incarnation }
  }

  * [Symbol.iterator] (): IterableIterator<Mark> {
    for (const table of this.#tables) yield * table
  }

  #indexOf (incarnation: string | undefined): number {
    return this.#tables.findIndex(table => table.incarnation === incarnation)
  }

  /** Where marks of an incarnation are kept. `isOlder`: together with those of the life of Redis that came after it. */
  #placeOf ({ incarnation }: Moment): { table: MarkTable, isOlder: boolean } {
    const known = this.#tables[this.#indexOf(incarnation)]
    if (known !== undefined) return { table: known, isOlder: false }
    if (this.#forgotten.has(incarnation)) return { table: this.#tables[0]!, isOlder: true }
    // Over before this process came. Before which of the others, nobody knows: it counts as the last of them.
    if (this.#tables.length >= MOST_TABLES) return { table: this.#current, isOlder: true }
    const table = new MarkTable(incarnation, this.#maxTags)
    this.#tables.splice(-1, 0, table)
    return { table, isOlder: false }
  }

  /** Its marks stay, as older than all of the next life: they still concern everything from before that. */
  #forgetOldest (): void {
    const oldest = this.#tables.shift()!
    this.#tables[0]!.inherit(oldest)
    this.#forgotten.add(oldest.incarnation)
    const [earliest] = this.#forgotten
    if (this.#forgotten.size > MOST_FORGOTTEN) this.#forgotten.delete(earliest)
  }
}

function stricter (a: Verdict, b: Verdict): Verdict {
  if (a.kind === 'hard' || b.kind === 'none') return a
  if (b.kind === 'hard' || a.kind === 'none') return b
  return { kind: 'soft', deadline: Math.min(a.deadline, b.deadline) }
}
