// Suites that are programs of their own: `bench/workers.ts`, `bench/build.ts`, `bench/scale.ts`.
// Each prints one JSON object with `--json`; where that has `verdicts`, they are taken over.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { align } from '../report.js'
import { emptyResult, type Context, type Suite, type SuiteResult } from '../suite.js'
import type { Verdict } from '../verdict.js'

interface Printed {
  verdicts?: Verdict[]
  /** What `bench/scale.ts` prints. */
  served?: Array<Record<string, number>>
}

async function run (name: string, args: string[], { log }: Context): Promise<SuiteResult> {
  const result = emptyResult(name)
  const file = fileURLToPath(new URL(`../${name}.js`, import.meta.url))
  if (!existsSync(file)) {
    result.missing.push({ name, reason: `there is no bench/${name}.ts` })
    return result
  }
  log(`${name}: node ${name}.js ${args.join(' ')}`)
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [file, ...args, '--json'], { maxBuffer: 2 ** 26 })
    const printed = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Printed
    result.verdicts.push(...printed.verdicts ?? [])
    result.texts.push(...Object.entries(printed).filter(([name]) => name !== 'verdicts').flatMap(([name, value]) => tabulate(name, value)))
    result.printed = printed
    takeScale(printed, result)
  } catch (error) {
    result.missing.push({ name, reason: error instanceof Error ? error.message : String(error) })
  }
  return result
}

/** A list of objects as a table: what it is about above each of them, a line for each property. */
function tabulate (name: string, value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0 || value.some(item => typeof item !== 'object' || item === null)) return []
  const items = value as Array<Record<string, unknown>>
  const show = (cell: unknown): string => typeof cell === 'number'
    ? cell.toLocaleString('en', { maximumFractionDigits: 2 })
    : typeof cell === 'string' ? cell : JSON.stringify(cell) ?? ''
  const lines = Object.keys(items[0] ?? {}).map(key => [key, ...items.map(item => show(item[key]))])
  return [`${name}\n\n${align(lines)}`]
}

function takeScale ({ served = [] }: Printed, { facts }: SuiteResult): void {
  for (const { pages, ...figures } of served) {
    for (const [name, value] of Object.entries(figures)) facts[`${pages}:${name}`] = value
  }
}

export const workers: Suite = context => run('workers', [], context)
export const build: Suite = context => run('build', [], context)
export const scale: Suite = context => run('scale', ['--pages', '100,1000000'], context)
