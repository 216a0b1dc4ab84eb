// npm run bench:scale -- [--pages 100,10000,100000] [--build 10000] [--tags 2] [--json]
import { createHash } from 'node:crypto'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import fastify, { type FastifyInstance } from 'fastify'
import isr, { type Manifest, type ManifestPage } from 'fastify-isr'
import { align, describeMachine, formatMachine } from './report.js'
import { median } from './rounds.js'

/** Pages that there really are; of the others, only the manifest tells. */
const SAMPLE = 200
const HITS = 2000
const ROUNDS = 5

const { values: options } = parseArgs({
  options: {
    pages: { type: 'string', default: '100,10000,100000' },
    /** Sizes of builds, beside or instead of manifests. */
    build: { type: 'string', default: '' },
    tags: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    /** For the processes that this one starts. */
    serve: { type: 'string' },
    render: { type: 'string' },
    dir: { type: 'string', default: '' }
  }
})

type Figures = Record<string, number>

const BODY = `<!doctype html><title>page</title>${'<p>Something to read.</p>'.repeat(420)}`

async function open (dir: string, count: number): Promise<FastifyInstance> {
  const app = fastify()
  await app.register(isr, { dir, prewarm: false, baseUrl: 'https://site.example' })
  const policy = {
    ...(count === 0 ? { onDemand: false } : { paths: function * () { for (let id = 0; id < count; id++) yield { id: pad(id) } } }),
    tags: ({ id }: Record<string, string>) => tagsOf(id ?? '')
  }
  app.get<{ Params: { id: string } }>('/articles/:id', { config: { prerender: policy } }, async (request, reply) => {
    reply.type('text/html')
    return `${BODY}${request.params.id}`
  })
  return app
}

function pad (id: number): string {
  return `an-article-of-the-site-${String(id).padStart(7, '0')}`
}

/** Half of them shared by many pages, half of them of the page alone. */
function tagsOf (id: string): string[] {
  return Array.from({ length: Number(options.tags) }, (_, nth) => nth % 2 === 0 ? `topic-${Number(id.slice(-3)) % 100 + nth}` : `${id}-${nth}`)
}

/** A build of the sample, whose manifest is then made longer. */
async function makeSite (dir: string, pages: number): Promise<void> {
  const app = await open(dir, Math.min(SAMPLE, pages))
  await app.ready()
  await app.isr.prerender({ brotli: 4 })
  await app.close()
  const file = path.join(dir, '.isr/manifest.json')
  const { pages: [first], ...head } = JSON.parse(readFileSync(file, 'utf8')) as Manifest
  if (first === undefined) throw new Error('nothing was built')
  const out = createWriteStream(`${file}.new`)
  out.write(`${JSON.stringify(head, null, 2).slice(0, -2)},\n  "pages": [`)
  for (let id = 0; id < pages; id++) {
    const isRoom = out.write(`${id === 0 ? '' : ','}\n    ${JSON.stringify(rowOf(first, head.buildId, pad(id)))}`)
    if (!isRoom) await once(out, 'drain')
  }
  out.end('\n  ]\n}\n')
  await once(out, 'finish')
  await rename(`${file}.new`, file)
}

function rowOf (first: ManifestPage, buildId: string, id: string): ManifestPage {
  const key = `/articles/${id}`
  const name = createHash('sha256').update(key).digest('hex')
  return { ...first, key, path: key, file: `.isr/${buildId}/${name.slice(0, 2)}/${name}`, export: `articles/${id}/index.html`, tags: tagsOf(id) }
}

/** Milliseconds of a call, without what else the event loop did. */
async function timed (work: () => unknown): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

/** Of the process: garbage collection and reads included. */
async function cpu (work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

async function memory (): Promise<{ heap: number, rss: number }> {
  for (let times = 0; times < 3; times++) {
    globalThis.gc?.()
    await sleep(50)
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss }
}

async function serve (dir: string, pages: number): Promise<Figures> {
  const app = await open(dir, 0)
  const before = await memory()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await sleep(100)
  delay.reset()
  const busyBefore = performance.eventLoopUtilization()
  let readyMs = 0
  let inForceMs = 0
  const bootCpu = await cpu(async () => {
    readyMs = await timed(() => app.ready())
    inForceMs = readyMs + await timed(async () => { while (app.isr.routes()[0]?.listed !== pages) await sleep(2) })
  })
  const busyMs = performance.eventLoopUtilization(busyBefore).active
  await sleep(50)
  const delayMs = delay.max / 1e6
  const after = await memory()

  const hot = Array.from({ length: Math.min(SAMPLE, pages) }, (_, id) => `/articles/${pad(id)}`)
  const visit = async (count: number): Promise<void> => { for (let nth = 0; nth < count; nth++) await app.inject(hot[nth % hot.length] ?? '') }
  await visit(HITS)
  const status = String((await app.inject(hot[0] ?? '')).headers['cache-status'])
  if (!status.includes('hit')) throw new Error(`no hit: ${status}`)
  const hits: number[] = []
  for (let round = 0; round < ROUNDS; round++) hits.push(await cpu(() => visit(HITS)) / HITS * 1000)

  const entriesMs = await best(() => app.isr.entries({ limit: 100 }))
  const cursor = `/articles/${pad(pages >> 1)}`
  const middleMs = await best(() => app.isr.entries({ limit: 100, cursor }))
  const dry = { dryRun: true }
  const figures = {
    pages,
    readyMs,
    inForceMs,
    bootCpu,
    busyMs,
    delayMs,
    heap: after.heap - before.heap,
    rss: after.rss - before.rss,
    hitUs: median(hits),
    entriesMs,
    middleMs,
    tagFirstMs: await timed(() => app.isr.purge({ tag: 'topic-7' }, dry)),
    tagMs: await best(() => app.isr.purge({ tag: 'topic-7' }, dry)),
    pathMs: await best(() => app.isr.purge({ path: cursor }, dry)),
    prefixMs: await best(() => app.isr.purge({ prefix: '/articles' }, dry)),
    allMs: await best(() => app.isr.purge({ all: true }, dry))
  }
  await app.close()
  return figures
}

async function best (work: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    times.push(await timed(work))
    await nextTurn()
  }
  return Math.min(...times)
}

/** A build, and the most memory that it took. */
async function render (dir: string, pages: number): Promise<Figures> {
  const app = await open(dir, pages)
  await app.ready()
  const before = await memory()
  let peak = 0
  const watch = setInterval(() => { peak = Math.max(peak, process.memoryUsage.rss()) }, 20)
  const ms = await timed(() => app.isr.prerender({ compress: false }))
  clearInterval(watch)
  const after = await memory()
  await app.close()
  return { pages, ms, peak: peak - before.rss, heap: after.heap - before.heap }
}

async function child (what: 'serve' | 'render', pages: number, dir: string, tags: string): Promise<Figures> {
  const file = fileURLToPath(import.meta.url)
  const process_ = spawn(process.execPath, ['--expose-gc', file, `--${what}`, String(pages), '--dir', dir, '--tags', tags], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_ENV: 'production' } })
  let text = ''
  process_.stdout.on('data', chunk => { text += String(chunk) })
  const [code] = await once(process_, 'close') as [number]
  if (code !== 0) throw new Error(`${what} of ${pages} pages ended with ${code}`)
  return JSON.parse(text) as Figures
}

async function inFolder<T> (work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(tmpdir(), 'isr-scale-'))
  try {
    return await work(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function sizes (text: string | undefined): number[] {
  return (text ?? '').split(',').filter(size => size !== '').map(Number)
}

function table (title: string, names: Record<string, (figures: Figures) => string>, all: Figures[]): string {
  const rows = Object.entries(names).map(([name, show]) => [name, ...all.map(show)])
  return `${title}\n\n${align([['', ...all.map(({ pages = 0 }) => `${pages.toLocaleString('en')} pages`)], ...rows])}\n`
}

const fixed = (name: string, unit: string, digits = 1) => (figures: Figures): string => `${(figures[name] ?? 0).toFixed(digits)} ${unit}`
const each = (name: string) => (figures: Figures): string => `${Math.round((figures[name] ?? 0) / (figures.pages ?? 1)).toLocaleString('en')} B`

if (options.serve !== undefined) console.log(JSON.stringify(await serve(options.dir, Number(options.serve))))
else if (options.render !== undefined) console.log(JSON.stringify(await render(options.dir, Number(options.render))))
else {
  const served: Figures[] = []
  for (const pages of sizes(options.pages)) {
    served.push(await inFolder(async (dir) => {
      await makeSite(dir, pages)
      return await child('serve', pages, dir, options.tags)
    }))
  }
  const built: Figures[] = []
  for (const pages of sizes(options.build)) built.push(await inFolder(async dir => await child('render', pages, dir, options.tags)))
  if (options.json) console.log(JSON.stringify({ machine: describeMachine(), served, built }))
  else {
    console.log(formatMachine(describeMachine()))
    if (served.length > 0) {
      console.log(table('A server with that many known pages', {
        'until ready': fixed('readyMs', 'ms'),
        'until the build is in force': fixed('inForceMs', 'ms'),
        'CPU until then': fixed('bootCpu', 'ms'),
        'main thread busy': fixed('busyMs', 'ms'),
        'longest delay of the event loop': fixed('delayMs', 'ms'),
        'heap and buffers per page': each('heap'),
        'resident memory per page': each('rss'),
        'CPU of a memory hit, by inject': fixed('hitUs', 'µs'),
        'entries(), first page': fixed('entriesMs', 'ms', 2),
        'entries(), from the middle': fixed('middleMs', 'ms', 2),
        'match a tag, first time': fixed('tagFirstMs', 'ms', 2),
        'match a tag (1 % of all pages)': fixed('tagMs', 'ms', 2),
        'match a path': fixed('pathMs', 'ms', 2),
        'match a prefix (all pages)': fixed('prefixMs', 'ms', 2),
        'match all': fixed('allMs', 'ms', 2)
      }, served))
    }
    if (built.length > 0) {
      console.log(table('A build of that many pages', {
        time: fixed('ms', 'ms', 0),
        'pages per second': ({ pages = 0, ms = 1 }) => String(Math.round(pages / ms * 1000)),
        'most memory while building': ({ peak = 0 }) => `${(peak / 2 ** 20).toFixed(0)} MiB`,
        'kept by the report, per page': each('heap')
      }, built))
    }
  }
}
