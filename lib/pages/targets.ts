import type { Target, TargetItem } from '../../types/index.js'
import { isRecord } from '../cache/codec.js'
import { InvalidTarget } from '../errors.js'
import { show } from '../options.js'
import type { KnownPage } from './known.js'
import { isCanonicalPath } from './path-pattern.js'
import { ALL_TAG, checkTag, keyTag, pathTag, prefixesOf, prefixTag, routeTag, trimPrefix } from './tags.js'

const MOST_TARGETS = 1000

/** A target that was checked: the tag that an order for it names, and the pages it means. */
export interface CheckedTarget {
  readonly item: TargetItem
  readonly tag: string
  matches (page: KnownPage): boolean
}

/** @throws FST_ISR_ERR_INVALID_TARGET */
export function readTargets (target: Target): CheckedTarget[] {
  const items: unknown[] = Array.isArray(target) ? target : [target]
  if (items.length > MOST_TARGETS) throw new InvalidTarget(`${items.length} of them in one call; the most is ${MOST_TARGETS}`)
  return items.map(readTarget)
}

function readTarget (item: unknown): CheckedTarget {
  const forms = "{ path: '/about' }, { prefix: '/blog' }, { tag: 'blog' }, { route: '/blog/:slug' } or { all: true }"
  if (!isRecord(item) || Object.keys(item).length !== 1) throw new InvalidTarget(`it must be one of ${forms}, got ${show(item)}`)
  if (item.all === true) return { item: { all: true }, tag: ALL_TAG, matches: () => true }
  if (typeof item.route === 'string') {
    const { route } = item
    return { item: { route }, tag: routeTag(route), matches: page => page.route === route }
  }
  if (typeof item.tag === 'string') return readTagTarget(item.tag)
  if (typeof item.prefix === 'string') return readPrefixTarget(item.prefix)
  if (typeof item.path === 'string') return readPathTarget(item.path)
  throw new InvalidTarget(`it must be one of ${forms}`)
}

function readTagTarget (text: string): CheckedTarget {
  let tag: string
  try {
    tag = checkTag(text)
  } catch (cause) {
    throw new InvalidTarget((cause as Error).message, { cause })
  }
  return { item: { tag }, tag, matches: page => page.tags.includes(tag) }
}

function readPrefixTarget (text: string): CheckedTarget {
  if (!isCanonicalPath(text)) throw new InvalidTarget(`${show(text)} is no canonical path`)
  const prefix = trimPrefix(text)
  return { item: { prefix }, tag: prefixTag(prefix), matches: page => prefixesOf(page.path).includes(prefix) }
}

/** A pathname means all its variants; with a query, that key. */
function readPathTarget (text: string): CheckedTarget {
  const [path = '', search] = text.split('?')
  if (!isCanonicalPath(path)) throw new InvalidTarget(`${show(text)} is no canonical path`)
  if (search === undefined) return { item: { path }, tag: pathTag(path), matches: page => page.path === path }
  const query = [...new URLSearchParams(search)].sort(([a], [b]) => a < b ? -1 : 1)
  const url = `${path}?${query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')}`
  return { item: { path: url }, tag: keyTag(url), matches: page => page.key.split(' ')[0] === url }
}
