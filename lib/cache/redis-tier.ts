import type { IsrTier, IsrTierRecord, IsrTierVersion } from '../../types/index.js'
import { script, type Link } from '../cluster/link.js'
import { BadEntry } from '../errors.js'

/** 0: there is something, but no page. */
const GET = script(`
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return false end
if kind ~= 'hash' then return 0 end
if redis.call('HSTRLEN', KEYS[1], 'bytes') > tonumber(ARGV[1]) then return false end
return redis.call('HGET', KEYS[1], 'bytes') or 0
`)

// Of what is there only a whole version counts: anything else gives way to every write.
const IS_NEWER = `
local function count (text)
  local number = text and tonumber(text)
  return number and number >= 0 and number <= 9007199254740991 and number
end
local function isNewer ()
  local there = redis.call('HMGET', KEYS[1], 'incarnation', 'epoch', 'renderedAt')
  local epoch, renderedAt = count(there[2]), count(there[3])
  if not there[1] or not epoch or not renderedAt then return false end
  if there[1] ~= ARGV[1] then return ARGV[1] == '' end
  if epoch ~= tonumber(ARGV[2]) then return epoch > tonumber(ARGV[2]) end
  return renderedAt > tonumber(ARGV[3])
end
local kind = redis.call('TYPE', KEYS[1]).ok
`

const SET = script(`${IS_NEWER}
if kind == 'hash' and isNewer() then return 0 end
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], 'epoch', ARGV[2], 'renderedAt', ARGV[3], 'bytes', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
`)

const DELETE = script(`${IS_NEWER}
if kind == 'hash' and isNewer() then return 0 end
redis.call('DEL', KEYS[1])
return 1
`)

export interface RedisTierOptions {
  prefix: string
  /** Seconds; nothing stays longer, unless it is written again. */
  maxAge: number
}

/**
 * Pages in Redis: one hash per page, and every script touches that one key,
 * so that they spread over all slots of a Redis Cluster.
 */
export class RedisTier implements IsrTier {
  readonly name = 'redis'
  readonly #link: Link
  readonly #prefix: string
  readonly #maxAge: number

  constructor (link: Link, { prefix, maxAge }: RedisTierOptions) {
    this.#link = link
    this.#prefix = prefix
    this.#maxAge = maxAge
  }

  get isUp (): boolean {
    return this.#link.isUp
  }

  async get (name: string, { maxBytes }: { maxBytes: number }): Promise<Buffer | null> {
    const bytes = await this.#link.runBuffer(GET, [this.#key(name)], [maxBytes])
    if (typeof bytes === 'number') throw new BadEntry('another kind of value lies in its place in Redis')
    return Buffer.isBuffer(bytes) ? bytes : null
  }

  async set (name: string, { bytes, version, maxAge }: IsrTierRecord): Promise<boolean> {
    const ms = Math.max(1, Math.ceil(Math.min(maxAge, this.#maxAge) * 1000))
    return await this.#link.run(SET, [this.#key(name)], [...argumentsOf(version), bytes, ms]) === 1
  }

  async delete (name: string, version: IsrTierVersion): Promise<boolean> {
    return await this.#link.run(DELETE, [this.#key(name)], argumentsOf(version)) === 1
  }

  /** `<build id>/<hash>` → `<prefix>:<build id>:page:<hash>`, without a hash tag on purpose. */
  #key (name: string): string {
    const slash = name.lastIndexOf('/')
    return `${this.#prefix}:${name.slice(0, Math.max(0, slash))}:page:${name.slice(slash + 1)}`
  }
}

function argumentsOf ({ incarnation, epoch, renderedAt }: IsrTierVersion): [string, string, string] {
  return [incarnation, String(epoch), String(renderedAt)]
}
