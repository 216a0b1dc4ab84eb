import type { ChildProcess } from 'node:child_process'
import { FOREIGN, waitForIdle, watchForeign, WINDOW } from './idle.js'
import { GET, reply, type Generator, type LoadResult, type Request } from './load.js'
import { cpuMicroseconds, isAvailable } from './proc.js'
import type { RunningCandidate } from './running.js'

export interface Sample {
  requestsPerSecond: number
  /** CPU time of the server, user and system, all its threads and children. */
  cpuMicrosecondsPerRequest: number
  /** CPU time of the server against the clock. Well below 1: the load generator was the limit. */
  serverBusy: number
  p50Milliseconds: number
  p99Milliseconds: number
  meanMilliseconds: number
  stdevMilliseconds: number
  maxMilliseconds: number
  /** The part of the machine that other work used meanwhile; NaN if unknown. */
  foreign: number
}

/** Shared by all measurements of a run, so that noise can't make it much longer. */
export interface Spare {
  seconds: number
}

export interface Measuring {
  seconds: number
  connections: number
  generator: Generator
  /** Seconds to wait for an idle machine. @default 0 */
  patience?: number
  /** How often to try until other work stays below the bound. @default 1 */
  tries?: number
  /** What of both may still be spent. @default without limit */
  spare?: Spare
}

const UNLIMITED: Spare = { seconds: Infinity }

async function cpuOf (child: ChildProcess): Promise<number> {
  if (isAvailable) return cpuMicroseconds(child.pid ?? 0)
  if (!child.connected) return NaN
  child.send('cpu')
  const { user, system } = await reply<NodeJS.CpuUsage>(child)
  return user + system
}

function toSample (result: LoadResult, cpu: number, foreign: number): Sample {
  return {
    requestsPerSecond: result.requests / result.seconds,
    cpuMicrosecondsPerRequest: cpu / result.requests,
    serverBusy: cpu / 1e6 / result.seconds,
    p50Milliseconds: result.p50,
    p99Milliseconds: result.p99,
    meanMilliseconds: result.mean,
    stdevMilliseconds: result.stdev,
    maxMilliseconds: result.max,
    foreign
  }
}

async function waitWithin (spare: Spare, patience: number): Promise<void> {
  const startedAt = performance.now()
  await waitForIdle(Math.min(patience, spare.seconds))
  spare.seconds -= Math.max(0, performance.now() - startedAt - WINDOW) / 1000
}

async function measureOnce (candidate: RunningCandidate, request: Request, { seconds, connections, generator, patience = 0, spare = UNLIMITED }: Measuring): Promise<Sample> {
  await waitWithin(spare, patience)
  const foreign = watchForeign()
  const cpuBefore = await cpuOf(candidate.process)
  const result = await generator.run({ origin: candidate.origin, request, connections, seconds })
  const cpu = await cpuOf(candidate.process) - cpuBefore
  if (result.errors > 0) throw new Error(`${candidate.name}: ${result.errors} requests failed or were not answered with ${request.status}`)
  if (result.requests === 0) throw new Error(`${candidate.name}: no request was answered`)
  return toSample(result, cpu, foreign())
}

/** The quietest of up to `tries` tries. */
export async function measure (candidate: RunningCandidate, measuring: Measuring, request: Request = { ...GET, paths: candidate.paths }): Promise<Sample> {
  const { tries = 1, seconds, spare = UNLIMITED } = measuring
  let best = await measureOnce(candidate, request, measuring)
  for (let nth = 1; nth < tries && best.foreign > FOREIGN && spare.seconds > seconds; nth++) {
    spare.seconds -= seconds
    const other = await measureOnce(candidate, request, measuring)
    if (other.foreign < best.foreign) best = other
  }
  return best
}
