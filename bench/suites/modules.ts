// Suites that are programs of their own: `bench/workers.ts`, `bench/build.ts`, `bench/scale.ts`.
// Each prints one JSON object with `--json`; where that has `verdicts`, they are taken over.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { begin, type Context, type Figures, type Suite, type SuiteResult } from '../suite.js'
import type { Verdict } from '../verdict.js'

/** Of what is printed: the verdicts are among the targets, and every round is only in the JSON. */
const UNTOLD = ['verdicts', 'measured']

interface Printed {
  verdicts?: Verdict[]
  /** What `bench/scale.ts` prints. */
  served?: Array<Record<string, number>>
}

/** Milliseconds: a run goes on without a program that hangs. */
const LONGEST = 600_000

/** What it prints; what it tells meanwhile is seen. */
async function output (file: string, args: string[]): Promise<string> {
  const child = spawn(process.execPath, [file, ...args, '--json'], { stdio: ['ignore', 'pipe', 'inherit'], timeout: LONGEST })
  const end = (): void => { child.kill() }
  process.once('exit', end)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', chunk => { text += String(chunk) })
  const [code, signal] = await once(child, 'close') as [number | null, string | null]
  process.off('exit', end)
  if (code !== 0) throw new Error(`${path.basename(file)} ended with ${code ?? signal}`)
  return text.slice(text.indexOf('{'))
}

async function run (name: string, args: string[], context: Context): Promise<void> {
  const result = begin(name, context)
  const file = fileURLToPath(new URL(`../${name}.js`, import.meta.url))
  if (!existsSync(file)) {
    result.missing.push({ name, reason: `there is no bench/${name}.ts` })
    return
  }
  context.log(`${name}: node ${name}.js ${args.join(' ')}`)
  const printed = JSON.parse(await output(file, args)) as Printed
  result.verdicts.push(...printed.verdicts ?? [])
  result.figures.push(...Object.entries(printed).filter(([name]) => !UNTOLD.includes(name)).flatMap(([name, value]) => tabulate(name, value)))
  result.printed = printed
  takeScale(printed, result)
}

/** A list of objects as a table: what it is about above each of them, a line for each property. */
function tabulate (name: string, value: unknown): Figures[] {
  if (!Array.isArray(value) || value.length === 0 || value.some(item => typeof item !== 'object' || item === null)) return []
  const items = value as Array<Record<string, unknown>>
  const show = (cell: unknown): string => typeof cell === 'number'
    ? cell.toLocaleString('en', { maximumFractionDigits: 2 })
    : typeof cell === 'string' ? cell : JSON.stringify(cell) ?? ''
  const lines = Object.keys(items[0] ?? {}).map(key => [key, ...items.map(item => show(item[key]))])
  return [{ title: name, lines }]
}

function takeScale ({ served = [] }: Printed, { facts }: SuiteResult): void {
  for (const { pages, ...figures } of served) {
    for (const [name, value] of Object.entries(figures)) facts[`${pages}:${name}`] = value
  }
}

export const workers: Suite = context => run('workers', [], context)
export const build: Suite = context => run('build', [], context)
export const scale: Suite = context => run('scale', ['--pages', '100,1000000'], context)
