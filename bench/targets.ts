// What the figures of a run say about the targets of the project.
import type { Sample } from './measure.js'
import { ratioOf } from './report.js'
import type { SuiteResult } from './suite.js'
import type { Verdict } from './verdict.js'

const MISSING = 'not measured'
const CPU = 'cpuMicrosecondsPerRequest'
const RATE = 'requestsPerSecond'

/** The figures of a run, NaN where something was not measured. */
class Figures {
  readonly #results: SuiteResult[]

  constructor (results: SuiteResult[]) {
    this.#results = results
  }

  /** The median ratio of two contenders of one table: `suite/table`. */
  ratio (where: string, name: string, reference: string, field: keyof Sample): number {
    const [suite, table] = where.split('/')
    const measured = this.#results.find(result => result.suite === suite)?.tables.find(({ name }) => name === table)?.measured
    return measured === undefined ? NaN : ratioOf(measured, name, reference, field)
  }

  /** Requests per second of CPU: the rate of a core, whether or not the load generator could fill it. */
  perCore (where: string, name: string, reference: string): number {
    return 1 / this.ratio(where, name, reference, CPU)
  }

  median (where: string, name: string, field: keyof Sample): number {
    const [suite, table] = where.split('/')
    return this.#results.find(result => result.suite === suite)?.tables.find(({ name }) => name === table)
      ?.rows.find(row => row.name === name)?.median[field] ?? NaN
  }

  fact (suite: string, name: string): number {
    return this.#results.find(result => result.suite === suite)?.facts[name] ?? NaN
  }

  verdicts (target: number): Verdict[] {
    return this.#results.flatMap(({ verdicts }) => verdicts).filter(verdict => verdict.target === target)
  }
}

type Line = Omit<Verdict, 'target'>

function show (value: number, unit: string): string {
  if (Number.isNaN(value)) return MISSING
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : 2
  return `${value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })}${unit}`
}

function atMost (what: string, value: number, bound: number, unit = ''): Line {
  return { what, required: `≤ ${bound.toLocaleString('en')}${unit}`, measured: show(value, unit), met: Number.isNaN(value) ? null : value <= bound }
}

function atLeast (what: string, value: number, bound: number, unit = ''): Line {
  return { what, required: `≥ ${bound.toLocaleString('en')}${unit}`, measured: show(value, unit), met: Number.isNaN(value) ? null : value >= bound }
}

function told (what: string, value: number, unit = '', required = 'told'): Line {
  return { what, required, measured: show(value, unit), met: null }
}

const major = Number(process.versions.node.split('.')[0])

function hitLines (figures: Figures): Line[] {
  const cpu = (name: string, reference: string, table = 'minimal'): number => figures.ratio(`hit/${table}`, name, reference, CPU)
  return [
    atMost('default lane, CPU × raw node:http', cpu('memory-hit', 'raw'), major >= 24 ? 0.85 : 1.05),
    ...major >= 24 ? [atMost('with optimizeEmptyRequests, CPU × raw', cpu('empty-requests-hit', 'raw'), 0.77)] : [],
    atMost('default lane, CPU × plain route', cpu('memory-hit', 'plain'), 1),
    atMost('the same with cookie, cors and helmet', cpu('hooked-hit', 'hooked-plain'), 1)
  ]
}

function expressLines (figures: Figures): Line[] {
  const cpu = (table: string, reference: string): number => figures.ratio(`hit/${table}`, 'express-hit', reference, CPU)
  return [
    atMost('express lane, CPU × raw node:http', cpu('minimal', 'raw'), 0.7),
    atMost('express lane, CPU × nginx static', cpu('minimal', 'nginx'), 1),
    atMost("the same with a browser's headers", cpu('browser', 'nginx'), 1.05)
  ]
}

function peerLines (figures: Figures): Line[] {
  const rate = (table: string, name: string, reference: string): number => figures.perCore(`peers/${table}`, name, reference)
  return [
    atLeast('default lane, req/s per core × Next.js ISR', rate('next', 'memory-hit', 'next'), 15),
    atLeast('default lane, req/s per core × Nitro', rate('peers', 'memory-hit', 'nitro'), 3),
    atLeast('default lane, req/s per core × @fastify/static', rate('peers', 'memory-hit', 'static'), 5),
    atLeast('default lane, req/s per core × Varnish', rate('peers', 'memory-hit', 'varnish'), 1),
    atLeast('express lane, req/s per core × Next.js ISR', rate('next', 'express-hit', 'next'), 25),
    atLeast("the same with a browser's headers", rate('next-browser', 'express-hit', 'next'), 50)
  ]
}

/** Figures of one run differ by that much without a cause. */
const SAME = 1.08

function scaleLines (figures: Figures): Line[] {
  const scale = (name: string): number => figures.fact('scale', name)
  return [
    atMost('hit, CPU with 1,000,000 known pages × 1,000', figures.ratio('pages/pages', 'known-pages:1,000,000 known pages', 'known-pages:1,000 known pages', CPU), SAME),
    atMost('hit, CPU with 50 tags × none', figures.ratio('pages/ties', 'tagged-hit', 'memory-hit', CPU), SAME),
    atMost('hit, CPU with Redis × without', figures.ratio('pages/ties', 'redis-hit', 'memory-hit', CPU), SAME),
    atMost('heap and buffers per page', scale('1000000:heap') / 1e6, 512, ' B'),
    atMost('main thread busy until a million pages are in force', scale('1000000:busyMs'), 2000, ' ms'),
    atMost('until ready with a million pages, × 100 pages', scale('1000000:readyMs') / scale('100:readyMs'), 2),
    ...figures.verdicts(5)
  ]
}

function predecessorLines (figures: Figures): Line[] {
  const rate = (name: string, reference: string, table = 'cached'): number => figures.perCore(`predecessor/${table}`, name, reference)
  const heap = (name: string): number => figures.fact('predecessor', `heap:${name}`)
  return [
    atLeast('cached page, req/s per core of a plain response (target: 105 %)', rate('memory-hit', 'plain') * 100, 97.3, ' %'),
    told('the same of the express lane', rate('express-hit', 'plain') * 100, ' %'),
    told('cached page, req/s of a plain response', figures.ratio('predecessor/cached', 'memory-hit', 'plain', RATE) * 100, ' %'),
    told('cached × template parsed per request', rate('memory-hit', 'parse'), '', 'told (theirs 8.1)'),
    told('cached × compiled template', rate('memory-hit', 'eta')),
    atLeast('prerendered × dynamic at 22 ms of rendering', rate('costly-hit', 'costly', 'costly'), 110),
    told('disk hit, CPU × memory hit', figures.ratio('predecessor/cached', 'disk-hit', 'memory-hit', CPU), '', 'told (theirs 1.24)'),
    told('heap per memory hit', heap('memory-hit'), ' B'),
    told('heap per disk hit', heap('disk-hit'), ' B'),
    told('heap per render (eta)', heap('eta'), ' B'),
    atLeast('heap of a render (eta) × memory hit', heap('eta') / heap('memory-hit'), 8.5)
  ]
}

function smallLines (figures: Figures): Line[] {
  const of = (field: keyof Sample, page: string): number => figures.median('small/small', page, field)
  return [
    ...['home', 'post'].flatMap(page => [
      atLeast(`${page}: req/s`, of('requestsPerSecond', page), 1964),
      atMost(`${page}: mean`, of('meanMilliseconds', page), 54.5, ' ms'),
      atMost(`${page}: standard deviation`, of('stdevMilliseconds', page), 34.5, ' ms'),
      told(`${page}: p99`, of('p99Milliseconds', page), ' ms'),
      atMost(`${page}: max`, of('maxMilliseconds', page), 368, ' ms')
    ]),
    atMost('peak resident memory', figures.fact('small', 'peak'), 400, ' MiB')
  ]
}

function elsewhere (figures: Figures, target: number, what: string): Line[] {
  const verdicts = figures.verdicts(target)
  return verdicts.length > 0 ? verdicts : [{ what, required: '-', measured: MISSING, met: null }]
}

export function judge (results: SuiteResult[]): Verdict[] {
  const figures = new Figures(results)
  const targets: Line[][] = [
    hitLines(figures),
    expressLines(figures),
    peerLines(figures),
    elsewhere(figures, 4, 'hits while pages render'),
    scaleLines(figures),
    elsewhere(figures, 6, 'builds'),
    predecessorLines(figures),
    smallLines(figures)
  ]
  return targets.flatMap((lines, index) => lines.map(line => ({ ...line, target: index + 1 })))
}

export function isMeasured ({ measured }: Verdict): boolean {
  return measured !== MISSING
}

/** Cells, the head first. */
export function verdictLines (verdicts: Verdict[]): string[][] {
  const met = (value: boolean | null): string => value === null ? '-' : value ? 'yes' : 'NO'
  return [['target', 'required', 'measured', 'met?'], ...verdicts.map(verdict =>
    [`${verdict.target}  ${verdict.what}`, verdict.required, verdict.measured, met(verdict.met)])]
}
