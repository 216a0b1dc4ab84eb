import type { RoutePolicy, SitemapHints, VaryRule } from '../../types/index.js'
import { isRecord } from '../cache/codec.js'
import { InvalidPolicy } from '../errors.js'
import { isHeaderValue, isSeconds, readBypass, show, type Refuse, type Settings } from '../options.js'
import { checkTag } from './tags.js'

/** A route policy with every default filled in. */
export interface Policy extends RoutePolicy {
  readonly ttl: NonNullable<RoutePolicy['ttl']>
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly onDemand: boolean
  readonly maxPaths: number
  readonly maxBytes: number
  readonly query: string[]
  readonly vary: Record<string, VaryRule>
  readonly statuses: Record<number, number>
}

const MIB = 1024 * 1024
const STORABLE_STATUSES = [301, 308, 404, 410]
const MAX_LIST = 100
const CHANGE_FREQUENCIES = ['always', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'never']

/** Each option says what it must be; `refuse` throws with the name of the route. */
const CHECKS: Record<keyof RoutePolicy, (value: unknown, refuse: Refuse) => void> = {
  ttl: (value, refuse) => { if (typeof value !== 'function') secondsOr(refuse, value) },
  staleWhileRevalidate: (value, refuse) => { secondsOr(refuse, value) },
  staleIfError: (value, refuse) => { secondsOr(refuse, value) },
  paths: (value, refuse) => {
    const isSource = typeof value === 'function' || (typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value))
    if (!isSource) refuse('an array, an iterable, or a function that returns one', value)
  },
  onDemand: boolean,
  maxPaths: (value, refuse) => { if (!Number.isSafeInteger(value) || (value as number) < 1) refuse('a whole number, 1 or more', value) },
  query: (value, refuse) => { names(value, refuse, /^[^\s=&#+%]{1,100}$/, 'an array of query parameter names') },
  hosts: (value, refuse) => { names(value, refuse, /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])$/, 'an array of host names in lower case, without port') },
  vary: checkVary,
  tags: (value, refuse) => {
    if (typeof value === 'function') return
    if (!Array.isArray(value)) refuse('an array of tags or a function of the params', value)
    else for (const tag of value) checkTag(tag)
  },
  statuses: (value, refuse) => {
    if (!isRecord(value)) return refuse('an object of status: seconds', value)
    for (const [status, ttl] of Object.entries(value)) {
      if (!STORABLE_STATUSES.map(String).includes(status)) refuse(`an object with keys out of ${STORABLE_STATUSES.join(', ')}`, status)
      if (!isSeconds(ttl)) refuse('an object of status: seconds', ttl)
    }
  },
  maxBytes: (value, refuse) => { if (!Number.isSafeInteger(value) || (value as number) < 1) refuse('a whole number of bytes, 1 or more', value) },
  headers: (value, refuse) => { if (typeof value !== 'function') refuse('a function of the header name', value) },
  cacheControl: (value, refuse) => { if (typeof value !== 'function' && !isHeaderValue(value)) refuse('a header value or a function of the page', value) },
  bypass: (value, refuse) => { readBypass(value, refuse) },
  inheritTtl: boolean,
  allowHooks: boolean,
  sitemap: (value, refuse) => {
    const wanted = 'false or { changefreq, priority, lastmod }'
    if (value === false) return
    if (!isRecord(value)) return refuse(wanted, value)
    const { changefreq, priority, lastmod, ...rest } = value as SitemapHints & Record<string, unknown>
    const isRight = Object.keys(rest).length === 0 &&
      (changefreq === undefined || CHANGE_FREQUENCIES.includes(changefreq)) &&
      (priority === undefined || (typeof priority === 'number' && priority >= 0 && priority <= 1)) &&
      (lastmod === undefined || !Number.isNaN(new Date(lastmod ?? '').getTime()))
    if (!isRight) refuse(wanted, value)
  }
}

/**
 * Validates `config.prerender` at the route's own line.
 *
 * @throws FST_ISR_ERR_INVALID_POLICY
 */
export function readPolicy (route: string, value: unknown, settings: Settings): Policy {
  const given: RoutePolicy = value === true ? {} : isRecord(value) ? value : refuse('prerender', 'true, false or a policy object', value)
  for (const [name, option] of Object.entries(given)) {
    if (option === undefined) continue
    if (!Object.hasOwn(CHECKS, name)) throw new InvalidPolicy(route, name, `one of ${Object.keys(CHECKS).join(', ')}`, 'an unknown name')
    CHECKS[name as keyof RoutePolicy](option, (wanted, got) => refuse(name, wanted, got))
  }
  return Object.freeze({
    ...settings.defaults,
    onDemand: !settings.strictPaths,
    maxPaths: 10_000,
    maxBytes: 5 * MIB,
    query: [],
    statuses: {},
    ...Object.fromEntries(Object.entries(given).filter(([, option]) => option !== undefined)),
    vary: Object.fromEntries(Object.entries(given.vary ?? {}).map(([name, rule]) => [name.toLowerCase(), rule])),
    ...(given.bypass === undefined ? {} : { bypass: readBypass(given.bypass, (wanted, got) => refuse('bypass', wanted, got)) ?? undefined })
  }) as Policy

  function refuse (name: string, wanted: string, got: unknown): never {
    throw new InvalidPolicy(route, name, wanted, show(got))
  }
}

function checkVary (value: unknown, refuse: Refuse): void {
  const wanted = '{ header: { values: string[], select: header => string } }'
  if (!isRecord(value)) return refuse(wanted, value)
  const seen = new Set<string>()
  for (const [name, rule] of Object.entries(value)) {
    if (!/^[A-Za-z0-9-]{1,100}$/.test(name) || seen.has(name.toLowerCase())) refuse('an object of header names, each once', name)
    seen.add(name.toLowerCase())
    if (['cookie', 'authorization', 'host', 'accept-encoding'].includes(name.toLowerCase())) refuse("free of 'cookie', 'authorization', 'host' and 'accept-encoding'", name)
    if (!isRecord(rule) || typeof rule.select !== 'function' || !Array.isArray(rule.values)) return refuse(wanted, rule)
    names(rule.values, refuse, /^[\x21-\x7e]{1,100}$/, `'${name}' with values of 1 to 100 visible characters`)
    if (rule.values.length === 0) refuse(`'${name}' with at least one value`, rule.values)
  }
}

function names (value: unknown, refuse: Refuse, form: RegExp, wanted: string): void {
  if (!Array.isArray(value) || value.length > MAX_LIST) return refuse(`${wanted}, at most ${MAX_LIST}`, value)
  for (const [index, name] of value.entries()) {
    if (typeof name !== 'string' || !form.test(name) || value.indexOf(name) < index) refuse(`${wanted}, each once`, name)
  }
}

function boolean (value: unknown, refuse: Refuse): void {
  if (typeof value !== 'boolean') refuse('true or false', value)
}

function secondsOr (refuse: Refuse, value: unknown): void {
  if (!isSeconds(value)) refuse('a number of seconds, 0 or more (Infinity allowed)', value)
}
