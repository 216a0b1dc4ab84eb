import { LRUMap } from 'mnemonist'
import type { News } from './streams.js'

/** What of a template problem is shown, and what tells whom it concerns. */
export interface Problem {
  message: string
  /** Relative to the site's root, as in the names of dependencies. */
  file: string
  line?: number
  column?: number
  /** The lines around it. */
  frame: string
  /** A second place that has a part in it. */
  related?: Problem
  /** Names of files or dependencies that can't be used because of it. */
  usedBy?: readonly string[]
}

export interface DevChange {
  /** Names of the dependencies whose content has changed, or that came or went. */
  changed: readonly string[]
  /** What is broken after the change, whether by this one or an earlier one. */
  error?: Problem | undefined
}

interface PageState {
  /** Names, and the files that they name; null: unknown, so that everything may concern the page. */
  deps: ReadonlySet<string> | null
  problem: Problem | null
  /** Something has changed while there was a problem that only a reload will show. */
  isBehind: boolean
  /** Number of the last change that only a reload shows. */
  reloadAt: number
  /** Stylesheets, or all of them, and the number of the change that they were last swapped for. */
  swappedAt: Map<string | typeof ALL, number>
}

const ALL = Symbol('all stylesheets')
/** Pages whose state is remembered while no browser shows them. */
const MOST_PAGES = 1000
const STYLESHEET = /^asset:(\/.*\.css)$/
const ASSET = /^asset:\//

/** What has changed that no page names: assets that others are made of, and nobody knows which. */
interface Imported { stylesheets: boolean, others: boolean }

/** Which page has to hear what: its dependencies, whether it can be rendered, what a browser may have missed. */
export class DevPages {
  readonly #depsOf: (page: string) => ReadonlySet<string> | null
  readonly #pages = new LRUMap<string, PageState>(MOST_PAGES)
  #now = 0

  constructor (depsOf: (page: string) => ReadonlySet<string> | null) {
    this.#depsOf = depsOf
  }

  /** Number of the last change. */
  get now (): number {
    return this.#now
  }

  /** A browser shows the page, fresh from a render that went well. */
  rendered (page: string): void {
    const state = this.#state(page)
    state.problem = null
    state.isBehind = false
  }

  /**
   * The page could not be rendered. What it was made of before goes on to concern it, and so does the file that
   * is to blame: the mended file would not be noticed otherwise.
   */
  failed (page: string, problem: Problem): void {
    const state = this.#state(page)
    state.problem = problem
    this.#learn(page, state)
  }

  /** What a browser has to hear that shows the page as of change `seen` (null: of now). */
  missed (page: string, seen: number | null): News[] {
    const state = this.#state(page)
    this.#learn(page, state)
    const since = seen ?? this.#now
    if (state.reloadAt > since) return [reload]
    if (state.problem !== null) return [fail(state.problem)]
    const swapped = [...state.swappedAt].filter(([, at]) => at > since).map(([name]) => name)
    return swapped.length === 0 ? [] : [css(swapped)]
  }

  /** What browsers have to hear, by the page they show. `shown`: pages to know besides those that are known. */
  change ({ changed, error }: DevChange, shown: Iterable<string>): Map<string, News[]> {
    this.#now++
    for (const page of shown) this.#state(page)
    const states = [...this.#pages.entries()]
    for (const [page, state] of states) this.#learn(page, state)
    const unnamed = changed.filter(name => ASSET.test(name) && states.every(([, { deps }]) => deps?.has(name) !== true))
    const imported = { stylesheets: unnamed.some(name => STYLESHEET.test(name)), others: unnamed.some(name => !STYLESHEET.test(name)) }
    return new Map(states.map(([page, state]) => [page, this.#newsOf(state, changed, error, imported)]))
  }

  #newsOf (state: PageState, changed: readonly string[], error: Problem | undefined, imported: Imported): News[] {
    const { deps, problem } = state
    const mine = deps === null ? changed : changed.filter(name => deps.has(name) || (problem !== null && blames(problem, name)))
    const sheets = mine.map(name => STYLESHEET.exec(name)?.[1])
    if (sheets.includes(undefined) || (imported.others && deps !== null && [...deps].some(name => ASSET.test(name)))) state.isBehind = true
    if (error !== undefined && deps !== null && isConcerned(deps, error)) {
      state.problem = error
      const isKnown = problem !== null && isSame(problem, error)
      return isKnown ? [] : [fail(error)]
    }

    const isHealed = problem !== null && (mine.length > 0 || error === undefined)
    if (problem !== null && !isHealed) return []
    state.problem = null
    const news: News[] = isHealed ? [{ event: 'ok', data: null }] : []
    // What has mended it without being a part of it is a part from now on.
    if (state.isBehind || (isHealed && mine.length === 0)) {
      state.isBehind = false
      state.reloadAt = this.#now
      return [...news, reload]
    }
    const swapped = [...sheets as string[], ...(imported.stylesheets ? [ALL] as const : [])]
    for (const name of swapped) state.swappedAt.set(name, this.#now)
    return swapped.length === 0 ? news : [...news, css(swapped)]
  }

  #state (page: string): PageState {
    let state = this.#pages.get(page)
    if (state === undefined) {
      state = { deps: null, problem: null, isBehind: false, reloadAt: 0, swappedAt: new Map() }
      this.#pages.set(page, state)
    }
    return state
  }

  #learn (page: string, state: PageState): void {
    const deps = this.#depsOf(page)
    if (deps === null) return
    // A render that failed has seen some of them only.
    const names = [...deps].flatMap(name => [name, fileOf(name)])
    state.deps = new Set(state.problem === null ? names : [...state.deps ?? [], ...names])
  }
}

const reload: News = { event: 'reload', data: null }

function css (names: (string | typeof ALL)[]): News {
  return { event: 'css', data: { paths: names.includes(ALL) ? null : names.map(asInUrl) } }
}

/** As browsers write it. */
function asInUrl (path: string | typeof ALL): string {
  return new URL(String(path), 'http://localhost').pathname
}

function fail (problem: Problem): News {
  return { event: 'fail', data: shown(problem) }
}

interface ShownProblem {
  message: string
  frame: string
  related: ShownProblem | null
}

function shown ({ message, file, line, column, frame, related }: Problem): ShownProblem {
  const place = [file, line, column].filter(part => part !== undefined).join(':')
  return {
    message: message.includes(place) ? message : `${place}\n${message}`,
    frame,
    related: related === undefined ? null : shown(related)
  }
}

/** 'partial:partials/item.html', or the cache tag 'tpl:partials/item.html', names the file 'partials/item.html'. */
function fileOf (name: string): string {
  return name.slice(name.indexOf(':') + 1)
}

function blames (problem: Problem, name: string): boolean {
  const file = fileOf(name)
  return file === problem.file || file === problem.related?.file
}

function isConcerned (deps: ReadonlySet<string>, error: Problem): boolean {
  return [error.file, ...error.usedBy ?? []].some(name => deps.has(name))
}

function isSame (a: Problem, b: Problem): boolean {
  return a.message === b.message && a.frame === b.frame && a.file === b.file
}
