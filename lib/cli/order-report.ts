import type { Inspection, OrderResult, RefreshedPage } from '../../types/index.js'
import { count, formatDuration, formatTable, painter, printable, shorten, type Column } from './format.js'
import type { OrderAnswer } from './order-answer.js'

const COLUMNS: Column[] = [
  { title: 'Path', align: 'left' },
  { title: 'Time', align: 'right' },
  { title: 'Outcome', align: 'left' }
]
const MAX_ROWS = 50
const LONGEST_PATH = 60

/** What came of an order, for a person. Returns the exit code, which `--json` has as well. */
export function reportAnswer (answer: OrderAnswer, { json, degradedMeans }: { json: boolean, degradedMeans: string }): number {
  if (json) print(JSON.stringify(answer))
  else {
    if (answer.revalidate !== undefined) reportOrder(answer.revalidate, 'stale from now on')
    if (answer.purge !== undefined) reportOrder(answer.purge, 'purged')
    if (answer.refresh !== undefined) reportPages(answer.refresh.pages)
    for (const inspection of answer.inspect ?? []) reportInspection(inspection)
  }
  const isDegraded = answer.revalidate?.degraded === true || answer.purge?.degraded === true
  if (isDegraded) complain(degradedMeans)
  return isDegraded || answer.refresh?.pages.some(hasFailed) === true ? 1 : 0
}

function reportOrder ({ matched, degraded }: OrderResult, what: string): void {
  const paint = painter(process.stdout)
  print(`${degraded ? paint('red', '✖') : paint('green', '✔')} ${count(matched, 'known page')} ${what}`)
}

type Page = Omit<RefreshedPage, 'error'>

function reportPages (pages: Page[]): void {
  const paint = painter(process.stdout)
  const shown = [...pages].sort((a, b) => Number(hasFailed(b)) - Number(hasFailed(a))).slice(0, MAX_ROWS)
  const rows = pages.length > MAX_ROWS ? shown : pages
  if (rows.length > 0) {
    const cells = rows.map(page => [shorten(printable(page.key), LONGEST_PATH), formatDuration(page.durationMs), printable(page.outcome)])
    for (const line of formatTable(COLUMNS, cells, (text, at) => at === -1 ? paint('bold', text) : hasFailed(rows[at]!) ? paint('red', text) : text)) print(line)
    if (pages.length > rows.length) print(paint('dim', `… and ${count(pages.length - rows.length, 'more page')}; --json lists them all`))
    print()
  }
  for (const { key, reason = 'no reason given' } of rows.filter(hasFailed)) complain(`${printable(key)}: ${printable(reason)}`)
  const outcomes = [...new Set(pages.map(page => page.outcome))].map(outcome => `${pages.filter(page => page.outcome === outcome).length} ${printable(outcome)}`)
  print(`${pages.some(hasFailed) ? paint('red', '✖') : paint('green', '✔')} ${count(pages.length, 'page')} refreshed${outcomes.length === 0 ? '' : `: ${outcomes.join(', ')}`}`)
}

function reportInspection ({ url, key, route, cached, state, age, tier, tags, reasons }: Inspection): void {
  const lines: [name: string, value: string | null][] = [
    ['key', key === url ? null : key],
    ['route', route],
    ['cached', cached ? 'yes' : 'no'],
    ['state', state],
    ['age', age === null ? null : formatDuration(age * 1000)],
    ['tier', tier],
    ['tags', tags.length === 0 ? null : tags.join(', ')],
    ...reasons.map((reason, at): [string, string] => [at === 0 ? 'why' : '', reason])
  ]
  print(painter(process.stdout)('bold', printable(url)))
  for (const [name, value] of lines) if (value !== null) print(`  ${name.padEnd(7)} ${printable(value)}`)
}

function hasFailed ({ outcome }: Page): boolean {
  return outcome === 'failed'
}

function print (line = ''): void {
  process.stdout.write(`${line}\n`)
}

function complain (message: string): void {
  process.stderr.write(`${painter(process.stderr)('red', message)}\n`)
}
