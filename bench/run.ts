// npm run bench -- [--rounds 5] [--seconds 2] [--connections 50] [--only memory-hit,plain] [--json]
import { parseArgs } from 'node:util'
import { measure, startCandidate, stopCandidate, verifyCandidate, type RunningCandidate } from './measure.js'
import { renderPage } from './page.js'
import { describeMachine, formatMachine, formatTable, summarise, type Measured } from './report.js'
import { rotate } from './rounds.js'

const REFERENCE = 'plain'
const CANDIDATES = ['memory-hit', 'disk-hit', 'uncached', REFERENCE]

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '50' },
    only: { type: 'string', default: CANDIDATES.join(',') },
    json: { type: 'boolean', default: false }
  }
})

function atLeastOne (name: 'rounds' | 'seconds' | 'connections'): number {
  const number = Number(options[name])
  if (Number.isInteger(number) && number >= 1) return number
  console.error(`--${name} must be a whole number of at least 1, got ${options[name]}`)
  process.exit(2)
}

function chosenCandidates (): string[] {
  const names = options.only.split(',')
  const unknown = names.find(name => !CANDIDATES.includes(name))
  if (unknown === undefined) return names
  console.error(`--only knows ${CANDIDATES.join(', ')}, not ${unknown}`)
  process.exit(2)
}

async function runRounds (candidates: RunningCandidate[]): Promise<Measured[]> {
  const measured = candidates.map(({ name, title }): Measured => ({ name, title, rounds: [] }))

  for (const candidate of candidates) await measure(candidate, 1, connections) // warms the JIT

  for (let round = 0; round < rounds; round++) {
    for (const index of rotate([...candidates.keys()], round)) {
      const candidate = candidates[index]
      if (candidate === undefined) continue
      measured[index]?.rounds.push(await measure(candidate, seconds, connections))
    }
    if (!options.json) console.error(`round ${round + 1} of ${rounds}`)
  }
  return measured
}

const rounds = atLeastOne('rounds')
const seconds = atLeastOne('seconds')
const connections = atLeastOne('connections')
const names = chosenCandidates()
const page = renderPage()
const running: RunningCandidate[] = []

try {
  for (const name of names) {
    const candidate = await startCandidate(name)
    running.push(candidate)
    await verifyCandidate(candidate, page)
  }

  const measured = await runRounds(running)
  const rows = summarise(measured, REFERENCE)
  const machine = describeMachine()
  const bytes = Buffer.byteLength(page)

  if (options.json) {
    console.log(JSON.stringify({ machine, bytes, rounds, seconds, connections, rows, measured }, null, 2))
  } else {
    console.log(`\n${formatTable(rows)}\n`)
    console.log(`medians of ${rounds} rounds of ${seconds} s, ${connections} connections, ${bytes} bytes of HTML`)
    console.log(formatMachine(machine))
  }
} finally {
  await Promise.all(running.map(stopCandidate))
}
