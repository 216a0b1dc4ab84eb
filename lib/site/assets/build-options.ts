import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidOption } from '../../errors.js'
import { seconds, show, unknownKeys, whole } from '../../options.js'
import type { CssTransform } from './css-transform.js'
import type { ImageFormat } from './image-encoder.js'

export interface AssetBuildOptions {
  /** The folder of assets. Below it, names are what templates write behind the prefix. */
  source: string | URL
  /** Where the build goes. */
  out: string | URL
  /** @default '/static/' */
  prefix?: string
  /**
   * Pixels; images are made in those that are narrower than themselves.
   * @default [360, 480, 640, 728, 876, 1024]
   */
  widths?: number[]
  /**
   * Formats beside an image's own. AVIF is up to a third smaller than WebP and
   * takes ten times as long to make.
   * @default ['webp']
   */
  formats?: ('webp' | 'avif')[]
  /** Images with more of them fail the build. @default 100_000_000 */
  maxPixels?: number
  /** `transform` makes CSS of style sheets before esbuild reads them. */
  css?: { transform?: CssTransform }
  /**
   * Names, relative to `source`, that stay as they are: for files that others
   * refer to, such as a service worker. They are revalidated by browsers.
   * @default []
   */
  undigested?: string[]
  /**
   * Oldest browsers that style sheets and scripts are made for, by the names of esbuild.
   * @default ['chrome111', 'firefox114', 'safari16.4']
   */
  targets?: string[]
  /**
   * Results of slow steps. Should outlive a build, and may be shared.
   * @default `node_modules/.cache/fastify-isr/assets` of the package that `source` is in
   */
  cacheDir?: string | URL
  /**
   * Seconds for which files of earlier builds stay: pages in caches elsewhere
   * still refer to them.
   * @default 604_800, a week
   */
  keep?: number
}

export interface AssetBuildSettings {
  readonly source: string
  readonly out: string
  readonly prefix: string
  readonly widths: readonly number[]
  readonly formats: readonly ImageFormat[]
  readonly maxPixels: number
  readonly transform: CssTransform | undefined
  readonly undigested: readonly string[]
  readonly targets: readonly string[]
  readonly cacheDir: string
  /** Milliseconds. */
  readonly keep: number
}

export const WIDTHS = [360, 480, 640, 728, 876, 1024]
export const TARGETS = ['chrome111', 'firefox114', 'safari16.4']
const KNOWN: Record<keyof AssetBuildOptions, true> = {
  source: true, out: true, prefix: true, widths: true, formats: true, maxPixels: true, css: true, undigested: true, targets: true, cacheDir: true, keep: true
}
/** Milliseconds. */
const LONGEST_KEPT = 100 * 365 * 24 * 3600_000

/** @throws FST_ISR_ERR_INVALID_OPTION */
export function readBuildOptions (options: AssetBuildOptions): AssetBuildSettings {
  unknownKeys(options, KNOWN, '')
  const source = readFolder(options.source, 'source')
  const out = readFolder(options.out, 'out')
  // A build would find itself among its sources, or remove them.
  if (isInside(out, source) || isInside(source, out)) throw new InvalidOption('out', `a folder apart from 'source' (${source})`, out)
  return Object.freeze({
    source,
    out,
    prefix: readPrefix(options.prefix ?? '/static/'),
    widths: [...new Set(list(options.widths ?? WIDTHS, 'widths', 'an array of widths in pixels', width => Number.isSafeInteger(width) && Number(width) > 0))].sort((a, b) => a - b),
    formats: list<ImageFormat>(options.formats ?? ['webp'], 'formats', "an array of 'webp' and 'avif'", format => format === 'webp' || format === 'avif'),
    maxPixels: whole(options.maxPixels, 'maxPixels', 100_000_000, 1),
    transform: readTransform(options.css),
    undigested: list(options.undigested ?? [], 'undigested', "an array of names such as 'js/worker.js'", isName),
    targets: list(options.targets ?? TARGETS, 'targets', "an array of esbuild's targets", target => typeof target === 'string'),
    cacheDir: options.cacheDir === undefined ? defaultCacheDir(source) : readFolder(options.cacheDir, 'cacheDir'),
    keep: Math.min(seconds(options.keep, 'keep', 604_800) * 1000, LONGEST_KEPT)
  })
}

function readFolder (value: unknown, name: string): string {
  if (value instanceof URL && value.protocol === 'file:') return fileURLToPath(value)
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw new InvalidOption(name, 'a path or a file URL', show(value))
  return path.resolve(value)
}

function readPrefix (value: unknown): string {
  if (typeof value !== 'string' || !/^(?:\/[\w.~-]+)+\/$/.test(value)) throw new InvalidOption('prefix', "a path such as '/static/', with a slash at both ends", show(value))
  return value
}

function readTransform (css: AssetBuildOptions['css']): CssTransform | undefined {
  const { transform } = css ?? {}
  if (transform !== undefined && typeof transform !== 'function') throw new InvalidOption('css.transform', 'a function of source and path that returns CSS', show(transform))
  return transform
}

function list<T> (value: readonly T[], name: string, wanted: string, isValid: (item: unknown) => boolean): readonly T[] {
  if (!Array.isArray(value) || !value.every(isValid)) throw new InvalidOption(name, wanted, show(value))
  return value
}

function isName (value: unknown): boolean {
  return typeof value === 'string' && value !== '' && !value.startsWith('/')
}

function isInside (folder: string, other: string): boolean {
  return `${folder}${path.sep}`.startsWith(`${other}${path.sep}`)
}

function defaultCacheDir (source: string): string {
  for (let at = source; at !== path.dirname(at); at = path.dirname(at)) {
    if (existsSync(path.join(at, 'package.json'))) return path.join(at, 'node_modules/.cache/fastify-isr/assets')
  }
  return path.join(path.dirname(source), '.fastify-isr-cache')
}
