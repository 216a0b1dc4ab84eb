// The server process of bench/soak.ts: looks into itself when the parent asks, and at the end closes
// the app and expects that nothing keeps it alive.
import type { EventEmitter } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { Stream } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import fastify, { type FastifyInstance } from 'fastify'
import { channels } from '../lib/telemetry.js'
import { Redis } from 'ioredis'
import type { Listening } from './server.js'
import soakApp, { SETTINGS, type SoakSettings } from './soak-app.js'

export type Counts = Record<string, number>

/** Bytes, at rest and after a garbage collection. */
export interface SoakMemory {
  rss: number
  heapUsed: number
  external: number
  arrayBuffers: number
}

export interface SoakSample {
  memory: SoakMemory
  /** What keeps the event loop alive, by type. */
  handles: Counts
  /** Objects on the heap, by class; timers that keep nothing alive as well. */
  objects: Counts
  listeners: Counts
  /** Tables of the plugin. */
  tables: Counts
  /** What has happened since the start. */
  events: Counts
}

export interface Closed {
  /** Until `app.close()` was over (milliseconds). */
  milliseconds: number
  /** What would keep the process alive. */
  handles: string[]
}

export type SoakQuestion = { type: 'sample' | 'memory', connections: number } | { type: 'close' }

const settings = JSON.parse(process.env[SETTINGS] ?? '{}') as SoakSettings
/** Milliseconds that it may take until nothing is under way. */
const PATIENCE = 20_000
const CLASSES: Record<string, { readonly prototype: unknown }> = {
  // Its class has no public name.
  Timeout: setTimeout(() => {}, 0).constructor,
  AbortSignal,
  // Sockets, requests, answers, files: one question for all, for each takes several garbage collections.
  Stream
}

const clients = new Set<Redis>()
const sockets = new Set<Socket>()

/** One whose copies, which are what the plugin uses, are known here. */
function redisClient (port: number): Redis {
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true })
  const duplicate = client.duplicate.bind(client)
  client.duplicate = (...args) => {
    const copy = duplicate(...args)
    clients.add(copy)
    copy.once('end', () => { clients.delete(copy) })
    return copy
  }
  return client
}

function listenersOf (emitter: EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0)
}

function most (emitters: Iterable<EventEmitter>): number {
  return Math.max(0, ...[...emitters].map(listenersOf))
}

/** How many listen is not public. */
function subscribersOf (channel: object): number {
  return (channel as { _subscribers?: { length: number } })._subscribers?.length ?? 0
}

function tally (names: Iterable<string>): Counts {
  const counts: Counts = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** Renders behind have ended, and those who have gone are known to have gone. */
async function settle (app: FastifyInstance, connections: number): Promise<void> {
  const deadline = Date.now() + PATIENCE
  for (let calm = 0; calm < 3 && Date.now() < deadline;) {
    await sleep(50)
    const { running, queued } = app.isr.stats().renders
    calm = running + queued === 0 && sockets.size <= connections ? calm + 1 : 0
  }
}

async function collect (): Promise<void> {
  for (let times = 0; times < 2; times++) {
    globalThis.gc?.()
    // Buffers go some time after what held them.
    await sleep(50)
  }
}

async function memoryOf (app: FastifyInstance, connections: number): Promise<SoakMemory> {
  await settle(app, connections)
  await collect()
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  return { rss, heapUsed, external, arrayBuffers }
}

async function sample (app: FastifyInstance, connections: number): Promise<SoakSample> {
  const used = await memoryOf(app, connections)
  const { requests, renders, memory, disk, redis, expressLane } = app.isr.stats()
  const { running, queued, ...rendered } = renders
  return {
    memory: used,
    handles: tally(process.getActiveResourcesInfo()),
    objects: Object.fromEntries(Object.entries(CLASSES).map(([name, type]) => [name, queryObjects(type as Parameters<typeof queryObjects>[0], { format: 'count' })])),
    listeners: {
      process: listenersOf(process),
      server: listenersOf(app.server),
      'each socket': most(sockets),
      'Redis clients': clients.size,
      'each Redis client': most(clients),
      channels: Object.values(channels).reduce((sum, channel) => sum + subscribersOf(channel), 0)
    },
    tables: {
      'pages and data in memory': memory.entries,
      'bytes in memory': memory.bytes,
      'entries on disk': disk?.entries ?? 0,
      'bytes on disk': disk?.bytes ?? 0,
      'renders running': running,
      'renders queued': queued,
      'orders queued': redis?.queued ?? 0,
      sockets: sockets.size
    },
    events: {
      ...requests,
      ...Object.fromEntries(Object.entries(rendered).map(([name, count]) => [`renders ${name}`, count])),
      evictions: memory.evictions,
      'disk errors': disk?.errors ?? 0,
      ...redis !== null && { 'Redis commands': redis.commands, 'pages from Redis': redis.tier.hits, 'Redis errors': redis.tier.errors },
      ...expressLane !== null && { 'express lane': expressLane.hits }
    }
  }
}

const app = fastify()
let inner: FastifyInstance = app
await app.register(async (instance) => {
  await soakApp(instance, settings.redisPort === null ? {} : { redis: redisClient(settings.redisPort) })
  inner = instance
})
app.server.on('connection', (socket: Socket) => {
  sockets.add(socket)
  socket.once('close', () => { sockets.delete(socket) })
})
await app.listen({ host: '127.0.0.1', port: 0 })

const onGone = (): void => { process.exit(1) }
process.on('disconnect', onGone)
process.on('message', async (question: SoakQuestion) => {
  if (question.type === 'memory') return process.send?.(await memoryOf(inner, question.connections))
  if (question.type === 'sample') return process.send?.(await sample(inner, question.connections))
  const startedAt = performance.now()
  await app.close()
  const closed: Closed = { milliseconds: performance.now() - startedAt, handles: process.getActiveResourcesInfo() }
  process.off('disconnect', onGone)
  process.send?.(closed, () => { process.disconnect() })
})
process.send?.({ port: (app.server.address() as AddressInfo).port } satisfies Listening)
