import type { CachedContext, CachedFunction, CachedOptions } from '../../types/index.js'
import { InvalidData } from '../errors.js'
import { show } from '../options.js'
import { checkTag } from '../pages/tags.js'
import type { DataStore } from './data-cache.js'
import { runFetch, type DataRequest } from './source.js'

type Fetch<T> = (...args: unknown[]) => T | Promise<T>

/** `isr.cached(name, fn, options)`: a function whose results are kept by argument. */
export function cached<A extends unknown[], T> (data: DataStore, name: string, fn: Fetch<T>, options: CachedOptions<A, T> = {}): CachedFunction<A, T> {
  const where = `isr.cached(${show(name)})`
  if (typeof fn !== 'function') throw new InvalidData(where, 'fn', 'a function (...args, context?) => value', show(fn))
  if (typeof options !== 'object' || options === null) throw new InvalidData(where, 'options', 'an object', show(options))
  const { key, tags = [], ...settings } = options
  if (key !== undefined && typeof key !== 'function') throw new InvalidData(where, 'key', 'a function (...args) => string | number | object', show(key))
  if (typeof tags !== 'function') {
    if (!Array.isArray(tags)) throw new InvalidData(where, 'tags', 'an array or a function (value, ...args) => string[]', show(tags))
    for (const tag of tags) checkTag(tag, ` (${where})`)
  }
  const known = typeof tags === 'function' ? [] : [...tags]
  const family = data.define(where, name, settings, ['key', 'tags'])

  const keyFor = (args: A): string => family.keyOf(key === undefined ? args : checkKey(where, key(...args)))
  const requestOf = (args: A, key = keyFor(args)): DataRequest => ({
    key,
    tags: known,
    fetch: async attempt => await runFetch<T>(name, {
      // After the declared parameters, even those that the call leaves out.
      fetch: async (context: CachedContext) => await fn(...padded(args, fn.length - 1), context),
      tagsOf: value => typeof tags === 'function' ? tags(value, ...args) : []
    }, attempt)
  })
  const call = async (...args: A): Promise<T> => {
    const cacheKey = keyFor(args)
    const held = family.fresh(cacheKey)
    return (held === undefined ? await family.get(requestOf(args, cacheKey)) : held.view.value) as T
  }
  return Object.assign(call, {
    revalidate: async (...args: A) => await family.order('soft', keyFor(args)),
    purge: async (...args: A) => await family.order('hard', keyFor(args)),
    refresh: async (...args: A) => await family.refresh(requestOf(args)) as T
  })
}

function padded (args: readonly unknown[], length: number): unknown[] {
  return args.length >= length ? [...args] : [...args, ...Array<undefined>(length - args.length).fill(undefined)]
}

/** A key is a string, a number or a plain object: anything else is a mistake. */
export function checkKey (where: string, key: unknown): unknown {
  const isPlain = typeof key === 'object' && key !== null && (Array.isArray(key) || [Object.prototype, null].includes(Object.getPrototypeOf(key) as object | null))
  if (typeof key !== 'string' && typeof key !== 'number' && !isPlain) throw new InvalidData(where, 'key', 'a function that returns a string, a number or a plain object', show(key))
  return key
}
