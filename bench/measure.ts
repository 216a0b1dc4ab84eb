import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import autocannon, { type Result } from 'autocannon'
import type { Candidate } from './candidate.js'
import type { Listening } from './server.js'

export interface RunningCandidate {
  name: string
  title: string
  url: string
  process: ChildProcess
}

export interface Sample {
  requestsPerSecond: number
  /** CPU time of the server process, user and system, all its threads. */
  cpuMicrosecondsPerRequest: number
  /** CPU time of the server against the clock. Well below 1: the load generator was the limit. */
  serverBusy: number
  p50Milliseconds: number
  p99Milliseconds: number
}

/** The next message of a process. */
export function reply<T> (child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`a server ended with ${code}`))
    child.once('exit', onExit)
    child.once('message', message => {
      child.off('exit', onExit)
      resolve(message as T)
    })
  })
}

export async function startCandidate (name: string): Promise<RunningCandidate> {
  const module = new URL(`./candidates/${name}.js`, import.meta.url).href
  const { default: candidate } = await import(module) as { default: Candidate }
  const child = fork(fileURLToPath(new URL('./server.js', import.meta.url)), [module], {
    env: { ...process.env, NODE_ENV: 'production' }
  })
  const { port } = await reply<Listening>(child)
  return { name, title: candidate.title, url: `http://127.0.0.1:${port}/`, process: child }
}

export async function stopCandidate ({ process: child }: RunningCandidate): Promise<void> {
  if (child.exitCode !== null) return
  child.disconnect()
  await once(child, 'exit')
}

/** Makes sure that what will be measured is what its name says. */
export async function verifyCandidate ({ name, url }: RunningCandidate, page: string): Promise<void> {
  const { default: candidate } = await import(`./candidates/${name}.js`) as { default: Candidate }
  await (await fetch(url)).arrayBuffer()
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } })
  if (await response.text() !== page) throw new Error(`${name} answers another page`)

  const cacheStatus = response.headers.get('cache-status')
  const isExpected = candidate.cacheStatus === undefined
    ? cacheStatus === null
    : cacheStatus?.includes(candidate.cacheStatus)
  if (!isExpected) throw new Error(`${name} answers with Cache-Status ${cacheStatus}`)
}

async function cpuMicroseconds (child: ChildProcess): Promise<number> {
  child.send('cpu')
  const { user, system } = await reply<NodeJS.CpuUsage>(child)
  return user + system
}

/** A value of a sorted list: 0.5 is the median. */
export function quantile (sorted: ArrayLike<number>, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN
}

export async function measure (candidate: RunningCandidate, seconds: number, connections: number): Promise<Sample> {
  const latencies: number[] = []
  const cpuBefore = await cpuMicroseconds(candidate.process)
  const startedAt = performance.now()

  const { non2xx, errors } = await new Promise<Result>((resolve, reject) => {
    const run = autocannon({ url: candidate.url, duration: seconds, connections }, (error, result) => {
      error ? reject(error) : resolve(result)
    })
    // autocannon's own histogram has whole milliseconds, which is too coarse for these answers.
    run.on('response', (client, statusCode, bytes, milliseconds) => { latencies.push(milliseconds) })
  })

  const elapsedSeconds = (performance.now() - startedAt) / 1000
  const cpu = await cpuMicroseconds(candidate.process) - cpuBefore
  if (non2xx > 0 || errors > 0) {
    throw new Error(`${candidate.name}: ${non2xx} answers were not 2xx, ${errors} requests failed`)
  }

  const sorted = Float64Array.from(latencies).sort()
  return {
    requestsPerSecond: sorted.length / elapsedSeconds,
    cpuMicrosecondsPerRequest: cpu / sorted.length,
    serverBusy: cpu / 1e6 / elapsedSeconds,
    p50Milliseconds: quantile(sorted, 0.5),
    p99Milliseconds: quantile(sorted, 0.99)
  }
}
