import path from 'node:path'
import t, { type Test } from 'tap'
import { MemoryTier } from '../../lib/cache/memory-tier.js'
import { replaces } from '../../lib/cache/tier-version.js'
import { tierContract, type MakeTier } from '../../lib/test/tier-contract.js'
import type { IsrTier, IsrTierRecord } from '../../types/index.js'
import { S3Tier } from '../../example-app/s3-tier.js'
import { makeDisk } from '../helpers/engine.js'
import { startObjectStore } from '../helpers/object-store.js'
import { startRedis, startRedisCluster } from '../helpers/redis-server.js'
import { openClusterLink, openLink, overLink } from '../helpers/redis-tier.js'
import { overDisk, overMemory } from '../helpers/tier-adapters.js'

const MiB = 1024 * 1024

const places: Record<string, (t: Test) => Promise<MakeTier> | MakeTier> = {
  memory: () => {
    const memory = new MemoryTier<IsrTierRecord>(64 * MiB)
    return () => overMemory(memory)
  },
  'a disk': (t) => {
    const { disk } = makeDisk(path.join(t.testdir(), '.isr'), { maxBytes: 64 * MiB })
    disk.open()
    const turns = new Map<string, Promise<unknown>>()
    return () => overDisk(disk, turns)
  },
  Redis: async (t) => {
    const server = await startRedis(t)
    return async () => overLink(await openLink(t, server))
  },
  'Redis with a prefix for all keys': async (t) => {
    const server = await startRedis(t)
    return async () => overLink(await openLink(t, server, { keyPrefix: 'app:' }))
  },
  'a Redis Cluster': async (t) => {
    const cluster = await startRedisCluster(t)
    return async () => overLink(await openClusterLink(t, cluster))
  },
  'an object store': async (t) => {
    const { url } = await startObjectStore(t)
    return () => new S3Tier({ url })
  }
}

for (const [place, start] of Object.entries(places)) {
  t.test(`a tier over ${place} keeps the contract`, async (t) => {
    const makeTier = await start(t)
    for (const { name, run } of tierContract(makeTier)) await t.test(name, async () => { await run() })
  })
}

/** Memory with one thing wrong. */
function broken (breaks: (tier: IsrTier, memory: MemoryTier<IsrTierRecord>) => Partial<IsrTier>): MakeTier {
  const memory = new MemoryTier<IsrTierRecord>(64 * MiB)
  return () => {
    const tier = overMemory(memory)
    const whole: IsrTier = {
      name: tier.name,
      get: (name, options) => tier.get(name, options),
      set: (name, record) => tier.set(name, record),
      delete: (name, version) => tier.delete(name, version),
      close: async () => { await tier.close?.() }
    }
    return { ...whole, ...breaks(whole, memory) }
  }
}

const soon = async (): Promise<void> => { await new Promise(setImmediate) }

const mutants: Record<string, [caughtBy: RegExp, MakeTier]> = {
  'without a name': [/has a name/, broken(() => ({ name: '' }))],
  'that gives undefined for nothing': [/null when there is nothing/, broken(tier => ({ get: async (...args) => await tier.get(...args) ?? undefined as never }))],
  'that keeps text': [/every byte/, broken(tier => ({ set: (name, record) => tier.set(name, { ...record, bytes: Buffer.from(record.bytes.toString()) }) }))],
  'that takes empty for none': [/empty value/, broken(tier => ({ get: async (...args) => { const bytes = await tier.get(...args); return bytes?.length === 0 ? null : bytes } }))],
  'that cuts what is long': [/5 MiB/, broken(tier => ({ set: (name, record) => tier.set(name, { ...record, bytes: record.bytes.subarray(0, MiB) }) }))],
  'that ignores case': [/mistake a name/, broken(tier => ({
    get: (name, options) => tier.get(name.toLowerCase(), options),
    set: (name, record) => tier.set(name.toLowerCase(), record),
    delete: (name, version) => tier.delete(name.toLowerCase(), version)
  }))],
  'that lets the last one win': [/higher epoch|later one|many writers/, broken((_tier, memory) => ({ set: async (name, record) => memory.set(name, record, record.bytes.length) }))],
  'that compares texts': [/higher epoch/, broken((tier, memory) => ({
    set: async (name, record) => String(memory.peek(name)?.version.epoch ?? '') <= String(record.version.epoch) && await tier.set(name, record)
  }))],
  'that compares epochs alone': [/later one/, broken((_tier, memory) => ({
    set: async (name, record) => replaces({ ...record.version, renderedAt: 1e15 }, memory.peek(name)?.version ?? record.version) && memory.set(name, record, record.bytes.length)
  }))],
  'that compares times first': [/higher epoch/, broken((_tier, memory) => ({
    set: async (name, record) => (memory.peek(name)?.version.renderedAt ?? 0) <= record.version.renderedAt && memory.set(name, record, record.bytes.length)
  }))],
  'that refuses an equal version': [/equal version/, broken((tier, memory) => ({
    set: async (name, record) => JSON.stringify(memory.peek(name)?.version) !== JSON.stringify(record.version) && await tier.set(name, record)
  }))],
  'that ignores incarnations': [/another incarnation/, broken(tier => ({ set: (name, record) => tier.set(name, { ...record, version: { ...record.version, incarnation: 'one' } }) }))],
  'that takes no incarnation for another one': [/without incarnation/, broken(tier => ({ set: (name, record) => tier.set(name, { ...record, version: { ...record.version, incarnation: record.version.incarnation || 'none' } }) }))],
  'that deletes whatever is there': [/leaves what is newer/, broken((_tier, memory) => ({ delete: async (name) => { memory.delete(name); return true } }))],
  'that deletes nothing': [/deletes what is not newer/, broken(() => ({ delete: async () => true }))],
  'that says whether there was something': [/deletes nothing/, broken((tier, memory) => ({ delete: async (name, version) => memory.peek(name) !== undefined && await tier.delete(name, version) }))],
  'that ignores maxBytes': [/maxBytes/, broken(tier => ({ get: name => tier.get(name, { maxBytes: Infinity }) }))],
  'that keeps what it has read': [/another client/, (() => {
    const make = broken(tier => {
      const cache = new Map<string, Buffer | null>()
      return { get: async (name, options) => { if (!cache.has(name)) cache.set(name, await tier.get(name, options)); return cache.get(name) ?? null } }
    })
    return make
  })()],
  'that looks before it writes': [/many writers/, broken((_tier, memory) => ({
    async set (name, record) {
      const standing = memory.peek(name)
      await soon()
      return (standing === undefined || replaces(record.version, standing.version)) && memory.set(name, record, record.bytes.length)
    }
  }))],
  'that writes by deleting first': [/readers whole values/, broken((tier, memory) => ({
    async set (name, record) {
      const standing = memory.peek(name)
      if (standing !== undefined && !replaces(record.version, standing.version)) return false
      memory.delete(name)
      await soon()
      return await tier.set(name, record)
    }
  }))],
  'that remembers what it deleted': [/remembers no version/, (() => {
    const gone = new Map<string, IsrTierRecord['version']>()
    return broken(tier => ({
      set: async (name, record) => replaces(record.version, gone.get(name) ?? record.version) && await tier.set(name, record),
      delete: async (name, version) => { gone.set(name, version); return await tier.delete(name, version) }
    }))
  })()],
  'that does not prolong': [/for as long/, broken((tier, memory) => {
    return {
      set: async (name, record) => {
        const isFirst = memory.peek(name) === undefined || record.maxAge < 1
        if (isFirst && record.maxAge < 1) setTimeout(() => { memory.delete(name) }, record.maxAge * 1000)
        return await tier.set(name, record)
      }
    }
  })],
  'that answers when closed': [/when closed/, broken(() => ({ close: async () => {} }))]
}

t.test('the contract catches a tier', async (t) => {
  const catches = await Promise.all(Object.values(mutants).map(async ([, makeTier]) => {
    const caught: string[] = []
    for (const { name, run } of tierContract(makeTier)) await run().catch(() => { caught.push(name) })
    return caught
  }))
  for (const [index, [flaw, [caughtBy]]] of Object.entries(mutants).entries()) {
    const caught = catches[index] ?? []
    t.ok(caught.some(name => caughtBy.test(name)), `${flaw}: ${caught.join(', ') || 'not caught'}`)
  }
})
