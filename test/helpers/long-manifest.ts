import { createHash } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { viewOf } from '../../lib/build/manifest-row.js'
import { Column } from '../../lib/cache/column.js'
import type { Manifest, ManifestPage } from '../../lib/index.js'
import { PageTable } from '../../lib/pages/page-table.js'
import type { NewPages } from '../../lib/pages/prewarm.js'
import { readManifestOf } from './site-build.js'

/** A row like another one, of a page that only the manifest knows. */
export function rowLike (row: ManifestPage, buildId: string, key: string, more: Partial<ManifestPage> = {}): ManifestPage {
  const name = createHash('sha256').update(key).digest('hex')
  return { ...row, key, path: key, file: `.isr/${buildId}/${name.slice(0, 2)}/${name}`, export: null, ...more }
}

/** As a build writes it. */
export function formatManifest ({ pages, ...head }: Manifest): string {
  const lines = pages.map(page => `    ${JSON.stringify(page)}`).join(',\n')
  return `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "pages": [${lines === '' ? '' : `\n${lines}\n  `}]\n}\n`
}

export function writeManifestOf (dir: string, text: string): void {
  const file = path.join(dir, '.isr/manifest.json')
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

/** Adds pages to the manifest of a build, up to so many. */
export function lengthen (dir: string, size: number, change: (manifest: Manifest) => void = () => {}): Manifest {
  const manifest = readManifestOf(dir)
  const [row] = manifest.pages
  if (row === undefined) throw new Error('a build without pages')
  for (let id = manifest.pages.length; id < size; id++) manifest.pages.push(rowLike(row, manifest.buildId, `/p/long-${String(id).padStart(7, '0')}`, { tags: ['long', `page-${id}`] }))
  manifest.pages.sort((a, b) => a.key < b.key ? -1 : 1)
  change(manifest)
  writeManifestOf(dir, formatManifest(manifest))
  return manifest
}

/** Pages of a build that are new on disk: these rows, or all. */
export function newPages (keys: string[], changed?: number[]): NewPages {
  const pages = new PageTable()
  const page = { route: '/', file: 'a'.repeat(64), bytes: 1, encodings: {}, renderedAt: '2026-01-01T00:00:00.000Z', tags: [] }
  for (const key of keys) pages.add(viewOf({ ...page, key, path: key } as unknown as ManifestPage, 0))
  const rows = new Column(Uint32Array)
  for (const row of changed ?? []) rows.push(row)
  return { pages: pages.seal(0), rows: changed === undefined ? null : rows }
}
