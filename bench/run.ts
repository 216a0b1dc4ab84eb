// npm run bench -- [suite…] [--only raw,memory-hit] [--rounds 5] [--seconds 2] [--connections 64]
//   [--long 30] [--small 30] [--patience 8] [--tries 2] [--spare 4] [--nice 0] [--no-install] [--json] [--out file] [--markdown file]
import { rename, writeFile } from 'node:fs/promises'
import { cores, niceness, prioritise } from './cores.js'
import { FOREIGN } from './idle.js'
import { findWrk, startAutocannon } from './load.js'
import { parseOptions, SUITES, UsageError, type Options, type SuiteName } from './options.js'
import { formatReport, formatResult, formatVerdicts } from './output.js'
import { describeMachine, formatMachine } from './report.js'
import { begin, type Context, type Suite } from './suite.js'
import { encodings } from './suites/encodings.js'
import { hit, quick } from './suites/hit.js'
import { build, scale, workers } from './suites/modules.js'
import { pages } from './suites/pages.js'
import { peers } from './suites/peers.js'
import { predecessor } from './suites/predecessor.js'
import { sizes } from './suites/sizes.js'
import { small } from './suites/small.js'
import { isMeasured, judge } from './targets.js'
import type { Verdict } from './verdict.js'
import { ownVersions } from './versions.js'

const RUN: Record<SuiteName, Suite> = { hit, sizes, encodings, pages, peers, predecessor, small, workers, build, scale, quick }

function readOptions (): Options {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    // What parseArgs refuses is a TypeError.
    if (!(error instanceof UsageError) && !(error instanceof TypeError)) throw error
    console.error(error.message)
    process.exit(2)
  }
}

function notes (): string[] {
  const pinned = cores === null ? 'server and load share the cores' : `server on core ${cores.server}, load on core ${cores.load}`
  const noise = `noisy: rounds in which other work took more than ${FOREIGN * 100} % of the machine`
  const versions = [...context.versions].map(([name, version]) => `${name} ${version}`).join(', ')
  const args = process.argv.slice(2).join(' ').replace(/ ?--(?:json|(?:out|markdown)[ =]\S+)/g, '').trim()
  const command = `npm run bench${args && ' -- '}${args}`
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1)
  return [`${command} (${minutes} minutes)`, formatMachine(describeMachine()), `${pinned}, niceness ${niceness()}; ${noise}`, versions]
}

function verdicts (): Verdict[] {
  const isWhole = SUITES.every(name => options.suites.includes(name))
  return judge(context.results).filter(verdict => isWhole || isMeasured(verdict))
}

function toJson (): string {
  return JSON.stringify({
    machine: describeMachine(),
    versions: Object.fromEntries(context.versions),
    cores,
    options,
    minutes: (performance.now() - startedAt) / 60_000,
    results: context.results,
    verdicts: verdicts()
  }, null, 2)
}

/** A run that breaks off leaves what it has found until then. */
async function save (): Promise<void> {
  const { out, markdown } = options
  if (out !== null) await replace(out, `${toJson()}\n`)
  if (markdown !== null) await replace(markdown, `${formatReport(context.results, verdicts(), notes(), 'markdown')}\n`)
}

async function replace (file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

/** The others go on when one fails; the process then ends with 1. */
async function runSuite (name: SuiteName): Promise<void> {
  const { results, log } = context
  const before = performance.now()
  try {
    await RUN[name](context)
  } catch (error) {
    console.error(error)
    process.exitCode = 1
    const result = results.find(({ suite }) => suite === name) ?? begin(name, context)
    result.missing.push({ name: 'the rest of it', reason: `it failed: ${String(error)}` })
  }
  log(`${name} took ${((performance.now() - before) / 60_000).toFixed(1)} minutes`)
  await save()
}

// So that what has been started is ended: see `startProgram`.
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

const startedAt = performance.now()
const options = readOptions()
prioritise(options.nice)
const autocannon = startAutocannon()
// wrk knows whole seconds only.
const wrk = options.suites.includes('quick') || options.seconds % 1 !== 0 ? null : await findWrk()
const generators = wrk === null ? [autocannon] : [wrk, autocannon]
const context: Context = {
  options,
  autocannon,
  fastest: generators[0] ?? autocannon,
  generators,
  tools: { install: options.install },
  log: line => console.error(line),
  versions: new Map([...ownVersions(), ...generators.map(({ name, version }) => [name, version] as const)]),
  spare: { seconds: options.spare * 60 },
  results: [],
  save
}

try {
  // A file that can't be written is told of now, and not after the first suite.
  await save()
  for (const name of options.suites) {
    await runSuite(name)
    if (!options.json) console.log(`\n${context.results.slice(-1).map(result => formatResult(result)).join('')}`)
  }
} finally {
  await Promise.all(generators.map(generator => generator.stop()))
}

if (options.json) console.log(toJson())
else console.log(`${formatVerdicts(verdicts())}\n\n${notes().join('\n')}`)
