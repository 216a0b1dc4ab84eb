// npm run bench:data -- [--rounds 21] [--calls 20000] [--json]
import { deepStrictEqual } from 'node:assert'
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createCache } from 'async-cache-dedupe'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import fastify from 'fastify'
import isr from 'fastify-isr'
import { reply } from './load.js'
import { align, describeMachine, formatMachine } from './report.js'
import { median, medianRatio, rotate } from './rounds.js'

// What a server runs with. Elsewhere fastify-isr freezes values, which the others never do.
process.env.NODE_ENV = 'production'

const KEYS = 1000
const TTL = 3600

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '21' },
    calls: { type: 'string', default: '20000' },
    json: { type: 'boolean', default: false },
    /** For the processes that this one starts. */
    candidate: { type: 'string' }
  }
})

function atLeastOne (name: 'rounds' | 'calls'): number {
  const number = Number(options[name])
  if (Number.isInteger(number) && number >= 1) return number
  console.error(`--${name} must be a whole number of at least 1, got ${options[name]}`)
  process.exit(2)
}

interface Product {
  id: string
  name: string
  price: number
  tags: string[]
}

/** An argument as a type alias: async-cache-dedupe asks for an index signature. */
type Selector = { id: string, locale: string }
type Argument = string | Selector

interface Candidate {
  title: string
  get (argument: Argument): Promise<Product>
}

const NAMES = ['a string', 'an object'] as const
const ARGUMENTS: Record<typeof NAMES[number], Argument[]> = {
  'a string': Array.from({ length: KEYS }, (_, index) => `product-${index}`),
  'an object': Array.from({ length: KEYS }, (_, index) => ({ id: `product-${index}`, locale: 'en' }))
}

let loads = 0

async function load (argument: Argument): Promise<Product> {
  loads++
  const id = typeof argument === 'string' ? argument : argument.id
  return { id, name: `Product ${id}`, price: 19.5, tags: ['lamp', 'desk'] }
}

/** For those that leave the key to the caller. */
function keyOf (argument: Argument): string {
  return typeof argument === 'string' ? argument : JSON.stringify(argument)
}

async function createIsr (): Promise<Candidate['get']> {
  const app = fastify()
  await app.register(isr, { disk: false })
  await app.ready()
  return app.isr.cached('product', load, { ttl: TTL })
}

function createMap (): Candidate['get'] {
  const map = new Map<string, Product>()
  return async argument => {
    const key = keyOf(argument)
    const known = map.get(key)
    if (known !== undefined) return known
    const loaded = await load(argument)
    map.set(key, loaded)
    return loaded
  }
}

function createDedupe (): Candidate['get'] {
  const cache = createCache({ ttl: TTL, storage: { type: 'memory', options: { size: 10_000 } } }).define('product', load)
  return async argument => await cache.product(argument)
}

function createBento (serialize: boolean): Candidate['get'] {
  const bento = new BentoCache({
    default: 'memory',
    ttl: TTL * 1000,
    stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: 10_000, serialize })) }
  })
  return async argument => await bento.getOrSet({ key: keyOf(argument), factory: () => load(argument) })
}

const CREATE: Record<string, () => Candidate['get'] | Promise<Candidate['get']>> = {
  Map: createMap,
  'isr.cached': createIsr,
  'async-cache-dedupe': createDedupe,
  bentocache: () => createBento(false),
  'bentocache, copies': () => createBento(true)
}

/** Makes sure that what will be measured are fresh values, and the right ones. */
async function verify ({ title, get }: Candidate, list: Argument[]): Promise<void> {
  for (const argument of list) await get(argument)
  const before = loads
  for (const argument of list) deepStrictEqual(await get(argument), await load(argument), title)
  if (loads !== before + list.length) throw new Error(`${title} has loaded a value that it had`)
}

/** Nanoseconds per call, one call after another. */
async function measure ({ get }: Candidate, list: Argument[], calls: number): Promise<number> {
  const startedAt = performance.now()
  for (let call = 0; call < calls; call++) await get(list[call % KEYS] ?? '')
  return (performance.now() - startedAt) * 1e6 / calls
}

/** What the parent asks of a candidate. */
interface Order {
  name: typeof NAMES[number]
  calls: number
  isFirst: boolean
}

/** One candidate per process: an AsyncLocalStorage, as fastify-isr has one, makes every promise of its process dearer. */
async function serve (title: string): Promise<void> {
  const create = CREATE[title]
  if (create === undefined) throw new Error(`there is no candidate ${title}`)
  const candidate = { title, get: await create() }
  process.on('message', async ({ name, calls, isFirst }: Order) => {
    if (isFirst) await verify(candidate, ARGUMENTS[name])
    process.send?.(await measure(candidate, ARGUMENTS[name], calls))
  })
  process.on('disconnect', () => { process.exit() })
}

async function ask (child: ChildProcess, order: Order): Promise<number> {
  child.send(order)
  return await reply<number>(child)
}

async function compare (name: Order['name'], children: Array<{ title: string, child: ChildProcess }>) {
  const measured = children.map(({ title }) => ({ title, rounds: [] as number[] }))
  // Verifies, and warms the JIT.
  for (const { child } of children) await ask(child, { name, calls, isFirst: true })
  for (let round = 0; round < rounds; round++) {
    for (const index of rotate([...children.keys()], round)) {
      const child = children[index]?.child
      if (child !== undefined) measured[index]?.rounds.push(await ask(child, { name, calls, isFirst: false }))
    }
  }
  const [map, own] = measured
  return measured.map(({ title, rounds }) => ({
    title,
    nanoseconds: median(rounds),
    ratioToMap: medianRatio(rounds, map?.rounds ?? []),
    ratioToIsr: medianRatio(rounds, own?.rounds ?? [])
  }))
}

const rounds = atLeastOne('rounds')
const calls = atLeastOne('calls')

async function run (): Promise<void> {
  const children = Object.keys(CREATE).map(title => ({ title, child: fork(fileURLToPath(import.meta.url), ['--candidate', title]) }))
  const results = []
  for (const name of NAMES) results.push({ argument: name, rows: await compare(name, children) })
  for (const { child } of children) child.disconnect()

  const machine = describeMachine()
  if (options.json) {
    console.log(JSON.stringify({ machine, rounds, calls, keys: KEYS, results }, null, 2))
    return
  }
  for (const { argument, rows } of results) {
    const lines = rows.map(({ title, nanoseconds, ratioToMap, ratioToIsr }) =>
      [title, Math.round(nanoseconds).toLocaleString('en'), ratioToMap.toFixed(2), ratioToIsr.toFixed(2)])
    console.log(`\n${align([[`by ${argument}`, 'ns/call', '× Map', '× isr.cached'], ...lines])}`)
  }
  console.log(`\nfresh values of ${KEYS} keys; medians of ${rounds} rounds of ${calls.toLocaleString('en')} calls`)
  console.log(formatMachine(machine))
}

await (options.candidate === undefined ? run() : serve(options.candidate))
