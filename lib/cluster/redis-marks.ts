import type { Floor, Mark, Order } from './coordinator.js'
import { script, type Link } from './link.js'
import { fromTold, marksTail, toTold, type ToldMark } from './messages.js'

/*
 * The control plane in Redis, under one hash tag:
 *
 *   clock   hash: incarnation, epoch, count (of marks), softFloor, softDeadline, hardFloor
 *   marks   sorted set: '<h|s>|<origin>|<tag>' by the epoch of its newest order
 *   facts   hash: the same member → [[epoch, deadline], …], oldest first
 *   log     sorted set: '<epoch>:<id>' of the last orders, to notice a past that has changed
 *
 * `origin` is empty, or the incarnation that a mark was written back from:
 * its epochs are those of that incarnation then.
 */

/** Marks kept; beyond it the oldest go and a floor rises. */
const MOST_MARKS = 10_000
/** Marks looked up at once; more if a single order has more. */
const PAGE = 2000
const BATCH = 200

const ADD = `
local function never (deadline) return deadline < 0 and math.huge or deadline end
local function add (member, isHard, epoch, deadline, now)
  local raw = redis.call('HGET', KEYS[3], member)
  local steps = raw and cjson.decode(raw) or {}
  local kept = {}
  for _, step in ipairs(steps) do
    if step[1] >= epoch and never(step[2]) <= never(deadline) then return false end
    if not (step[1] <= epoch and never(step[2]) >= never(deadline)) then kept[#kept + 1] = step end
  end
  if isHard then kept = {} end
  kept[#kept + 1] = { epoch, deadline }
  table.sort(kept, function (a, b) return a[1] < b[1] end)
  -- Of those that are over, the newest says it all.
  while #kept > 1 and never(kept[2][2]) <= now do table.remove(kept, 1) end
  -- Beyond some the two oldest become one, as strict as both.
  while #kept > 16 do
    kept[2][2] = kept[1][2]
    table.remove(kept, 1)
  end
  redis.call('HSET', KEYS[3], member, cjson.encode(kept))
  return true
end
local function trim (most)
  while redis.call('ZCARD', KEYS[2]) > most do
    local popped = redis.call('ZPOPMIN', KEYS[2])
    local member, epoch = popped[1], popped[2]
    local floors = redis.call('HMGET', KEYS[1], 'softFloor', 'softDeadline', 'hardFloor')
    if string.sub(member, 1, 1) == 'h' then
      redis.call('HSET', KEYS[1], 'hardFloor', math.max(tonumber(floors[3] or 0), tonumber(epoch)))
    else
      local deadline = tonumber(floors[2] or -1)
      for _, step in ipairs(cjson.decode(redis.call('HGET', KEYS[3], member) or '[]')) do
        if never(step[2]) < never(deadline) then deadline = step[2] end
      end
      redis.call('HSET', KEYS[1], 'softFloor', math.max(tonumber(floors[1] or 0), tonumber(epoch)), 'softDeadline', string.format('%d', deadline))
    end
    redis.call('HDEL', KEYS[3], member)
  end
  redis.call('HSET', KEYS[1], 'count', redis.call('ZCARD', KEYS[2]))
end
local function count (text) return string.format('%.0f', tonumber(text or 0) or 0) end
`

/** All of it is there, and nothing has been undone. */
const IS_WHOLE = `
local function isWhole ()
  local marks = tonumber(redis.call('HGET', KEYS[1], 'count') or 0)
  return redis.call('ZCARD', KEYS[2]) == marks and redis.call('HLEN', KEYS[3]) == marks
end
-- What is older than all that is remembered says nothing.
local function isForked (id)
  if id == '' or redis.call('ZSCORE', KEYS[4], id) then return false end
  local oldest = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
  return oldest[2] and tonumber(oldest[2]) <= tonumber(string.match(id, '^%d+') or 0)
end
`

/** ARGV: new incarnation or '' to read only, known incarnation, highest epoch seen, id of the last order applied, channel, beat. */
const BEAT = script(`${IS_WHOLE}
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
local counted = redis.call('HGET', KEYS[1], 'epoch') or '0'
-- As HINCRBY would have it.
local isCount = #counted < 11 and string.match(counted, '^%d+$')
local epoch = tonumber(counted)
if not isCount then epoch = 0 end
local seen = tonumber(ARGV[3])
local isLost = not incarnation or not isCount or not isWhole() or (incarnation == ARGV[2] and (epoch < seen or isForked(ARGV[4])))
if isLost and ARGV[1] ~= '' then
  incarnation = ARGV[1]
  epoch = math.max(epoch, seen) + 1
  redis.call('HSET', KEYS[1], 'incarnation', incarnation, 'epoch', string.format('%.0f', epoch), 'count', redis.call('ZCARD', KEYS[2]))
  redis.call('DEL', KEYS[4])
  if redis.call('HLEN', KEYS[3]) ~= redis.call('ZCARD', KEYS[2]) then
    redis.call('DEL', KEYS[2], KEYS[3])
    redis.call('HSET', KEYS[1], 'count', 0)
  end
end
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[6]) end
local time = redis.call('TIME')
return { incarnation or '', string.format('%.0f', epoch), time[1], time[2] }
`)

/** ARGV: incarnation, id, now, most marks, channel, message tail, then kind, tag, deadline of each. */
const ORDER = script(`${ADD}${IS_WHOLE}
-- What is missing must be noticed first: with this order it would look whole.
if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] or not isWhole() then return false end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
for i = 7, #ARGV, 3 do
  local member = ARGV[i] .. '||' .. ARGV[i + 1]
  add(member, ARGV[i] == 'h', epoch, tonumber(ARGV[i + 2]), tonumber(ARGV[3]))
  redis.call('ZADD', KEYS[2], epoch, member)
end
trim(tonumber(ARGV[4]))
redis.call('ZADD', KEYS[4], epoch, count(epoch) .. ':' .. ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1001)
redis.call('PUBLISH', ARGV[5], '{"v":1,"e":' .. count(epoch) .. ',' .. ARGV[6])
return count(epoch)
`)

/** ARGV: incarnation, id, now, most marks, channel, message tail, then kind, origin, tag, epoch, deadline of each. */
const WRITE_BACK = script(`${ADD}
if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] then return false end
local changed = {}
for i = 7, #ARGV, 5 do
  local member = ARGV[i] .. '|' .. ARGV[i + 1] .. '|' .. ARGV[i + 2]
  if add(member, ARGV[i] == 'h', tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), tonumber(ARGV[3])) then changed[#changed + 1] = member end
end
if #changed == 0 then return '0' end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
for _, member in ipairs(changed) do redis.call('ZADD', KEYS[2], epoch, member) end
trim(tonumber(ARGV[4]))
redis.call('ZADD', KEYS[4], epoch, count(epoch) .. ':' .. ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1001)
redis.call('PUBLISH', ARGV[5], '{"v":1,"e":' .. count(epoch) .. ',' .. ARGV[6])
return count(epoch)
`)

/** ARGV: epoch (exclusive), page size. */
const LIST = script(`${ADD}
local clock = redis.call('HMGET', KEYS[1], 'incarnation', 'epoch', 'softFloor', 'softDeadline', 'hardFloor')
local newest = redis.call('ZREVRANGE', KEYS[4], 0, 0)
local reply = { clock[1] or '', count(clock[2]), count(clock[3]), tostring(clock[4] or '-1'), count(clock[5]), newest[1] or '' }
local marks = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #marks, 2 do
  reply[#reply + 1] = count(marks[i + 1])
  reply[#reply + 1] = marks[i]
  reply[#reply + 1] = redis.call('HGET', KEYS[3], marks[i]) or '[]'
end
return reply
`)

export interface Beat {
  incarnation: string
  epoch: number
  /** Milliseconds, of Redis. */
  time: number
}

export interface Past {
  incarnation: string
  epoch: number
  /** Of the order at `epoch`, or of the last before it. */
  id: string
  marks: Mark[]
  floors: Floor[]
}

/** Orders in Redis: given, looked up, and written back to a Redis that has lost them. */
export class RedisMarks {
  readonly #link: Link
  readonly #keys: string[]
  readonly #channel: string
  readonly #source: string
  readonly #clock: () => number
  readonly #most: number

  constructor ({ link, prefix, channel, source, clock, most = MOST_MARKS }: { link: Link, prefix: string, channel: string, source: string, clock: () => number, most?: number }) {
    this.#link = link
    this.#keys = ['clock', 'marks', 'facts', 'log'].map(name => `{${prefix}}:${name}`)
    this.#channel = channel
    this.#source = source
    this.#clock = clock
    this.#most = most
  }

  /** Where logical time is. Begins another incarnation, if it may, when Redis has lost something of this one. */
  async beat ({ fresh, known, seen, id, channel, beat }: { fresh: string, known: string, seen: number, id: string, channel: string, beat: number }): Promise<Beat> {
    const [incarnation, epoch, seconds, microseconds] = texts(await this.#link.run(BEAT, this.#keys, [fresh, known, seen, id, channel, beat]))
    return { incarnation: incarnation ?? '', epoch: Number(epoch), time: Number(seconds) * 1000 + Number(microseconds) / 1000 }
  }

  /** Null when another incarnation has begun. */
  async order (incarnation: string, id: string, orders: readonly Order[]): Promise<number | null> {
    const told: ToldMark[] = orders.map(({ kind, tag, deadline }) => [letterOf(kind), '', tag, 0, toTold(deadline)])
    const fields = told.flatMap(([kind, , tag, , deadline]) => [kind, tag, deadline])
    return await this.#give(ORDER, incarnation, id, told, fields)
  }

  /** Marks of earlier incarnations, so that whoever comes later knows them. */
  async writeBack (incarnation: string, id: string, marks: readonly Mark[]): Promise<void> {
    for (let at = 0; at < marks.length; at += BATCH) {
      const told: ToldMark[] = marks.slice(at, at + BATCH).map(({ kind, incarnation: origin = '', tag, epoch, deadline }) => [letterOf(kind), origin, tag, Math.floor(epoch), toTold(deadline)])
      await this.#give(WRITE_BACK, incarnation, id, told, told.flat())
    }
  }

  /** What was ordered after an epoch. */
  async since (epoch: number): Promise<Past> {
    const marks: Mark[] = []
    for (let from = epoch, size = PAGE; ;) {
      const [incarnation = '', now, softFloor, softDeadline, hardFloor, newest = '', ...rest] = texts(await this.#link.run(LIST, this.#keys, [from, size]))
      let last = from
      let before = from
      for (let at = 0; at < rest.length; at += 3) {
        const score = Number(rest[at])
        if (score > last) [before, last] = [last, score]
        marks.push(...readMember(rest[at + 1] ?? '', rest[at + 2] ?? '[]', incarnation))
      }
      if (rest.length < size * 3) {
        const floors: Floor[] = []
        if (Number(softFloor) > 0) floors.push({ kind: 'soft', epoch: Number(softFloor), deadline: fromTold(Number(softDeadline)), incarnation })
        if (Number(hardFloor) > 0) floors.push({ kind: 'hard', epoch: Number(hardFloor), deadline: 0, incarnation })
        return { incarnation, epoch: Number(now), id: newest, marks, floors }
      }
      // The last order of a page may go on in the next, and one may be more than a page.
      if (before === from) size *= 2
      from = before
    }
  }

  async #give (order: typeof ORDER, incarnation: string, id: string, told: readonly ToldMark[], fields: readonly (string | number)[]): Promise<number | null> {
    const tail = marksTail(incarnation, this.#source, id, told)
    const reply = await this.#link.run(order, this.#keys, [incarnation, id, Math.floor(this.#clock()), this.#most, this.#channel, tail, ...fields])
    return typeof reply === 'string' ? Number(reply) : null
  }
}

function readMember (member: string, facts: string, incarnation: string): Mark[] {
  const [kind = '', origin = '', ...tag] = member.split('|')
  const steps = parseSteps(facts)
  return steps.map(([epoch, deadline]) => ({
    kind: kind === 'h' ? 'hard' : 'soft',
    tag: tag.join('|'),
    epoch,
    deadline: fromTold(deadline),
    incarnation: origin === '' ? incarnation : origin
  }))
}

function parseSteps (facts: string): [number, number][] {
  try {
    const steps: unknown = JSON.parse(facts)
    return Array.isArray(steps) ? steps.filter((step): step is [number, number] => Array.isArray(step) && typeof step[0] === 'number' && typeof step[1] === 'number') : []
  } catch {
    return []
  }
}

function letterOf (kind: Mark['kind']): 'h' | 's' {
  return kind === 'hard' ? 'h' : 's'
}

function texts (reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map(String) : []
}
