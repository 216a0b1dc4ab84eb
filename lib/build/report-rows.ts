import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { BuildRow } from '../../types/index.js'

const ROWS_AT_ONCE = 500

/** Rows of a report, packed until somebody looks at them: a fifth of what they say, and much less than what they take as objects. */
export class ReportRows {
  readonly #packed: Buffer[] = []
  #last: BuildRow[] = []

  add (row: BuildRow): void {
    this.#last.push(row)
    if (this.#last.length < ROWS_AT_ONCE) return
    this.#packed.push(deflateRawSync(JSON.stringify(this.#last), { level: 1 }))
    this.#last = []
  }

  unpack (): BuildRow[] {
    return [...this.#packed.flatMap(bytes => JSON.parse(inflateRawSync(bytes).toString()) as BuildRow[]), ...this.#last]
  }
}
