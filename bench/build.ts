// How fast a build is: npm run bench:build -- [--rounds 5] [--pages 4000] [--milliseconds 1] [--concurrency n] [--json]
import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { reply } from './load.js'
import { align, describeMachine, formatMachine } from './report.js'
import { median, medianRatio, rotate } from './rounds.js'
import type { Verdict } from './verdict.js'
import { timesFor } from './workers-app.js'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    pages: { type: 'string', default: '4000' },
    /** Of processor time per render. */
    milliseconds: { type: 'string', default: '1' },
    concurrency: { type: 'string' },
    json: { type: 'boolean', default: false }
  }
})
const [rounds, pages, milliseconds] = [options.rounds, options.pages, options.milliseconds].map(Number) as [number, number, number]

interface Candidate { title: string, workers: number, compress: boolean }

const CANDIDATES: Candidate[] = [
  { title: 'rendered and written', workers: 0, compress: false },
  { title: '… 1 worker', workers: 1, compress: false },
  { title: '… 2 workers', workers: 2, compress: false },
  { title: 'with gzip and brotli 5', workers: 0, compress: true },
  { title: '… 1 worker', workers: 1, compress: true },
  { title: '… 2 workers', workers: 2, compress: true }
]

interface Built { ok: boolean, pages: number, milliseconds: number, cpu: number, rss: number }

async function build ({ workers, compress }: Candidate, work: number): Promise<Built> {
  const dir = await mkdtemp(join(tmpdir(), 'fastify-isr-build-'))
  const concurrency = options.concurrency === undefined ? undefined : Number(options.concurrency)
  try {
    const child = fork(fileURLToPath(new URL('./build-run.js', import.meta.url)), [JSON.stringify({ workers, compress, concurrency })], {
      env: { ...process.env, NODE_ENV: 'production', BENCH_DIR: dir, BENCH_PAGES: String(pages), BENCH_WORK: String(work) }
    })
    const built = await reply<Built>(child)
    await new Promise(resolve => child.once('exit', resolve))
    if (!built.ok || built.pages < pages) throw new Error('the build failed')
    return built
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const work = timesFor(milliseconds)
const measured = CANDIDATES.map(candidate => ({ ...candidate, rounds: [] as Built[] }))
for (let round = 0; round < rounds; round++) {
  for (const index of rotate([...measured.keys()], round)) {
    const candidate = measured[index]
    if (candidate !== undefined) candidate.rounds.push(await build(candidate, work))
  }
  if (!options.json) console.error(`round ${round + 1} of ${rounds}`)
}
const rows = measured.map(({ title, compress, rounds }) => {
  const perSecond = (built: Built): number => built.pages * 1000 / built.milliseconds
  const reference = measured.find(other => other.workers === 0 && other.compress === compress)?.rounds ?? []
  return {
    title,
    pagesPerSecond: median(rounds.map(perSecond)),
    ratio: medianRatio(rounds.map(perSecond), reference.map(perSecond)),
    cpuMilliseconds: median(rounds.map(built => built.cpu / built.pages)),
    rss: median(rounds.map(built => built.rss))
  }
})
const verdicts = [{ what: 'rendered and written, 2 workers', index: 2, least: 2000 }, { what: 'with gzip and brotli 5, 2 workers', index: 5, least: 1500 }].map(({ what, index, least }): Verdict => {
  const pagesPerSecond = rows[index]?.pagesPerSecond ?? NaN
  const show = (figure: number): string => `${Math.round(figure).toLocaleString('en')} pages/s`
  return { target: 6, what: `pages of ${milliseconds} ms, ${what}`, required: `≥ ${show(least)}`, measured: show(pagesPerSecond), met: pagesPerSecond >= least }
})
if (options.json) console.log(JSON.stringify({ machine: describeMachine(), rounds, pages, milliseconds, verdicts, rows, measured }, null, 2))
else {
  const lines = rows.map(row => [row.title, Math.round(row.pagesPerSecond).toLocaleString('en'), row.ratio.toFixed(2), row.cpuMilliseconds.toFixed(2), Math.round(row.rss).toLocaleString('en')])
  console.log(`\n${align([[`${pages.toLocaleString('en')} pages of ${milliseconds} ms`, 'pages/s', '× in process', 'CPU ms/page', 'RSS MiB'], ...lines])}`)
  console.log(`\nmedians of ${rounds} rounds, every build in a process of its own, its threads' start included`)
  console.log(formatMachine(describeMachine()))
}
