// npm run bench:data -- [--rounds 21] [--calls 20000] [--json]
import { deepStrictEqual } from 'node:assert'
import { parseArgs } from 'node:util'
import { createCache } from 'async-cache-dedupe'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import fastify from 'fastify'
import isr from 'fastify-isr'
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
    json: { type: 'boolean', default: false }
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

const app = fastify()
await app.register(isr, { disk: false })
await app.ready()

function createCandidates (): Candidate[] {
  const map = new Map<string, Product>()
  const cached = app.isr.cached('product', load, { ttl: TTL })
  const deduped = createCache({ ttl: TTL, storage: { type: 'memory', options: { size: 10_000 } } }).define('product', load)
  const bento = (serialize: boolean) => new BentoCache({
    default: 'memory',
    ttl: TTL * 1000,
    stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: 10_000, serialize })) }
  })
  const [shared, copying] = [bento(false), bento(true)]

  return [
    {
      title: 'Map',
      async get (argument) {
        const key = keyOf(argument)
        const known = map.get(key)
        if (known !== undefined) return known
        const loaded = await load(argument)
        map.set(key, loaded)
        return loaded
      }
    },
    { title: 'isr.cached', get: argument => cached(argument) },
    { title: 'async-cache-dedupe', get: argument => deduped.product(argument) },
    { title: 'bentocache', get: argument => shared.getOrSet({ key: keyOf(argument), factory: () => load(argument) }) },
    { title: 'bentocache, copies', get: argument => copying.getOrSet({ key: keyOf(argument), factory: () => load(argument) }) }
  ]
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

const rounds = atLeastOne('rounds')
const calls = atLeastOne('calls')
const candidates = createCandidates()
const results = []

for (const name of NAMES) {
  const list = ARGUMENTS[name]
  const measured = candidates.map(({ title }) => ({ title, rounds: [] as number[] }))
  for (const candidate of candidates) {
    await verify(candidate, list)
    await measure(candidate, list, calls) // warms the JIT
  }
  for (let round = 0; round < rounds; round++) {
    for (const index of rotate([...candidates.keys()], round)) {
      const candidate = candidates[index]
      if (candidate === undefined) continue
      measured[index]?.rounds.push(await measure(candidate, list, calls))
    }
  }
  const [map, own] = measured
  const rows = measured.map(({ title, rounds }) => ({
    title,
    nanoseconds: median(rounds),
    ratioToMap: medianRatio(rounds, map?.rounds ?? []),
    ratioToIsr: medianRatio(rounds, own?.rounds ?? [])
  }))
  results.push({ argument: name, rows })
}

await app.close()
const machine = describeMachine()

if (options.json) {
  console.log(JSON.stringify({ machine, rounds, calls, keys: KEYS, results }, null, 2))
} else {
  for (const { argument, rows } of results) {
    const lines = rows.map(({ title, nanoseconds, ratioToMap, ratioToIsr }) =>
      [title, Math.round(nanoseconds).toLocaleString('en'), ratioToMap.toFixed(2), ratioToIsr.toFixed(2)])
    console.log(`\n${align([[`by ${argument}`, 'ns/call', '× Map', '× isr.cached'], ...lines])}`)
  }
  console.log(`\nfresh values of ${KEYS} keys; medians of ${rounds} rounds of ${calls.toLocaleString('en')} calls`)
  console.log(formatMachine(machine))
}
