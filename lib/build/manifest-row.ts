import type { ManifestPage } from '../../types/index.js'
import { isRecord } from '../cache/codec.js'
import type { RowView } from '../pages/page-table.js'
import { isCanonicalPath } from '../pages/path-pattern.js'
import { isExportName } from './export.js'

const ENTRY = /^[0-9a-f]{2}\/[0-9a-f]{64}$/
const SHA256 = /^[0-9a-f]{64}$/
const HASH = 64

/** As it stands in the manifest: a line without its end. */
export function formatRow (page: ManifestPage): string {
  return `    ${JSON.stringify(page)}`
}

export function isPage (value: unknown, buildId: string): value is ManifestPage {
  return isRecord(value) &&
    typeof value.path === 'string' && isCanonicalPath(value.path) &&
    typeof value.key === 'string' && isKeyOf(value.key, value.path) &&
    typeof value.route === 'string' &&
    typeof value.file === 'string' && value.file.startsWith(`.isr/${buildId}/`) && ENTRY.test(value.file.slice(`.isr/${buildId}/`.length)) &&
    (value.export === null || (typeof value.export === 'string' && isExportName(value.export))) &&
    (value.exportSkipped === undefined || typeof value.exportSkipped === 'string') &&
    isCount(value.status) && isCount(value.bytes) && typeof value.sha256 === 'string' && SHA256.test(value.sha256) &&
    isDate(value.renderedAt) && isCount(value.durationMs) &&
    (value.ttl === null || isCount(value.ttl)) &&
    Array.isArray(value.tags) && value.tags.every(tag => typeof tag === 'string') &&
    isRecord(value.encodings) && Object.entries(value.encodings).every(([name, bytes]) => name !== '__proto__' && isCount(bytes))
}

/** A key is its path, and whatever tells its variants apart. */
function isKeyOf (key: string, path: string): boolean {
  return key.startsWith(path) && (key.length === path.length || key[path.length] === '?' || key[path.length] === ' ')
}

export function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

export function isDate (value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value))
}

/** What a table keeps of a page. */
export function viewOf ({ key, path, route, file, bytes, encodings, renderedAt, tags }: ManifestPage, at: number): RowView {
  const parts = [key, JSON.stringify(route).slice(1, -1), JSON.stringify(tags), file.slice(-HASH)].map(text => Buffer.from(text))
  const [keyEnd = 0, routeEnd = 0, tagsEnd = 0] = parts.map((part, nth) => parts.slice(0, nth + 1).reduce((sum, { length }) => sum + length, 0))
  return {
    source: Buffer.concat(parts),
    key: 0,
    keyEnd,
    pathLength: Buffer.byteLength(path),
    route: keyEnd,
    routeEnd,
    tags: routeEnd,
    tagsEnd,
    name: tagsEnd,
    bytes: bytes + Object.values(encodings).reduce((sum, size) => sum + size, 0),
    renderedAt: Date.parse(renderedAt),
    at
  }
}
