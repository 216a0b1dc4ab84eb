// npm run bench:cluster -- [--orders 100] [--instances 3,8] [--rounds 5] [--seconds 2] [--connections 50] [--json]
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startRedis, type RedisServer } from '../test/helpers/redis-server.js'
import { monotonic, type InstanceSettings, type Question, type Times } from './cluster-instance.js'
import { compare, contend } from './compare.js'
import { reply, startAutocannon } from './load.js'
import { align, describeMachine, formatMachine, summarise, type Measured, type Row } from './report.js'
import { startCandidate, verifyCandidate, type RunningCandidate } from './running.js'
import type { Listening } from './server.js'
import { quantile } from './statistics.js'

const WITHOUT = 'memory-hit'
const WITH = 'redis-hit'
/** Milliseconds between two looks at an instance. */
const POLL = 1
/** Milliseconds in which everything has ended that a request leaves behind. */
const SETTLED = 60
const RENDER = 20
/** Pages per row of the table of commands. */
const PAGES = 20
const HITS = 1000
/** Milliseconds; longer than anything is measured. */
const NEVER = 3_600_000
/** What clients and this benchmark ask for, rather than scripts. */
const AROUND = new Set(['evalsha', 'eval', 'info', 'ping', 'hello', 'client|setinfo', 'client', 'subscribe', 'select', 'config|resetstat'])

const { values: options } = parseArgs({
  options: {
    orders: { type: 'string', default: '100' },
    instances: { type: 'string', default: '3,8' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '50' },
    json: { type: 'boolean', default: false }
  }
})

function atLeastOne (name: 'orders' | 'instances' | 'rounds' | 'seconds' | 'connections'): number[] {
  const numbers = options[name].split(',').map(Number)
  if (numbers.every(number => Number.isInteger(number) && number >= 1)) return numbers
  console.error(`--${name} must be a whole number of at least 1, got ${options[name]}`)
  process.exit(2)
}

function one (name: Parameters<typeof atLeastOne>[0]): number {
  return atLeastOne(name)[0] ?? 1
}

function progress (text: string): void {
  if (!options.json) console.error(text)
}

class Instance {
  readonly #child: ChildProcess
  readonly #agent = new Agent({ keepAlive: true })
  #port = 0

  constructor (settings: InstanceSettings) {
    this.#child = fork(fileURLToPath(new URL('./cluster-instance.js', import.meta.url)), [JSON.stringify(settings)], {
      env: { ...process.env, NODE_ENV: 'production' }
    })
  }

  async listening (): Promise<void> {
    this.#port = (await reply<Listening>(this.#child)).port
  }

  async get (path: string): Promise<string> {
    const outgoing = request({ host: '127.0.0.1', port: this.#port, path, agent: this.#agent })
    outgoing.end()
    const [response] = await once(outgoing, 'response') as [IncomingMessage]
    const body = await text(response)
    if (response.statusCode !== 200) throw new Error(`${path} is answered with ${response.statusCode}`)
    return body
  }

  async order (type: 'purge' | 'revalidate', path: string): Promise<Times> {
    return await this.#ask({ type, path })
  }

  async commands (): Promise<number> {
    return await this.#ask({ type: 'commands' })
  }

  async close (): Promise<void> {
    this.#agent.destroy()
    if (this.#child.exitCode !== null) return
    this.#child.disconnect()
    await once(this.#child, 'exit')
  }

  async #ask<T> (question: Question): Promise<T> {
    this.#child.send(question)
    return await reply<T>(this.#child)
  }
}

async function withInstances<T> (count: number, settings: InstanceSettings, work: (instances: Instance[]) => Promise<T>): Promise<T> {
  const instances = Array.from({ length: count }, () => new Instance(settings))
  try {
    await Promise.all(instances.map(instance => instance.listening()))
    return await work(instances)
  } finally {
    await Promise.all(instances.map(instance => instance.close()))
  }
}

/** Milliseconds, sorted. */
interface Visible {
  instances: number
  /** From the call of `purge()`, and from when it resolved, to the first request that got another page, per instance. */
  fromCall: number[]
  fromResolved: number[]
  /** From the call to when it resolved. */
  call: number[]
}

async function measureOrders (redis: RedisServer, count: number, rounds: number): Promise<Visible> {
  const found: Visible = { instances: count, fromCall: [], fromResolved: [], call: [] }
  await withInstances(count, { redisPort: redis.port, heartbeat: 1000, renderMs: 0, dir: null }, async (instances) => {
    for (let round = 0; round < rounds; round++) {
      const url = `/page/${round % 10}`
      let old = ''
      for (const instance of instances) old = await instance.get(url)
      await sleep(SETTLED)
      const polls = instances.map(async (instance) => {
        for (;;) {
          const sentAt = monotonic()
          if (await instance.get(url) !== old) return sentAt
          await sleep(POLL)
        }
      })
      await sleep(10 + Math.random() * 20)
      const times = await (instances[round % count] as Instance).order('purge', url)
      for (const seenAt of await Promise.all(polls)) {
        found.fromCall.push(seenAt - times.calledAt)
        found.fromResolved.push(seenAt - times.resolvedAt)
      }
      found.call.push(times.resolvedAt - times.calledAt)
    }
  })
  for (const list of [found.fromCall, found.fromResolved, found.call]) list.sort((a, b) => a - b)
  return found
}

function formatOrders (list: readonly Visible[]): string {
  const row = (instances: number, what: string, values: number[]): string[] =>
    [`${instances} instances, ${what}`, ...[0.5, 0.99].map(q => quantile(values, q).toFixed(2)), (values.at(-1) ?? NaN).toFixed(2)]
  return align([['ms', 'p50', 'p99', 'max'], ...list.flatMap(({ instances, call, fromCall, fromResolved }) => [
    row(instances, 'purge() resolves', call),
    row(instances, 'from the call to visible', fromCall),
    row(instances, 'from resolved to visible', fromResolved)
  ])])
}

async function measureHits (redis: RedisServer): Promise<{ rows: Row[], measured: Measured[] }> {
  process.env['BENCH_REDIS_PORT'] = String(redis.port)
  const running: RunningCandidate[] = []
  const [rounds, seconds, connections] = [one('rounds'), one('seconds'), one('connections')]
  const generator = startAutocannon()
  try {
    for (const name of [WITHOUT, WITH]) {
      const candidate = await startCandidate(name)
      running.push(candidate)
      await verifyCandidate(candidate)
    }
    const onRound = (round: number): void => progress(`hits: round ${round} of ${rounds}`)
    const measured = await compare(running.map(candidate => contend(candidate)), { rounds, seconds, connections, generator, onRound })
    return { rows: summarise(measured, WITHOUT), measured }
  } finally {
    await Promise.all([generator, ...running].map(each => each.stop()))
  }
}

function formatHits (rows: readonly Row[]): string {
  return align([['', 'req/s', '× without', 'CPU µs/req', '× without', 'server busy'], ...rows.map(({ title, median, ratios }) => [
    title,
    Math.round(median.requestsPerSecond).toLocaleString('en'),
    ratios?.requestsPerSecond.toFixed(3) ?? '-',
    median.cpuMicrosecondsPerRequest.toFixed(1),
    ratios?.cpuMicrosecondsPerRequest.toFixed(3) ?? '-',
    `${Math.round(median.serverBusy * 100)} %`
  ])])
}

interface Cost {
  what: string
  /** Per time that it happened. */
  calls: number
  /** Commands that Redis has run in them. */
  commands: number
}

async function commandsInRedis (redis: RedisServer): Promise<number> {
  return Object.entries(await redis.info('commandstats'))
    .filter(([name]) => !AROUND.has(name.replace('cmdstat_', '')))
    .reduce((sum, [, text]) => sum + Number(/calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
}

async function measureCosts (redis: RedisServer): Promise<Cost[]> {
  const costs: Cost[] = []
  await withInstances(3, { redisPort: redis.port, heartbeat: NEVER, renderMs: RENDER, dir: null }, async ([a, b, c]) => {
    if (a === undefined || b === undefined || c === undefined) return
    const note = async (what: string, times: number, who: readonly Instance[], work: () => Promise<unknown>): Promise<void> => {
      const count = async (): Promise<number> => (await Promise.all(who.map(instance => instance.commands()))).reduce((sum, commands) => sum + commands, 0)
      const before = [await count(), await commandsInRedis(redis)] as const
      await work()
      await sleep(SETTLED)
      costs.push({ what, calls: (await count() - before[0]) / times, commands: (await commandsInRedis(redis) - before[1]) / times })
    }
    const each = async (work: (url: string) => Promise<unknown>, name = '/page/cost-'): Promise<void> => {
      for (let page = 0; page < PAGES; page++) {
        await work(`${name}${page}`)
        await sleep(RENDER + SETTLED)
      }
    }
    // Redis is told each script once, which is no cost of a page.
    for (const instance of [a, b, c]) await instance.get('/page/first')
    for (const type of ['revalidate', 'purge'] as const) {
      await a.order(type, '/page/first')
      await sleep(SETTLED)
      await a.get('/page/first')
      await sleep(RENDER + SETTLED)
    }
    await note('cold page, nobody has it: who renders', PAGES, [a], () => each(url => a.get(url)))
    await note('cold page, another instance has it', PAGES, [b], () => each(url => b.get(url)))
    await each(url => c.get(url))
    await note('hit', HITS, [a, b, c], async () => { for (let hit = 0; hit < HITS; hit++) await a.get('/page/cost-1') })
    await note('revalidate: who orders', PAGES, [a], () => each(url => a.order('revalidate', url)))
    await note('stale page, ordered: who renders', PAGES, [a], () => each(url => a.get(url)))
    await note('stale page, ordered: another visited instance', PAGES, [b], () => each(url => b.get(url)))
    await note('purge: who orders', PAGES, [a], () => each(url => a.order('purge', url)))
    await note('purged page: who renders', PAGES, [b], () => each(url => b.get(url)))
    await note('purged page: another visited instance', PAGES, [a], () => each(url => a.get(url)))
    await each(async (url) => { await Promise.all([a, b].map(instance => instance.get(url))) }, '/short/cost-')
    await sleep(1100)
    await note('stale page, ttl: who renders', PAGES, [a], () => Promise.all(Array.from({ length: PAGES }, (_, page) => a.get(`/short/cost-${page}`))).then(() => sleep(5 * RENDER)))
    await note('stale page, ttl: another visited instance', PAGES, [b], () => Promise.all(Array.from({ length: PAGES }, (_, page) => b.get(`/short/cost-${page}`))))
    await note('cold page, 3 instances at once, together', PAGES, [a, b, c], () => each(url => Promise.all([a, b, c].map(instance => instance.get(url))), '/page/herd-'))
    await each(url => a.order('revalidate', url), '/page/herd-')
    await note('stale page, 3 instances at once, together', PAGES, [a, b, c], () => each(url => Promise.all([a, b, c].map(instance => instance.get(url))), '/page/herd-'))
  })
  const dir = await mkdtemp(path.join(tmpdir(), 'fastify-isr-bench-'))
  try {
    for (const [what, place] of [['idle, per second', null], ['idle, per second, pages on disk', dir]] as const) {
      await withInstances(1, { redisPort: redis.port, heartbeat: 1000, renderMs: 0, dir: place }, async ([instance]) => {
        if (instance === undefined) return
        await sleep(1000)
        const before = [await instance.commands(), await commandsInRedis(redis), monotonic()] as const
        await sleep(10_000)
        const seconds = (monotonic() - before[2]) / 1000
        costs.push({ what, calls: (await instance.commands() - before[0]) / seconds, commands: (await commandsInRedis(redis) - before[1]) / seconds })
      })
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  return costs
}

function formatCosts (costs: readonly Cost[]): string {
  return align([['', 'calls', 'commands in them'], ...costs.map(({ what, calls, commands }) => [what, calls.toFixed(2), commands.toFixed(2)])])
}

function requireRedis (): void {
  const program = process.env['REDIS_SERVER_PATH'] ?? '/usr/bin/redis-server'
  try {
    accessSync(program, constants.X_OK)
  } catch {
    console.error(`this needs redis-server, and ${program} is not there: run 'apt-get install redis-server' on Debian or Ubuntu, or set REDIS_SERVER_PATH to the program`)
    process.exit(1)
  }
}

const counts = atLeastOne('instances')
const orders = one('orders')
requireRedis()
const redis = await startRedis()
try {
  const costs = await measureCosts(redis)
  progress('commands counted')
  const visible: Visible[] = []
  for (const count of counts) {
    visible.push(await measureOrders(redis, count, orders))
    progress(`${count} instances: ${orders} orders`)
  }
  const hits = await measureHits(redis)
  const machine = describeMachine()
  if (options.json) {
    console.log(JSON.stringify({ machine, orders, visible, hits, costs }, null, 2))
  } else {
    console.log(`\n${formatOrders(visible)}\n\n${formatHits(hits.rows)}\n\n${formatCosts(costs)}\n`)
    console.log(`${orders} orders; medians of ${options.rounds} rounds of ${options.seconds} s, ${options.connections} connections; looked at every ${POLL} ms`)
    console.log(formatMachine(machine))
  }
} finally {
  await redis.close()
}
