import type { FastifyBaseLogger } from 'fastify'
import type { Isr, RenderReason } from '../../types/index.js'
import type { CollectionOptions, PageInfo, SiteChange } from '../../types/site.js'
import { fileOf, type Collection, type Content, type FilePage, type Redirect, type Refreshed, type Snapshot } from './content/index.js'
import { PAGES, PARTIALS } from './content/documents.js'
import { Checker, closureOf, filesOf, isDue, Orders, tagOf } from './freshness/index.js'
import type { TemplateProblem } from './template/index.js'

export interface SiteFilesOptions {
  content: Content
  isr: Isr
  log: FastifyBaseLogger
  collections: ReadonlyMap<string, CollectionOptions>
  /** Milliseconds between looks that visitors cause; null: they cause none. */
  every: number | null
  clock: () => number
}

/** Milliseconds between looks that a build causes: it renders what was just read. */
const BUILD = 1000
/** Pages of which it is remembered what they are made of; the files of others are all files. */
const MOST_PAGES = 10_000
/** Of the sitemap and feeds, which tell of all that there is. */
export const INDEX = 'site:index'

/**
 * The files of the site as they are now: pages, templates, collections. It
 * notices changes when it is asked to look, and orders exactly the pages that
 * what has changed is part of.
 */
export class SiteFiles {
  readonly checker: Checker
  readonly #options: SiteFilesOptions
  readonly #orders: Orders
  readonly #listeners = new Set<(change: SiteChange) => void>()
  /** What pages were made of when they were rendered last. */
  readonly #deps = new Map<string, ReadonlySet<string>>()
  /** A look at everything that has not begun: all who ask meanwhile share it. */
  #next: Promise<SiteChange> | null = null
  #current: Promise<unknown> = Promise.resolve()
  readonly #reported = new WeakSet<Error>()
  #lookedAt: number
  /** Looks at everything that have begun. */
  #underway = 0
  /** Items, and the collection that they are of. */
  #values = new WeakMap<object, string>()
  #valuesOf: Snapshot | null = null
  /** Of items. */
  #urls: ReadonlySet<string> = new Set()
  #urlsOf: Snapshot | null = null

  constructor (options: SiteFilesOptions) {
    this.#options = options
    this.#lookedAt = options.clock()
    this.#orders = new Orders(options.isr)
    this.checker = new Checker({
      every: options.every,
      clock: options.clock,
      closure: page => this.#closure(page),
      check: async paths => await this.#check(paths === undefined ? undefined : [...paths]),
      onError: error => { options.log.error({ err: error }, 'the files of the site could not be looked at; what was known of them goes on') }
    })
  }

  get snapshot (): Snapshot {
    return this.#options.content.current
  }

  /** What can't be compiled. */
  get problem (): TemplateProblem | null {
    return this.snapshot.templates.problems[0] ?? null
  }

  pages (): PageInfo[] {
    return this.snapshot.pages.all()
      .map(({ url: path, file, title, noindex, data }) => ({ path, file, title, noindex, data: { ...data } }))
      .sort((a, b) => a.path < b.path ? -1 : 1)
  }

  /** Paths of all file pages. */
  urls (): string[] {
    return this.snapshot.pages.all().map(page => page.url)
  }

  /** Of all templates, and of what lists all there is: whatever is made of the site has one of them. */
  tags (): string[] {
    const templates = [...this.snapshot.hashes.keys()].filter(file => file.startsWith(`${PAGES}/`) || file.startsWith(`${PARTIALS}/`))
    return [...templates, INDEX].map(tagOf)
  }

  has (path: string): boolean {
    const found = this.snapshot.pages.find(path)
    return found?.kind === 'page'
  }

  /** Where a path leads that is an old one; else null. */
  redirectOf (path: string): string | null {
    const found = this.snapshot.pages.find(path)
    return found?.kind === 'redirect' ? found.to : null
  }

  /** File pages and items: what has figures of its own. */
  isKnown (path: string): boolean {
    return this.has(path) || this.#itemUrls().has(path)
  }

  /** A path that nobody knows may be that of a new file: it is looked for, as often as visitors may cause a look. */
  async find (path: string): Promise<FilePage | Redirect | null> {
    const found = this.snapshot.pages.find(path)
    if (found !== null || this.#options.every === null) return found
    if (this.#isDue()) {
      await this.look().catch((err: unknown) => {
        this.#options.log.error({ err, page: path }, 'the files of the site could not be looked at; the path is answered by what was known of them')
      })
    } else if (this.#underway > 0) await this.#current
    return this.snapshot.pages.find(path)
  }

  collection (name: string): Collection | null {
    return this.snapshot.collections.get(name) ?? null
  }

  /** Collections under their names, for templates; `onUse` is told which are read. */
  collectionsAsData (onUse: (name: string) => void): Record<string, unknown> {
    const data = {}
    for (const [name, collection] of this.snapshot.collections) {
      Object.defineProperty(data, name, { configurable: true, enumerable: true, get () { onUse(name); return collection.all() } })
    }
    return data
  }

  /** Name of the collection that a value is an item of; or null. */
  collectionOf (value: unknown): string | null {
    if (typeof value !== 'object' || value === null) return null
    const { snapshot } = this
    if (this.#valuesOf !== snapshot) {
      this.#valuesOf = snapshot
      for (const [name, collection] of snapshot.collections) {
        for (const item of collection.all()) this.#values.set(item, name)
      }
    }
    return this.#values.get(value) ?? null
  }

  /** Name of the collection that gave a value: a list, a page of it, neighbours; or null. */
  giverOf (value: unknown): string | null {
    if (typeof value !== 'object' || value === null) return null
    for (const [name, collection] of this.snapshot.collections) if (collection.gave(value)) return name
    return null
  }

  /** `post.html` → `pages/post.html`, or `partials/post.html` if there is no such page. */
  templateName (name: string): string {
    const { templates } = this.snapshot
    return [name, `pages/${name}`, `partials/${name}`].find(one => templates.has(one)) ?? name
  }

  on (listener: (change: SiteChange) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** A page was rendered of this. */
  remember (path: string, deps: ReadonlySet<string>): void {
    this.#deps.delete(path)
    this.#deps.set(path, deps)
    const [oldest] = this.#deps.keys()
    if (this.#deps.size > MOST_PAGES && oldest !== undefined) this.#deps.delete(oldest)
  }

  /** Begins no other check, and resolves when the last has ended: a source that does not answer is not waited for. */
  async close (): Promise<void> {
    this.#options.content.hurry()
    await this.checker.close()
  }

  /** Before a render: it must not go by files as they were when it was ordered. */
  async lookBefore (path: string, reason: RenderReason): Promise<void> {
    if (reason === 'build' && !isDue(this.#lookedAt, this.#options.clock(), BUILD)) return
    const files = reason === 'build' ? null : this.#closure(path)
    await (files === null ? this.look() : this.#check(files)).catch((err: unknown) => {
      this.#options.log.error({ err, page: path }, 'the files of the page could not be looked at; it is rendered of what is known of them')
    })
  }

  /**
   * Looks at all files, or at those named, and orders what has changed. Who
   * asks while a look is under way shares the next one: what it finds was
   * there when it was asked for.
   */
  async look (paths?: readonly string[]): Promise<SiteChange> {
    if (paths !== undefined) return await this.#check(paths)
    this.#next ??= this.#current.then(async () => {
      this.#next = null
      return await this.#check()
    })
    return await this.#next
  }

  /** Once per snapshot: whoever asks for made-up paths must not have all items gone through each time. */
  #itemUrls (): ReadonlySet<string> {
    const { snapshot } = this
    if (this.#urlsOf !== snapshot) {
      this.#urlsOf = snapshot
      this.#urls = new Set([...snapshot.items.values()].flatMap(shown => shown.map(({ url }) => url)))
    }
    return this.#urls
  }

  #isDue (): boolean {
    const { every, clock } = this.#options
    return every !== null && isDue(this.#lookedAt, clock(), every)
  }

  /** The files of a page; null when it is not known of what it was rendered. */
  #closure (page: string): string[] | null {
    const deps = this.#deps.get(page)
    if (deps === undefined) return null
    return [...new Set([...filesOf(deps, this.snapshot, this.#options.collections), ...closureOf(this.snapshot, page) ?? []])]
  }

  async #check (paths?: readonly string[]): Promise<Refreshed> {
    const { content, clock } = this.#options
    if (paths === undefined) this.#lookedAt = clock()
    const work = this.#lookAndOrder(content, paths)
    if (paths === undefined) {
      this.#underway++
      this.#current = work.catch(() => {}).finally(() => { this.#underway-- })
    }
    const refreshed = await work
    const { changed, removed, errors } = refreshed
    if (changed.length > 0) for (const listener of this.#listeners) listener({ changed, removed, errors })
    return refreshed
  }

  async #lookAndOrder (content: Content, paths: readonly string[] | undefined): Promise<Refreshed> {
    const { log } = this.#options
    const refreshed = await content.refresh(paths)
    const { changed, added, removed, errors, problems } = refreshed
    for (const error of errors) this.#report(error)
    for (const { file, line, column, code, message, frame } of problems) log.error({ code, file, line, column, frame }, `${file}:${line}:${column} [${code}] ${message}`)
    if (changed.length > 0) log.info({ changed, added, removed }, 'files of the site have changed')
    await this.#orders.give({ changed: changed.length === 0 ? [] : [...changed, INDEX], added, removed })
    return refreshed
  }

  /** Once: a look tells of a broken file as long as it is broken. */
  #report (error: Error): void {
    if (this.#reported.has(error)) return
    this.#reported.add(error)
    this.#options.log.error(fileOf(error), error.message)
  }
}

/** As many targets as one order takes. */
export function * inParts<T> (targets: readonly T[], size = 1000): Generator<T[]> {
  for (let start = 0; start < targets.length; start += size) yield targets.slice(start, start + size)
}
