import type { FastifyBaseLogger } from 'fastify'
import type { CachedContext } from '../../types/index.js'
import type { Attempt, Outcome, Source } from '../cache/source.js'
import { DataTimeout, InvalidData, InvalidTtl, NothingToRenew } from '../errors.js'
import { isSeconds, show } from '../options.js'
import { ALL_TAG, checkTag, dataTag } from '../pages/tags.js'
import { encodeValue } from './value.js'

/** Freshness and limits of a name. */
export interface DataPolicy {
  readonly name: string
  readonly ttl: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  /** Milliseconds. */
  readonly timeout: number
  readonly persist: boolean
}

export interface DataRequest {
  readonly key: string
  /** Those that don't depend on the value; those of name and key are known besides. */
  readonly tags: readonly string[]
  /** In this thread, or in the one that asks. */
  fetch (attempt: FetchAttempt): Promise<Fetched>
}

export interface FetchAttempt {
  readonly signal: AbortSignal
  /** There is a value that can be renewed. */
  readonly hasOld: boolean
}

/** What a fetch ended in; plain data. */
export interface Fetched {
  /** The value; null: the old one stays. */
  readonly body: Buffer | null
  readonly tags: readonly string[]
  readonly ttl: number | null
}

/** How a value is had. */
export interface Fetcher<T> {
  fetch (context: CachedContext): Promise<T>
  /** Tags of this value. */
  tagsOf (value: T): readonly string[]
}

const NOT_MODIFIED: unique symbol = Symbol('fastify-isr.notModified')

/** How a datum is made, for the engine. */
export function dataSource (policy: DataPolicy, request: DataRequest, log: FastifyBaseLogger): Source<never> {
  const { name } = policy
  const { key } = request
  const tags = [ALL_TAG, dataTag(name), dataTag(key), ...request.tags]
  return {
    key,
    tags,
    isShared: true,
    isPersistent: policy.persist,
    limits: { timeoutMs: policy.timeout, makeError: () => new DataTimeout(name, policy.timeout) },
    async render (attempt) {
      const fetched = await request.fetch({ signal: attempt.signal, hasOld: attempt.old !== null })
      return fetched.body === null ? renew(name, attempt, fetched) : store(policy, fetched.body, tags, fetched)
    },
    onSettled ({ outcome, error, failures, reason, durationMs }) {
      const facts = { name, key, reason, outcome, ms: Math.round(durationMs) }
      if (error !== undefined && failures <= 1) log.warn({ ...facts, err: error }, 'data could not be fetched')
      else log.debug(facts, 'data fetched')
    }
  }
}

/** Runs the code of a fetch and makes bytes of its value. */
export async function runFetch<T> (name: string, { fetch, tagsOf }: Fetcher<T>, attempt: FetchAttempt): Promise<Fetched> {
  const context = makeContext(name, attempt)
  const value = await fetch(context.given)
  if (context.isNotModified()) return { body: null, tags: context.tags(), ttl: context.ttl() }
  const body = encodeValue(name, value)
  const own: unknown = tagsOf(value)
  if (!Array.isArray(own)) throw new InvalidData(`data '${name}'`, 'tags', 'a function that returns an array of strings', show(own))
  return { body, tags: [...context.tags(), ...own.map((tag: unknown) => checkTag(tag, ` (data ${name})`))], ttl: context.ttl() }
}

function makeContext (name: string, attempt: FetchAttempt): { given: CachedContext, tags: () => string[], ttl: () => number | null, isNotModified: () => boolean } {
  const tags: string[] = []
  let ttl: number | null = null
  let isNotModified = false
  const given: CachedContext = {
    signal: attempt.signal,
    tags (...more) { tags.push(...more.map(tag => checkTag(tag, ` (data ${name})`))) },
    ttl (seconds) {
      if (!isSeconds(seconds)) throw new InvalidTtl(show(seconds))
      ttl = seconds
    },
    notModified () {
      if (!attempt.hasOld) throw new NothingToRenew(name)
      isNotModified = true
      return NOT_MODIFIED as never
    }
  }
  return { given, tags: () => tags, ttl: () => ttl, isNotModified: () => isNotModified }
}

function store (policy: DataPolicy, body: Buffer, known: readonly string[], { tags, ttl }: Fetched): Outcome<never> {
  return {
    type: 'storable',
    draft: {
      meta: { data: policy.name },
      tags: [...new Set([...known, ...tags])],
      ttl: ttl ?? policy.ttl,
      staleWhileRevalidate: policy.staleWhileRevalidate,
      staleIfError: policy.staleIfError,
      body,
      encode: async () => [{ encoding: 'identity', bytes: body }]
    }
  }
}

/** The old value, as new; what its last fetch said of it holds on. */
function renew (name: string, { old }: Attempt, { tags: more, ttl: newTtl }: Fetched): Outcome<never> {
  if (old === null) throw new NothingToRenew(name)
  const { meta, staleWhileRevalidate, staleIfError, bodies } = old
  const tags = [...new Set([...old.tags, ...more])]
  const ttl = newTtl ?? old.ttl
  return {
    type: 'storable',
    draft: { meta, tags, ttl, staleWhileRevalidate, staleIfError, body: bodies[0]?.bytes ?? Buffer.alloc(0), encode: async () => [...bodies] }
  }
}
