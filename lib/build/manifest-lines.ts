import type { FileHandle } from 'node:fs/promises'
import type { RowView } from '../pages/page-table.js'
import type { ManifestHead } from './manifest.js'
import { isPage, viewOf } from './manifest-row.js'
import { RowScanner } from './row-scanner.js'

/** Bytes that are taken apart in one go: a few milliseconds of work, after which others have their turn. */
const CHUNK = 512 * 1024
/** The first bytes take ten times as long as later ones, whose code has been compiled: so many more are read each time. */
const FIRST = 32 * 1024
/** No page has so much to say. */
const LONGEST_LINE = 1024 * 1024
/** Nothing shorter is a row. */
const LEAST_ROW = 200
/** Room is made for no more than so many in advance. */
const MOST_EXPECTED = 4_000_000
const LINE_BREAK = 0x0a
const COMMA = 0x2c
const PAGES = '\n  "pages": ['
const NO_PAGES = ']\n}\n'
const END = '  ]\n}\n'

/** Why a manifest is not in the form in which a build writes it. */
export type Torn = 'form' | 'length'

export type LinesRead = { kind: 'read', head: ManifestHead, end: number } | { kind: 'torn', why: Torn } | { kind: 'stopped' }

export interface LineReader {
  /** Checks what comes before the pages. */
  head (value: unknown): ManifestHead
  /** About so many rows are there. */
  expect (rows: number): void
  /** It is good until the next one. */
  row (view: RowView): void
  /** A line that is JSON, and no page. */
  refuse (): never
}

const TORN: LinesRead = { kind: 'torn', why: 'form' }

/**
 * Reads a manifest that has a page a line, piece by piece. It is sure to be
 * the JSON that it seems to be: each line is, and nothing else is there.
 */
export async function readLines (handle: FileHandle, size: number, isStopped: () => boolean, reader: LineReader): Promise<LinesRead> {
  const lines = new Chunks(handle)
  if (!await lines.next()) return TORN
  const head = readHead(lines.text, reader)
  if (head === null) return TORN
  if (head.isEmpty) return { kind: 'read', head: head.head, end: 0 }
  let at = head.bytes
  reader.expect(Math.min(MOST_EXPECTED, size / Math.max(LEAST_ROW, lines.bytes.indexOf(LINE_BREAK, at) - at)))
  const { buildId } = head.head
  const scanner = new RowScanner(buildId)
  let isLast = false
  for (;;) {
    if (isStopped()) return { kind: 'stopped' }
    const { bytes } = lines
    while (at < lines.end) {
      const start = lines.at + at
      if (isLast) return await lines.endsIn(at, END) ? { kind: 'read', head: head.head, end: start } : TORN
      const end = bytes.indexOf(LINE_BREAK, at)
      if (scanner.scan(bytes, at, end)) {
        scanner.at = start
        isLast = scanner.isLast
        reader.row(scanner)
      } else {
        isLast = bytes[end - 1] !== COMMA
        const value = parseRow(bytes.toString('utf8', at, isLast ? end : end - 1))
        if (value === undefined) return TORN
        reader.row(isPage(value, buildId) ? viewOf(value, start) : reader.refuse())
      }
      at = end + 1
    }
    if (!await lines.next()) return lines.isTooLong ? { kind: 'torn', why: 'length' } : TORN
    at = 0
  }
}

function readHead (text: string, reader: LineReader): { head: ManifestHead, bytes: number, isEmpty: boolean } | null {
  const end = text.indexOf(PAGES)
  if (end === -1) return null
  const bytes = Buffer.byteLength(text.slice(0, end + PAGES.length))
  const rest = text.slice(end + PAGES.length)
  if (rest !== NO_PAGES && !rest.startsWith('\n')) return null
  let value: unknown
  try {
    value = JSON.parse(`${text.slice(0, end + PAGES.length)}]}`)
  } catch {
    return null
  }
  const { pages, ...head } = value as Record<string, unknown>
  return { head: reader.head(head), bytes: bytes + 1, isEmpty: rest === NO_PAGES }
}

/** Undefined when it is no line of this form. */
function parseRow (line: string): unknown {
  if (!line.startsWith('    {')) return undefined
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** A file in pieces of whole lines. */
class Chunks {
  readonly #handle: FileHandle
  bytes = Buffer.allocUnsafe(CHUNK)
  /** Of the piece. */
  end = 0
  /** Where the piece begins in the file. */
  at = 0
  isTooLong = false
  /** Bytes that are there. */
  #filled = 0
  #read = 0
  #most = 0

  constructor (handle: FileHandle) {
    this.#handle = handle
  }

  get text (): string {
    return this.bytes.toString('utf8', 0, this.end)
  }

  /** False at the end, and where no line ends. */
  async next (): Promise<boolean> {
    this.bytes.copyWithin(0, this.end, this.#filled)
    this.#filled -= this.end
    this.at += this.end
    this.end = 0
    this.#most += FIRST
    while (this.end === 0) {
      if (this.#filled === this.bytes.length) {
        this.isTooLong = this.#filled >= LONGEST_LINE
        if (this.isTooLong) return false
        this.bytes = Buffer.concat([this.bytes, Buffer.allocUnsafe(this.bytes.length)])
      }
      const { bytesRead } = await this.#handle.read(this.bytes, this.#filled, Math.min(this.#most, this.bytes.length - this.#filled), this.#read)
      if (bytesRead === 0) return false
      this.#read += bytesRead
      this.#filled += bytesRead
      this.end = this.bytes.lastIndexOf(LINE_BREAK, this.#filled - 1) + 1
      if (this.end === 0) this.#most = CHUNK
    }
    return true
  }

  /** Whether what comes from a place of this piece on is this, and nothing more. */
  async endsIn (at: number, wanted: string): Promise<boolean> {
    let found = this.bytes.toString('utf8', at, this.end)
    while (found.length <= wanted.length && await this.next()) found += this.text
    return found === wanted && this.#filled === this.end
  }
}
