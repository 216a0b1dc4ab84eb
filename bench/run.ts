// npm run bench -- [suite…] [--only raw,memory-hit] [--rounds 5] [--seconds 2] [--connections 64]
//   [--long 30] [--small 30] [--patience 8] [--tries 2] [--nice 0] [--no-install] [--json] [--out file]
import { writeFile } from 'node:fs/promises'
import { cores, niceness, prioritise } from './cores.js'
import { FOREIGN } from './idle.js'
import { findWrk, startAutocannon } from './load.js'
import { parseOptions, SUITES, UsageError, type Options, type SuiteName } from './options.js'
import { describeMachine, formatMachine, formatTable } from './report.js'
import { emptyResult, type Context, type Suite, type SuiteResult } from './suite.js'
import { encodings } from './suites/encodings.js'
import { hit, quick } from './suites/hit.js'
import { build, scale, workers } from './suites/modules.js'
import { pages } from './suites/pages.js'
import { peers } from './suites/peers.js'
import { predecessor } from './suites/predecessor.js'
import { sizes } from './suites/sizes.js'
import { small } from './suites/small.js'
import { formatVerdicts, isMeasured, judge } from './targets.js'
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

function formatResult ({ suite, tables, texts, missing }: SuiteResult): string {
  return [
    `## ${suite}`,
    ...tables.map(({ title, reference, rows }) =>
      `${title}${rows.some(({ ratios }) => ratios !== null) ? `; × is to ${reference}` : ''}\n\n${formatTable(rows, 'ref')}`),
    ...texts,
    ...missing.map(({ name, reason }) => `${name} is left out: ${reason}`)
  ].join('\n\n')
}

function notes (context: Context): string {
  const pinned = cores === null ? 'server and load share the cores' : `server on core ${cores.server}, load on core ${cores.load}`
  const noise = `noisy: rounds in which other work took more than ${FOREIGN * 100} % of the machine`
  const versions = [...context.versions].map(([name, version]) => `${name} ${version}`).join(', ')
  return [formatMachine(describeMachine()), `${pinned}, niceness ${niceness()}; ${noise}`, versions].join('\n')
}

/** The others go on when one fails; the process then ends with 1. */
async function runSuite (name: SuiteName, context: Context): Promise<SuiteResult> {
  try {
    return await RUN[name](context)
  } catch (error) {
    console.error(error)
    process.exitCode = 1
    return { ...emptyResult(name), missing: [{ name, reason: `failed: ${String(error)}` }] }
  }
}

// So that what has been started is ended: see `startProgram`.
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

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
  versions: new Map([...ownVersions(), ...generators.map(({ name, version }) => [name, version] as const)])
}
const results: SuiteResult[] = []

try {
  for (const name of options.suites) {
    const result = await runSuite(name, context)
    results.push(result)
    if (!options.json) console.log(`\n${formatResult(result)}`)
  }
} finally {
  await Promise.all(generators.map(generator => generator.stop()))
}

const isWhole = SUITES.every(name => options.suites.includes(name))
const verdicts = judge(results).filter(verdict => isWhole || isMeasured(verdict))
const json = JSON.stringify({
  machine: describeMachine(),
  versions: Object.fromEntries(context.versions),
  cores,
  options,
  results,
  verdicts
}, null, 2)
if (options.out !== null) await writeFile(options.out, `${json}\n`)
if (options.json) console.log(json)
else console.log(`${verdicts.length === 0 ? '' : `\n## targets\n\n${formatVerdicts(verdicts)}\n`}\n${notes(context)}`)
