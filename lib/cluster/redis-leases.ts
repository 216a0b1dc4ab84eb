import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { BACKOFF_MOST } from '../cache/setbacks.js'
import type { Lease, LeaseEnd, Moment, Turn, TurnRequest } from './coordinator.js'
import { script, type Link } from './link.js'
import { pageMessage } from './messages.js'

/** How long it is known that a page was rendered just now (milliseconds): longer than anybody takes from looking to asking. */
const DONE_FOR = 15_000
/** How long failures in a row are remembered after the last back-off (milliseconds). */
const FAILURES_FOR = 60_000
const MOST_REASON = 200

/*
 * A lease is one string: 'held|<token>|<start epoch>' while somebody renders,
 * then 'done|<epoch>|<renderedAt>' or 'failed|<count>|<until>|<start epoch>|<reason>'.
 */

/** ARGV: incarnation, token, ttl, epoch and renderedAt of what the caller has, newest mark, forced. */
const TURN = script(`
local clock = redis.call('HMGET', KEYS[1], 'incarnation', 'epoch')
if clock[1] ~= ARGV[1] then return { 'incarnation' } end
local value = redis.pcall('GET', KEYS[2])
local failures = '0'
if type(value) == 'string' then
  local marked, isForced = tonumber(ARGV[6]), ARGV[7] == '1'
  local state, rest = string.match(value, '^(%a+)|(.*)$')
  if state == 'held' then
    local start = tonumber(string.match(rest, '|(%d+)$') or 0)
    local left = redis.call('PTTL', KEYS[2])
    -- One that never ends, or long after any lease does, nobody has given.
    if start >= marked and left >= 0 and left <= 10 * tonumber(ARGV[3]) then return { 'elsewhere', left } end
  elseif state == 'done' then
    local epoch, renderedAt = string.match(rest, '^(%d+)|([%d.]+)$')
    epoch, renderedAt = tonumber(epoch or -1), tonumber(renderedAt or -1)
    local isNewer = epoch > tonumber(ARGV[4]) or (epoch == tonumber(ARGV[4]) and renderedAt > tonumber(ARGV[5]))
    if isNewer and epoch >= marked and not isForced then return { 'done' } end
  elseif state == 'failed' then
    local times, till, start, reason = string.match(rest, '^(%d+)|(%d+)|(%d+)|(.*)$')
    failures = times or '0'
    local time = redis.call('TIME')
    local left = tonumber(till or 0) - (tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000)
    -- With more left than any back-off has, the clock of Redis was set back.
    if left >= 1 and left <= ${BACKOFF_MOST} and tonumber(start) >= marked and not isForced then return { 'failed', failures, string.format('%.0f', left), reason } end
  end
end
redis.call('SET', KEYS[2], 'held|' .. ARGV[2] .. '|' .. clock[2], 'PX', ARGV[3])
return { 'granted', clock[2], failures }
`)

const IS_MINE = `
local value = redis.pcall('GET', KEYS[1])
local mine = 'held|' .. ARGV[1] .. '|'
local isMine = type(value) == 'string' and string.sub(value, 1, #mine) == mine
`

/** ARGV: token, ttl. */
const RENEW = script(`${IS_MINE}
if isMine then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
`)

/** ARGV: token, what to leave ('' for nothing), for how long, channel, message. A failure is timed by the clock of Redis. */
const RELEASE = script(`${IS_MINE}
if isMine then
  if ARGV[2] == '' then redis.call('DEL', KEYS[1])
  else
    local time = redis.call('TIME')
    local left = string.gsub(ARGV[2], '<(%d+)>', function (ms) return string.format('%.0f', tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000 + tonumber(ms)) end, 1)
    redis.call('SET', KEYS[1], left, 'PX', ARGV[3])
  end
end
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return isMine and 1 or 0
`)

/** ARGV: token, ttl. The right to do something once per namespace. */
const CLAIM = script(`
return redis.call('SET', KEYS[1], 'held|' .. ARGV[1] .. '|0', 'NX', 'PX', ARGV[2])
`)

export interface RedisLeasesOptions {
  link: Link
  prefix: string
  channel: string
  source: string
  /** Milliseconds. */
  leaseTtl: number
  /** Logical time as this instance knows it; null before Redis was ever asked. */
  now: () => Moment
  /** Redis says that another incarnation has begun; resolves with whether it is known now. */
  onIncarnation: () => Promise<boolean>
  /** Redis has counted further than was heard of. */
  onEpoch: (moment: Moment) => void
}

/** One render per key in the whole cluster, as long as Redis can be asked. */
export class RedisLeases {
  readonly #options: RedisLeasesOptions
  /** Leases that are being given back: the next render of the key must not wait for its own process. */
  readonly #releasing = new Map<string, Promise<void>>()
  readonly #waiting = new Map<string, Set<() => void>>()
  granted = 0

  constructor (options: RedisLeasesOptions) {
    this.#options = options
  }

  async turn (request: TurnRequest): Promise<Turn> {
    const name = this.#nameOf(request.buildId, request.key)
    await this.#releasing.get(name)
    let hasEnded = false
    const ignore = this.#listen(name, () => { hasEnded = true })
    let turn: Turn | 'incarnation' | null
    try {
      turn = await this.#ask(name, request)
      if (turn === 'incarnation' && await this.#options.onIncarnation().catch(() => false)) turn = await this.#ask(name, request)
      // Another connection tells of the end: it may be there before the answer that it was not yet.
      while (hasEnded && turn !== null && turn !== 'incarnation' && turn.kind === 'elsewhere') {
        hasEnded = false
        turn = await this.#ask(name, request)
      }
    } finally {
      ignore()
    }
    // Nobody can be asked: every instance is on its own.
    return turn === null || turn === 'incarnation' ? { kind: 'granted', start: this.#options.now(), failures: 0, lease: null } : turn
  }

  /** Resolves when it is said that a render of the key has ended, or after that time. */
  async ended (buildId: string, key: string, ms: number, signal: AbortSignal): Promise<void> {
    const name = this.#nameOf(buildId, key)
    const heard = new AbortController()
    const ignore = this.#listen(name, () => { heard.abort() })
    try {
      await delay(ms, undefined, { signal: AbortSignal.any([signal, heard.signal]) }).catch(() => {})
    } finally {
      ignore()
    }
  }

  /** Somebody has said so. */
  wake (buildId: string, key: string): void {
    if (this.#waiting.size === 0) return
    for (const wake of this.#waiting.get(this.#nameOf(buildId, key)) ?? []) wake()
  }

  wakeAll (): void {
    for (const waiting of this.#waiting.values()) for (const wake of waiting) wake()
  }

  /** Something that one instance does for all; null when another one does, or has done it. */
  async claim (buildId: string, what: string): Promise<Lease | null> {
    const { link, leaseTtl } = this.#options
    const name = `{${this.#options.prefix}}:lease:${buildId}:${what}`
    const token = newToken()
    const reply = await link.run(CLAIM, [name], [token, leaseTtl]).catch(() => null)
    return reply === 'OK' ? this.#hold(name, token, null) : null
  }

  /** Null: Redis could not be asked. `incarnation`: it lives another life. */
  async #ask (name: string, request: TurnRequest): Promise<Turn | 'incarnation' | null> {
    const { link, leaseTtl, prefix, now } = this.#options
    const { epoch, incarnation } = now()
    if (!link.isUp || incarnation === undefined) return null
    const token = newToken()
    const known = request.known?.incarnation === incarnation ? request.known : { epoch: -1, renderedAt: 0 }
    const marked = request.marked.incarnation === incarnation ? request.marked.epoch : 0
    let reply: unknown
    try {
      // What only this instance has been told counts as not asked for by others.
      reply = await link.run(TURN, [`{${prefix}}:clock`, name], [incarnation, token, leaseTtl, known.epoch, known.renderedAt, Math.floor(marked), request.isForced ? '1' : ''])
    } catch {
      // It may be carried out all the same.
      if (link.isUp) void link.run(RELEASE, [name], [token, '', 0, '', '']).catch(() => {})
      return null
    }
    const [kind, a, b, c] = Array.isArray(reply) ? reply.map(String) : []
    switch (kind) {
      case 'elsewhere': return { kind, retryAfterMs: Math.max(1, Number(a)) }
      case 'done': return { kind }
      case 'failed': return { kind, failures: Number(a), retryAfterMs: Number(b), reason: c ?? '' }
      case 'granted': {
        this.granted++
        const start: Moment = { epoch: Math.max(Number(a), epoch), incarnation }
        this.#options.onEpoch({ epoch: Number(a), incarnation })
        return { kind, start, failures: Number(b), lease: this.#hold(name, token, { ...request, incarnation, start: start.epoch }) }
      }
      default: return 'incarnation'
    }
  }

  #hold (name: string, token: string, page: { buildId: string, key: string, incarnation: string, start: number } | null): Lease {
    const { link, leaseTtl, channel, source } = this.#options
    const renewing = setInterval(() => {
      // Lost or not: what is rendered is stored only if it is newer.
      void link.run(RENEW, [name], [token, leaseTtl]).catch(() => {})
    }, leaseTtl / 3)
    renewing.unref()
    return {
      release: async (end) => {
        clearInterval(renewing)
        const { left, forMs } = whatIsLeft(end, page?.start ?? 0)
        const message = page === null ? null : pageMessage({ ...about(end), source, ...page })
        const releasing = link.run(RELEASE, [name], [token, left, forMs, channel, message ?? '']).then(() => {}, () => {}).finally(() => {
          if (this.#releasing.get(name) === releasing) this.#releasing.delete(name)
        })
        this.#releasing.set(name, releasing)
        await releasing
      }
    }
  }

  /** Returns how to stop it. */
  #listen (name: string, wake: () => void): () => void {
    const waiting = this.#waiting.get(name) ?? new Set()
    this.#waiting.set(name, waiting.add(wake))
    return () => {
      waiting.delete(wake)
      if (waiting.size === 0 && this.#waiting.get(name) === waiting) this.#waiting.delete(name)
    }
  }

  #nameOf (buildId: string, key: string): string {
    return `{${this.#options.prefix}}:lease:${buildId}:${createHash('sha256').update(key).digest('hex')}`
  }
}

function whatIsLeft (end: LeaseEnd, start: number): { left: string, forMs: number } {
  switch (end.kind) {
    case 'stored': return { left: `done|${Math.floor(end.version.epoch)}|${end.version.renderedAt}`, forMs: DONE_FOR }
    case 'failed': {
      const backoffMs = Math.ceil(end.backoffMs)
      const reason = end.reason.slice(0, MOST_REASON)
      return { left: `failed|${end.failures}|<${backoffMs}>|${Math.floor(start)}|${reason}`, forMs: backoffMs + FAILURES_FOR }
    }
    case 'done': return { left: 'done|0|0', forMs: end.forMs }
    default: return { left: '', forMs: 0 }
  }
}

function about (end: LeaseEnd): { type: 'refreshed', version: { epoch: number, renderedAt: number } } | { type: 'dropped', version: Moment } | { type: 'ended' } {
  if (end.kind === 'stored') return { type: 'refreshed', version: { epoch: Math.floor(end.version.epoch), renderedAt: end.version.renderedAt } }
  return end.kind === 'dropped' ? { type: 'dropped', version: end.version } : { type: 'ended' }
}

function newToken (): string {
  return randomBytes(12).toString('hex')
}
