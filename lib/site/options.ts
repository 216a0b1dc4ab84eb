import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CollectionOptions, DataOf, FeedOptions, FieldType, Filter, FrontMatter, MarkdownOptions, SiteOptions, Source } from '../../types/site.js'
import { InvalidOption } from '../errors.js'
import { bool, group, packageRoot, readBaseUrl, seconds, show, unknownKeys, whole } from '../options.js'
import { canonicalPath } from './content/urls.js'
import { CollectionUnknown, DevInProduction } from './errors.js'

/** Options after validation: every default filled in, nothing left to check at run time. */
export interface SiteSettings {
  /** Absolute path; null with a source of the app's own. */
  readonly root: string | null
  readonly source: Source | null
  /** Ends in a slash. */
  readonly prefix: string
  readonly dev: { readonly poll: number | null, readonly hosts: readonly string[] } | null
  readonly baseUrl: URL | null
  readonly static: { readonly prefix: string, readonly dir: string } | null
  /** What `static` says to the build of assets alone. */
  readonly assetBuild: Pick<Exclude<SiteOptions['static'], false | undefined>, 'undigested' | 'targets' | 'keep'>
  readonly collections: ReadonlyMap<string, CollectionOptions>
  /** Folders of collections that have a source of their own. */
  readonly mounts: ReadonlyMap<string, Source>
  /** Milliseconds; null: never. */
  readonly checkEvery: number | null
  readonly filters: Readonly<Record<string, Filter>>
  /** What every template sees. */
  readonly data: (page: DataOf) => Record<string, unknown>
  readonly frontMatter: { readonly parse: (text: string, file: string) => FrontMatter } | null
  readonly markdown: MarkdownOptions
  readonly images: NonNullable<SiteOptions['images']>
  readonly css: NonNullable<SiteOptions['css']>
  readonly redirects: Readonly<Record<string, string>>
  readonly feed: Required<FeedOptions> | null
  readonly sitemap: boolean
  readonly robots: boolean
  readonly notFound: boolean
  readonly timings: boolean
  readonly clock: () => number
}

const KNOWN: Record<keyof SiteOptions, true> = {
  root: true, source: true, prefix: true, dev: true, baseUrl: true, static: true, collections: true, check: true, filters: true, data: true, frontMatter: true, markdown: true, images: true, css: true, redirects: true, feed: true, sitemap: true, robots: true, notFound: true, timings: true, clock: true
}

const FIELD_TYPES: readonly FieldType[] = ['text', 'date', 'boolean', 'number', 'list']
const STATIC = { prefix: true, dir: true, undigested: true, targets: true, keep: true } as const
/** Images beyond it are a mistake. */
const WIDEST = 16_383

export function readSiteOptions (options: SiteOptions): SiteSettings {
  unknownKeys(options, KNOWN, '')
  const source = readSource(options.source, 'source')
  if (source !== null && options.root !== undefined) throw new InvalidOption('root', "left out when there is a 'source'", show(options.root))
  const prefix = readPrefix(options.prefix ?? '/', 'prefix')
  const collections = readCollections(options.collections)
  const baseUrl = options.baseUrl === undefined ? null : readBaseUrl(options.baseUrl)
  return Object.freeze({
    root: source === null ? readFolder(options.root ?? 'site', 'root') : null,
    source,
    prefix,
    dev: readDev(options.dev),
    baseUrl,
    static: readStatic(options.static),
    assetBuild: readAssetBuild(options.static),
    collections,
    mounts: mountsOf(collections),
    checkEvery: readCheck(options.check),
    filters: readFilters(options.filters),
    data: readData(options.data),
    frontMatter: readFrontMatter(options.frontMatter),
    markdown: readMarkdown(options.markdown),
    images: readImages(options.images),
    css: readCss(options.css),
    redirects: readRedirects(options.redirects, options.notFound === false ? prefix : '/'),
    feed: readFeed(options.feed, collections, baseUrl),
    sitemap: bool(options.sitemap, 'sitemap', true),
    robots: bool(options.robots, 'robots', true),
    notFound: bool(options.notFound, 'notFound', true),
    timings: bool(options.timings, 'timings', false),
    clock: fn(options.clock, 'clock', 'a function that returns milliseconds') ?? Date.now
  })
}

function readSource (value: unknown, name: string): Source | null {
  if (value === undefined) return null
  const methods = ['list', 'read', 'stamp', 'locate']
  const given = (value ?? {}) as Record<string, unknown>
  if (!methods.every(method => typeof given[method] === 'function')) throw new InvalidOption(name, 'an object with list(), read(), stamp() and locate(), such as memorySource({ … })', show(value))
  return value as Source
}

function readFolder (value: unknown, name: string): string {
  const isUrl = value instanceof URL || (typeof value === 'string' && value.startsWith('file:') && URL.canParse(value))
  if (isUrl && new URL(value).protocol === 'file:') return path.resolve(fileURLToPath(value))
  if (typeof value !== 'string' || value.length === 0 || value.includes('\0')) throw new InvalidOption(name, 'a path or a file URL', show(value))
  return path.resolve(packageRoot(), value)
}

function readPrefix (value: unknown, name: string): string {
  if (typeof value !== 'string' || !/^\/(?:[\w.~-]+\/)*(?:[\w.~-]+)?$/.test(value)) throw new InvalidOption(name, "a path such as '/docs/'", show(value))
  return value.endsWith('/') ? value : `${value}/`
}

function readDev (value: unknown): SiteSettings['dev'] {
  if (value === undefined || value === false) return null
  if (value !== true && (typeof value !== 'object' || value === null)) throw new InvalidOption('dev', 'true, false or { poll, hosts }', show(value))
  if (process.env['NODE_ENV'] === 'production') throw new DevInProduction()
  const { poll, hosts } = group<{ poll?: unknown, hosts?: unknown }>(value === true ? {} : value, 'dev', { poll: true, hosts: true })
  return Object.freeze({ poll: poll === undefined ? null : whole(poll, 'dev.poll', 0, 10), hosts: texts(hosts ?? [], 'dev.hosts', "an array of names such as 'dev.example.com', without scheme and port", /^[^/:\s]+$/) })
}

function readStatic (value: SiteOptions['static']): SiteSettings['static'] {
  if (value === false) return null
  const { prefix = '/static/', dir = 'dist/static' } = group(value, 'static', STATIC)
  const below = readPrefix(prefix, 'static.prefix')
  if (below === '/') throw new InvalidOption('static.prefix', "a path such as '/static/'", show(prefix))
  return Object.freeze({ prefix: below, dir: readFolder(dir, 'static.dir') })
}

/** Checked here as well: a mistake should not wait for the next build. */
function readAssetBuild (value: SiteOptions['static']): SiteSettings['assetBuild'] {
  if (value === false) return {}
  const { undigested, targets, keep } = group(value, 'static', STATIC)
  if (undigested !== undefined) texts(undigested, 'static.undigested', "an array of names such as 'js/service-worker.js'", /^[^/]/)
  if (targets !== undefined) texts(targets, 'static.targets', "an array of esbuild's targets, such as 'chrome111'", /./)
  seconds(keep, 'static.keep', 0)
  return Object.freeze({ ...undigested === undefined ? {} : { undigested }, ...targets === undefined ? {} : { targets }, ...keep === undefined ? {} : { keep } })
}

function texts (value: unknown, name: string, wanted: string, isRight: RegExp): readonly string[] {
  if (!Array.isArray(value) || !value.every(text => typeof text === 'string' && isRight.test(text))) throw new InvalidOption(name, wanted, show(value))
  return value
}

function readCollections (value: SiteOptions['collections']): ReadonlyMap<string, CollectionOptions> {
  const collections = new Map<string, CollectionOptions>()
  if (value === undefined) return collections
  for (const [name, given] of entries(value, 'collections')) {
    const at = `collections.${name}`
    if (!/^[A-Za-z][\w-]*$/.test(name)) throw new InvalidOption(at, 'named by letters, digits, dashes and underscores', show(name))
    const options = group(given, at, { dir: true, source: true, url: true, schema: true, sort: true, filter: true, future: true })
    // A slash at its end is a matter of taste; one at its beginning would mean another folder.
    if (typeof options.dir !== 'string' || !/^(?!\.{0,2}\/)(?!.*\/\.{0,2}\/)[^\\\0]+$/.test(`${options.dir.replace(/\/$/, '')}`)) throw new InvalidOption(`${at}.dir`, "a folder of the site such as 'content/blog'", show(options.dir))
    readSource(options.source, `${at}.source`)
    if (typeof options.url !== 'function') throw new InvalidOption(`${at}.url`, 'a function of the item that returns its path', show(options.url))
    for (const [field, type] of options.schema === undefined ? [] : entries(options.schema, `${at}.schema`)) {
      if (!FIELD_TYPES.includes(type)) throw new InvalidOption(`${at}.schema.${field}`, FIELD_TYPES.map(one => `'${one}'`).join(' or '), show(type))
    }
    fn(options.sort, `${at}.sort`, 'a function that compares two items')
    fn(options.filter, `${at}.filter`, 'a function of the item')
    if (options.future !== undefined && typeof options.future !== 'boolean') throw new InvalidOption(`${at}.future`, 'true or false', show(options.future))
    collections.set(name, Object.freeze({ ...options, dir: options.dir.replace(/\/$/, '') }))
  }
  return collections
}

/** Where files of one folder came from two places, some of them would be hidden. */
function mountsOf (collections: ReadonlyMap<string, CollectionOptions>): ReadonlyMap<string, Source> {
  const mounts = new Map<string, Source>()
  for (const [name, { dir, source }] of collections) {
    if (source === undefined) continue
    for (const [other, { dir: otherDir, source: otherSource }] of collections) {
      const isWithin = dir.startsWith(`${otherDir}/`) || otherDir.startsWith(`${dir}/`)
      if (isWithin || (dir === otherDir && otherSource !== source)) throw new InvalidOption(`collections.${name}.dir`, `a folder of its own: 'collections.${other}' has files of another source in it`, show(dir))
    }
    mounts.set(dir, source)
  }
  return mounts
}

function readCheck (value: SiteOptions['check']): number | null {
  const { every } = group(value, 'check', { every: true })
  const wanted = seconds(every, 'check.every', 60)
  return wanted === 0 || wanted === Infinity ? null : wanted * 1000
}

function readFilters (value: SiteOptions['filters']): Readonly<Record<string, Filter>> {
  if (value === undefined) return {}
  for (const [name, filter] of entries(value, 'filters')) fn(filter, `filters.${name}`, 'a function of one value')
  return Object.freeze({ ...value })
}

function readData (value: unknown): SiteSettings['data'] {
  if (typeof value === 'function') return value as SiteSettings['data']
  if (value !== undefined && (typeof value !== 'object' || value === null || Array.isArray(value))) throw new InvalidOption('data', 'an object, or a function of the page that returns one', show(value))
  const data = Object.freeze({ ...value })
  return () => data
}

function readFrontMatter (value: SiteOptions['frontMatter']): SiteSettings['frontMatter'] {
  if (value === undefined) return null
  const { parse } = group(value, 'frontMatter', { parse: true })
  if (typeof parse !== 'function') throw new InvalidOption('frontMatter.parse', 'a function of text and file that returns { data, bodyOffset }', show(parse))
  return Object.freeze({ parse })
}

function readMarkdown (value: SiteOptions['markdown']): MarkdownOptions {
  const options = group(value, 'markdown', { highlight: true, languages: true, link: true, use: true })
  if (options.highlight !== undefined && options.highlight !== false) fn(options.highlight, 'markdown.highlight', 'false or a function of code and language that returns HTML')
  fn(options.link, 'markdown.link', 'a function of href and file that returns a URL or undefined')
  fn(options.use, 'markdown.use', 'a function of a MarkdownIt')
  const { languages } = options
  if (languages !== undefined && (!Array.isArray(languages) || !languages.every(language => typeof language === 'string'))) {
    throw new InvalidOption('markdown.languages', "an array of names such as 'typescript'", show(languages))
  }
  return Object.freeze({ ...options })
}

function readImages (value: SiteOptions['images']): SiteSettings['images'] {
  const options = group(value, 'images', { widths: true, formats: true, maxPixels: true })
  const { widths, formats, maxPixels } = options
  whole(maxPixels, 'images.maxPixels', 0, 1)
  if (widths !== undefined && (!Array.isArray(widths) || !widths.every(width => Number.isSafeInteger(width) && width > 0 && width <= WIDEST))) {
    throw new InvalidOption('images.widths', 'an array of widths in pixels', show(widths))
  }
  if (formats !== undefined && (!Array.isArray(formats) || !formats.every(format => format === 'webp' || format === 'avif'))) {
    throw new InvalidOption('images.formats', "an array of 'webp' and 'avif'", show(formats))
  }
  return Object.freeze({ ...options })
}

function readCss (value: SiteOptions['css']): SiteSettings['css'] {
  const options = group(value, 'css', { transform: true })
  fn(options.transform, 'css.transform', 'a function of source and path that returns CSS')
  return Object.freeze({ ...options })
}

function readRedirects (value: SiteOptions['redirects'], prefix: string): Readonly<Record<string, string>> {
  const redirects: Record<string, string> = {}
  for (const [from, to] of value === undefined ? [] : entries(value, 'redirects')) {
    if (!from.startsWith('/')) throw new InvalidOption(`redirects.${from}`, "named by a path, beginning with '/'", show(from))
    // Only the not-found handler is asked for it.
    if (!`${from}/`.startsWith(prefix)) throw new InvalidOption(`redirects.${from}`, `named by a path below the option 'prefix', '${prefix}', with 'notFound: false'; others are routes of the app`, show(from))
    const target = targetOf(to)
    if (target === null) throw new InvalidOption(`redirects.${from}`, 'a path or an absolute URL', show(to))
    redirects[from] = target
  }
  return Object.freeze(redirects)
}

/** As a header can say it; of a page, as the page is spelled. */
function targetOf (to: unknown): string | null {
  // Browsers take a backslash for a slash, and two of them for the beginning of a host.
  if (typeof to !== 'string' || !/^(?:\/(?![/\\])|https?:\/\/)/.test(to) || !URL.canParse(to, 'http://localhost')) return null
  const { href, pathname, search, hash } = new URL(to, 'http://localhost')
  if (!to.startsWith('/')) return href
  const path = pathname.endsWith('/') ? pathname : canonicalPath(pathname) ?? pathname
  return path + search + hash
}

function readFeed (value: SiteOptions['feed'], collections: ReadonlyMap<string, unknown>, baseUrl: URL | null): Required<FeedOptions> | null {
  if (value === undefined) return null
  const { collection, title, path: url = '/feed.xml' } = group(value, 'feed', { collection: true, title: true, path: true })
  if (typeof collection !== 'string' || !collections.has(collection)) throw new CollectionUnknown(String(collection), namesOf(collections))
  if (typeof title !== 'string' || title === '') throw new InvalidOption('feed.title', 'a text', show(title))
  if (typeof url !== 'string' || !/^\/[\w./~-]+$/.test(url)) throw new InvalidOption('feed.path', "a path such as '/feed.xml'", show(url))
  if (baseUrl === null) throw new InvalidOption('baseUrl', 'set for a feed, whose URLs are absolute', 'undefined')
  return Object.freeze({ collection, title, path: url })
}

/** Names for an error message. */
export function namesOf (collections: ReadonlyMap<string, unknown>): string {
  return collections.size === 0 ? 'none' : [...collections.keys()].map(name => `'${name}'`).join(', ')
}

function entries<T> (value: Record<string, T>, name: string): [string, T][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidOption(name, 'an object', show(value))
  return Object.entries(value)
}

function fn<T> (value: T | undefined, name: string, wanted: string): T | undefined {
  if (value !== undefined && typeof value !== 'function') throw new InvalidOption(name, wanted, show(value))
  return value
}
