// The tiers of one instance as tiers that could be shared: what a tier of somebody else may look like.
import type { IsrTier, IsrTierRecord, IsrTierVersion } from '../../types/index.js'
import type { DiskTier } from '../../lib/cache/disk-tier.js'
import type { Entry } from '../../lib/cache/entry.js'
import type { MemoryTier } from '../../lib/cache/memory-tier.js'
import { replaces } from '../../lib/cache/tier-version.js'

export function overMemory (memory: MemoryTier<IsrTierRecord>): IsrTier {
  const mayReplace = (name: string, version: IsrTierVersion): boolean => {
    const standing = memory.peek(name)
    return standing === undefined || replaces(version, standing.version)
  }
  return new Closable('memory', {
    async get (name, { maxBytes }) {
      const bytes = memory.get(name)?.bytes ?? null
      return bytes !== null && bytes.length > maxBytes ? null : bytes
    },
    async set (name, record) {
      return mayReplace(name, record.version) && memory.set(name, record, record.bytes.length)
    },
    async delete (name, version) {
      if (!mayReplace(name, version)) return false
      memory.delete(name)
      return true
    }
  })
}

let writes = 0

/** `buildId` is that of the disk tier; clients of one place share `turns`. */
export function overDisk (disk: DiskTier, turns = new Map<string, Promise<unknown>>()): IsrTier {
  const inTurn = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const turn = (turns.get(name) ?? Promise.resolve()).then(work)
    turns.set(name, turn.catch(() => {}))
    return await turn
  }
  const versionOf = ({ meta }: Entry): IsrTierVersion => meta['version'] as IsrTierVersion
  const mayReplace = async (name: string, version: IsrTierVersion): Promise<boolean> => {
    const standing = await disk.read(name)
    return standing === null || replaces(version, versionOf(standing))
  }
  return new Closable('disk', {
    async get (name, { maxBytes }) {
      const bytes = (await disk.read(name))?.bodies[0]?.bytes ?? null
      return bytes !== null && bytes.length > maxBytes ? null : bytes
    },
    set: async (name, { bytes, version }) => await inTurn(name, async () => {
      if (!await mayReplace(name, version)) return false
      await disk.write({
        key: name,
        buildId: disk.buildId,
        // What comes later is newer for the disk, whatever it is for the tier.
        epoch: ++writes,
        renderedAt: 0,
        ttl: Infinity,
        staleWhileRevalidate: 0,
        staleIfError: 0,
        jitter: 0,
        tags: [],
        meta: { version },
        hash: '',
        bodies: [{ encoding: 'identity', bytes }]
      })
      return true
    }),
    delete: async (name, version) => await inTurn(name, async () => {
      if (!await mayReplace(name, version)) return false
      await disk.delete(name)
      return true
    })
  })
}

/** One client of a place that goes on without it. */
class Closable implements IsrTier {
  readonly name: string
  readonly #place: Pick<IsrTier, 'get' | 'set' | 'delete'>
  #isClosed = false

  constructor (name: string, place: Pick<IsrTier, 'get' | 'set' | 'delete'>) {
    this.name = name
    this.#place = place
  }

  async get (name: string, options: { maxBytes: number }): Promise<Buffer | null> {
    return await this.#open.get(name, options)
  }

  async set (name: string, record: IsrTierRecord): Promise<boolean> {
    return await this.#open.set(name, record)
  }

  async delete (name: string, version: IsrTierVersion): Promise<boolean> {
    return await this.#open.delete(name, version)
  }

  async close (): Promise<void> {
    this.#isClosed = true
  }

  get #open (): Pick<IsrTier, 'get' | 'set' | 'delete'> {
    if (this.#isClosed) throw new Error('closed')
    return this.#place
  }
}
