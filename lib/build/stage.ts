import { randomBytes } from 'node:crypto'
import { mkdir, realpath, rm } from 'node:fs/promises'
import path from 'node:path'
import type { BuildRow, ManifestPage, UrlStyle } from '../../types/index.js'
import { ByteTable } from '../cache/byte-table.js'
import { decode, encode } from '../cache/codec.js'
import { entryFile } from '../cache/disk-tier.js'
import type { Entry } from '../cache/entry.js'
import type { Moment } from '../cluster/coordinator.js'
import type { PageKey } from '../pages/key.js'
import { metaOf } from '../pages/page.js'
import type { PageRoute } from '../pages/registry.js'
import { isAutomatic } from '../pages/tags.js'
import { each } from './each.js'
import { ExportNames, exportName, hasExport, placeExport, removeExport, stageExport, writeStaged } from './export.js'
import type { Files } from './files.js'
import { rowsOf, type Build, type ManifestHead } from './manifest.js'
import { ManifestWriter } from './manifest-writer.js'
import { touchBuild } from './old-builds.js'
import { RowLog } from './row-log.js'

type Row = BuildRow & ManifestPage
type RowFacts = Pick<Row, 'durationMs'> & { outcome: 'written' | 'unchanged' | 'kept', error?: string }

/** Rows of the last build that this one does not touch, in the order of their keys. */
export interface KeptPages {
  has (key: string): boolean
  pages (): AsyncIterable<ManifestPage>
}

export interface Committed {
  generatedAt: string
  /** Whether a page is there. */
  has (key: string): boolean
}

export interface StageOptions {
  dir: string
  buildId: string
  /** Nobody can know the id yet. */
  isNewId: boolean
  previous: Build | null
  urlStyle: UrlStyle
  /** Logical time at which the build began. */
  start: Moment
  files: Files
}

/** Entries are for the plugin alone. */
const MODES = { file: 0o600, folder: 0o700 }

/**
 * Where a build puts its pages until all are there. Entries of a new build id
 * go to their own folder, which nobody reads before the manifest names it;
 * entries of an id that may be in use go aside and are moved in at the end.
 */
export class Stage {
  readonly #options: StageOptions
  /** Folder of the entries, below `.isr`. */
  readonly #entries: string
  /** Folder of the export, below `.isr`. */
  readonly #exports: string
  readonly #rows: RowLog
  /** Keys of the pages that could be rendered. */
  readonly #keys = new ByteTable()

  constructor (options: StageOptions) {
    const staging = `${options.buildId}.staging-${randomBytes(4).toString('hex')}`
    this.#options = options
    this.#entries = options.isNewId ? options.buildId : staging
    this.#exports = `${staging}-export`
    this.#rows = new RowLog(path.join(this.#root, this.#exports, 'rows'))
  }

  get buildId (): string {
    return this.#options.buildId
  }

  /** Fails early where nothing can be written. */
  async open (): Promise<void> {
    for (const folder of this.#folders) await mkdir(path.join(this.#root, folder), { recursive: true, mode: MODES.folder })
    await this.#rows.open()
  }

  /** A long build looks abandoned unless somebody says that it is not. */
  async touch (): Promise<void> {
    for (const folder of this.#folders) await touchBuild(this.#options.dir, folder)
  }

  /** The page as the last build, or a server since then, left it; null when there is none, or no whole one. */
  async previousEntry (key: string): Promise<Entry | null> {
    if (this.#options.previous === null) return null
    const { buildId } = this.#options.previous.head
    try {
      return decode(await this.#files.read(this.#path(buildId, key)), { key, buildId })
    } catch {
      return null
    }
  }

  async add (route: PageRoute, page: PageKey, entry: Entry, facts: RowFacts): Promise<BuildRow> {
    await writeStaged(this.#files, this.#path(this.#entries, page.key), encode(entry), MODES)
    const row: Row = {
      key: page.key,
      path: page.path,
      route: route.pattern,
      file: ['.isr', ...entryFile(this.buildId, page.key).split(path.sep)].join('/'),
      export: null,
      status: metaOf(entry).status,
      bytes: entry.bodies[0]?.bytes.length ?? 0,
      sha256: Buffer.from(entry.hash, 'base64url').toString('hex'),
      renderedAt: new Date(entry.renderedAt).toISOString(),
      ttl: entry.ttl === Infinity ? null : entry.ttl,
      tags: entry.tags.filter(tag => !isAutomatic(tag)),
      encodings: Object.fromEntries(entry.bodies.filter(body => body.encoding !== 'identity').map(body => [body.encoding, body.bytes.length])),
      ...facts
    }
    await this.#addExport(row, entry)
    await this.#rows.add(row)
    this.#keys.add(row.key)
    // Whether it gets the name that it asks for is known when all are there.
    return { ...row, export: null }
  }

  /** A page that there is nothing of. */
  async addFailed (row: BuildRow): Promise<void> {
    await this.#rows.add(row)
  }

  /**
   * Puts the pages in force: export, entries, and, last of all, the manifest.
   * The report is told of every row that was added.
   */
  async commit (kept: KeptPages, report: (row: BuildRow) => void, writeOthers: (pages: () => AsyncIterable<ManifestPage>) => Promise<void>): Promise<Committed> {
    const { dir } = this.#options
    const { epoch, incarnation = null } = this.#options.start
    // Without Redis there is no logical time that others could compare it with: older than every order.
    const head: ManifestHead = { version: 1, buildId: this.buildId, incarnation, epoch: incarnation === null ? 0 : Math.floor(epoch), generatedAt: new Date().toISOString() }
    const manifest = await ManifestWriter.open(path.join(this.#root, this.#exports, 'manifest.json'), head)
    try {
      const exports = await this.#writeManifest(manifest, kept, report)
      // Before the new files, for whose folders old ones may be in the way.
      await this.#removeLeftovers(exports)
      await this.#placeExports(manifest)
      await writeOthers(() => manifest.pages())
      await this.#moveIn()
      await manifest.place(dir)
    } finally {
      await manifest.close()
    }
    const has = (key: string): boolean => this.#keys.has(key) || kept.has(key)
    await this.#removeGone(has)
    await this.#rows.close()
    await rm(path.join(this.#root, this.#exports), { recursive: true, force: true }).catch(() => {})
    return { generatedAt: head.generatedAt, has }
  }

  /** What a build that is given up would have reported. */
  async report (report: (row: BuildRow) => void): Promise<void> {
    for await (const row of this.#rows.sorted()) report(row.export === undefined ? row : { ...row, export: null })
  }

  /** Forgets everything; the last build stays in force. */
  async discard (): Promise<void> {
    await this.#rows.close()
    // What can't be removed now is removed as an old build later.
    for (const folder of this.#folders) await rm(path.join(this.#root, folder), { recursive: true, force: true }).catch(() => {})
  }

  async #addExport (row: Row, entry: Entry): Promise<void> {
    const contentType = metaOf(entry).headers.find(([name]) => name === 'content-type')?.[1] ?? ''
    const name = exportName({ key: row.key, path: row.path, status: row.status, contentType, encoding: entry.bodies[0]?.encoding ?? '' }, this.#options.urlStyle)
    if ('skipped' in name) {
      row.exportSkipped = name.skipped
      return
    }
    row.export = name.file
    // Equal bytes keep their date, which tools that copy the site go by.
    if (row.outcome !== 'written' && await hasExport(this.#files, this.#options.dir, name.file, entry.bodies)) return
    await stageExport(this.#files, this.#staged(row.key), entry.bodies)
  }

  /** Resolves with the names of all readable files. */
  async #writeManifest (manifest: ManifestWriter, kept: KeptPages, report: (row: BuildRow) => void): Promise<ByteTable> {
    const names = new ExportNames()
    const exports = new ByteTable()
    // What stays keeps its name, so that a partial build moves nothing.
    for await (const page of kept.pages()) {
      if (page.export === null) continue
      names.claim(page.export, page.key)
      exports.add(page.export)
    }
    for await (const row of inOrder(kept.pages(), this.#rows.sorted())) {
      if (!('outcome' in row)) {
        await manifest.add(row)
        continue
      }
      if (row.outcome === 'failed') {
        report(row)
        continue
      }
      const page = row as Row
      const other = page.export === null ? null : names.claim(page.export, page.key)
      if (other !== null) {
        page.export = null
        page.exportSkipped = `its file name clashes with that of ${other}`
      } else if (page.export !== null) exports.add(page.export)
      await manifest.add(toManifest(page))
      report(page)
    }
    await manifest.finish()
    return exports
  }

  async #placeExports (manifest: ManifestWriter): Promise<void> {
    const root = await realpath(this.#options.dir)
    await each(manifest.pages(), async ({ key, export: file, encodings }) => {
      if (file === null || !this.#keys.has(key)) return
      const staged = this.#staged(key)
      // It is not staged when it is in place already.
      if (await this.#files.exists(staged)) await placeExport(this.#files, root, file, staged, ['identity', ...Object.keys(encodings)])
    })
  }

  async #moveIn (): Promise<void> {
    if (this.#entries === this.buildId) return
    await each(this.#keys, async (key) => {
      const target = this.#path(this.buildId, key)
      await this.#files.makeFolder(path.dirname(target), MODES.folder)
      await this.#files.rename(this.#path(this.#entries, key), target)
    })
    await rm(path.join(this.#root, this.#entries), { recursive: true, force: true })
  }

  /** Readable files of the last build that this one has not. */
  async #removeLeftovers (exports: ByteTable): Promise<void> {
    const { previous } = this.#options
    if (previous === null) return
    await each(rowsOf(previous), async ({ export: file }) => {
      if (file !== null && !exports.has(file)) await removeExport(this.#options.dir, file, this.#files).catch(() => {})
    })
  }

  /** Entries of pages that are no more, in a folder that stays: a server would find and serve them. */
  async #removeGone (has: (key: string) => boolean): Promise<void> {
    const { previous } = this.#options
    if (previous === null || previous.head.buildId !== this.buildId) return
    const { pages } = previous
    await each(pages.after(''), async (row) => {
      if (!has(pages.key(row))) await rm(this.#path(this.buildId, pages.key(row)), { force: true }).catch(() => {})
    })
  }

  get #files (): Files {
    return this.#options.files
  }

  #staged (key: string): string {
    return path.join(this.#root, entryFile(this.#exports, key))
  }

  get #root (): string {
    return path.join(this.#options.dir, '.isr')
  }

  get #folders (): string[] {
    return [this.#entries, this.#exports]
  }

  #path (folder: string, key: string): string {
    return path.join(this.#root, entryFile(folder, key))
  }
}

/** Both in the order of their keys, of which none is in both. */
async function * inOrder (kept: AsyncIterable<ManifestPage>, rows: AsyncIterable<BuildRow>): AsyncGenerator<ManifestPage | BuildRow> {
  const iterator = kept[Symbol.asyncIterator]()
  let next = await iterator.next()
  for await (const row of rows) {
    for (; next.done !== true && next.value.key < row.key; next = await iterator.next()) yield next.value
    yield row
  }
  for (; next.done !== true; next = await iterator.next()) yield next.value
}

function toManifest ({ outcome, error, ...page }: Row): ManifestPage {
  return page
}
