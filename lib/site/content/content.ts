import type { CollectionItem, CollectionOptions, MarkdownOptions, Source } from '../../../types/site.js'
import type { compileTemplates, TemplateSet } from '../template/index.js'
import { changesBetween, type Changes } from './changes.js'
import type { ParseFrontMatter } from './document.js'
import { Documents } from './documents.js'
import { loadMarkdown, type Markdown } from './markdown.js'
import { makeSnapshot, type Snapshot } from './snapshot.js'
import { Texts } from './texts.js'

export interface ContentOptions {
  source: Source
  compile: typeof compileTemplates
  /** For every compilation. */
  templateOptions?: Parameters<typeof compileTemplates>[1]
  collections?: ReadonlyMap<string, CollectionOptions>
  /** Markup of an item's body, from its template. */
  body?: (templates: TemplateSet, template: string, item: CollectionItem) => unknown
  frontMatter?: { parse: ParseFrontMatter } | null
  markdown?: MarkdownOptions
  /** What the URLs of file pages begin with; ends in a slash. */
  prefix?: string
  redirects?: Readonly<Record<string, string>>
  /** Show drafts, and items before their date. */
  drafts?: boolean
  /** Milliseconds since the epoch. */
  clock?: () => number
  /** Milliseconds that a source may leave a look without an answer. @defaultValue 30 seconds */
  patience?: number
}

export interface Refreshed extends Changes {
  /** Why files that were looked at could not be read or understood. What they were before still holds. */
  errors: Error[]
}

/**
 * Pages, partials and collections of a site. `current` is one consistent state;
 * `refresh` looks at files and puts the next in its place.
 */
export class Content {
  readonly #options: ContentOptions
  readonly #texts: Texts
  readonly #documents: Documents
  #snapshot: Snapshot | null = null
  #markdown: Promise<Markdown> | null = null
  /** One look after the other, so that none puts back what a later one has found. */
  #last: Promise<unknown> = Promise.resolve()
  /** Files that have changed since `current` was made. */
  #pending = new Set<string>()
  /** Messages of the files that could not be understood when `current` was made. */
  #told = ''
  /** Of the templates in use: a partial that changes changes the bodies that it is part of. */
  readonly #bodies = new WeakMap<CollectionItem, { templates: TemplateSet, html: unknown }>()

  constructor (options: ContentOptions) {
    this.#options = options
    const { source, collections = new Map(), drafts = false, prefix = '/', frontMatter } = options
    this.#documents = new Documents({
      collections,
      drafts,
      prefix,
      parse: frontMatter?.parse,
      body: (template, item) => this.#bodyOf(template, item),
      markdown: async () => await (this.#markdown ??= loadMarkdown(options.markdown))
    })
    this.#texts = new Texts(source, this.#documents.folders(), path => this.#documents.isWanted(path), options.patience)
  }

  /** The last state that was complete. */
  get current (): Snapshot {
    if (this.#snapshot === null) throw new TypeError('content has to be loaded before it is used')
    return this.#snapshot
  }

  /**
   * Reads everything. Single files that are wrong are told by
   * `Snapshot.problems` and by `TemplateSet.problems`.
   *
   * @throws FST_ISR_ERR_SITE_FOLDER
   */
  async load (): Promise<Snapshot> {
    await this.refresh()
    return this.current
  }

  /**
   * Looks at all files, or at those given (a path that ends in a slash is all
   * there is in a folder), and at nothing else. A file whose bytes are the same
   * has not changed.
   *
   * @throws FST_ISR_ERR_SITE_FOLDER, FST_ISR_ERR_SITE_SILENT, and then `current` is what it was
   */
  async refresh (paths?: Iterable<string>): Promise<Refreshed> {
    const given = paths === undefined ? undefined : [...paths]
    const work = this.#last.then(async () => await this.#refresh(given))
    this.#last = work.catch(() => {})
    return await work
  }

  /** The site closes: a source that does not answer is not waited for. */
  hurry (): void {
    this.#texts.hurry()
  }

  async #refresh (paths: readonly string[] | undefined): Promise<Refreshed> {
    const { read, removed, failed, seen } = await this.#texts.look(paths)
    for (const path of await this.#documents.update(read, removed, failed)) this.#pending.add(path)
    const errors: Error[] = [...seen].map(path => this.#documents.failureOf(path)).filter(error => error !== null)
    const now = (this.#options.clock ?? Date.now)()
    const before = this.#snapshot
    const told = this.#documents.problems().map(String).join('\n')
    const nothing = { changed: [], added: [], removed: [], problems: [] }
    if (before !== null && this.#pending.size === 0 && now < before.nextAt && told === this.#told) return { ...nothing, errors }
    const snapshot = makeSnapshot(this.#documents, before, this.#snapshotOptions(now))
    const changes = before === null ? nothing : changesBetween(before, snapshot, this.#pending)
    // Nothing is taken over before all of it is made: what threw is tried again by the next look.
    this.#snapshot = snapshot
    this.#told = told
    this.#pending = new Set()
    return { ...changes, errors }
  }

  #bodyOf (template: string, item: CollectionItem): unknown {
    const { templates } = this.current
    const made = this.#bodies.get(item)
    if (made !== undefined && made.templates === templates) return made.html
    const html = this.#options.body?.(templates, template, item)
    this.#bodies.set(item, { templates, html })
    return html
  }

  #snapshotOptions (now: number): Parameters<typeof makeSnapshot>[2] {
    const { compile, templateOptions, collections = new Map(), redirects = {}, markdown, drafts = false } = this.#options
    return { compile, templateOptions, collections, redirects, link: markdown?.link, drafts, now }
  }
}
