import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import type { Manifest, ManifestPage } from '../../types/index.js'
import { isRecord } from '../cache/codec.js'
import { writeFileAtomically } from '../cache/atomic-file.js'
import { BadManifest } from '../errors.js'
import { isBuildId } from '../options.js'
import { isCanonicalPath } from '../pages/path-pattern.js'
import { isExportName } from './export.js'

const ENTRY = /^[0-9a-f]{2}\/[0-9a-f]{64}$/
const SHA256 = /^[0-9a-f]{64}$/
const MAX_BYTES = 512 * 1024 * 1024

export function manifestFile (dir: string): string {
  return path.join(dir, '.isr', 'manifest.json')
}

/**
 * Null when there is none.
 *
 * @throws FST_ISR_ERR_BAD_MANIFEST for one that can't be trusted
 */
export async function readManifest (dir: string): Promise<Manifest | null> {
  const file = manifestFile(dir)
  let text: string
  try {
    text = await readSmall(file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new BadManifest(file, (cause as Error).message, { cause })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new BadManifest(file, 'it is no JSON', { cause })
  }
  if (!isManifest(value)) throw new BadManifest(file, 'its shape is another one')
  if (new Set(value.pages.map(page => page.key)).size !== value.pages.length) throw new BadManifest(file, 'it lists a key twice')
  return value
}

export async function writeManifest (dir: string, manifest: Manifest): Promise<void> {
  // One page a line: readable, and a diff of two builds says what changed.
  const { pages, ...head } = manifest
  const lines = pages.map(page => `    ${JSON.stringify(page)}`).join(',\n')
  const json = `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "pages": [${lines === '' ? '' : `\n${lines}\n  `}]\n}\n`
  await writeFileAtomically(manifestFile(dir), json)
}

async function readSmall (file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const facts = await handle.stat()
    if (!facts.isFile()) throw new Error('it is no regular file')
    if (facts.size > MAX_BYTES) throw new Error('it is too large')
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

function isManifest (value: unknown): value is Manifest {
  return isRecord(value) && value.version === 1 &&
    typeof value.buildId === 'string' && isBuildId(value.buildId) &&
    (value.incarnation === null || typeof value.incarnation === 'string') &&
    isCount(value.epoch) && isDate(value.generatedAt) &&
    Array.isArray(value.pages) && value.pages.every(page => isPage(page, value.buildId as string))
}

function isPage (value: unknown, buildId: string): value is ManifestPage {
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

function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function isDate (value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value))
}
