import { AsyncResource } from 'node:async_hooks'
import type { PathSource } from '../../types/index.js'
import { ByteTable } from '../cache/byte-table.js'
import { InvalidPaths } from '../errors.js'
import { show } from '../options.js'
import { isCanonicalPath, type PathPattern } from './path-pattern.js'
import type { PathSet } from './page-table.js'
import type { Policy } from './policy.js'

/** A `paths` function is asked again at most so often (milliseconds). */
const RELIST_AFTER = 60_000

/** On a `paths` function: tells at once whether it would list a path. */
const kLists = Symbol('fastify-isr.lists')

/** A `paths` function whose owner has all paths at hand: no visitor is answered live because the list was asked for too long ago, or never. */
export function knownPaths (paths: () => PathSource, has: (path: string) => boolean): () => PathSource {
  return Object.assign(paths, { [kLists]: has })
}

/** Turns one item of `paths` into a canonical path. */
export function readPath (route: string, pattern: PathPattern, item: unknown): string {
  if (typeof item === 'string') {
    if (!isCanonicalPath(item)) throw new InvalidPaths(route, `${show(item)} is not a canonical path: no query, no dot or empty segments, percent-encoded in upper case and only where needed`)
    return item
  }
  if (typeof item !== 'object' || item === null) throw new InvalidPaths(route, `each item must be a params object or a path, got ${show(item)}`)
  const params: Record<string, string> = {}
  for (const [name, value] of Object.entries(item)) {
    if (!pattern.params.includes(name)) throw new InvalidPaths(route, `the route has no param '${name}'; it has ${pattern.params.join(', ') || 'none'}`)
    if (typeof value !== 'string' && !Number.isFinite(value)) throw new InvalidPaths(route, `param '${name}' must be a string or a number, got ${show(value)}`)
    params[name] = String(value)
  }
  const built = pattern.build(params)
  if ('missing' in built) throw new InvalidPaths(route, `param '${built.missing}' is missing or empty`)
  if (!isCanonicalPath(built.path)) throw new InvalidPaths(route, `${show(built.path)} can't be a page: a param is too long, or holds a slash or a control character`)
  return built.path
}

/**
 * What `paths` of a policy is, or returns; null: there is none.
 *
 * @throws FST_ISR_ERR_PATHS
 */
export async function openPaths (route: string, policy: Pick<Policy, 'paths'>): Promise<PathSource | null> {
  if (policy.paths === undefined) return null
  let source: PathSource
  try {
    source = typeof policy.paths === 'function' ? await policy.paths() : policy.paths
  } catch (cause) {
    throw new InvalidPaths(route, `the function failed: ${(cause as Error)?.message ?? show(cause)}`, { cause })
  }
  const isIterable = typeof source === 'object' && source !== null && (Symbol.iterator in source || Symbol.asyncIterator in source)
  if (!isIterable) throw new InvalidPaths(route, `the function must return an array or an iterable, got ${show(source)}`)
  return Symbol.asyncIterator in source ? begin(source) : source
}

/**
 * Asked for its first item at once, for it may be read much later: a stream that nobody listens to would lose its
 * lines, and its error would end the process.
 */
function begin<T> (source: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = source[Symbol.asyncIterator]()
  let first: Promise<IteratorResult<T>> | null = new Promise(resolve => { resolve(iterator.next()) })
  // Told when it is read.
  first.catch(() => {})
  return {
    [Symbol.asyncIterator]: () => ({
      async next () {
        const next = first ?? iterator.next()
        first = null
        return await next
      },
      async return () {
        return await iterator.return?.() ?? { done: true, value: undefined }
      }
    })
  }
}

/**
 * One item at a time, so that a long list costs no memory of its own.
 *
 * @throws FST_ISR_ERR_PATHS
 */
export async function * readPaths (route: string, pattern: PathPattern, source: PathSource): AsyncGenerator<string> {
  try {
    for await (const item of source) yield readPath(route, pattern, item)
  } catch (cause) {
    if (cause instanceof InvalidPaths) throw cause
    throw new InvalidPaths(route, `the list broke off: ${(cause as Error)?.message ?? show(cause)}`, { cause })
  }
}

/** @throws FST_ISR_ERR_PATHS */
export async function * listPaths (route: string, pattern: PathPattern, policy: Pick<Policy, 'paths'>): AsyncGenerator<string> {
  const source = await openPaths(route, policy)
  if (source !== null) yield * readPaths(route, pattern, source)
}

/** Why a key of a route may be stored, or null. As long as nobody knows all pages of the build, what is stored is one of them. */
export type Admission = 'listed' | 'onDemand' | 'ifStored' | null

/**
 * Which paths of one route may be stored: the build's, the latest `paths`
 * result, and, on demand, up to `maxPaths` others.
 */
export class RoutePaths {
  readonly #route: string
  readonly #pattern: PathPattern
  readonly #policy: Policy
  readonly #clock: () => number
  readonly #onError: (error: Error) => void
  readonly #onEvict: (key: string) => void
  readonly #lists: ((path: string) => boolean) | undefined
  /** Least recently used first. */
  readonly #onDemand = new Set<string>()
  /** A list is everybody's: the visitor who causes it lends it no asynchronous context. */
  readonly #anonymous = new AsyncResource('fastify-isr')
  #built: PathSet = new Set()
  #isBuiltKnown = true
  #listed: PathSet = new Set()
  #relistedAt = -Infinity
  #relisting: Promise<void> | null = null

  constructor (options: {
    route: string
    pattern: PathPattern
    policy: Policy
    clock: () => number
    onError: (error: Error) => void
    onEvict: (key: string) => void
  }) {
    this.#route = options.route
    this.#pattern = options.pattern
    this.#policy = options.policy
    this.#clock = options.clock
    this.#onError = options.onError
    this.#onEvict = options.onEvict
    this.#lists = (options.policy.paths as { [kLists]?: (path: string) => boolean } | undefined)?.[kLists]
  }

  get size (): number {
    return this.#built.size + this.#listed.size
  }

  /** Paths that the build listed; null as long as they are being read. */
  setBuilt (paths: PathSet | null): void {
    this.#isBuiltKnown = paths !== null
    if (paths === null) return
    this.#built = paths
    for (const key of this.#onDemand) if (paths.has(key)) this.#onDemand.delete(key)
  }

  has (path: string): boolean {
    return this.#pattern.isStatic || this.#built.has(path) || this.#listed.has(path) || this.#lists?.(path) === true
  }

  /** A query makes a variant that no list names. */
  admit ({ path, hasQuery }: { path: string, hasQuery: boolean }): Admission {
    if (!hasQuery && this.has(path)) return 'listed'
    if (!this.#policy.onDemand) {
      if (!this.#isBuiltKnown) return 'ifStored'
      if (!hasQuery || !this.has(path)) this.relist()
      return null
    }
    return 'onDemand'
  }

  /** Counts a key that was stored on demand; the least recently used beyond `maxPaths` goes. */
  use (key: string): void {
    this.#onDemand.delete(key)
    this.#onDemand.add(key)
    if (this.#onDemand.size <= this.#policy.maxPaths) return
    const [oldest] = this.#onDemand
    if (oldest === undefined) return
    this.#onDemand.delete(oldest)
    this.#onEvict(oldest)
  }

  /** A hit of a key that is stored on demand. While there is room for as many again nobody needs the order. */
  touch (key: string): void {
    if (this.#onDemand.size * 2 < this.#policy.maxPaths) return
    if (this.#onDemand.delete(key)) this.#onDemand.add(key)
  }

  /** All listed paths known by now. */
  * [Symbol.iterator] (): IterableIterator<string> {
    yield * this.#built
    for (const path of this.#listed) if (!this.#built.has(path)) yield path
  }

  /** Asks `paths` again, behind, single-flight, at most once a minute. A failure keeps the last list. */
  relist (): void {
    if (this.#policy.paths === undefined || this.#relisting !== null) return
    if (this.#clock() - this.#relistedAt < RELIST_AFTER) return
    // Only a function can have something new to say; an iterator that is exhausted would say that there is nothing.
    if (typeof this.#policy.paths !== 'function' && this.#relistedAt !== -Infinity) return
    this.#relistedAt = this.#clock()
    this.#relisting = this.#anonymous.runInAsyncScope(() => this.relistNow()).catch(this.#onError).finally(() => { this.#relisting = null })
  }

  async relistNow (): Promise<void> {
    const listed = new ByteTable()
    for await (const path of listPaths(this.#route, this.#pattern, this.#policy)) listed.add(path)
    this.#listed = listed
  }
}
