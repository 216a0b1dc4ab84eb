import path from 'node:path'
import type { BuildOptions, BuildProgress, UrlStyle } from '../../types/index.js'
import { InvalidOption } from '../errors.js'
import { bool, MOST_WORKERS, oneOf, readBaseUrl, show, whole, type Settings } from '../options.js'
import type { Quality } from '../pages/encode.js'

/** Options of one build after validation, defaults filled in. */
export interface BuildSettings {
  readonly paths: readonly string[] | null
  readonly routes: readonly string[] | null
  readonly dir: string
  readonly baseUrl: URL
  readonly hasBaseUrl: boolean
  readonly urlStyle: UrlStyle
  readonly concurrency: number
  /** Null: as many as the settings say. */
  readonly workers: number | null
  readonly crawl: boolean
  readonly force: boolean
  readonly failFast: boolean
  readonly sitemap: boolean
  readonly quality: Quality
  readonly signal: AbortSignal | null
  readonly onProgress: ((progress: BuildProgress) => void) | null
}

const KNOWN: Record<keyof BuildOptions, true> = {
  paths: true, routes: true, dir: true, baseUrl: true, urlStyle: true, concurrency: true, workers: true, crawl: true, force: true, failFast: true, sitemap: true, compress: true, brotli: true, signal: true, onProgress: true
}
const MOST_BROTLI = 11

/** @throws FST_ISR_ERR_INVALID_OPTION */
export function readBuildOptions (options: BuildOptions, settings: Settings): BuildSettings {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(KNOWN, name)) throw new InvalidOption(`prerender.${name}`, `one of ${Object.keys(KNOWN).join(', ')}`, 'an unknown name')
  }
  const compress = bool(options.compress, 'prerender.compress', true)
  const brotli = whole(options.brotli, 'prerender.brotli', MOST_BROTLI, 0)
  if (brotli > MOST_BROTLI) throw new InvalidOption('prerender.brotli', `at most ${MOST_BROTLI}`, show(brotli))
  return {
    paths: list(options.paths, 'prerender.paths'),
    routes: list(options.routes, 'prerender.routes'),
    dir: readDir(options.dir) ?? settings.dir,
    baseUrl: options.baseUrl === undefined ? settings.baseUrl : readBaseUrl(options.baseUrl, 'prerender.baseUrl'),
    hasBaseUrl: options.baseUrl !== undefined || settings.hasBaseUrl,
    urlStyle: oneOf(options.urlStyle, 'prerender.urlStyle', ['directory', 'file'], settings.urlStyle),
    concurrency: whole(options.concurrency, 'prerender.concurrency', settings.render.concurrency, 1),
    workers: options.workers === undefined ? null : whole(options.workers, 'prerender.workers', 0, 0, MOST_WORKERS),
    crawl: bool(options.crawl, 'prerender.crawl', false),
    force: bool(options.force, 'prerender.force', false),
    failFast: bool(options.failFast, 'prerender.failFast', false),
    sitemap: bool(options.sitemap, 'prerender.sitemap', false),
    quality: compress ? { brotli, gzip: 9 } : { brotli: null, gzip: null },
    signal: readSignal(options.signal),
    onProgress: readListener(options.onProgress)
  }
}

function list (value: unknown, name: string): readonly string[] | null {
  if (value === undefined) return null
  if (!Array.isArray(value)) throw new InvalidOption(name, 'an array of strings', show(value))
  for (const item of value) if (typeof item !== 'string') throw new InvalidOption(name, 'an array of strings', show(item))
  return [...value] as string[]
}

function readDir (value: unknown): string | null {
  if (value === undefined) return null
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw new InvalidOption('prerender.dir', 'a path', show(value))
  return path.resolve(value)
}

function readSignal (value: unknown): AbortSignal | null {
  if (value === undefined) return null
  if (!(value instanceof AbortSignal)) throw new InvalidOption('prerender.signal', 'an AbortSignal', show(value))
  return value
}

function readListener (value: BuildOptions['onProgress']): BuildSettings['onProgress'] {
  if (value === undefined) return null
  if (typeof value !== 'function') throw new InvalidOption('prerender.onProgress', 'a function', show(value))
  return value
}
