// What suites are made of.
import { Unavailable, type Candidate, type Peer, type PeerTools, type Setting } from './candidate.js'
import { compare, type Contender } from './compare.js'
import type { Generator } from './load.js'
import type { Spare } from './measure.js'
import type { Options } from './options.js'
import { summarise, type Measured, type Row } from './report.js'
import { SETTING, startCandidate, verifyCandidate, type RunningCandidate } from './running.js'
import type { Verdict } from './verdict.js'

export interface Table {
  /** Unique within the suite. */
  name: string
  title: string
  /** The title of the reference, for the head of the table. */
  reference: string
  rows: Row[]
  measured: Measured[]
}

/** Figures that are no table of requests. */
export interface Figures {
  title: string
  /** Cells, the head first. */
  lines: string[][]
}

export interface Missing {
  name: string
  reason: string
}

export interface SuiteResult {
  suite: string
  tables: Table[]
  figures: Figures[]
  texts: string[]
  /** What targets are made of besides tables. */
  facts: Record<string, number>
  missing: Missing[]
  /** Of suites that judge themselves. */
  verdicts: Verdict[]
  /** All that a suite of its own has printed. */
  printed?: unknown
}

export interface Context {
  options: Options
  autocannon: Generator
  /** wrk where it is installed, else autocannon. */
  fastest: Generator
  generators: Generator[]
  tools: Partial<PeerTools>
  log (line: string): void
  /** Of what is no part of this repository. */
  versions: Map<string, string>
  /** What waiting for an idle machine and repeating noisy rounds may still cost. */
  spare: Spare
  /** Of all suites that have begun. */
  results: SuiteResult[]
  /** Keeps what there is so far. */
  save (): Promise<void>
}

export type Suite = (context: Context) => Promise<void>

export function emptyResult (suite: string): SuiteResult {
  return { suite, tables: [], figures: [], texts: [], facts: {}, missing: [], verdicts: [] }
}

/** From here on the suite is among the results, whatever becomes of it. */
export function begin (suite: string, { results }: Pick<Context, 'results'>): SuiteResult {
  const result = emptyResult(suite)
  results.push(result)
  return result
}

async function isOptional (name: string): Promise<boolean> {
  const { default: module } = await import(`./candidates/${name}.js`) as { default: Candidate | Peer }
  return 'start' in module || module.isOptional === true || module.unavailable !== undefined
}

async function startOne (name: string, setting: Setting, context: Context): Promise<RunningCandidate> {
  const running = await startCandidate(name, setting, { ...context.tools, log: context.log })
  try {
    await verifyCandidate(running)
  } catch (error) {
    await running.stop()
    throw error
  }
  if (running.version !== null) context.versions.set(name, running.version)
  return running
}

/** Starts those that can be started here, notes the others, and stops all in the end. */
export async function withCandidates<T> (names: string[], context: Context, result: Pick<SuiteResult, 'missing'>, work: (running: RunningCandidate[]) => Promise<T>, setting = SETTING): Promise<T> {
  const { only } = context.options
  const running: RunningCandidate[] = []
  try {
    for (const name of names) {
      if (only !== null && !only.includes(name)) continue
      try {
        running.push(await startOne(name, setting, context))
      } catch (error) {
        if (!(error instanceof Unavailable) && !await isOptional(name)) throw error
        if (error instanceof Unavailable && !await isOptional(name)) throw new Error(`${name}: ${error.message}`)
        const reason = error instanceof Error ? error.message : String(error)
        context.log(`${name} is left out: ${reason}`)
        if (!result.missing.some(missing => missing.name === name)) result.missing.push({ name, reason })
      }
    }
    return await work(running)
  } finally {
    await Promise.all(running.map(candidate => candidate.stop()))
  }
}

export interface TableSettings {
  name: string
  title: string
  /** The name of the contender that all are compared with. */
  reference: string
  generator?: Generator
  rounds?: number
  seconds?: number
  connections?: number
}

export async function addTable (result: SuiteResult, contenders: Contender[], context: Context, settings: TableSettings): Promise<void> {
  if (contenders.length === 0) return
  const { options, fastest, log, spare } = context
  const { name, title, reference, generator = fastest, rounds = options.rounds, seconds = options.seconds, connections = options.connections } = settings
  const { patience, tries } = options
  const onRound = (round: number): void => log(`${result.suite}, ${title}: round ${round} of ${rounds}`)
  const onFailure = ({ name, title }: Contender, error: unknown): void => {
    process.exitCode = 1
    const reason = `${title}: ${String(error)}`
    log(`${name} is left out of "${settings.title}": ${reason}`)
    result.missing.push({ name, reason: `failed in "${settings.title}": ${reason}` })
  }
  const measured = await compare(contenders, { rounds, seconds, connections, generator, patience, tries, spare, log, onRound, onFailure })
  result.tables.push({
    name,
    title: `${title} (${generator.name}, ${rounds} × ${seconds} s, ${connections} connections)`,
    reference: contenders.find(contender => contender.name === reference)?.title ?? 'reference',
    rows: summarise(measured, reference),
    measured
  })
  await context.save()
}
