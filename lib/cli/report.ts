import path from 'node:path'
import type { BuildProgress, BuildReport, BuildRow } from '../../types/index.js'
import { count, formatBytes, formatDuration, formatTable, painter, printable, shorten, type Column, type Output, type Paint } from './format.js'
import { ProgressBar, ProgressLines, silent, type Progress } from './progress.js'

export interface ReportOptions {
  json: boolean
  quiet: boolean
  failFast: boolean
  /** The log of the app is shown. */
  hasLog: boolean
}

export interface Streams { stdout: Output, stderr: Output }

const COLUMNS: Column[] = [
  { title: 'Path', align: 'left' },
  { title: 'Status', align: 'right' },
  { title: 'Size', align: 'right' },
  { title: 'Brotli', align: 'right' },
  { title: 'Time', align: 'right' },
  { title: 'Outcome', align: 'left' }
]
const MAX_ROWS = 50
const LONGEST_PATH = 60

/**
 * What a build tells the user. The table and the summary go to stdout, or the JSON document alone;
 * progress and everything that went wrong go to stderr.
 */
export class Reporter {
  readonly #options: ReportOptions
  readonly #streams: Streams
  readonly #paint: { out: Paint, err: Paint }
  readonly #progress: Progress
  readonly #warnings = new Set<string>()

  constructor (options: ReportOptions, streams: Streams) {
    this.#options = options
    this.#streams = streams
    this.#paint = { out: painter(streams.stdout), err: painter(streams.stderr) }
    this.#progress = this.#chooseProgress()
  }

  onProgress (progress: BuildProgress): void {
    this.#progress.update(progress)
  }

  /** Something worth knowing before or beside the build; not in --quiet. */
  warn (message: string): void {
    if (this.#options.quiet) return
    this.#error(this.#paint.err('yellow', message))
  }

  /** A warning that belongs to the report. */
  collect (warning: string): void {
    this.#warnings.add(warning)
  }

  /** An answer to what the user just did. */
  notice (message: string): void {
    this.#error(message)
  }

  /** The build is over, without a report. */
  stop (): void {
    this.#progress.clear()
  }

  async finish (report: BuildReport): Promise<void> {
    this.#progress.clear()
    const { json, quiet } = this.#options
    if (!json && !quiet) this.#printTable(report)
    if (!quiet) this.#printSection('Warnings', 'yellow', [...this.#warnings, ...report.warnings].map(message => [message]))
    this.#printFailures(report)
    if (json) await this.#writeDocument(report)
    else if (!quiet) this.#printSummary(report)
  }

  #chooseProgress (): Progress {
    if (this.#options.json || this.#options.quiet) return silent
    const { stderr } = this.#streams
    if (stderr.isTTY === true && process.env['TERM'] !== 'dumb') return new ProgressBar(stderr, this.#paint.err)
    return new ProgressLines(line => this.#error(line))
  }

  #print (line = ''): void {
    this.#streams.stdout.write(`${line}\n`)
  }

  #error (line = ''): void {
    this.#progress.clear()
    this.#streams.stderr.write(`${line}\n`)
  }

  #printTable ({ pages }: BuildReport): void {
    if (pages.length === 0) return
    const shown = [...pages].sort((a, b) => Number(hasFailed(b)) - Number(hasFailed(a))).slice(0, MAX_ROWS)
    this.#print()
    const rows = pages.length > MAX_ROWS ? shown : pages
    for (const line of formatTable(COLUMNS, rows.map(cells), (text, at) => this.#styleRow(text, rows[at]))) this.#print(line)
    if (pages.length > MAX_ROWS) {
      this.#print(this.#paint.out('dim', `… and ${count(pages.length - MAX_ROWS, 'more page', 'more pages')}; --json lists them all`))
    }
  }

  #styleRow (text: string, row: BuildRow | undefined): string {
    if (row === undefined) return this.#paint.out('bold', text)
    if (hasFailed(row)) return this.#paint.out('red', text)
    return row.outcome === 'unchanged' ? this.#paint.out('dim', text) : text
  }

  #printFailures ({ pages, problems }: BuildReport): void {
    this.#printSection('Problems', 'red', problems.map(({ route, path: at, message }) => [at ?? route ?? '', message]))
    this.#printSection('Failed', 'red', pages.filter(hasFailed).map(row => {
      const kept = row.outcome === 'kept' ? ' (the page of the last build stays)' : ''
      return [row.path, `${row.error ?? 'unknown error'}${kept}`]
    }))
    const { hasLog, quiet } = this.#options
    if (!hasLog && !quiet && pages.some(hasFailed)) this.#error(this.#paint.err('dim', '  (--log-level error shows what the app logged)'))
  }

  #printSection (title: string, style: 'red' | 'yellow', items: string[][]): void {
    if (items.length === 0) return
    this.#error()
    this.#error(this.#paint.err([style, 'bold'], title))
    for (const parts of items.slice(0, MAX_ROWS)) {
      this.#error(`  ${parts.map(printable).filter(part => part !== '').join('  ')}`)
    }
    if (items.length > MAX_ROWS) this.#error(`  … and ${(items.length - MAX_ROWS).toLocaleString('en')} more; --json lists them all`)
  }

  #printSummary (report: BuildReport): void {
    const { pages, removed, sitemap, durationMs, ok } = report
    const isDiscarded = this.#options.failFast && !ok
    const mark = ok ? this.#paint.out('green', '✔') : this.#paint.out('red', '✖')
    const gone = removed.length === 0 ? '' : `, ${removed.length.toLocaleString('en')} removed`
    this.#print()
    this.#print(`${mark} ${count(pages.length, 'page')} in ${formatDuration(durationMs)}: ${outcomes(pages)}${gone}`)
    if (isDiscarded) {
      this.#print('  stopped at the first failure; the last build is untouched')
      return
    }
    const files = sitemap.file === null ? '' : `, with ${sitemap.file}`
    this.#print(this.#paint.out('dim', `  build ${report.buildId} in ${relative(report.dir)}${files}`))
  }

  // Waits until it is out: the process may be ended hard soon after.
  #writeDocument (report: BuildReport): Promise<void> {
    return new Promise(resolve => { this.#streams.stdout.write(`${JSON.stringify(report)}\n`, () => resolve()) })
  }
}

/** A page kept from the last build has failed as well, if there is an error. */
function hasFailed (row: BuildRow): boolean {
  return row.outcome === 'failed' || row.error !== undefined
}

function cells (row: BuildRow): string[] {
  return [
    shorten(printable(row.path), LONGEST_PATH),
    row.status?.toString() ?? '–',
    size(row.bytes),
    size(row.encodings?.br),
    row.durationMs === undefined ? '–' : formatDuration(row.durationMs),
    row.outcome
  ]
}

function size (bytes: number | undefined): string {
  return bytes === undefined ? '–' : formatBytes(bytes)
}

function outcomes (pages: BuildRow[]): string {
  const order: BuildRow['outcome'][] = ['written', 'unchanged', 'kept', 'failed']
  const parts = order
    .map(outcome => ({ outcome, n: pages.filter(row => row.outcome === outcome).length }))
    .filter(({ n }) => n > 0)
    .map(({ outcome, n }) => `${n.toLocaleString('en')} ${outcome}`)
  return parts.length === 0 ? 'nothing to render' : parts.join(', ')
}

function relative (dir: string): string {
  const short = path.relative(process.cwd(), dir)
  return short === '' ? '.' : short.startsWith('..') ? dir : short
}
