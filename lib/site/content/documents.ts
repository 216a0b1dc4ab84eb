import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CollectionOptions, SourceText } from '../../../types/site.js'
import type { TemplateFile } from '../template/index.js'
import { readItem, type ItemBody, type ReadItem } from './collection-items.js'
import { isDocument, isMarkdown, readDocument, type Document, type ParseFrontMatter } from './document.js'
import { withLinks, type ResolvedLink } from './links.js'
import type { Markdown } from './markdown.js'
import { readPage, type ReadPage } from './page-file.js'

export const PAGES = 'pages'
export const PARTIALS = 'partials'

/** Milliseconds that reading texts may keep others waiting. */
const TURN = 10

export interface DocumentsOptions {
  collections: ReadonlyMap<string, CollectionOptions>
  body: ItemBody
  drafts: boolean
  /** Ends in a slash. */
  prefix: string
  parse: ParseFrontMatter | undefined
  markdown: () => Promise<Markdown>
}

/** What the texts of a site amount to: partials, pages and items. */
export class Documents {
  readonly #options: DocumentsOptions
  readonly #hashes = new Map<string, string>()
  readonly #partials = new Map<string, TemplateFile>()
  readonly #pages = new Map<string, ReadPage>()
  readonly #items: ReadonlyMap<string, Map<string, ReadItem>>
  /** Files that could not be read, or not understood; what they were before still holds. */
  readonly #failed = new Map<string, Error>()

  constructor (options: DocumentsOptions) {
    this.#options = options
    this.#items = new Map(Array.from(options.collections.keys(), name => [name, new Map()]))
  }

  /** Folders that files are read from. */
  folders (): string[] {
    return [PAGES, PARTIALS, ...Array.from(this.#options.collections.values(), ({ dir }) => dir)]
  }

  /** Whether a file is part of the site, by its name. */
  isWanted (path: string): boolean {
    return path.startsWith(`${PARTIALS}/`) || isDocument(path)
  }

  /** Takes over what was read. Returns the files that now mean something else. */
  async update (read: readonly SourceText[], removed: readonly string[], failed: ReadonlyMap<string, Error>): Promise<string[]> {
    const understood = removed.filter(path => this.#remove(path))
    for (const [path, error] of failed) this.#failed.set(path, asErrorOf(path, error))
    let turn = performance.now()
    for (const text of read) {
      try {
        const markdown = isMarkdown(text.path) && !text.path.startsWith(`${PARTIALS}/`) ? await this.#options.markdown() : null
        // Touched, or put back as it was: it is what is held already.
        if (this.#hashes.get(text.path) !== text.hash) {
          this.#read(text, markdown)
          this.#hashes.set(text.path, text.hash)
          understood.push(text.path)
        }
        this.#failed.delete(text.path)
      } catch (error) {
        this.#failed.set(text.path, asErrorOf(text.path, error))
      }
      if (performance.now() - turn > TURN) {
        await nextTurn()
        turn = performance.now()
      }
    }
    return understood
  }

  /** The error of a file that could not be read or understood when last looked at. */
  failureOf (path: string): Error | null {
    return this.#failed.get(path) ?? null
  }

  problems (): Error[] {
    return [...this.#failed.values()]
  }

  /** With links as resolved, by file. */
  * templates (links: ReadonlyMap<string, readonly ResolvedLink[]>): Generator<TemplateFile> {
    yield * this.#partials.values()
    for (const { document: { file, template, links: own }, templateOf } of this.#documents()) {
      const linked = withLinks(template, own, links.get(file) ?? [])
      yield templateOf?.(linked) ?? linked
    }
  }

  /** Pages and items in which links stand that other files decide about. */
  * linking (): Generator<Document> {
    for (const { document } of this.#documents()) if (document.links.length > 0) yield document
  }

  /** Each file once: it may be in several collections, which may be of pages, too. */
  * #documents (): Generator<{ document: Document, templateOf?: ReadPage['templateOf'] }> {
    yield * this.#pages.values()
    const given = new Set<string>(this.#pages.keys())
    for (const items of this.#items.values()) {
      for (const [file, { document }] of items) {
        if (!given.has(file)) yield { document }
        given.add(file)
      }
    }
  }

  pages (): Iterable<ReadPage> {
    return this.#pages.values()
  }

  items (collection: string): Iterable<ReadItem> {
    return this.#items.get(collection)?.values() ?? []
  }

  hashes (): ReadonlyMap<string, string> {
    return new Map(this.#hashes)
  }

  #read (text: SourceText, markdown: Markdown | null): void {
    const { path } = text
    const { collections, body, parse } = this.#options
    if (path.startsWith(`${PARTIALS}/`)) {
      this.#partials.set(path, { name: path, text: text.text })
      return
    }
    const document = readDocument(text, { parse, markdown })
    // All of it is read before any of it is kept.
    const page = path.startsWith(`${PAGES}/`) ? readPage(document, this.#options) : null
    const items = [...collections].filter(([, { dir }]) => path.startsWith(`${dir}/`)).map(([name, options]) => [name, readItem(document, options, body)] as const)
    if (page !== null) this.#pages.set(path, page)
    for (const [name, item] of items) this.#items.get(name)?.set(path, item)
  }

  /** Whether it was part of the site. */
  #remove (path: string): boolean {
    this.#failed.delete(path)
    this.#partials.delete(path)
    this.#pages.delete(path)
    for (const items of this.#items.values()) items.delete(path)
    return this.#hashes.delete(path)
  }
}

function asErrorOf (file: string, error: unknown): Error {
  const known = error instanceof Error ? error : new Error(String(error))
  return 'file' in known ? known : Object.assign(known, { file })
}
