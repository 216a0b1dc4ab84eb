/**
 * The public contract of fastify-isr/site, written by hand. `lib/site/` is
 * checked against it, so the two can't drift apart.
 *
 * Durations are **seconds** unless a name or comment says otherwise.
 */
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { OrderResult, RefreshResult } from './index.js'

// ── register options ────────────────────────────────────────────────────────

export interface SiteOptions {
  /**
   * The folder of the site: `pages/`, `partials/`, `content/`, `assets/`. A
   * relative path is taken from the package root of the app.
   * @default 'site'
   */
  root?: string | URL
  /** Where the files come from, in place of `root`: `memorySource({ … })` in tests. */
  source?: Source
  /**
   * What the URLs of file pages begin with. The home of `'/docs/'` is `/docs`.
   * @default '/'
   */
  prefix?: string
  /**
   * Development: pages are rendered for each request, files are watched, the
   * browser reloads, errors are shown in it. Refused when `NODE_ENV` is
   * `production`. `poll` is for file systems that tell of no changes (milliseconds);
   * `hosts` are names, without ports, under which other machines may follow.
   * @default false
   */
  dev?: boolean | { poll?: number, hosts?: string[] }
  /**
   * Origin of the site, for the sitemap, robots.txt and feeds. Without it none
   * of them is served.
   * @default none
   */
  baseUrl?: string
  /**
   * Where built assets are and below which URL they are served; `false`: not by
   * this plugin, and templates refer to none. `dir` is taken from the package root.
   * The rest is for the build: `undigested` are names below `assets/` that stay as
   * they are (a service worker); `targets` the oldest browsers, by the names of
   * esbuild; `keep` the seconds for which files of earlier builds stay.
   * @default { prefix: '/static/', dir: 'dist/static', undigested: [], targets: ['chrome111', 'firefox114', 'safari16.4'], keep: 604_800 }
   */
  static?: false | { prefix?: string, dir?: string, undigested?: string[], targets?: string[], keep?: number }
  /** Files that belong together: posts, docs. By name. */
  collections?: Record<string, CollectionOptions>
  /**
   * `every`: seconds after which a page that is asked for has its files looked
   * at, behind; `0`: never, orders alone make pages stale.
   * @default { every: 60 }
   */
  check?: { every?: number }
  /** Filters of `{{= value | name }}`, beside the built-in ones. */
  filters?: Record<string, Filter>
  /**
   * What every template sees beside what it is given: the origin for canonical
   * links, a navigation. A function is asked for each render. What a handler or
   * front matter of the same name says goes first.
   */
  data?: Record<string, unknown> | ((page: DataOf) => Record<string, unknown>)
  /** Another reader of front matter, such as one for YAML. */
  frontMatter?: { parse: (text: string, file: string) => FrontMatter }
  /** Markdown pages and collections. */
  markdown?: MarkdownOptions
  /** What the build makes of images; one with more than `maxPixels` (default 100 million) fails it. */
  images?: { widths?: number[], formats?: ('webp' | 'avif')[], maxPixels?: number }
  /** What the build makes of style sheets: a hook for Sass and others, before esbuild. */
  css?: { transform?: (source: string, path: string) => string | Promise<string> }
  /** Old path → new one (301), beside `redirect_from:` in front matter. With `notFound: false` old paths are below `prefix`. */
  redirects?: Record<string, string>
  /** An Atom feed of a collection. */
  feed?: FeedOptions
  /** Serve `/sitemap.xml`, if there is a `baseUrl`. @default true */
  sitemap?: boolean
  /** Serve `/robots.txt`, if there is a `baseUrl`. @default true */
  robots?: boolean
  /**
   * Answer what no route answers with `404.html`; `false`: the app sets a
   * handler of its own.
   * @default true
   */
  notFound?: boolean
  /** Measure how long answers take, for `admin.timings()`. @default false */
  timings?: boolean
  /** Milliseconds since the epoch; injected by tests. @default Date.now */
  clock?: () => number
}

/** What common data are asked for. `path`: of the page, without query; null for `404.html`, `500.html` and `app.site.render()`. */
export interface DataOf { path: string | null }

/** The result is escaped like any value, unless it is a `SafeHtml`. */
export type Filter = (value: unknown) => unknown

export type FieldType = 'text' | 'date' | 'boolean' | 'number' | 'list'

export interface CollectionOptions {
  /** Folder of its files, relative to the site's root, such as `content/blog`. */
  dir: string
  /**
   * Where its files come from, in place of the site's own: of a folder that
   * lies elsewhere, `fileSource(new URL('../docs/', import.meta.url))`. They are
   * called as if they stood in `dir`.
   * @default the site's files
   */
  source?: Source
  /** The path of an item, such as `` post => `/blog/${post.slug}` ``. */
  url: (item: CollectionItem) => string
  /** What front matter must hold, by key. Keys not named stay as they are. */
  schema?: Record<string, FieldType>
  /** @default newest first by `date`, then by slug */
  sort?: (a: CollectionItem, b: CollectionItem) => number
  /** `false`: the item is not part of the collection. */
  filter?: (item: CollectionItem) => boolean
  /** Show items before their `date`. @default false */
  future?: boolean
}

/** Front matter, and what every item has. */
export interface CollectionItem {
  /** Path within the collection's folder, without its ending; `slug:` in front matter wins. */
  readonly slug: string
  /** What `url` of the collection makes of it. */
  readonly url: string
  /** File, relative to the site's root. */
  readonly file: string
  /** The body as trusted markup, made when it is first read. */
  readonly html: unknown
  /** Headings, of an item in Markdown. */
  readonly toc: readonly { id: string, text: string, level: number }[]
  readonly tags: readonly string[]
  /** Of front matter, else the first `# heading` of Markdown. */
  readonly title?: string
  readonly date?: Date
  readonly updated?: Date
  readonly draft?: boolean
  readonly [field: string]: unknown
}

export interface FrontMatter {
  data: Record<string, unknown>
  /** Where the text behind it begins, in characters. */
  bodyOffset: number
}

export interface MarkdownOptions {
  /** Class names are for CSS; inline styles would need `unsafe-inline`. @default highlight.js */
  highlight?: false | ((code: string, language: string) => string)
  /**
   * What highlight.js is loaded with, by its names; code in other languages is shown as it stands.
   * @default bash, css, diff, dockerfile, http, javascript, json, markdown, plaintext, sql, typescript, xml, yaml
   */
  languages?: string[]
  /**
   * Where a relative link or image leads that names no page and no item of the site:
   * `href` as written, `file` relative to the site's root. Without a result it
   * stays as it is, and an image is told as a problem.
   */
  link?: (href: string, file: string) => string | undefined
  /**
   * Gets the `MarkdownIt` before it is used: for plugins and rules. What they
   * make is sent as it is, but can't be read as a template. Its type comes with
   * that package: `use: (markdown: MarkdownIt) => { … }`.
   */
  use?: (markdown: never) => void
}

export interface FeedOptions {
  collection: string
  title: string
  /** @default '/feed.xml' */
  path?: string
}

// ── files ───────────────────────────────────────────────────────────────────

/** A folder of the site. Paths are relative, with `/`, and never leave it. */
export interface Source {
  /** All files below `folder` (`''`: all), sorted. */
  list (folder: string): Promise<SourceFile[]>
  /** Null: there is none. */
  read (path: string): Promise<SourceText | null>
  /** A cheap look: equal stamps need no read. Null: there is none. */
  stamp (path: string): Promise<string | null>
  /** Absolute path (of `''`: of all); null when there is none. Development watches it. */
  locate (path: string): string | null
}

/**
 * With `error`, a folder below the listed one that can't be read now: its `path`
 * ends in a slash, and what was known of its files holds.
 */
export interface SourceFile { path: string, stamp: string, error?: Error }
/** `hash`: SHA-256 of the bytes, in hexadecimal. */
export interface SourceText { path: string, text: string, hash: string, stamp: string }

// ── decorators ──────────────────────────────────────────────────────────────

export interface Site {
  /**
   * Renders a template, such as `index.html` of `pages/`.
   *
   * @throws TemplateError, with file, line, column and frame
   */
  render (name: string, data?: Record<string, unknown>): RenderedTemplate
  /** All file pages, by path. */
  pages (): PageInfo[]
  /** @throws FST_ISR_ERR_SITE_COLLECTION, if the options declare none of that name */
  collection (name: string): Collection
  /** `/static/css/app.css` → `/static/css/app.0123456789abcdef.css`. Throws if there is none. */
  asset (path: string): string
  /** The `<img>` or `<picture>` of an image, trusted markup. */
  image (attributes: Record<string, string>): string
  /**
   * A file of the site has changed: looks at it, and orders exactly the pages
   * that it is part of. Without a file: at all of them.
   */
  invalidate (file?: string): Promise<SiteChange>
  /** Something changed, whoever noticed. Returns a function that stops it. */
  on (event: 'change', listener: (change: SiteChange) => void): () => void
  /** Figures for an admin page. */
  readonly admin: SiteAdmin
}

export interface RenderedTemplate {
  html: string
  /** What it is made of, as cache tags. */
  tags: string[]
}

export interface SiteChange {
  /** Names of changed templates, contents and assets, such as `partials/header.html`. */
  changed: string[]
  removed: string[]
  errors: Error[]
}

export interface PageInfo {
  /** URL path, prefix included. */
  path: string
  /** File, relative to the site's root. */
  file: string
  /** Of front matter, else the first `# heading` of Markdown. */
  title: string | null
  noindex: boolean
  data: Record<string, unknown>
}

export interface Collection {
  /** In order, without drafts and what is yet to come. */
  all (): readonly CollectionItem[]
  /** Their paths. */
  urls (): readonly string[]
  bySlug (slug: string): CollectionItem | null
  tag (tag: string): readonly CollectionItem[]
  tags (): string[]
  /** `number` from 1; beyond the last page there are no items. */
  page (number: number, size: number): { items: readonly CollectionItem[], number: number, pages: number, total: number }
  /** Its neighbours in the collection's order. Given to a page as it is, new neighbours have the page rendered again. */
  around (slug: string): { previous: CollectionItem | null, next: CollectionItem | null }
}

export interface SiteAdmin {
  /**
   * Milliseconds by path, for at most 1000 known ones; all others count
   * together. Null without the option `timings`.
   */
  timings (): { startedAt: string, total: PathTimings, others: PathTimings, paths: Record<string, PathTimings> } | null
  /** Checks of pages that were asked for, and what they led to. */
  cache (): { hits: number, misses: number, revalidations: number, revalidationErrors: number }
  /**
   * Looks at all files and renders now: all file pages, and all that is in the
   * cache and made of the site, such as items of collections and feeds.
   */
  refresh (): Promise<RefreshResult>
}

/** `mean` of all answers, median and 95th percentile of the last 256. */
export interface PathTimings { count: number, mean: number, median: number, p95: number }

declare module 'fastify' {
  interface FastifyInstance {
    site: Site
  }
  interface FastifyReply {
    /** Renders a template of `pages/`, says what it depends on, and sends it as HTML. */
    page (name: string, data?: Record<string, unknown>): FastifyReply
  }
}

/** A folder on disk. */
export function fileSource (root: string | URL): Source
/** Files in memory, for tests. */
export function memorySource (files: Record<string, string>): Source & { set (path: string, text: string): void, delete (path: string): void }

/** Trusted markup, decided by code: sent as it is. */
export class SafeHtml {
  constructor (html: string)
  toString (): string
}

/**
 * A template that can't be rendered. The message has the place, the lines
 * around it and who uses the file.
 */
export class TemplateError extends Error {
  readonly code: 'FST_ISR_ERR_SITE_TEMPLATE'
  readonly problem: TemplateProblem
}

export interface TemplateProblem {
  /** The kind, such as `missing_slots`: stable, see docs/errors.md. */
  code: string
  /** One sentence, without the place. */
  message: string
  /** Relative to the site's root. */
  file: string
  /** From 1, front matter included. */
  line: number
  /** From 1, in UTF-16 units. */
  column: number
  /** The lines around the place, numbered, with carets below what is meant. */
  frame: string
  /** The other place that has to do with it, such as the placeholder that a call leaves empty. */
  related?: TemplateProblem
  /** Who uses the file, from the direct user up to the rendered template. */
  usedBy?: string[]
}

export type { OrderResult, FastifyReply }

declare const plugin: FastifyPluginAsync<SiteOptions>
export { plugin, plugin as fastifyIsrSite, plugin as 'module.exports' }
export default plugin
