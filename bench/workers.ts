// What rendering does to hits: npm run bench:workers -- [--rounds 9] [--seconds 4] [--rate 1000] [--milliseconds 50] [--json]
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { reply } from './load.js'
import { align, describeMachine, formatMachine } from './report.js'
import { median, medianRatio, rotate } from './rounds.js'
import { quantile } from './statistics.js'
import type { Listening } from './server.js'
import type { Verdict } from './verdict.js'
import { timesFor } from './workers-app.js'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '4' },
    /** Hits per second. */
    rate: { type: 'string', default: '1000' },
    /** Of processor time per render. */
    milliseconds: { type: 'string', default: '50' },
    json: { type: 'boolean', default: false }
  }
})
const [rounds, seconds, rate, milliseconds] = [options.rounds, options.seconds, options.rate, options.milliseconds].map(Number) as [number, number, number, number]

interface Candidate {
  title: string
  workers: number
  /** Part of one core that rendering would take. */
  load: number
}

const CANDIDATES: Candidate[] = [
  { title: 'no renders', workers: 0, load: 0 },
  { title: 'in the same thread, half of the time', workers: 0, load: 0.5 },
  { title: 'in one worker, half of the time', workers: 1, load: 0.5 },
  { title: 'in one worker, twice what it can', workers: 1, load: 2 }
]

interface Sample { p50: number, p99: number, max: number, rendersPerSecond: number }

/** All threads of a server share one core, and the load has the others: what is measured is how a thread is kept from another's work. */
const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0

async function startServer (workers: number, work: number): Promise<{ child: ChildProcess, port: number }> {
  const script = fileURLToPath(new URL('./workers-server.js', import.meta.url))
  const [command, ...args] = canPin ? ['taskset', '-c', '0', process.execPath, script] : [process.execPath, script]
  const env = { ...process.env, NODE_ENV: 'production', BENCH_WORKERS: String(workers), BENCH_WORK: String(work) }
  const child = spawn(command ?? '', args, { env, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  const { port } = await reply<Listening>(child)
  return { child, port }
}

async function tell (child: ChildProcess, perSecond: number): Promise<number> {
  const answer = reply<number>(child)
  child.send(perSecond)
  return await answer
}

/** An open loop: hits come when they come, however long the ones before take. */
async function measure (port: number, forSeconds: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 200 })
  const latencies: number[] = []
  const pending: Promise<void>[] = []
  const startedAt = performance.now()
  for (let sent = 0; sent < forSeconds * rate;) {
    const due = Math.min(forSeconds * rate, (performance.now() - startedAt) / 1000 * rate)
    for (; sent < due; sent++) pending.push(hit(agent, port, latencies))
    await sleep(1)
  }
  await Promise.all(pending)
  agent.destroy()
  return latencies
}

function hit (agent: Agent, port: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    get({ agent, host: '127.0.0.1', port, path: '/' }, (response) => {
      if (response.headers['cache-status'] !== 'fastify-isr; hit') reject(new Error(`${response.statusCode} ${response.headers['cache-status']}`))
      response.resume().once('end', () => {
        latencies.push(performance.now() - startedAt)
        resolve()
      })
    }).once('error', reject)
  })
}

async function round (server: { child: ChildProcess, port: number }, { load }: Candidate): Promise<Sample> {
  await tell(server.child, load * 1000 / milliseconds)
  await sleep(300)
  const latencies = Float64Array.from(await measure(server.port, seconds)).sort()
  const rendered = await tell(server.child, 0)
  // What was begun ends before the next one is measured.
  await sleep(500 + (load > 1 ? 2000 : 0))
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), max: latencies.at(-1) ?? NaN, rendersPerSecond: rendered / (seconds + 0.3) }
}

interface Row extends Sample { title: string, p50Ratio: number, p99Ratio: number }

function judge ([quiet, , half, double]: Row[]): Verdict[] {
  const line = (what: string, ratio = NaN, ms = NaN, none = NaN, bound = NaN): Verdict => ({
    target: 4,
    what,
    required: `≤ ${bound} × without renders`,
    measured: `${ratio.toFixed(2)} × (${ms.toFixed(2)} ms, ${none.toFixed(2)} ms)`,
    met: ratio <= bound
  })
  return [
    line(`p99 of hits, a worker renders ${milliseconds} ms pages half of the time`, half?.p99Ratio, half?.p99, quiet?.p99, 3),
    line('p50 of hits, a worker gets twice as many as it can render', double?.p50Ratio, double?.p50, quiet?.p50, 1.3)
  ]
}

const work = timesFor(milliseconds)
const servers = new Map<number, { child: ChildProcess, port: number }>()
try {
  for (const workers of [0, 1]) servers.set(workers, await startServer(workers, work))
  for (const { port } of servers.values()) {
    await new Promise<void>((resolve, reject) => { get({ host: '127.0.0.1', port, path: '/' }, response => { response.resume().once('end', resolve) }).once('error', reject) })
    await measure(port, 1)
  }
  const measured = CANDIDATES.map(candidate => ({ ...candidate, rounds: [] as Sample[] }))
  for (let number = 0; number < rounds; number++) {
    for (const index of rotate([...measured.keys()], number)) {
      const candidate = measured[index]
      const server = candidate === undefined ? undefined : servers.get(candidate.workers)
      if (candidate !== undefined && server !== undefined) candidate.rounds.push(await round(server, candidate))
    }
    if (!options.json) console.error(`round ${number + 1} of ${rounds}`)
  }
  const quiet = measured[0]?.rounds ?? []
  const rows = measured.map(({ title, rounds }): Row => {
    const of = (name: keyof Sample): number[] => rounds.map(sample => sample[name])
    return {
      title,
      p50: median(of('p50')),
      p50Ratio: medianRatio(of('p50'), quiet.map(sample => sample.p50)),
      p99: median(of('p99')),
      p99Ratio: medianRatio(of('p99'), quiet.map(sample => sample.p99)),
      max: median(of('max')),
      rendersPerSecond: median(of('rendersPerSecond'))
    }
  })
  if (options.json) console.log(JSON.stringify({ machine: describeMachine(), rounds, seconds, rate, milliseconds, canPin, rows, verdicts: judge(rows), measured }, null, 2))
  else {
    const lines = rows.map(row => [row.title, row.p50.toFixed(2), row.p50Ratio.toFixed(2), row.p99.toFixed(2), row.p99Ratio.toFixed(2), row.max.toFixed(1), row.rendersPerSecond.toFixed(1)])
    console.log(`\n${align([[`renders of ${milliseconds} ms`, 'p50 ms', '× none', 'p99 ms', '× none', 'max ms', 'renders/s'], ...lines])}`)
    console.log(`\n${rate} hits a second${canPin ? ', the server with all its threads on one core' : ''}; medians of ${rounds} rounds of ${seconds} s`)
    console.log(formatMachine(describeMachine()))
  }
} finally {
  for (const { child } of servers.values()) child.kill()
}
