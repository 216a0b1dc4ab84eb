import path from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { Health, RedisStats } from '../types/index.js'
import { GuardedTier } from './cache/guarded-tier.js'
import { RedisTier } from './cache/redis-tier.js'
import { SharedTier } from './cache/shared-tier.js'
import type { Coordinator, Lease } from './cluster/coordinator.js'
import { LocalCoordinator } from './cluster/local.js'
import { MarkLog } from './cluster/mark-log.js'
import { RedisCoordinator } from './cluster/redis.js'
import { RedisLink, type RedisLinkOptions } from './cluster/redis-link.js'
import type { RedisSettings, Settings } from './options.js'
import { channels } from './telemetry.js'

/** Orders from disk that are given at once. */
const BATCH = 500
/** Seconds: longer than anything is kept. */
const YEAR = 31_536_000

/** How this process and others that share its pages know of each other. */
export interface Connected {
  readonly coordinator: Coordinator
  /** Where pages are shared, other than on a disk. */
  readonly shared: SharedTier | null
  /** Milliseconds; the same on all machines that share a Redis. */
  readonly clock: () => number
  /** Looks for orders that were left on this disk. */
  lookForOrders (): Promise<void>
  /** The right to do something once for all instances. */
  claim (buildId: string, what: string): Promise<Lease | null>
  health (): Health
  stats (): RedisStats | null
}

export interface ConnectOptions {
  settings: Settings
  log: FastifyBaseLogger
  /** Only looks up where logical time is. */
  isBuild: boolean
  /** Whether there are pages on disk that marks have to outlive. */
  hasPages: () => boolean
  onMarkTrouble: (operation: 'read' | 'write', error: Error) => void
  /** Redis can be asked, for the first time or again. */
  onConnected: () => void
}

export function connect (options: ConnectOptions): Connected {
  const { settings, hasPages, onMarkTrouble } = options
  const isDiskOn = settings.enabled && settings.disk !== false
  const marks = isDiskOn ? new MarkLog(path.join(settings.dir, '.isr', 'marks'), hasPages, onMarkTrouble) : null
  const { redis } = settings
  return redis === null || !settings.enabled ? connectLocally(options, marks) : connectToRedis(options, redis, marks)
}

function connectLocally ({ settings, log, isBuild }: ConnectOptions, marks: MarkLog | null): Connected {
  const coordinator = new LocalCoordinator(settings.clock, marks)
  return {
    coordinator,
    shared: settings.tier === null || !settings.enabled || isBuild ? null : share({ tier: new GuardedTier(settings.tier), secret: null, maxAge: YEAR }, log),
    clock: settings.clock,
    lookForOrders: () => coordinator.catchUp(),
    claim: async () => null,
    health: () => ({ redis: 'off', epoch: null, lag: 0 }),
    stats: () => null
  }
}

function connectToRedis ({ settings, log, isBuild, onConnected }: ConnectOptions, redis: RedisSettings, marks: MarkLog | null): Connected {
  const { prefix, commandTimeout, heartbeat, leaseTtl, maxAge, secret } = redis
  const link = new RedisLink({
    // What else it must be able to do, ioredis and iovalkey can.
    client: redis.client as unknown as RedisLinkOptions['client'],
    commandTimeout,
    home: `{${prefix}}:clock`,
    onTrouble: err => { log.warn({ err }, 'Redis refuses to tell of orders: they are looked up at every heartbeat') }
  })
  const coordinator: RedisCoordinator = new RedisCoordinator({
    link,
    prefix,
    heartbeat,
    leaseTtl,
    clock: settings.clock,
    isReadOnly: isBuild,
    onConnected: () => {
      log.info('connected to Redis')
      onConnected()
    },
    onDisconnected: err => { log.warn({ err }, 'not all of Redis can be reached: pages are served from memory and disk, orders that it can\'t be given hold in this process until it is back') },
    onRefused: err => { log.warn({ err }, 'Redis takes no orders: they hold in this process until it does') },
    onTurn: event => { if (channels.lease.hasSubscribers) channels.lease.publish(event) }
  })
  const tier = settings.tier === null ? new RedisTier(link, { prefix, maxAge }) : new GuardedTier(settings.tier)
  const shared = isBuild ? null : share({ tier, secret, maxAge }, log)
  let isHandingOver = false
  const health = (): Health => ({ redis: coordinator.isDisconnected ? 'degraded' : 'connected', epoch: coordinator.facts.epoch, lag: coordinator.facts.lag })
  return {
    coordinator,
    shared,
    clock: coordinator.clock,
    async lookForOrders () {
      // Given to this disk, meant for all: the command line knows of no Redis.
      // Those that Redis has refused wait already: given again, they would only count as newer.
      if (isBuild || isHandingOver || coordinator.isDisconnected || coordinator.facts.queued > 0) return
      isHandingOver = true
      try {
        await marks?.handOver(async (found) => {
          for (let at = 0; at < found.length; at += BATCH) {
            if ((await coordinator.order(found.slice(at, at + BATCH))).degraded) return false
          }
          return true
        })
      } finally {
        isHandingOver = false
      }
    },
    claim: (buildId, what) => coordinator.claim(buildId, what),
    health,
    stats () {
      const { redis: status, ...more } = health()
      const { incarnation, queued } = coordinator.facts
      const { reads = 0, hits = 0, writes = 0, errors = 0 } = shared ?? {}
      return {
        ...more,
        status: status === 'connected' ? status : 'degraded',
        incarnation,
        queued,
        commands: link.commands,
        leases: coordinator.granted,
        tier: { reads, hits, writes, errors }
      }
    }
  }
}

function share (options: Pick<ConstructorParameters<typeof SharedTier>[0], 'tier' | 'secret' | 'maxAge'>, log: FastifyBaseLogger): SharedTier {
  /** Troubles reported and not over yet: once per outage, not per page. */
  const reported = new Set<string>()
  return new SharedTier({
    ...options,
    onError (operation, key, error) {
      if (channels['tier-error'].hasSubscribers) channels['tier-error'].publish({ tier: options.tier.name, operation, key, error })
      if (reported.has(operation)) return
      reported.add(operation)
      log.warn({ err: error, key, operation, tier: options.tier.name }, `the shared tier could not ${operation}; pages are served without it`)
    },
    onWorking (operation) { reported.delete(operation) }
  })
}
