import type { CollectionItem, CollectionOptions } from '../../../types/site.js'
import { stem, type Document } from './document.js'
import { frontMatterError } from './front-matter.js'
import { pageError } from './page-error.js'
import type { Moved } from './page-table.js'
import { applySchema, type Schema } from './schema.js'
import { canonicalPath, isSegment } from './urls.js'

/** An item, visible or not. */
export interface ReadItem {
  document: Document
  item: CollectionItem
  redirects: { from: string, line: number }[]
}

/** The markup of an item's body, asked for whenever somebody reads `html`. */
export type ItemBody = (template: string, item: CollectionItem) => unknown

const SCHEMA: Schema = { title: 'text', slug: 'text', date: 'date', updated: 'date', draft: 'boolean', tags: 'list', redirect_from: 'list' }
/** Names that items have by themselves. */
const OWN = ['url', 'file', 'html', 'toc']

/**
 * `content/blog/2026/hello.md` of the folder `content/blog` has the slug
 * `2026/hello`; `slug:` in front matter wins.
 *
 * @throws FST_ISR_ERR_SITE_FRONT_MATTER, FST_ISR_ERR_SITE_PAGE
 */
export function readItem (document: Document, { dir, url, schema = {} }: CollectionOptions, body: ItemBody): ReadItem {
  const { file, frontMatter, lines, toc, template } = document
  for (const key of OWN) {
    if (Object.hasOwn(frontMatter, key)) throw frontMatterError(file, lines[key] ?? 1, `'${key}' is what every item has by itself: give the key another name`)
  }
  const data = applySchema(frontMatter, { ...SCHEMA, ...schema }, file, lines)
  // In the form that URLs have, so that what is asked for is found.
  const slug = (typeof data['slug'] === 'string' ? data['slug'] : slugOf(file, dir)).normalize('NFC')
  if (!slug.split('/').every(isSegment)) throw pageError(file, `'${slug}' can't be part of a URL: rename the file, or give it a 'slug:'`)
  // `url` puts it into a path as it is, where it would be undone: /blog/%41 is /blog/A.
  if (/%[\da-f]{2}/i.test(slug)) throw pageError(file, `'${slug}' holds what a URL takes for the code of a character: rename the file, or give it a 'slug:'`)

  const item = { ...data, slug, tags: Object.freeze(Array.isArray(data['tags']) ? data['tags'].map(String) : []), file, toc, url: '' } as unknown as CollectionItem & { url: string }
  item.url = itemUrl(file, url, item)
  Object.defineProperty(item, 'html', { enumerable: true, get: () => body(template.name, item) })
  const redirects = ((data['redirect_from'] ?? []) as string[]).map(from => {
    const line = lines['redirect_from'] ?? 1
    const path = canonicalPath(from)
    if (path === null) throw frontMatterError(file, line, "'redirect_from' must be paths such as '/blog/old', without dots, query and fragment")
    return { from: path, line }
  })
  return { document, item: Object.freeze(item), redirects }
}

function slugOf (file: string, dir: string): string {
  const name = stem(file.slice(dir.length + 1))
  return name.endsWith('/index') ? name.slice(0, -'/index'.length) : name
}

function itemUrl (file: string, url: CollectionOptions['url'], item: CollectionItem): string {
  let path: unknown
  try {
    path = url(item)
  } catch (cause) {
    throw Object.assign(pageError(file, `'url' of its collection threw: ${(cause as Error)?.message}`), { cause })
  }
  const canonical = typeof path === 'string' ? canonicalPath(path) : null
  if (canonical === null) throw pageError(file, `'url' of its collection must return a path such as '/blog/hello', got ${JSON.stringify(path) ?? typeof path}`)
  return canonical
}

/** Newest first; without dates, by slug. */
export function newestFirst (a: CollectionItem, b: CollectionItem): number {
  const later = (b.date?.getTime() ?? -Infinity) - (a.date?.getTime() ?? -Infinity)
  return Number.isNaN(later) || later === 0 ? bySlug(a, b) : later
}

function bySlug (a: CollectionItem, b: CollectionItem): number {
  return a.slug < b.slug ? -1 : a.slug > b.slug ? 1 : 0
}

export interface Visible {
  items: CollectionItem[]
  /** Old addresses of these. */
  moved: Moved[]
  /** Two items with one slug, or with one URL: the later file is left out. */
  problems: Error[]
  /** When the next of those that wait for their date comes. Milliseconds; Infinity: none. */
  nextAt: number
}

/** What of a collection is shown at a time, in order. */
export function visibleItems (all: Iterable<ReadItem>, options: CollectionOptions, { drafts, now }: { drafts: boolean, now: number }): Visible {
  const problems: Error[] = []
  const slugs = new Map<string, string>()
  const urls = new Map<string, string>()
  const items: CollectionItem[] = []
  const moved: Moved[] = []
  let nextAt = Infinity
  for (const { item, redirects, document: { file } } of [...all].sort((a, b) => a.document.file < b.document.file ? -1 : 1)) {
    if (!drafts && item.draft === true) continue
    const at = item.date?.getTime() ?? -Infinity
    if (!drafts && options.future !== true && at > now) {
      nextAt = Math.min(nextAt, at)
      continue
    }
    if (options.filter?.(item) === false) continue
    const other = slugs.get(item.slug) ?? urls.get(item.url)
    if (other !== undefined) {
      problems.push(pageError(file, `it has the ${slugs.has(item.slug) ? `slug '${item.slug}'` : `URL ${item.url}`}, as ${other} has: give one of them another 'slug:'; ${other} is served`))
      continue
    }
    slugs.set(item.slug, file)
    urls.set(item.url, file)
    items.push(item)
    if (redirects.length > 0) moved.push({ file, url: item.url, redirects })
  }
  return { items: items.sort(options.sort ?? newestFirst), moved, problems, nextAt }
}
