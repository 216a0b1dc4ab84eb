import { open, rename, type FileHandle } from 'node:fs/promises'
import type { ManifestPage } from '../../types/index.js'
import { Column } from '../cache/column.js'
import { formatHead, manifestFile, type ManifestHead } from './manifest.js'
import { formatRow } from './manifest-row.js'
import { FileRows } from './manifest-rows.js'

const BYTES_AT_ONCE = 256 * 1024
const ROWS_AT_ONCE = 500

/** A manifest that grows page by page where nobody looks for it, and then takes the place of the one in force. */
export class ManifestWriter {
  readonly #file: string
  readonly #handle: FileHandle
  readonly #rows: FileRows
  readonly #starts = new Column(Float64Array)
  #pending: Buffer[] = []
  #written = 0
  #size = 0

  private constructor (file: string, handle: FileHandle, { buildId }: ManifestHead) {
    this.#file = file
    this.#handle = handle
    this.#rows = new FileRows(handle, buildId)
  }

  static async open (file: string, head: ManifestHead): Promise<ManifestWriter> {
    const writer = new ManifestWriter(file, await open(file, 'wx+', 0o600), head)
    await writer.#write(formatHead(head))
    return writer
  }

  /** In the order of keys. */
  async add (page: ManifestPage): Promise<void> {
    await this.#write(this.#starts.size === 0 ? '\n' : ',\n')
    this.#starts.push(this.#size)
    await this.#write(formatRow(page))
  }

  /** All pages are there. */
  async finish (): Promise<void> {
    const isEmpty = this.#starts.size === 0
    this.#starts.push(this.#size)
    await this.#write(isEmpty ? ']\n}\n' : '\n  ]\n}\n')
    await this.#flush()
  }

  /** Once it is finished. */
  async * pages (): AsyncGenerator<ManifestPage> {
    const last = this.#starts.size - 1
    for (let from = 0; from < last; from += ROWS_AT_ONCE) {
      const spans = Array.from({ length: Math.min(ROWS_AT_ONCE, last - from) }, (_, nth) => ({ start: this.#starts.get(from + nth), end: this.#starts.get(from + nth + 1) }))
      for (const page of await this.#rows.read(spans)) {
        if (page === null) throw new Error('the new manifest was changed while it was written')
        yield page
      }
    }
  }

  /** Puts it in force. */
  async place (dir: string): Promise<void> {
    await this.#rows.close()
    await rename(this.#file, manifestFile(dir))
  }

  async close (): Promise<void> {
    await this.#rows.close()
  }

  async #write (text: string): Promise<void> {
    const bytes = Buffer.from(text)
    this.#pending.push(bytes)
    this.#size += bytes.length
    if (this.#size - this.#written >= BYTES_AT_ONCE) await this.#flush()
  }

  async #flush (): Promise<void> {
    const bytes = Buffer.concat(this.#pending.splice(0))
    await this.#handle.write(bytes, 0, bytes.length, this.#written)
    this.#written += bytes.length
  }
}
