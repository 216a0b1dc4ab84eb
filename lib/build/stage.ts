import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { BuildRow, Manifest, ManifestPage, UrlStyle } from '../../types/index.js'
import { decode, encode } from '../cache/codec.js'
import { entryFile, writeFileAtomically } from '../cache/disk-tier.js'
import type { Entry } from '../cache/entry.js'
import type { PageKey } from '../pages/key.js'
import { metaOf } from '../pages/page.js'
import type { PageRoute } from '../pages/registry.js'
import { isAutomatic } from '../pages/tags.js'
import { ExportNames, exportName, hasExport, removeExport, writeExport } from './export.js'
import { writeManifest } from './manifest.js'

type Row = BuildRow & ManifestPage

/**
 * Where a build puts its pages until all are there. Entries of a new build id
 * go to their own folder, which nobody reads before the manifest names it;
 * entries of an id in use go aside and are moved in at the end.
 */
export class Stage {
  readonly buildId: string
  readonly #dir: string
  readonly #previous: Manifest | null
  readonly #folder: string
  readonly #rows = new Map<string, Row>()

  constructor (dir: string, buildId: string, previous: Manifest | null) {
    this.#dir = dir
    this.buildId = buildId
    this.#previous = previous
    this.#folder = previous?.buildId === buildId ? `${buildId}.staging-${randomBytes(4).toString('hex')}` : buildId
  }

  /** The page as the last build, or a server since then, left it; null when there is none, or no whole one. */
  async previousEntry (key: string): Promise<Entry | null> {
    if (this.#previous === null) return null
    const { buildId } = this.#previous
    try {
      return decode(await readFile(this.#path(buildId, key)), { key, buildId })
    } catch {
      return null
    }
  }

  async add (route: PageRoute, page: PageKey, entry: Entry, facts: Pick<Row, 'durationMs'> & { outcome: 'written' | 'unchanged' | 'kept', error?: string }): Promise<BuildRow> {
    const bytes = encode(entry)
    await writeFileAtomically(this.#path(this.#folder, page.key), bytes)
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
    return row
  }

  /**
   * Puts the pages in force: entries, export, and, last of all, the manifest.
   * `kept` are rows of the last build that this one does not touch.
   */
  async commit (kept: readonly ManifestPage[], urlStyle: UrlStyle, writeOthers: (pages: readonly ManifestPage[]) => Promise<void>): Promise<ManifestPage[]> {
    await this.#moveIn()
    await this.#writeExports(kept, urlStyle)
    const pages = [...kept, ...[...this.#rows.values()].map(toManifest)].sort((a, b) => a.key < b.key ? -1 : 1)
    await writeOthers(pages)
    await mkdir(this.#dir, { recursive: true })
    await writeManifest(this.#dir, { version: 1, buildId: this.buildId, incarnation: null, epoch: 0, generatedAt: new Date().toISOString(), pages })
    await this.#removeLeftovers(pages)
    return pages
  }

  /** Forgets everything; the last build stays in force. */
  async discard (): Promise<void> {
    await rm(path.join(this.#dir, '.isr', this.#folder), { recursive: true, force: true })
  }

  async #moveIn (): Promise<void> {
    if (this.#folder === this.buildId) return
    for (const { key } of this.#rows.values()) {
      const target = this.#path(this.buildId, key)
      await mkdir(path.dirname(target), { recursive: true, mode: 0o700 })
      await rename(this.#path(this.#folder, key), target)
    }
    await this.discard()
  }

  async #writeExports (kept: readonly ManifestPage[], urlStyle: UrlStyle): Promise<void> {
    const names = new ExportNames()
    // What stays keeps its name, so that a partial build moves nothing.
    for (const page of kept) if (page.export !== null) names.claim(page.export, page.key)
    for (const row of [...this.#rows.values()].sort((a, b) => a.key < b.key ? -1 : 1)) {
      const entry = await this.#entryOf(row)
      const contentType = metaOf(entry).headers.find(([name]) => name === 'content-type')?.[1] ?? ''
      const name = exportName({ key: row.key, path: row.path, status: row.status, contentType, encoding: entry.bodies[0]?.encoding ?? '' }, urlStyle)
      const skipped = 'skipped' in name ? name.skipped : clash(names.claim(name.file, row.key))
      if (skipped !== null || 'skipped' in name) {
        row.exportSkipped = skipped ?? ''
        continue
      }
      row.export = name.file
      // Equal bytes keep their date, which tools that copy the site go by.
      if (row.outcome === 'unchanged' && await hasExport(this.#dir, name.file, entry.bodies)) continue
      await writeExport(this.#dir, name.file, entry.bodies)
    }
  }

  async #entryOf (row: Row): Promise<Entry> {
    return decode(await readFile(this.#path(this.buildId, row.key)), { key: row.key, buildId: this.buildId })
  }

  /** Readable files of the last build that this one has not. */
  async #removeLeftovers (pages: readonly ManifestPage[]): Promise<void> {
    const files = new Set(pages.map(page => page.export))
    for (const { export: file } of this.#previous?.pages ?? []) {
      if (file !== null && !files.has(file)) await removeExport(this.#dir, file).catch(() => {})
    }
  }

  #path (folder: string, key: string): string {
    return path.join(this.#dir, '.isr', entryFile(folder, key))
  }
}

function clash (other: string | null): string | null {
  return other === null ? null : `its file name clashes with that of ${other}`
}

function toManifest ({ outcome, error, ...page }: Row): ManifestPage {
  return page
}
