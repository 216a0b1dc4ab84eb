import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { AssetsUnreadable } from '../errors.js'
import { MANIFEST_FILE, META_FILE } from './asset-path.js'

/** `/static/css/app.css` → `/static/css/app.0123456789abcdef.css`; the values are URLs, the keys are names as they are. */
export type Manifest = Record<string, string>

/** The images among them, by the same keys. */
export type ManifestMeta = Record<string, ImageMeta>

export interface ImageMeta {
  /** URL of the image itself. Said once more: each of the two files has to be true without the other. */
  path: string
  /** Pixels, as it is shown. */
  width: number
  height: number
  variants: ImageVariants
}

/** Each list is sorted by width; what is wider is larger, too. */
export interface ImageVariants {
  /** In the format of the image; the last is the image itself. */
  fallback: ImageVariant[]
  webp?: ImageVariant[]
  avif?: ImageVariant[]
}

export interface ImageVariant { width: number, path: string, bytes: number }

/** What a build has left in a folder. Null: there was none. */
export async function readManifests (folder: string): Promise<{ manifest: Manifest, meta: ManifestMeta } | null> {
  const manifest = await readJson(folder, MANIFEST_FILE, isManifest)
  if (manifest === null) return null
  return { manifest, meta: await readJson(folder, META_FILE, isMeta) ?? {} }
}

/** Sorted, so that equal builds have equal files. */
export function toJson (value: Manifest | ManifestMeta): string {
  const sorted = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
  return `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`
}

async function readJson<T> (folder: string, name: string, isValid: (value: unknown) => value is T): Promise<T | null> {
  const file = path.join(folder, name)
  let value: unknown
  try {
    value = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new AssetsUnreadable(file, (cause as Error).message, { cause })
  }
  if (!isValid(value)) throw new AssetsUnreadable(file, 'it is not what a build writes')
  return value
}

function isManifest (value: unknown): value is Manifest {
  return isRecord(value) && Object.values(value).every(isPath)
}

function isMeta (value: unknown): value is ManifestMeta {
  return isRecord(value) && Object.values(value).every(image =>
    isRecord(image) && isPath(image['path']) && isCount(image['width']) && isCount(image['height']) &&
    isRecord(image['variants']) && Array.isArray(image['variants']['fallback']) &&
    Object.values(image['variants']).every(list => Array.isArray(list) && list.every(isVariant)))
}

function isVariant (value: unknown): value is ImageVariant {
  return isRecord(value) && isPath(value['path']) && isCount(value['width']) && isCount(value['bytes'])
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPath (value: unknown): value is string {
  if (typeof value !== 'string' || !value.startsWith('/')) return false
  try {
    decodeURIComponent(value)
    return true
  } catch {
    return false
  }
}

function isCount (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}
