import type { FileHandle } from 'node:fs/promises'
import type { ManifestPage } from '../../types/index.js'
import { isPage } from './manifest-row.js'

/** Where a row is: from its first byte to that of the next one. */
export interface Span { readonly start: number, readonly end: number }

/** Rows of a manifest, read when they are asked for. */
export interface Rows {
  /** Null for a row that is not there any more: somebody has written into the file. */
  read (spans: readonly Span[]): Promise<(ManifestPage | null)[]>
  /** Nothing is read from here on. */
  close (): Promise<void>
}

/** Rows that lie side by side are read at once, up to so many bytes. */
const MOST_AT_ONCE = 1024 * 1024

/** Rows in the file itself, which stays readable when the next build takes its place. */
export class FileRows implements Rows {
  readonly #handle: FileHandle
  readonly #buildId: string
  #reading = 0
  #isClosing = false

  constructor (handle: FileHandle, buildId: string) {
    this.#handle = handle
    this.#buildId = buildId
  }

  async read (spans: readonly Span[]): Promise<(ManifestPage | null)[]> {
    if (this.#isClosing) return spans.map(() => null)
    this.#reading++
    try {
      const pages: (ManifestPage | null)[] = []
      for (let from = 0, to = 0; from < spans.length; from = to) {
        const start = spans[from]?.start ?? 0
        for (to = from + 1; to < spans.length && spans[to]?.start === spans[to - 1]?.end && (spans[to]?.end ?? 0) - start <= MOST_AT_ONCE;) to++
        const bytes = Buffer.alloc((spans[to - 1]?.end ?? start) - start)
        await this.#handle.read(bytes, 0, bytes.length, start)
        for (const span of spans.slice(from, to)) pages.push(parseRow(bytes.toString('utf8', span.start - start, span.end - start), this.#buildId))
      }
      return pages
    } finally {
      this.#reading--
      if (this.#isClosing) await this.#end()
    }
  }

  async close (): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    await this.#end()
  }

  async #end (): Promise<void> {
    if (this.#reading === 0) await this.#handle.close()
  }
}

/** Rows of a manifest that was read as a whole. */
export class TextRows implements Rows {
  readonly #buildId: string
  readonly #parts: Buffer[] = []
  #whole: Buffer | null = null
  size = 0

  constructor (buildId: string) {
    this.#buildId = buildId
  }

  /** Where it begins. */
  add (row: string): number {
    const at = this.size
    const bytes = Buffer.from(row)
    this.#parts.push(bytes)
    this.size += bytes.length
    return at
  }

  async read (spans: readonly Span[]): Promise<(ManifestPage | null)[]> {
    const whole = this.#whole ??= Buffer.concat(this.#parts.splice(0))
    return spans.map(({ start, end }) => parseRow(whole.toString('utf8', start, end), this.#buildId))
  }

  async close (): Promise<void> {}
}

function parseRow (text: string, buildId: string): ManifestPage | null {
  try {
    const value: unknown = JSON.parse(text.trimEnd().replace(/,$/, ''))
    return isPage(value, buildId) ? value : null
  } catch {
    return null
  }
}
