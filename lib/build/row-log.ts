import { readSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BuildRow } from '../../types/index.js'
import { ByteTable } from '../cache/byte-table.js'
import { Column } from '../cache/column.js'

/** Bytes that are written, and rows that are read, at a time. */
const BYTES_AT_ONCE = 256 * 1024
const ROWS_AT_ONCE = 500

/**
 * Rows of a build under way, in a file: memory knows of each its key and
 * where it is, for there may be a million of them.
 */
export class RowLog {
  readonly #file: string
  readonly #keys = new ByteTable()
  readonly #starts = new Column(Float64Array)
  #handle: FileHandle | null = null
  #pending: Buffer[] = []
  #pendingBytes = 0
  #size = 0
  #writing: Promise<unknown> = Promise.resolve()

  constructor (file: string) {
    this.#file = file
  }

  get size (): number {
    return this.#keys.size
  }

  async open (): Promise<void> {
    this.#handle = await open(this.#file, 'wx+', 0o600)
  }

  has (key: string): boolean {
    return this.#keys.has(key)
  }

  /** Resolves when there is room for more. */
  async add (row: BuildRow): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(row))
    this.#keys.add(row.key)
    this.#starts.push(this.#size)
    this.#size += bytes.length
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
    if (this.#pendingBytes >= BYTES_AT_ONCE) await this.#flush()
  }

  /** All of them, in the order of their keys. */
  async * sorted (): AsyncGenerator<BuildRow> {
    await this.#flush()
    const keys = [...this.#keys]
    const order = Uint32Array.from(keys.keys()).sort((a, b) => (keys[a] ?? '') < (keys[b] ?? '') ? -1 : 1)
    keys.length = 0
    for (let from = 0; from < order.length; from += ROWS_AT_ONCE) {
      for (const row of order.subarray(from, from + ROWS_AT_ONCE)) yield this.#read(row)
      await nextTurn()
    }
  }

  async close (): Promise<void> {
    await this.#writing.catch(() => {})
    await this.#handle?.close()
    this.#handle = null
  }

  /** It was written a moment ago and is in memory: a thread would take longer to reach. */
  #read (row: number): BuildRow {
    const start = this.#starts.get(row)
    const end = row + 1 < this.size ? this.#starts.get(row + 1) : this.#size
    const bytes = Buffer.alloc(end - start)
    if (this.#handle !== null) readSync(this.#handle.fd, bytes, 0, bytes.length, start)
    return JSON.parse(bytes.toString()) as BuildRow
  }

  async #flush (): Promise<void> {
    const bytes = Buffer.concat(this.#pending)
    const at = this.#size - bytes.length
    this.#pending = []
    this.#pendingBytes = 0
    this.#writing = this.#writing.then(() => this.#handle?.write(bytes, 0, bytes.length, at))
    await this.#writing
  }
}
