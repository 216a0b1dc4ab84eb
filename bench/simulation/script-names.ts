import type { Script } from '../../lib/cluster/link.js'

export type ScriptName = 'beat' | 'look up' | 'order' | 'write back' | 'turn' | 'renew' | 'release' | 'claim' | 'read' | 'write' | 'delete'

/** What only one script has; the first that fits. */
const MARKS: readonly [what: string, name: ScriptName][] = [
  ['isLost', 'beat'],
  ['changed[#changed', 'write back'],
  ["redis.call('HINCRBY'", 'order'],
  ["redis.call('ZRANGEBYSCORE'", 'look up'],
  ["'granted'", 'turn'],
  ["'NX'", 'claim'],
  ["redis.call('HSTRLEN'", 'read'],
  ["redis.call('HSET'", 'write'],
  ["redis.call('PUBLISH'", 'release'],
  ["redis.call('PEXPIRE'", 'renew'],
  ["redis.call('DEL'", 'delete']
]

const names = new Map<string, ScriptName>()

/** Scripts have no names of their own. */
export function nameOf ({ sha, lua }: Script): ScriptName {
  const known = names.get(sha)
  if (known !== undefined) return known
  const name = MARKS.find(([what]) => lua.includes(what))?.[1]
  if (name === undefined) throw new Error(`an unknown script:\n${lua}`)
  names.set(sha, name)
  return name
}
