import type { FastifyReply, FastifyRequest } from 'fastify'
import type { DataHook, DataOptions } from '../../types/index.js'
import { ApplyFailed, InvalidData } from '../errors.js'
import { show } from '../options.js'
import { markDataHook } from '../pages/registry.js'
import { checkTag } from '../pages/tags.js'
import { checkKey } from './cached.js'
import type { DataStore } from './data-cache.js'
import { runFetch } from './source.js'

const SIGNATURES = {
  fetch: '(extracted, context) => value',
  apply: '(request, reply, value) => void',
  extract: '(request) => any',
  key: '(extracted) => string | number | object',
  onError: '(request, reply, error) => void'
} as const
const REQUIRED: readonly string[] = ['fetch', 'apply']

/** `isr.data(options)`: a hook that fetches per key and applies to each request. */
export function dataHook<T, E> (data: DataStore, options: DataOptions<T, E>): DataHook {
  const where = `isr.data(${show(options?.name)})`
  if (typeof options !== 'object' || options === null) throw new InvalidData(where, 'options', 'an object', show(options))
  for (const [option, signature] of Object.entries(SIGNATURES)) {
    const value: unknown = options[option as keyof typeof SIGNATURES]
    if (value === undefined && !REQUIRED.includes(option)) continue
    if (typeof value !== 'function') throw new InvalidData(where, option, `a function ${signature}`, show(value))
  }
  const { name, fetch, apply, extract, key, onError, tags = [], ...settings } = options
  if (typeof tags !== 'function') {
    if (!Array.isArray(tags)) throw new InvalidData(where, 'tags', 'an array or a function (value, extracted) => string[]', show(tags))
    for (const tag of tags) checkTag(tag, ` (${where})`)
  }
  const known = typeof tags === 'function' ? [] : [...tags]
  const family = data.define(where, name, settings, ['fetch', 'apply', 'extract', 'key', 'onError', 'tags', 'name'])

  const keyOf = (request: FastifyRequest, extracted: E): string => {
    // Extracted data never share one key.
    if (key === undefined) return family.keyOf(extracted)
    return family.keyOf(checkKey(where, key((extract === undefined ? request : extracted) as E)))
  }

  const run = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const extracted = (extract === undefined ? undefined : extract(request)) as E
    const cacheKey = keyOf(request, extracted)
    let value: T
    try {
      const held = family.fresh(cacheKey)
      value = (held === undefined
        ? await family.get({
          key: cacheKey,
          tags: known,
          fetch: async attempt => await runFetch<T>(name, {
            fetch: async context => await fetch(extracted, context),
            tagsOf: value => typeof tags === 'function' ? tags(value, extracted) : []
          }, attempt)
        })
        : held.view.value) as T
    } catch (error) {
      if (onError !== undefined) return await answerOf(reply, async () => { await onError(request, reply, error as Error) })
      request.log.warn({ err: error, name }, 'data could not be had; the request goes on without')
      return undefined
    }
    return await answerOf(reply, async () => {
      try {
        await apply(request, reply, value)
      } catch (cause) {
        throw applyFailed(name, cause)
      }
    })
  }
  return markDataHook(async function isrData (request, reply) { return await run(request, reply) })
}

/** The reply, once the code has begun to answer: a hook that returns it ends the request. */
async function answerOf (reply: FastifyReply, code: () => Promise<void>): Promise<FastifyReply | undefined> {
  // `reply.sent` is false for as long as onSend hooks run, and the handler would run meanwhile.
  let isAnswered = false
  const { send } = reply
  const noting: FastifyReply['send'] = function (this: FastifyReply, ...args) {
    isAnswered = true
    return send.apply(this, args)
  }
  reply.send = noting
  try {
    await code()
  } finally {
    if (reply.send === noting) reply.send = send
  }
  return isAnswered || reply.sent ? reply : undefined
}

/** Keeps the status that an error asks for: an `apply` may refuse a request by throwing. */
function applyFailed (name: string, cause: unknown): Error {
  const { message, statusCode } = (cause ?? {}) as { message?: unknown, statusCode?: unknown }
  const error = new ApplyFailed(name, typeof message === 'string' ? message : show(cause), { cause })
  if (typeof statusCode === 'number') error.statusCode = statusCode
  return error
}
