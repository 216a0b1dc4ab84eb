import type { TemplateFile } from '../template/index.js'
import { pageError } from './page-error.js'
import { stem, withLayout, type Document } from './document.js'
import { frontMatterError } from './front-matter.js'
import type { Heading } from './headings.js'
import { applySchema, type Schema } from './schema.js'
import { canonicalPath, encodeSegment, isSegment } from './urls.js'

/** A file of `pages/` with a URL. */
export interface FilePage {
  readonly kind: 'page'
  /** Canonical path, prefix included. */
  readonly url: string
  /** Relative to the site's root: `pages/about.md`. */
  readonly file: string
  /** Name of its template. */
  readonly template: string
  readonly title: string | null
  /** Front matter, with what has a meaning converted. */
  readonly data: Readonly<Record<string, unknown>>
  /** Front matter as it stands in the file, for slots that nobody fills. */
  readonly frontMatter: Readonly<Record<string, unknown>>
  readonly noindex: boolean
  /** Seconds until it is rendered again; null: as long as the policy says. */
  readonly revalidate: number | null
  /** For the sitemap: `lastmod`, or else `date`. */
  readonly lastmod: Date | null
  /** Headings, of a page in Markdown. */
  readonly toc: readonly Heading[]
  /** Of its bytes. */
  readonly hash: string
}

export interface Redirect {
  readonly kind: 'redirect'
  readonly from: string
  /** A path, or an absolute URL. */
  readonly to: string
  readonly status: 301
}

/** What a file of `pages/` amounts to. */
export interface ReadPage {
  file: string
  document: Document
  /** The template of the page, of that of its document: with its layout around. */
  templateOf (template: TemplateFile): TemplateFile
  /** Null: a draft, or a page that answers errors. */
  page: FilePage | null
  redirects: { from: string, line: number }[]
  hash: string
  frontMatter: Readonly<Record<string, unknown>>
}

const FOLDER = 'pages/'
/** Answers to something else: they have no URL of their own. */
const ERROR_PAGES = new Set(['404', '500'])

const SCHEMA: Schema = {
  title: 'text', path: 'text', redirect_from: 'list', noindex: 'boolean', layout: 'text', draft: 'boolean', revalidate: 'number', ttl: 'number', date: 'date', lastmod: 'date'
}

/**
 * `pages/index.html` → `/`, `pages/docs/index.md` → `/docs`, `pages/a/b.html`
 * → `/a/b`; `path:` in front matter wins.
 *
 * @throws FST_ISR_ERR_SITE_FRONT_MATTER, FST_ISR_ERR_SITE_PAGE
 */
export function readPage (document: Document, { prefix, drafts }: { prefix: string, drafts: boolean }): ReadPage {
  const { file, frontMatter, lines, hash, toc } = document
  const fail = (key: string, message: string): never => { throw frontMatterError(file, lines[key] ?? 1, `'${key}' ${message}`) }
  const data = applySchema(frontMatter, SCHEMA, file, lines)
  const { layout, redirect_from: sources = [] } = data as { layout?: string, redirect_from?: string[] }
  if (layout !== undefined && !/^[^\s%<>"'=]+\.[^\s%<>"'=]+$/.test(layout)) fail('layout', "must be the name of a file of partials/, such as 'layout.html'")
  const name = stem(file.slice(FOLDER.length))
  const url = data['path'] === undefined ? urlOf(name, file, prefix) : sitePath(data['path'] as string, prefix) ?? fail('path', "must be a path such as '/about', without dots, query and fragment")
  const isServed = !ERROR_PAGES.has(name) && (drafts || data['draft'] !== true)
  const redirects = sources.map(from => ({
    from: sitePath(from, prefix) ?? fail('redirect_from', "must be paths such as '/old', without dots, query and fragment"),
    line: lines['redirect_from'] ?? 1
  }))
  const page: FilePage = {
    kind: 'page',
    url,
    file,
    template: file,
    title: (data['title'] as string | undefined) ?? null,
    data,
    frontMatter,
    noindex: data['noindex'] === true,
    revalidate: seconds(data, fail),
    lastmod: (data['lastmod'] ?? data['date'] ?? null) as Date | null,
    toc,
    hash
  }
  return {
    file,
    document,
    hash,
    frontMatter,
    templateOf: template => layout === undefined ? template : withLayout(template, layout, lines['layout'] ?? 1),
    redirects: isServed ? redirects : [],
    page: isServed ? page : null
  }
}

function seconds (data: Readonly<Record<string, unknown>>, fail: (key: string, message: string) => never): number | null {
  const key = data['revalidate'] === undefined ? 'ttl' : 'revalidate'
  const value = data[key] as number | undefined
  if (value !== undefined && value < 0) fail(key, 'must be a number of seconds, 0 or more')
  return value ?? null
}

/** A path within the site as the path that visitors ask for. */
function sitePath (path: string, prefix: string): string | null {
  const canonical = canonicalPath(path)
  return canonical === null ? null : below(prefix, canonical.slice(1))
}

function urlOf (name: string, file: string, prefix: string): string {
  const segments = name.split('/')
  if (segments.at(-1) === 'index') segments.pop()
  if (!segments.every(isSegment)) throw pageError(file, 'its name holds characters that no URL can have: rename it, or its folder')
  return below(prefix, segments.map(encodeSegment).join('/'))
}

/** Without a slash at its end, like all URLs of pages. */
function below (prefix: string, path: string): string {
  return path === '' && prefix !== '/' ? prefix.slice(0, -1) : prefix + path
}
