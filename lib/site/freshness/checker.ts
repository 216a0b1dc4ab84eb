import type { TemplateProblem } from '../template/index.js'

/** What a check has found, and has seen to. */
export interface Checked {
  /** Names of files, `collection:<name>`, `page:<url>`. */
  changed: readonly string[]
  /** Paths of pages that are gone. */
  removed: readonly string[]
  /** With `file`, if they are of one. */
  errors: readonly Error[]
  problems?: readonly TemplateProblem[]
}

export interface CheckerOptions {
  /** Milliseconds between two checks of a page; null: never. */
  every: number | null
  clock: () => number
  /** The files of a page; null: none are known, and all are looked at. */
  closure: (page: string) => Iterable<string> | null
  /** Looks at these files, or at all, and orders what has changed. */
  check: (paths?: Iterable<string>) => Promise<Checked>
  /** A check has failed as a whole. */
  onError: (error: unknown) => void
}

export interface CheckerStats {
  /** Answers from the cache. */
  readonly hits: number
  /** Answers that had to be rendered. */
  readonly misses: number
  /** Checks of a page that found a change. */
  readonly revalidations: number
  /** Checks of a page that failed; it is served as it was. */
  readonly revalidationErrors: number
}

/** Pages of which it is held without a second look when they were checked. */
const FEW = 1000

/** For pages whose files nobody knows. */
const ALL = ''

/**
 * Freshness without a watcher: a request for a page whose files were not looked
 * at for a while has them looked at, behind. Nobody waits for it, and however
 * many ask, a page is checked once per interval. Pages that are due at the same
 * time are checked together, so files that they share are looked at once.
 */
export class Checker {
  readonly #options: CheckerOptions
  readonly #startedAt: number
  /** When a check of a page was last begun. Only pages whose files are known are held. */
  readonly #checkedAt = new Map<string, number>()
  readonly #stats = { hits: 0, misses: 0, revalidations: 0, revalidationErrors: 0 }
  /** Beyond so many, those are forgotten that are due. */
  #most = FEW
  /** Page → its files; null: all. */
  #waiting = new Map<string, ReadonlySet<string> | null>()
  #running: Promise<void> | null = null
  #closed = false

  constructor (options: CheckerOptions) {
    this.#options = options
    this.#startedAt = options.clock()
  }

  get stats (): CheckerStats {
    return { ...this.#stats }
  }

  /** Pages of which it is known when they were checked. */
  get held (): number {
    return this.#checkedAt.size
  }

  /** A visitor gets this page from the cache. */
  due (page: string): void {
    this.#stats.hits++
    this.#consider(page)
  }

  /** A visitor gets a page that is rendered for it, or none: the files that it was made of were read some time ago all the same. */
  missed (page: string): void {
    this.#stats.misses++
    this.#consider(page)
  }

  /** Resolves when no check is under way or waiting. */
  async settled (): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  /** Begins no other check, and resolves when the last has ended. */
  async close (): Promise<void> {
    this.#closed = true
    this.#waiting.clear()
    await this.settled()
  }

  #consider (page: string): void {
    const { every, clock, closure } = this.#options
    if (every === null || this.#closed) return
    const now = clock()
    if (!isDue(this.#checkedAt.get(page) ?? this.#startedAt, now, every)) return
    const files = closure(page)
    const name = files === null ? ALL : page
    if (files === null && !isDue(this.#checkedAt.get(ALL) ?? this.#startedAt, now, every)) return
    this.#checkedAt.set(name, now)
    if (this.#checkedAt.size > this.#most) this.#forget(now, every)
    this.#waiting.set(name, files === null ? null : new Set(files))
    this.#running ??= this.#run().finally(() => { this.#running = null })
  }

  /** Whoever is due again is as good as never checked; without this, pages that nobody asks for any more would be held for ever. */
  #forget (now: number, every: number): void {
    for (const [page, at] of this.#checkedAt) {
      if (isDue(at, now, every)) this.#checkedAt.delete(page)
    }
    this.#most = Math.max(FEW, this.#checkedAt.size * 2)
  }

  async #run (): Promise<void> {
    // All that are asked for in the same turn are checked together.
    await Promise.resolve()
    while (this.#waiting.size > 0) {
      const pages = this.#waiting
      this.#waiting = new Map()
      try {
        this.#count(pages, await this.#options.check(union(pages.values())))
      } catch (error) {
        this.#stats.revalidationErrors += pages.size
        this.#options.onError(error)
      }
    }
  }

  #count (pages: ReadonlyMap<string, ReadonlySet<string> | null>, { changed, removed, errors, problems = [] }: Checked): void {
    const failed = withFolders([...errors.map(error => (error as { file?: string }).file ?? ''), ...problems.flatMap(({ file, usedBy = [] }) => [file, ...usedBy])])
    const found = withFolders(changed)
    for (const files of pages.values()) {
      if (touches(files, failed)) this.#stats.revalidationErrors++
      else if (touches(files, found)) this.#stats.revalidations++
    }
    for (const page of removed) this.#checkedAt.delete(page)
  }
}

/** A clock that was put back must not stop checks until it has caught up. */
export function isDue (last: number, now: number, every: number): boolean {
  return now - last >= every || now < last
}

function union (all: Iterable<ReadonlySet<string> | null>): Set<string> | undefined {
  const files = new Set<string>()
  for (const some of all) {
    if (some === null) return undefined
    for (const file of some) files.add(file)
  }
  return files
}

/** Names, and the folders that they are in: a page may be made of all there is in one. */
function withFolders (names: readonly string[]): Set<string> {
  const all = new Set(names)
  for (const name of names) {
    for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) all.add(name.slice(0, slash + 1))
  }
  return all
}

function touches (files: ReadonlySet<string> | null, names: ReadonlySet<string>): boolean {
  if (files === null) return names.size > 0
  for (const file of files) {
    if (names.has(file)) return true
  }
  return false
}
