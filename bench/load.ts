// The load generators: autocannon always, wrk where it is installed.
import { execFile, execFileSync, fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { forkOptions, pin } from './cores.js'
import type { Latencies } from './statistics.js'

/** What is asked again and again. */
export interface Request {
  method: 'GET' | 'HEAD'
  headers: Record<string, string>
  /** In turn. */
  paths: string[]
  /** That every answer must have. */
  status: number
}

export interface Load {
  /** Without a path. */
  origin: string
  request: Request
  connections: number
  seconds: number
}

export interface LoadResult extends Latencies {
  requests: number
  seconds: number
  /** Requests that failed, or were answered with another status. */
  errors: number
}

export interface Generator {
  name: 'autocannon' | 'wrk' | 'own client'
  version: string
  run (load: Load): Promise<LoadResult>
  stop (): Promise<void>
}

export const GET: Request = { method: 'GET', headers: {}, paths: ['/'], status: 200 }

/** The next message of a process. */
export function reply<T> (child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`a process ended with ${code}`))
    child.once('exit', onExit)
    child.once('message', message => {
      child.off('exit', onExit)
      resolve(message as T)
    })
  })
}

export function startAutocannon (): Generator {
  const child = fork(fileURLToPath(new URL('./load-process.js', import.meta.url)), [], forkOptions('load'))
  const { version } = createRequire(import.meta.url)('autocannon/package.json') as { version: string }
  return {
    name: 'autocannon',
    version,
    async run (load) {
      child.send(load)
      const result = await reply<LoadResult | { failed: string }>(child)
      if ('failed' in result) throw new Error(result.failed)
      return result
    },
    async stop () {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.disconnect()
      await once(child, 'exit')
    }
  }
}

/** The script of wrk: what it asks, and its figures as JSON. */
export function wrkScript ({ request: { headers, paths } }: Pick<Load, 'request'>): string {
  const string = (text: string): string => JSON.stringify(text)
  const requests = paths.length === 1
    ? []
    : [
        `local paths = { ${paths.map(string).join(', ')} }`,
        'local requests, nth = {}, 0',
        'function init () for i, path in ipairs(paths) do requests[i] = wrk.format(nil, path) end end',
        'function request () nth = nth % #requests + 1 return requests[nth] end'
      ]
  return [
    ...Object.entries(headers).map(([name, value]) => `wrk.headers[${string(name)}] = ${string(value)}`),
    ...requests,
    'function done (summary, latency)',
    '  local e = summary.errors',
    '  io.write(string.format("\\n@%d %d %d %d %d %f %f %d\\n", summary.requests, summary.duration,',
    '    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99),',
    '    latency.mean, latency.stdev, latency.max))',
    'end'
  ].join('\n')
}

/** Of what the script above prints, times in microseconds. */
export function parseWrk (output: string): LoadResult {
  const line = /^@(.+)$/m.exec(output)?.[1]
  if (line === undefined) throw new Error(`wrk printed no figures: ${output.slice(0, 300)}`)
  const [requests = NaN, duration = NaN, errors = NaN, p50 = NaN, p99 = NaN, mean = NaN, stdev = NaN, max = NaN] = line.split(' ').map(Number)
  return { requests, seconds: duration / 1e6, errors, p50: p50 / 1e3, p99: p99 / 1e3, mean: mean / 1e3, stdev: stdev / 1e3, max: max / 1e3 }
}

/** Null where it isn't installed. It knows neither HEAD nor parts of a second: others must see to these. */
export async function findWrk (): Promise<Generator | null> {
  const version = wrkVersion()
  if (version === null) return null
  const folder = await mkdtemp(path.join(tmpdir(), 'fastify-isr-wrk-'))
  const script = path.join(folder, 'load.lua')
  return {
    name: 'wrk',
    version,
    async run (load) {
      await writeFile(script, wrkScript(load))
      const [command, args] = pin('load', 'wrk', ['-t1', `-c${load.connections}`, `-d${Math.ceil(load.seconds)}s`,
        '-s', script, load.origin + (load.request.paths[0] ?? '/')])
      return parseWrk((await promisify(execFile)(command, args)).stdout)
    },
    stop: async () => await rm(folder, { recursive: true, force: true })
  }
}

function wrkVersion (): string | null {
  try {
    execFileSync('wrk', ['-v'], { encoding: 'utf8', stdio: 'pipe' })
    return null
  } catch (error) {
    // It prints its version and exits with 1.
    return /^wrk (\S+)/.exec((error as { stdout?: string }).stdout ?? '')?.[1] ?? null
  }
}
