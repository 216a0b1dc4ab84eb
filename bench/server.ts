// The server process of one candidate: serves until its parent goes, and tells it what it has
// used whenever it asks.
import type { AddressInfo } from 'node:net'
import { Session, type Profiler } from 'node:inspector/promises'
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Candidate, Setting } from './candidate.js'

export interface Listening {
  port: number
}

/** The app could not be made. */
export interface Refused {
  refused: string
}

export type Question = 'cpu' | 'collect' | 'memory' | 'profile' | 'profiled'

export interface Memory {
  heap: number
  /** Buffers. */
  external: number
  /** Since the last `collect`. */
  collections: number
}

/** Milliseconds after which the observer of collections has been told. */
const NOTICED = 50

let collections = 0

/** Buffers go some time after what held them. */
async function collect (): Promise<void> {
  globalThis.gc?.()
  await sleep(NOTICED)
  globalThis.gc?.()
  await sleep(NOTICED)
}

/** Microseconds between two samples of a profile. */
const SAMPLING = 250
const session = new Session()

async function startProfile (): Promise<void> {
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLING })
  await session.post('Profiler.start')
}

async function endProfile (): Promise<Profiler.Profile> {
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return profile
}

async function answer (question: Question): Promise<NodeJS.CpuUsage | Memory | Profiler.Profile | null> {
  if (question === 'cpu') return process.cpuUsage()
  if (question === 'profile') {
    await startProfile()
    return null
  }
  if (question === 'profiled') return await endProfile()
  if (question === 'collect') await collect()
  const { heapUsed, external } = process.memoryUsage()
  await sleep(NOTICED)
  if (question === 'collect') collections = 0
  return { heap: heapUsed, external, collections }
}

/** A parent that goes while the app is being made leaves nobody behind. */
const end = (): void => process.exit()

async function listen (): Promise<Listening | Refused> {
  process.on('disconnect', end)
  try {
    const { default: candidate } = await import(process.argv[2] ?? '') as { default: Candidate }
    const app = await candidate.createApp(JSON.parse(process.argv[3] ?? '{}') as Setting)
    const server = 'server' in app ? app.server : app
    process.off('disconnect', end).on('disconnect', () => { app.close() })
    if ('server' in app) await app.listen({ host: '127.0.0.1', port: 0 })
    else await new Promise<void>(resolve => { app.listen(0, '127.0.0.1', resolve) })
    return { port: (server.address() as AddressInfo).port }
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) }
  }
}

if (globalThis.gc !== undefined) {
  new PerformanceObserver(list => { collections += list.getEntries().length }).observe({ entryTypes: ['gc'] })
}
process.on('message', async (question: Question) => { process.send?.(await answer(question)) })
process.send?.(await listen())
