import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import type { Manifest, ManifestPage } from '../../types/index.js'
import { isRecord } from '../cache/codec.js'
import { NameSet } from '../cache/name-set.js'
import { BadManifest } from '../errors.js'
import { isBuildId } from '../options.js'
import { PageTable, type RowView } from '../pages/page-table.js'
import { readLines, type Torn } from './manifest-lines.js'
import { formatRow, isCount, isDate, isPage, viewOf } from './manifest-row.js'
import { FileRows, TextRows, type Rows, type Span } from './manifest-rows.js'

export type ManifestHead = Omit<Manifest, 'pages'>

/** A build as it is known from its manifest: pages in a table, anything more about them read when it is asked for. */
export interface Build {
  readonly head: ManifestHead
  readonly pages: PageTable
  /** Of its entry files. */
  readonly names: NameSet
  readonly rows: Rows
}

export interface ReadOptions {
  /** Told of what comes before the pages, before they are read; `bytes` is the size of it all. */
  onHead?: (head: ManifestHead, bytes: number) => void
  isStopped?: () => boolean
}

/** A page a line needs no more memory for more pages; a manifest in another form is read as a whole. */
const MOST_BYTES = 8 * 1024 ** 3
const ROWS_AT_ONCE = 500
const MOST_BYTES_WHOLE = 64 * 1024 ** 2

export function manifestFile (dir: string): string {
  return path.join(dir, '.isr', 'manifest.json')
}

/**
 * Null when there is none, or when it was stopped.
 *
 * @throws FST_ISR_ERR_BAD_MANIFEST for one that can't be trusted
 */
export async function readBuild (dir: string, { onHead = () => {}, isStopped = () => false }: ReadOptions = {}): Promise<Build | null> {
  const file = manifestFile(dir)
  let handle: FileHandle | null = null
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const build = await read(file, handle, onHead, isStopped)
    if (build?.rows instanceof FileRows) handle = null
    return build
  } catch (cause) {
    if (cause instanceof BadManifest) throw cause
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new BadManifest(file, (cause as Error).message, { cause })
  } finally {
    await handle?.close()
  }
}

/** The same, with all that there is to say of every page in memory. */
export async function readManifest (dir: string): Promise<Manifest | null> {
  const build = await readBuild(dir)
  if (build === null) return null
  const pages: ManifestPage[] = []
  for await (const page of rowsOf(build)) pages.push(page)
  await build.rows.close()
  return { ...build.head, pages }
}

/** All that there is to say of its pages, in the order of their keys. */
export async function * rowsOf ({ pages, rows }: Pick<Build, 'pages' | 'rows'>, isWanted: (row: number) => boolean = () => true): AsyncGenerator<ManifestPage> {
  let spans: Span[] = []
  for (const row of pages.after('')) {
    if (!isWanted(row)) continue
    spans.push(pages.span(row))
    if (spans.length < ROWS_AT_ONCE) continue
    yield * (await rows.read(spans)).filter(page => page !== null)
    spans = []
  }
  yield * (await rows.read(spans)).filter(page => page !== null)
}

/** What comes before the pages, as a build writes it. */
export function formatHead (head: ManifestHead): string {
  return `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "pages": [`
}

export function isHead (value: unknown): value is ManifestHead {
  return isRecord(value) && value.version === 1 &&
    typeof value.buildId === 'string' && isBuildId(value.buildId) &&
    (value.incarnation === null || typeof value.incarnation === 'string') &&
    isCount(value.epoch) && isDate(value.generatedAt)
}

async function read (file: string, handle: FileHandle, onHead: NonNullable<ReadOptions['onHead']>, isStopped: () => boolean): Promise<Build | null> {
  const facts = await handle.stat()
  if (!facts.isFile()) throw new BadManifest(file, 'it is no regular file')
  if (facts.size > MOST_BYTES) throw new BadManifest(file, 'it is too large')
  const list = new PageList(file)
  const result = await readLines(handle, facts.size, isStopped, {
    head (value) {
      if (!isHead(value)) throw new BadManifest(file, 'its shape is another one')
      onHead(value, facts.size)
      return value
    },
    expect: rows => { list.reserve(rows) },
    row: row => { list.add(row) },
    refuse: (): never => { throw new BadManifest(file, 'its shape is another one') }
  })
  if (result.kind === 'stopped') return null
  if (result.kind === 'read') return list.finish(result.head, result.end, new FileRows(handle, result.head.buildId))
  if (facts.size > MOST_BYTES_WHOLE) throw new BadManifest(file, `${TORN[result.why]}, and it is too large to be read otherwise`)
  return readWhole(file, await handle.readFile({ encoding: 'utf8' }))
}

const TORN: Record<Torn, string> = { form: 'it is not one page a line', length: 'a line of it is too long' }

/** Somebody has reformatted it. */
function readWhole (file: string, text: string): Build {
  const manifest = parse(file, text)
  const list = new PageList(file)
  const rows = new TextRows(manifest.head.buildId)
  for (const page of manifest.pages) {
    if (!isPage(page, manifest.head.buildId)) throw new BadManifest(file, 'its shape is another one')
    list.add(viewOf(page, rows.add(formatRow(page))))
  }
  return list.finish(manifest.head, rows.size, rows)
}

function parse (file: string, text: string): { head: ManifestHead, pages: unknown[] } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new BadManifest(file, 'it is no JSON', { cause })
  }
  if (!isHead(value) || !Array.isArray((value as Manifest).pages)) throw new BadManifest(file, 'its shape is another one')
  const { pages, ...head } = value as Manifest
  return { head, pages }
}

class PageList {
  readonly #file: string
  readonly #pages = new PageTable()
  readonly #names = new NameSet()

  constructor (file: string) {
    this.#file = file
  }

  reserve (rows: number): void {
    this.#pages.reserve(rows)
    this.#names.reserve(rows)
  }

  add (row: RowView): void {
    this.#refuse(this.#pages.add(row))
    this.#names.addBytes(row.source, row.name)
  }

  finish (head: ManifestHead, end: number, rows: Rows): Build {
    this.#refuse(this.#pages.settle())
    return { head, pages: this.#pages.seal(end), names: this.#names, rows }
  }

  #refuse (why: string | null): void {
    if (why !== null) throw new BadManifest(this.#file, why)
  }
}
