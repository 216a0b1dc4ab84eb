// npm run bench:soak -- [--requests 1000000] [--keys 10000] [--seconds 60] [--redis] [--workers 0] [--express] [--json]
import { parseArgs } from 'node:util'
import { align, describeMachine, formatMachine } from './report.js'
import { judgeSoak } from './soak-growth.js'
import { soak, type Soaked } from './soak-run.js'

const { values: options } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000000' },
    keys: { type: 'string', default: '10000' },
    /** How long pages and data are fresh. */
    seconds: { type: 'string', default: '60' },
    samples: { type: 'string', default: '50' },
    /** Readings of memory between two samples. */
    between: { type: 'string', default: '3' },
    connections: { type: 'string', default: '32' },
    /** Of the memory tier, and of the disk (MB). */
    memory: { type: 'string', default: '32' },
    disk: { type: 'string', default: '64' },
    redis: { type: 'boolean', default: false },
    workers: { type: 'string', default: '0' },
    express: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false }
  }
})

/** Of the table; all samples are in the JSON. */
const MOST_ROWS = 20
/** Part of the requests until memory and disk are full. */
const WARM = 0.3

function whole (name: 'requests' | 'keys' | 'seconds' | 'samples' | 'between' | 'connections' | 'memory' | 'disk' | 'workers' | 'seed', least = 1): number {
  const number = Number(options[name])
  if (Number.isSafeInteger(number) && number >= least) return number
  console.error(`--${name} must be a whole number of at least ${least}, got ${options[name]}`)
  process.exit(2)
}

const MB = (bytes: number): string => (bytes / 1e6).toFixed(1)
const count = (number = 0): string => number.toLocaleString('en')
const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, one) => all + one, 0)

function table ({ samples }: Soaked): string {
  return align([
    ['requests', 'seconds', 'RSS MB', 'heap', 'external', 'buffers', 'pages', 'memory tier MB', 'disk MB', 'handles', 'timers', 'sockets', 'listeners', 'renders', 'evictions'],
    ...samples.filter((_sample, nth) => nth % Math.ceil(samples.length / MOST_ROWS) === 0 || nth === samples.length - 1).map(({ requests, seconds, memory, tables, handles, objects, listeners, events }) => [
      count(requests), seconds.toFixed(0), MB(memory.rss), MB(memory.heapUsed), MB(memory.external), MB(memory.arrayBuffers),
      count(tables['pages and data in memory']), MB(tables['bytes in memory'] ?? 0), MB(tables['bytes on disk'] ?? 0), count(sum(handles)),
      count(objects['Timeout']), count(tables['sockets']), count(sum(listeners)), count(events['renders started']), count(events['evictions'])
    ])
  ])
}

/** As many as an instance remembers. */
const ORDERED = 10_000

const requests = whole('requests')
const soaked = await soak({
  requests,
  keys: whole('keys'),
  ttl: whole('seconds'),
  samples: whole('samples', 4),
  between: whole('between', 0),
  connections: whole('connections'),
  ordered: ORDERED,
  memory: whole('memory') * 1e6,
  disk: whole('disk') * 1e6,
  workers: whole('workers', 0),
  express: options.express,
  redis: options.redis,
  seed: whole('seed', 0),
  onSample (done, { memory: { rss, heapUsed, arrayBuffers } }) { console.error(`${count(done)} requests: ${MB(rss)} MB resident, ${MB(heapUsed)} heap, ${MB(arrayBuffers)} buffers`) }
})
const verdicts = judgeSoak(soaked, requests * WARM)
if (options.json) console.log(JSON.stringify({ machine: describeMachine(), options, ...soaked, verdicts }))
else {
  console.log(`${formatMachine(describeMachine())}\n\n${table(soaked)}\n`)
  const last = soaked.samples.at(-1)
  for (const [title, counts] of [['answers', soaked.statuses], ['events', last?.events], ['handles at the end', last?.handles], ['objects at the end', last?.objects], ['listeners at the end', last?.listeners]] as const) {
    console.log(`${title}: ${Object.entries(counts ?? {}).map(([name, number]) => `${name} ${count(number)}`).join(', ')}`)
  }
  console.log(`\n${align(verdicts.map(({ what, required, measured, met }) => [`${met === true ? '✓' : '✗'} ${what}`, required, measured]))}`)
}
if (verdicts.some(({ met }) => met === false)) process.exitCode = 1
