import { Cluster, Redis } from 'ioredis'
import type { Test } from 'tap'
import { RedisTier } from '../../lib/cache/redis-tier.js'
import { RedisLink } from '../../lib/cluster/redis-link.js'
import type { IsrTier } from '../../types/index.js'
import type { RedisCluster, RedisServer } from './redis-server.js'

const deaf = { message () {}, subscribed () {}, up () {}, down () {} }

/** A link that is up. */
export async function openLink (t: Test, { host, port }: Pick<RedisServer, 'host' | 'port'>, { keyPrefix = '', commandTimeout = 5000 } = {}): Promise<RedisLink> {
  return await open(t, new Redis({ host, port, keyPrefix, lazyConnect: true }), commandTimeout)
}

export async function openClusterLink (t: Test, { seeds }: RedisCluster, commandTimeout = 5000): Promise<RedisLink> {
  return await open(t, new Cluster([...seeds], { lazyConnect: true }), commandTimeout)
}

async function open (t: Test, client: Redis | Cluster, commandTimeout: number): Promise<RedisLink> {
  const link = new RedisLink({ client, commandTimeout })
  t.teardown(() => link.close())
  await link.start(['isr:test'], deaf)
  return link
}

/** A tier that closes its link, as somebody's own tier would. */
export function overLink (link: RedisLink): IsrTier {
  const tier = new RedisTier(link, { prefix: 'isr', maxAge: 604_800 })
  return {
    name: tier.name,
    get: (name, options) => tier.get(name, options),
    set: (name, record) => tier.set(name, record),
    delete: (name, version) => tier.delete(name, version),
    close: () => link.close()
  }
}
