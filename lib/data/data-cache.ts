import type { FastifyBaseLogger } from 'fastify'
import type { OrderResult } from '../../types/index.js'
import type { Cache } from '../cache/cache.js'
import type { Answer, Held, Source } from '../cache/source.js'
import { stateAt } from '../cache/entry.js'
import { InvalidData } from '../errors.js'
import { isSeconds, show } from '../options.js'
import { channels, type DataOutcome } from '../telemetry.js'
import { argumentKey } from './argument-key.js'
import { dataSource, type DataPolicy, type DataRequest } from './source.js'
import type { Datum } from './value.js'

export interface DataCacheOptions {
  cache: Cache<Datum, never>
  clock: () => number
  log: FastifyBaseLogger
  /** False: everything is fetched anew and nothing is kept. */
  enabled: boolean
  order (kind: 'soft' | 'hard', key: string): Promise<OrderResult>
}

/** Settings that `isr.cached` and `isr.data` share. */
export interface DataSettings {
  ttl?: number
  staleWhileRevalidate?: number
  staleIfError?: number
  timeout?: number
  persist?: boolean
  maxEntries?: number
}

const SETTINGS: Record<keyof DataSettings, true> = { ttl: true, staleWhileRevalidate: true, staleIfError: true, timeout: true, persist: true, maxEntries: true }

/** A timer that is set for longer runs at once. */
const MOST_MILLISECONDS = 2 ** 31 - 1

/** What `isr.cached` and `isr.data` are made on: the engine, or in a worker thread the way to it. */
export interface DataStore {
  /** @throws FST_ISR_ERR_DATA for a wrong or taken name, or a wrong setting */
  define (where: string, name: unknown, settings: DataSettings, others: readonly string[]): DataFamily
}

/** The data of one name. */
export interface DataFamily {
  keyOf (value: unknown): string
  /** A fresh value without a promise, when there is one and nothing asks for more. */
  fresh (key: string): { readonly view: Datum } | undefined
  /** @throws what the fetch failed with */
  get (request: DataRequest): Promise<unknown>
  refresh (request: DataRequest): Promise<unknown>
  order (kind: 'soft' | 'hard', key: string): Promise<OrderResult>
}

/** Data on the engine that pages are on: names, keys, and what is asked of them. */
export class DataCache implements DataStore {
  readonly #options: DataCacheOptions
  readonly #families = new Map<string, Family>()

  constructor (options: DataCacheOptions) {
    this.#options = options
  }

  get enabled (): boolean {
    return this.#options.enabled
  }

  define (where: string, name: unknown, settings: DataSettings, others: readonly string[]): Family {
    const { policy, maxEntries } = readDataPolicy(where, name, settings, others, this.#families)
    const family = new Family(this.#options, policy, maxEntries)
    this.#families.set(policy.name, family)
    return family
  }

  get (name: string): Family | undefined {
    return this.#families.get(name)
  }
}

/** @throws FST_ISR_ERR_DATA */
export function readDataPolicy (where: string, name: unknown, settings: DataSettings, others: readonly string[], taken: { has (name: string): boolean }): { policy: DataPolicy, maxEntries: number } {
  if (typeof name !== 'string' || !/^[A-Za-z0-9_][\w.:-]{0,99}$/.test(name)) throw new InvalidData(where, 'name', "1 to 100 letters, digits, '.', ':', '-' and '_'", show(name))
  for (const option of Object.keys(settings)) {
    if (!Object.hasOwn(SETTINGS, option) && !others.includes(option)) throw new InvalidData(where, option, `one of ${[...others, ...Object.keys(SETTINGS)].join(', ')}`, 'an unknown name')
  }
  const policy: DataPolicy = {
    name,
    ttl: seconds(where, 'ttl', settings.ttl, 60),
    staleWhileRevalidate: seconds(where, 'staleWhileRevalidate', settings.staleWhileRevalidate, 3600),
    staleIfError: seconds(where, 'staleIfError', settings.staleIfError, 0),
    timeout: milliseconds(where, 'timeout', settings.timeout, 10_000),
    persist: settings.persist ?? false
  }
  if (typeof policy.persist !== 'boolean') throw new InvalidData(where, 'persist', 'true or false', show(policy.persist))
  const maxEntries = whole(where, 'maxEntries', settings.maxEntries, 10_000)
  if (taken.has(name)) throw new InvalidData(where, 'name', 'a name of its own', `'${name}', which is taken`)
  return { policy, maxEntries }
}

export function dataKey (name: string, value: unknown): string {
  return `data:${name} ${argumentKey(name, value)}`
}

/** The data of one name, on the engine. */
export class Family implements DataFamily {
  readonly #options: DataCacheOptions
  readonly #policy: DataPolicy
  readonly #maxEntries: number
  /** Least recently fetched first. */
  readonly #keys = new Set<string>()

  constructor (options: DataCacheOptions, policy: DataPolicy, maxEntries: number) {
    this.#options = options
    this.#policy = policy
    this.#maxEntries = maxEntries
  }

  get name (): string {
    return this.#policy.name
  }

  keyOf (value: unknown): string {
    return dataKey(this.name, value)
  }

  fresh (key: string): Held<Datum> | undefined {
    if (!this.#options.enabled) return undefined
    const held = this.#options.cache.lookup(key)
    if (held === undefined || stateAt(held, this.#options.clock()) !== 'fresh') return undefined
    this.#options.cache.use(held)
    this.#tell(key, 'fresh', 0)
    return held
  }

  async get (request: DataRequest): Promise<unknown> {
    return (await this.held(request)).view.value
  }

  async refresh (request: DataRequest): Promise<unknown> {
    return (await this.refreshed(request)).view.value
  }

  /** @throws what the fetch failed with */
  async held (request: DataRequest): Promise<Held<Datum>> {
    const { cache, enabled, log } = this.#options
    const startedAt = performance.now()
    const source = dataSource(this.#policy, request, log)
    if (!enabled) return await this.#fetchAlone(source)
    const answer = await cache.get(source)
    this.#tell(request.key, outcomeOf(answer), performance.now() - startedAt)
    if (answer.kind !== 'held') throw answer.kind === 'failed' ? answer.error : new Error(answer.reason)
    // Or known from disk, where another process has left it.
    if (answer.how === 'rendered' || !this.#keys.has(request.key)) this.#use(request.key)
    return answer.held
  }

  async refreshed (request: DataRequest): Promise<Held<Datum>> {
    const { cache, enabled, log } = this.#options
    const source = dataSource(this.#policy, request, log)
    if (!enabled) return await this.#fetchAlone(source)
    const landing = await cache.refresh(source)
    if (landing.type !== 'held') throw landing.type === 'failed' ? landing.error : new Error(landing.reason)
    this.#use(request.key)
    return landing.held
  }

  async order (kind: 'soft' | 'hard', key: string): Promise<OrderResult> {
    return await this.#options.order(kind, key)
  }

  /** Even so a build wants to know what its pages are made of. */
  async #fetchAlone (source: Source<never>): Promise<Held<Datum>> {
    const landing = await this.#options.cache.renderAlone(source)
    if (landing.type !== 'held') throw landing.type === 'failed' ? landing.error : new Error(landing.reason)
    this.#options.cache.use(landing.held)
    return landing.held
  }

  #use (key: string): void {
    this.#keys.delete(key)
    this.#keys.add(key)
    const [oldest] = this.#keys
    if (this.#keys.size <= this.#maxEntries || oldest === undefined) return
    this.#keys.delete(oldest)
    this.#options.cache.drop(oldest)
  }

  #tell (key: string, outcome: DataOutcome, durationMs: number): void {
    if (channels.data.hasSubscribers) channels.data.publish({ name: this.name, key, outcome, durationMs })
    this.#options.log.debug({ name: this.name, key, outcome, ms: Math.round(durationMs) }, 'data')
  }
}

function outcomeOf (answer: Answer<Datum, never>): DataOutcome {
  if (answer.kind !== 'held') return 'failed'
  return answer.how === 'rendered' ? 'miss' : answer.how
}

function seconds (where: string, option: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback
  if (!isSeconds(value)) throw new InvalidData(where, option, 'a number of seconds, 0 or more (Infinity allowed)', show(value))
  return value
}

function milliseconds (where: string, option: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > MOST_MILLISECONDS) throw new InvalidData(where, option, `a whole number of milliseconds, 1 to ${MOST_MILLISECONDS}`, show(value))
  return value as number
}

function whole (where: string, option: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw new InvalidData(where, option, 'a whole number, 1 or more', show(value))
  return value as number
}
