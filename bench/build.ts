// How fast a build is: npm run bench:build -- [--rounds 5] [--pages 4000] [--milliseconds 1] [--concurrency n] [--memory 10000,100000] [--json]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { reply } from './load.js'
import { align, describeMachine, formatMachine } from './report.js'
import { median, medianRatio, rotate } from './rounds.js'
import type { Verdict } from './verdict.js'
import type { AloneOptions } from './render-alone.js'
import { timesFor } from './workers-app.js'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    pages: { type: 'string', default: '4000' },
    /** Of processor time per render. */
    milliseconds: { type: 'string', default: '1' },
    concurrency: { type: 'string' },
    /** Two numbers of small pages, for what a build holds of each; empty for none. */
    memory: { type: 'string', default: '10000,100000' },
    json: { type: 'boolean', default: false }
  }
})
const [rounds, pages, milliseconds] = [options.rounds, options.pages, options.milliseconds].map(Number) as [number, number, number]

interface Candidate { title: string, workers: number, compress: boolean }

/** Cores that the targets are about. */
const CORES = 2

const CANDIDATES: Candidate[] = [
  { title: 'rendered and written', workers: 0, compress: false },
  { title: '… 1 worker', workers: 1, compress: false },
  { title: '… 2 workers', workers: 2, compress: false },
  { title: 'with gzip and brotli 5', workers: 0, compress: true },
  { title: '… 1 worker', workers: 1, compress: true },
  { title: '… 2 workers', workers: 2, compress: true }
]

interface Built { ok: boolean, pages: number, milliseconds: number, cpu: number, rss: number }

/** Removed at the end: some file systems take long to make files where others have just gone. */
const root = await mkdtemp(join(tmpdir(), 'fastify-isr-build-'))
process.once('exit', () => { rmSync(root, { recursive: true, force: true }) })

async function build ({ workers, compress }: Omit<Candidate, 'title'>, work: number, count: number): Promise<Built> {
  const concurrency = options.concurrency === undefined ? undefined : Number(options.concurrency)
  const child = fork(fileURLToPath(new URL('./build-run.js', import.meta.url)), [JSON.stringify({ workers, compress, concurrency })], {
    env: { ...process.env, NODE_ENV: 'production', BENCH_DIR: await mkdtemp(join(root, 'build-')), BENCH_PAGES: String(count), BENCH_WORK: String(work) }
  })
  const built = await reply<Built>(child)
  await new Promise(resolve => child.once('exit', resolve))
  if (!built.ok || built.pages < count) throw new Error('the build failed')
  return built
}

/** Pages a second if there were nothing but this, in as many threads as there are cores. */
async function alone (what: Omit<AloneOptions, 'pages' | 'folder'>, isWritten: boolean): Promise<number> {
  const script = new URL('./render-alone.js', import.meta.url)
  const folder = isWritten ? await mkdtemp(join(root, 'alone-')) : null
  const milliseconds = await Promise.all(Array.from({ length: CORES }, async () => {
    const workerData: AloneOptions = { ...what, pages: pages / CORES, folder }
    const [taken] = await once(new Worker(script, { workerData }), 'message') as [number]
    return taken
  }))
  return pages * 1000 / Math.max(...milliseconds)
}

const work = timesFor(milliseconds)
/** What bounds any build: by the render, by render and files, by both and compression. */
const bounds = { rendered: [] as number[], written: [] as number[], compressed: [] as number[] }
const measured = CANDIDATES.map(candidate => ({ ...candidate, rounds: [] as Built[] }))
for (let round = 0; round < rounds; round++) {
  bounds.rendered.push(await alone({ work, compress: false }, false))
  bounds.written.push(await alone({ work, compress: false }, true))
  bounds.compressed.push(await alone({ work, compress: true }, true))
  for (const index of rotate([...measured.keys()], round)) {
    const candidate = measured[index]
    if (candidate !== undefined) candidate.rounds.push(await build(candidate, work, pages))
  }
  if (!options.json) console.error(`round ${round + 1} of ${rounds}`)
}
const [few, many] = options.memory.split(',').filter(Boolean).map(Number)
/** Of resident memory at its highest, per page beyond the first ones. */
let bytesPerPage: number | null = null
if (few !== undefined && many !== undefined) {
  const [less, more] = [await build({ workers: 0, compress: false }, 0, few), await build({ workers: 0, compress: false }, 0, many)]
  bytesPerPage = (more.rss - less.rss) * 2 ** 20 / (many - few)
}
const bound = { rendered: median(bounds.rendered), written: median(bounds.written), compressed: median(bounds.compressed) }
const rows = measured.map(({ title, compress, rounds }) => {
  const speed = (built: Built): number => built.pages * 1000 / built.milliseconds
  const reference = measured.find(other => other.workers === 0 && other.compress === compress)?.rounds ?? []
  return {
    title,
    pagesPerSecond: median(rounds.map(speed)),
    ratio: medianRatio(rounds.map(speed), reference.map(speed)),
    cpuMilliseconds: median(rounds.map(built => built.cpu / built.pages)),
    rss: median(rounds.map(built => built.rss))
  }
})
const perSecond = (figure: number): string => `${Math.round(figure).toLocaleString('en')} pages/s`
const verdicts: Verdict[] = [{ what: 'rendered and written, 2 workers', index: 2, least: 2000 }, { what: 'with gzip and brotli 5, 2 workers', index: 5, least: 1500 }].map(({ what, index, least }) => {
  const pagesPerSecond = rows[index]?.pagesPerSecond ?? NaN
  return { target: 6, what: `pages of ${milliseconds} ms, ${what}`, required: `≥ ${perSecond(least)}`, measured: perSecond(pagesPerSecond), met: pagesPerSecond >= least }
})
verdicts.push(...[['nothing but rendering', bound.rendered], ['and writing the same files', bound.written], ['and gzip and brotli 5', bound.compressed]].map(([what, figure]): Verdict =>
  ({ target: 6, what: `what bounds a build on ${CORES} cores: ${what as string}`, required: 'told', measured: perSecond(figure as number), met: null })))
if (bytesPerPage !== null) {
  verdicts.push({ target: 6, what: `memory of a build, per page from ${few?.toLocaleString('en')} to ${many?.toLocaleString('en')}`, required: '≤ 1,024 B', measured: `${Math.round(bytesPerPage).toLocaleString('en')} B`, met: bytesPerPage <= 1024 })
}
if (options.json) console.log(JSON.stringify({ machine: describeMachine(), rounds, pages, milliseconds, bound, bytesPerPage, verdicts, rows, measured }, null, 2))
else {
  const lines = rows.map(row => [row.title, Math.round(row.pagesPerSecond).toLocaleString('en'), row.ratio.toFixed(2), row.cpuMilliseconds.toFixed(2), Math.round(row.rss).toLocaleString('en')])
  console.log(`\n${align([[`${pages.toLocaleString('en')} pages of ${milliseconds} ms`, 'pages/s', '× in process', 'CPU ms/page', 'RSS MiB'], ...lines])}`)
  console.log(`\nwhat bounds a build on ${CORES} cores: rendering alone ${perSecond(bound.rendered)}, with the same files written ${perSecond(bound.written)}, with gzip and brotli 5 ${perSecond(bound.compressed)}${bytesPerPage === null ? '' : `; memory per further page: ${Math.round(bytesPerPage)} B`}`)
  console.log(`\nmedians of ${rounds} rounds, every build in a process of its own, its threads' start included`)
  console.log(formatMachine(describeMachine()))
}
