import type { CollectionOptions, MarkdownOptions } from '../../../types/site.js'
import type { compileTemplates, TemplateSet } from '../template/index.js'
import { Collection } from './collection.js'
import { visibleItems, type Visible } from './collection-items.js'
import type { Documents } from './documents.js'
import { LinkResolver, type ResolvedLink } from './links.js'
import { pageError } from './page-error.js'
import { PageTable, type Moved } from './page-table.js'

/** The site at one moment: everything in it fits together, and nothing in it changes. */
export interface Snapshot {
  readonly templates: TemplateSet
  readonly pages: PageTable
  readonly collections: ReadonlyMap<string, Collection>
  /** Path of a file → hash of its bytes. */
  readonly hashes: ReadonlyMap<string, string>
  /** Files of collections → the items that are shown of them. */
  readonly items: ReadonlyMap<string, readonly ShownItem[]>
  /** File → its relative links, in Markdown, and where they lead now. */
  readonly links: ReadonlyMap<string, readonly ResolvedLink[]>
  /** What keeps single files from being pages, items or templates as they should; they break nothing else. */
  readonly problems: readonly Error[]
  /** When the next item that waits for its date comes. Milliseconds; Infinity: none. */
  readonly nextAt: number
  /** Of a file of `pages/`, also of one that has no URL, as it stands there. */
  frontMatterOf (file: string): Readonly<Record<string, unknown>>
}

export interface ShownItem {
  collection: string
  url: string
  file: string
}

export interface SnapshotOptions {
  compile: typeof compileTemplates
  /** For every compilation: filters, language. */
  templateOptions: Parameters<typeof compileTemplates>[1]
  collections: ReadonlyMap<string, CollectionOptions>
  redirects: Readonly<Record<string, string>>
  /** Of links that lead to no page or item. */
  link: MarkdownOptions['link']
  drafts: boolean
  now: number
}

export function makeSnapshot (documents: Documents, previous: Snapshot | null, options: SnapshotOptions): Snapshot {
  const { compile, templateOptions, collections: settings, redirects, link, drafts, now } = options
  const frontMatter = new Map(Array.from(documents.pages(), page => [page.file, page.frontMatter]))
  const visible = new Map(Array.from(settings, ([name, collection]) => [name, visibleItems(documents.items(name), collection, { drafts, now })]))
  const pages = new PageTable(documents.pages(), redirects, movedOf(visible.values()))
  const problems = [...documents.problems(), ...pages.problems]
  const collections = new Map<string, Collection>()
  const items = new Map<string, ShownItem[]>()
  const owners = new Map<string, string>()
  let nextAt = Infinity
  for (const [name, shown] of visible) {
    collections.set(name, new Collection(shown.items))
    problems.push(...shown.problems)
    nextAt = Math.min(nextAt, shown.nextAt)
    for (const { url, file } of shown.items) {
      const page = pages.find(url)
      if (page !== null) problems.push(pageError(file, `its URL ${url} is also ${page.kind === 'page' ? `that of the page ${page.file}` : `redirected, to ${page.to}`}: give one of them another path`))
      const owner = owners.get(url)
      if (owner !== undefined) problems.push(pageError(file, `its URL ${url} is also that of ${owner}, in another collection: give one of them another path`))
      owners.set(url, file)
      items.set(file, [...items.get(file) ?? [], { collection: name, url, file }])
    }
  }
  const links = resolveLinks(documents, new LinkResolver(urlsOf(pages, items), link), problems)
  const templates = compile(documents.templates(links), { ...templateOptions, ...(previous === null ? {} : { previous: previous.templates }) })
  return Object.freeze({ templates, links, pages, collections, hashes: documents.hashes(), items, problems: Object.freeze(problems), nextAt, frontMatterOf: (file: string) => frontMatter.get(file) ?? {} })
}

/** Each file once: one that is in several collections has moved to where the first shows it. */
function movedOf (all: Iterable<Visible>): Iterable<Moved> {
  const moved = new Map<string, Moved>()
  for (const item of Array.from(all, visible => visible.moved).flat()) if (!moved.has(item.file)) moved.set(item.file, item)
  return moved.values()
}

/** File → where it is shown. */
function urlsOf (pages: PageTable, items: Snapshot['items']): Map<string, string> {
  const urls = new Map<string, string>()
  for (const [file, [first]] of items) if (first !== undefined) urls.set(file, first.url)
  for (const { file, url } of pages.all()) urls.set(file, url)
  return urls
}

function resolveLinks (documents: Documents, resolver: LinkResolver, problems: Error[]): Map<string, ResolvedLink[]> {
  const all = new Map<string, ResolvedLink[]>()
  for (const { file, links, template } of documents.linking()) {
    all.set(file, links.map(link => {
      const { href } = link
      try {
        const resolved = resolver.resolve(file, link)
        if (resolved.isLost) problems.push(lostImage(file, template.origin?.text ?? '', href))
        return resolved
      } catch (error) {
        problems.push(pageError(file, `'markdown.link' threw for '${href}': ${(error as Error)?.message}`))
        return { href, url: href, isLost: false }
      }
    }))
  }
  return all
}

function lostImage (file: string, text: string, href: string): Error {
  const at = text.indexOf(`(${href}`) + 1
  const [line, column] = at === 0 ? [1, 1] : [text.slice(0, at).split('\n').length, at - text.lastIndexOf('\n', at - 1)]
  return Object.assign(pageError(file, `the image '${href}' is sought beside the page, where no files are published: put it into assets/ and write <% img src="/static/…" alt="…" %/>, or let 'markdown.link' say where it is`), { line, column })
}
