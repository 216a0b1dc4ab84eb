import type { Argument, Script } from '../../lib/cluster/link.js'
import { LuaScripts, ReplyError, type Reply } from './lua.js'
import { SortedSet } from './sorted-set.js'

export { ReplyError, type Reply } from './lua.js'

type Value = string | Map<string, string> | SortedSet

interface Item {
  readonly value: Value
  /** Milliseconds. */
  expiresAt: number
}

const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_WHOLE = 'ERR value is not an integer or out of range'

/**
 * As much of a Redis server as the scripts use: they run as they are, against
 * data in memory. Strings have one character per byte.
 */
export class SimulatedRedis {
  /** Commands that scripts have run, by name. */
  readonly commands = new Map<string, number>()
  readonly #items = new Map<string, Item>()
  readonly #scripts = new LuaScripts(command => this.#execute(command))
  readonly #clock: () => number
  readonly #onPublish: (channel: string, text: string) => number

  /** `clock`: milliseconds. `onPublish` returns how many have heard it. */
  constructor (clock: () => number, onPublish: (channel: string, text: string) => number = () => 0) {
    this.#clock = clock
    this.#onPublish = onPublish
  }

  /** @throws ReplyError */
  run (script: Script, keys: readonly string[], args: readonly Argument[] = []): Reply {
    return this.#scripts.run(script, keys.map(toBytes), args.map(toBytes))
  }

  /** What it has, comparable. */
  dump (): Record<string, unknown> {
    const live = [...this.#items.keys()].sort().map(key => [key, this.#find(key)?.value] as const)
    return Object.fromEntries(live.filter(([, value]) => value !== undefined).map(([key, value]) => {
      if (value instanceof SortedSet) return [key, value.entries()]
      return [key, value instanceof Map ? Object.fromEntries([...value].sort()) : value]
    }))
  }

  #execute ([name = '', key = '', ...args]: readonly string[]): Reply {
    const command = name.toUpperCase()
    this.commands.set(command, (this.commands.get(command) ?? 0) + 1)
    const [first = '', second = ''] = args
    switch (command) {
      case 'TIME': return this.#time()
      case 'PUBLISH': return this.#onPublish(toText(key), toText(first))
      case 'TYPE': return { ok: typeOf(this.#find(key)?.value) }
      case 'DEL': return [key, ...args].filter(each => this.#find(each) !== undefined && this.#items.delete(each)).length
      case 'GET': return this.#string(key) ?? null
      case 'SET': return this.#set(key, first, args.slice(1))
      case 'PTTL': return this.#ttl(key)
      case 'PEXPIRE': return this.#expire(key, whole(first))
      case 'HGET': return this.#hash(key)?.get(first) ?? null
      case 'HMGET': return args.map(field => this.#hash(key)?.get(field) ?? null)
      case 'HSET': return this.#setFields(key, args)
      case 'HDEL': return this.#change(key, hash => args.filter(field => hash.delete(field)).length)
      case 'HLEN': return this.#hash(key)?.size ?? 0
      case 'HSTRLEN': return this.#hash(key)?.get(first)?.length ?? 0
      case 'HINCRBY': return this.#increase(key, first, whole(second))
      case 'ZADD': return this.#sorted(key, true).add(second, score(first)) ? 1 : 0
      case 'ZCARD': return this.#sorted(key).size
      case 'ZSCORE': return this.#sorted(key).scoreOf(first)
      case 'ZPOPMIN': return this.#removeFrom(key, 0, 0).flat()
      case 'ZRANGE': return withScores(this.#sorted(key).range(whole(first), whole(second)), args)
      case 'ZREVRANGE': return withScores(this.#sorted(key).range(-1 - whole(second), -1 - whole(first)).reverse(), args)
      case 'ZRANGEBYSCORE': return this.#rangeByScore(key, first, second, args)
      case 'ZREMRANGEBYRANK': return this.#removeFrom(key, whole(first), whole(second)).length
      default: throw new ReplyError(`ERR unknown command '${name}'`)
    }
  }

  #find (key: string): Item | undefined {
    const item = this.#items.get(key)
    if (item === undefined || item.expiresAt > this.#clock()) return item
    this.#items.delete(key)
    return undefined
  }

  #string (key: string): string | undefined {
    const value = this.#find(key)?.value
    if (value !== undefined && typeof value !== 'string') throw new ReplyError(WRONG_TYPE)
    return value
  }

  #hash (key: string): Map<string, string> | undefined {
    const value = this.#find(key)?.value
    if (value !== undefined && !(value instanceof Map)) throw new ReplyError(WRONG_TYPE)
    return value
  }

  #sorted (key: string, isNeeded = false): SortedSet {
    const value = this.#find(key)?.value ?? new SortedSet()
    if (!(value instanceof SortedSet)) throw new ReplyError(WRONG_TYPE)
    if (isNeeded && value.size === 0) this.#items.set(key, { value, expiresAt: Infinity })
    return value
  }

  #set (key: string, value: string, options: readonly string[]): Reply {
    let expiresAt = Infinity
    for (let at = 0; at < options.length; at++) {
      const option = options[at]?.toUpperCase()
      if (option === 'NX') {
        if (this.#find(key) !== undefined) return null
      } else if (option === 'PX') {
        const ms = whole(options[++at] ?? '')
        if (ms <= 0) throw new ReplyError("ERR invalid expire time in 'set' command")
        expiresAt = this.#clock() + ms
      } else throw new ReplyError('ERR syntax error')
    }
    this.#items.set(key, { value, expiresAt })
    return { ok: 'OK' }
  }

  #ttl (key: string): number {
    const item = this.#find(key)
    if (item === undefined) return -2
    return item.expiresAt === Infinity ? -1 : Math.max(0, Math.round(item.expiresAt - this.#clock()))
  }

  #expire (key: string, ms: number): number {
    const item = this.#find(key)
    if (item === undefined) return 0
    if (ms <= 0) this.#items.delete(key)
    else item.expiresAt = this.#clock() + ms
    return 1
  }

  #setFields (key: string, fields: readonly string[]): number {
    const hash = this.#hash(key) ?? new Map<string, string>()
    const before = hash.size
    for (let at = 0; at < fields.length; at += 2) hash.set(fields[at] ?? '', fields[at + 1] ?? '')
    if (before === 0) this.#items.set(key, { value: hash, expiresAt: Infinity })
    return hash.size - before
  }

  #change (key: string, work: (hash: Map<string, string>) => number): number {
    const hash = this.#hash(key)
    if (hash === undefined) return 0
    const result = work(hash)
    if (hash.size === 0) this.#items.delete(key)
    return result
  }

  #increase (key: string, field: string, by: number): number {
    const next = whole(this.#hash(key)?.get(field) ?? '0') + by
    this.#setFields(key, [field, String(next)])
    return next
  }

  #removeFrom (key: string, first: number, last: number): [string, string][] {
    const sorted = this.#sorted(key)
    const removed = sorted.remove(first, last)
    if (sorted.size === 0) this.#items.delete(key)
    return removed
  }

  #rangeByScore (key: string, least: string, most: string, args: readonly string[]): Reply {
    const isBeyond = least.startsWith('(')
    const [from, to] = [score(isBeyond ? least.slice(1) : least), score(most)]
    const limit = args.findIndex(option => option.toUpperCase() === 'LIMIT')
    const [offset, count] = limit === -1 ? [0, -1] : [whole(args[limit + 1] ?? ''), whole(args[limit + 2] ?? '')]
    const found = this.#sorted(key).entries().filter(([, text]) => (isBeyond ? Number(text) > from : Number(text) >= from) && Number(text) <= to)
    return withScores(found.slice(offset, count < 0 ? undefined : offset + count), args)
  }

  #time (): [string, string] {
    const now = this.#clock()
    const seconds = Math.floor(now / 1000)
    return [String(seconds), String(Math.floor((now - seconds * 1000) * 1000))]
  }
}

function withScores (list: readonly [string, string][], options: readonly string[]): string[] {
  return options.some(option => option.toUpperCase() === 'WITHSCORES') ? list.flat() : list.map(([member]) => member)
}

function typeOf (value: Value | undefined): string {
  if (value === undefined) return 'none'
  if (typeof value === 'string') return 'string'
  return value instanceof Map ? 'hash' : 'zset'
}

function whole (text: string): number {
  const value = Number(text)
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new ReplyError(NOT_WHOLE)
  return value
}

function score (text: string): number {
  if (/^\+?inf$/i.test(text)) return Infinity
  const value = Number(text)
  if (text === '' || Number.isNaN(value)) throw new ReplyError('ERR value is not a valid float')
  return value
}

function toBytes (value: Argument): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : Buffer.from(String(value)).toString('latin1')
}

function toText (bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString()
}

/** As a client gives it to those who want strings. */
export function asText (reply: Reply): unknown {
  if (typeof reply === 'string') return toText(reply)
  if (Array.isArray(reply)) return reply.map(asText)
  return reply !== null && typeof reply === 'object' && 'ok' in reply ? reply.ok : reply
}
