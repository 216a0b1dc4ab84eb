import { randomBytes } from 'node:crypto'
import { mkdir, readFile, realpath, rename, rm, unlink } from 'node:fs/promises'
import path from 'node:path'
import type { BuildRow, Manifest, ManifestPage, UrlStyle } from '../../types/index.js'
import { decode, encode } from '../cache/codec.js'
import { entryFile } from '../cache/disk-tier.js'
import type { Entry } from '../cache/entry.js'
import type { Moment } from '../cluster/coordinator.js'
import type { PageKey } from '../pages/key.js'
import { metaOf } from '../pages/page.js'
import type { PageRoute } from '../pages/registry.js'
import { isAutomatic } from '../pages/tags.js'
import { ExportNames, exportName, hasExport, placeExport, removeExport, stageExport, writeStaged } from './export.js'
import { writeManifest } from './manifest.js'
import { touchBuild } from './old-builds.js'

type Row = BuildRow & ManifestPage

/** The readable files of a page. */
interface StagedExport {
  readonly file: string
  readonly encodings: readonly string[]
  /** Null when they are in place already: equal bytes keep their date, which tools that copy the site go by. */
  readonly staged: string | null
}

export interface StageOptions {
  dir: string
  buildId: string
  /** Nobody can know the id yet. */
  isNewId: boolean
  previous: Manifest | null
  urlStyle: UrlStyle
  /** Logical time at which the build began. */
  start: Moment
}

export type RowFacts = Pick<Row, 'durationMs'> & { outcome: 'written' | 'unchanged' | 'kept', error?: string }

/** Entries are for the plugin alone. */
const MODES = { file: 0o600, folder: 0o700 }
/** Files moved or removed at the same time. */
const AT_ONCE = 8

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
  readonly #rows = new Map<string, Row>()
  readonly #staged = new Map<string, StagedExport>()

  constructor (options: StageOptions) {
    const staging = `${options.buildId}.staging-${randomBytes(4).toString('hex')}`
    this.#options = options
    this.#entries = options.isNewId ? options.buildId : staging
    this.#exports = `${staging}-export`
  }

  get buildId (): string {
    return this.#options.buildId
  }

  /** Fails early where nothing can be written. */
  async open (): Promise<void> {
    for (const folder of this.#folders) await mkdir(path.join(this.#root, folder), { recursive: true, mode: MODES.folder })
  }

  /** A long build looks abandoned unless somebody says that it is not. */
  async touch (): Promise<void> {
    for (const folder of this.#folders) await touchBuild(this.#options.dir, folder)
  }

  /** The page as the last build, or a server since then, left it; null when there is none, or no whole one. */
  async previousEntry (key: string): Promise<Entry | null> {
    if (this.#options.previous === null) return null
    const { buildId } = this.#options.previous
    try {
      return decode(await readFile(this.#path(buildId, key)), { key, buildId })
    } catch {
      return null
    }
  }

  async add (route: PageRoute, page: PageKey, entry: Entry, facts: RowFacts): Promise<BuildRow> {
    await writeStaged(this.#path(this.#entries, page.key), encode(entry), MODES)
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
    this.#rows.set(row.key, row)
    await this.#addExport(row, entry)
    return row
  }

  /**
   * Puts the pages in force: export, entries, and, last of all, the manifest.
   * `kept` are rows of the last build that this one does not touch.
   */
  async commit (kept: readonly ManifestPage[], writeOthers: (pages: readonly ManifestPage[]) => Promise<void>): Promise<Manifest> {
    const { dir } = this.#options
    const files = this.#nameExports(kept)
    const pages = [...kept, ...[...this.#rows.values()].map(toManifest)].sort((a, b) => a.key < b.key ? -1 : 1)
    // Before the new files, for whose folders old ones may be in the way.
    await this.#removeLeftovers(pages)
    const root = await realpath(dir)
    await each(files, async ({ file, staged, encodings }) => { if (staged !== null) await placeExport(root, file, staged, encodings) })
    await writeOthers(pages)
    await this.#moveIn()
    const { epoch, incarnation = null } = this.#options.start
    // Without Redis there is no logical time that others could compare it with: older than every order.
    const manifest: Manifest = { version: 1, buildId: this.buildId, incarnation, epoch: incarnation === null ? 0 : Math.floor(epoch), generatedAt: new Date().toISOString(), pages }
    await writeManifest(dir, manifest)
    await this.#removeGone(pages)
    await rm(path.join(this.#root, this.#exports), { recursive: true, force: true }).catch(() => {})
    return manifest
  }

  /** Forgets everything; the last build stays in force. */
  async discard (): Promise<void> {
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
    const isThere = row.outcome !== 'written' && await hasExport(this.#options.dir, name.file, entry.bodies)
    const staged = isThere ? null : path.join(this.#root, entryFile(this.#exports, row.key))
    if (staged !== null) await stageExport(staged, entry.bodies)
    this.#staged.set(row.key, { file: name.file, encodings: entry.bodies.map(body => body.encoding), staged })
  }

  #nameExports (kept: readonly ManifestPage[]): StagedExport[] {
    const names = new ExportNames()
    // What stays keeps its name, so that a partial build moves nothing.
    for (const page of kept) if (page.export !== null) names.claim(page.export, page.key)
    const files: StagedExport[] = []
    for (const [key, staged] of [...this.#staged].sort(([a], [b]) => a < b ? -1 : 1)) {
      const row = this.#rows.get(key) as Row
      const other = names.claim(staged.file, key)
      if (other === null) {
        row.export = staged.file
        files.push(staged)
      } else row.exportSkipped = `its file name clashes with that of ${other}`
    }
    return files
  }

  async #moveIn (): Promise<void> {
    if (this.#entries === this.buildId) return
    await each(this.#rows.keys(), async (key) => {
      const target = this.#path(this.buildId, key)
      await mkdir(path.dirname(target), { recursive: true, mode: MODES.folder })
      await rename(this.#path(this.#entries, key), target)
    })
    await rm(path.join(this.#root, this.#entries), { recursive: true, force: true })
  }

  /** Readable files of the last build that this one has not. */
  async #removeLeftovers (pages: readonly ManifestPage[]): Promise<void> {
    const files = new Set(pages.map(page => page.export))
    await each(this.#options.previous?.pages ?? [], async ({ export: file }) => {
      if (file !== null && !files.has(file)) await removeExport(this.#options.dir, file).catch(() => {})
    })
  }

  /** Entries of pages that are no more, in a folder that stays: a server would find and serve them. */
  async #removeGone (pages: readonly ManifestPage[]): Promise<void> {
    const { previous } = this.#options
    if (previous === null || previous.buildId !== this.buildId) return
    const keys = new Set(pages.map(page => page.key))
    await each(previous.pages, async ({ key }) => { if (!keys.has(key)) await unlink(this.#path(this.buildId, key)).catch(() => {}) })
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

/** Does some at once; the first failure ends it, after those under way. */
async function each<T> (items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  let failure: { error: unknown } | null = null
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && failure === null; next = iterator.next()) {
      await work(next.value).catch((error: unknown) => { failure ??= { error } })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  if (failure !== null) throw (failure as { error: unknown }).error
}

function toManifest ({ outcome, error, ...page }: Row): ManifestPage {
  return page
}
