import { InvalidTag } from '../errors.js'
import { show } from '../options.js'

/*
 * Tags that every page has without anybody writing them. They begin with a
 * control byte, which a tag of the user can't contain.
 */
const AUTOMATIC = '\u0001'
export const ALL_TAG = `${AUTOMATIC}all`
export const pathTag = (path: string): string => `${AUTOMATIC}path:${path}`
export const keyTag = (key: string): string => `${AUTOMATIC}key:${key}`
export const routeTag = (pattern: string): string => `${AUTOMATIC}route:${pattern}`
export const dataTag = (key: string): string => `${AUTOMATIC}${key.startsWith('data:') ? '' : 'name:'}${key}`
export const prefixTag = (prefix: string): string => `${AUTOMATIC}prefix:${prefix}`

/** A prefix ends where a segment does: `/blog` means `/blog` and `/blog/a`, not `/blogger`. */
export function trimPrefix (prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('/') ? prefix.slice(0, -1) : prefix
}

/** A path and those it lies below, so that an order for a prefix is one mark. */
export function prefixesOf (path: string): string[] {
  const segments = trimPrefix(path).split('/').slice(1)
  return ['/', ...segments.filter(segment => segment !== '').map((_, index) => `/${segments.slice(0, index + 1).join('/')}`)]
}

export function isAutomatic (tag: string): boolean {
  return tag.startsWith(AUTOMATIC)
}

const MAX_BYTES = 256

/** @throws FST_ISR_ERR_INVALID_TAG */
export function checkTag (tag: unknown, where = ''): string {
  // eslint-disable-next-line no-control-regex
  const isTag = typeof tag === 'string' && tag !== '' && Buffer.byteLength(tag) <= MAX_BYTES && !/[\u0000-\u001f\u007f]|\p{Surrogate}/u.test(tag)
  if (!isTag) throw new InvalidTag(show(tag), where)
  return tag
}
