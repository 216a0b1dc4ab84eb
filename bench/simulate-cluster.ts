// npm run bench:simulate -- [--instances 10,100,1000] [--pages 100,1000] [--loss 0,0.01] [--seconds 40]
//   [--ttl 20] [--visits 10] [--orders 2] [--render 50] [--heartbeat 1000] [--seed 1] [--json]
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { reply } from './load.js'
import { align, describeMachine, formatMachine } from './report.js'
import { predict, type Prediction } from './simulation/prediction.js'
import { Random } from './simulation/random.js'
import { shareStorage } from './simulation/shared-storage.js'
import { VirtualTime } from './simulation/virtual-time.js'
import { World, type Findings, type Setting } from './simulation/world.js'
import { quantile } from './statistics.js'

/** Copies of pages in the memories of all instances: beyond it, those of this machine are too small. */
const MOST_COPIES = 100_000
const START = 1_700_000_000_000

const { values: options } = parseArgs({
  options: {
    instances: { type: 'string', default: '10,100,1000' },
    pages: { type: 'string', default: '100,1000' },
    loss: { type: 'string', default: '0,0.01' },
    seconds: { type: 'string', default: '40' },
    ttl: { type: 'string', default: '20' },
    visits: { type: 'string', default: '10' },
    orders: { type: 'string', default: '2' },
    render: { type: 'string', default: '50' },
    heartbeat: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    /** For the processes that this one starts. */
    setting: { type: 'string' }
  }
})

function numbers (name: 'instances' | 'pages' | 'loss' | 'seconds' | 'ttl' | 'visits' | 'orders' | 'render' | 'heartbeat' | 'seed'): number[] {
  const list = options[name].split(',').map(Number)
  const isRight = list.every(number => Number.isFinite(number) && number >= 0 && (number > 0 || name === 'loss' || name === 'orders'))
  if (isRight && options[name] !== '') return list
  console.error(`--${name} must be a number, got ${options[name]}`)
  process.exit(2)
}

function number (name: Parameters<typeof numbers>[0]): number {
  return numbers(name)[0] ?? 0
}

function settings (): Setting[] {
  const common = {
    ttl: number('ttl'),
    visits: number('visits'),
    orders: number('orders'),
    renderMs: number('render'),
    heartbeat: number('heartbeat'),
    latency: { least: 0.2, more: 0.3 }
  }
  return numbers('loss').flatMap(loss => numbers('pages').flatMap(pages => numbers('instances')
    .map(instances => ({ instances, pages, loss, ...common }))))
    .filter(({ instances, pages }) => instances * pages <= MOST_COPIES)
}

/** In a process of its own: time of this one is virtual from here on. */
async function simulate (setting: Setting): Promise<void> {
  const time = new VirtualTime(START)
  const random = new Random(number('seed'))
  time.install()
  shareStorage()
  Math.random = random.next
  const findings = await new World(setting, time, random).run(1.5 * setting.ttl, number('seconds'))
  process.send?.(findings)
}

async function simulateAll (list: readonly Setting[]): Promise<Findings[]> {
  const found: Findings[] = []
  const left = [...list.entries()].sort(([, a], [, b]) => b.instances - a.instances)
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), left.length) }, async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, setting] = next
      const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--setting', JSON.stringify(setting)])
      found[index] = await reply<Findings>(child)
      child.disconnect()
      if (!options.json) console.error(`${setting.instances} instances, ${setting.pages} pages, ${percent(setting.loss)} lost`)
    }
  }))
  return found
}

function percent (part: number): string {
  return `${Number((part * 100).toFixed(1))} %`
}

function figure (value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(value >= 10 ? 1 : 2)
}

function headOf ({ instances, pages, loss }: Setting): string[] {
  return [`${instances.toLocaleString('en')} × ${pages.toLocaleString('en')}, ${percent(loss)}`]
}

function totalCalls ({ calls }: Findings): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0)
}

function formatRenders (list: readonly Findings[]): string {
  const head = ['instances × pages, lost', 'visits/s', 'hits', 'renders/s', 'per generation', 'redundant', 'purged served', 'heard p50 ms', 'p99', 'max']
  return align([head, ...list.map(findings => {
    const { setting, seconds, visits, hits, renders, redundant, purged } = findings
    const heard = Float64Array.from(findings.heard).sort()
    return [
      ...headOf(setting),
      figure(visits / seconds),
      percent(hits / visits),
      figure(renders / seconds),
      (renders / (renders - redundant)).toFixed(3),
      String(redundant),
      String(purged),
      figure(quantile(heard, 0.5)),
      figure(quantile(heard, 0.99)),
      figure(heard.at(-1) ?? NaN)
    ]
  })])
}

function formatCalls (list: readonly Findings[]): string {
  const head = ['per second', 'beat', 'order', 'read', 'turn', 'write', 'release', 'look up', 'calls', 'commands in them', 'messages']
  return align([head, ...list.map(({ setting, seconds, calls, ...findings }) => [
    ...headOf(setting),
    ...[calls.beat, calls.order, calls.read, calls.turn, calls.write, calls.release, calls['look up'], totalCalls({ setting, seconds, calls, ...findings }), findings.commands, findings.delivered]
      .map(count => figure(count / seconds))
  ])])
}

function formatPredictions (list: readonly Findings[]): string {
  const head = ['predicted, simulated', 'renders/s', '', 'reads/s', '', 'turns/s', '', 'calls/s', '', 'messages/s', '']
  return align([head, ...list.map(findings => {
    const { setting, seconds, calls } = findings
    const predicted = predict(setting)
    const both = (name: keyof Prediction, count: number): string[] => [figure(predicted[name]), figure(count / seconds)]
    return [
      ...headOf(setting),
      ...both('renders', findings.renders),
      ...both('reads', calls.read),
      ...both('turns', calls.turn),
      ...both('calls', totalCalls(findings)),
      ...both('messages', findings.delivered)
    ]
  })])
}

if (options.setting !== undefined) {
  await simulate(JSON.parse(options.setting) as Setting)
} else {
  const startedAt = performance.now()
  const found = await simulateAll(settings())
  const machine = describeMachine()
  if (options.json) {
    console.log(JSON.stringify({ machine, seed: number('seed'), results: found.map(findings => ({ ...findings, predicted: predict(findings.setting) })) }, null, 2))
  } else {
    console.log(`\n${formatRenders(found)}\n\n${formatCalls(found)}\n\n${formatPredictions(found)}\n`)
    console.log(`ttl ${options.ttl} s, ${options.visits} visits/s per instance, ${options.orders} orders/s, renders of ${options.render} ms, heartbeat ${options.heartbeat} ms, 0.5 ms one way`)
    console.log(`${options.seconds} virtual seconds each, seed ${options.seed}, in ${Math.round((performance.now() - startedAt) / 1000)} s`)
    console.log(formatMachine(machine))
  }
}
