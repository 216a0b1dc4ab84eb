import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { FOREIGN } from './idle.js'
import type { Sample } from './measure.js'
import { median, medianRatio } from './rounds.js'

export interface Measured {
  name: string
  title: string
  /** One sample per round, in the order of the rounds. */
  rounds: Sample[]
}

export interface Row {
  name: string
  title: string
  /** Medians over the rounds. */
  median: Sample
  /** Medians of the ratios to the reference in the same round; null without the reference. */
  ratios: { requestsPerSecond: number, cpuMicrosecondsPerRequest: number } | null
  /** Rounds in which other work took more of the machine than it should. */
  noisyRounds: number
}

export interface Machine {
  node: string
  os: string
  cpu: string
  cores: number
  memoryGiB: number
}

export function describeMachine (): Machine {
  return {
    node: process.version,
    os: `${type()} ${release()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30)
  }
}

const FIELDS = [
  'requestsPerSecond', 'cpuMicrosecondsPerRequest', 'serverBusy', 'p50Milliseconds', 'p99Milliseconds',
  'meanMilliseconds', 'stdevMilliseconds', 'maxMilliseconds', 'foreign'
] as const satisfies Array<keyof Sample>

function medians (rounds: Sample[]): Sample {
  return Object.fromEntries(FIELDS.map(field => [field, median(rounds.map(sample => sample[field]))])) as Record<typeof FIELDS[number], number>
}

/** Of one candidate to another one, round by round. */
export function ratioOf (measured: Measured[], name: string, reference: string, field: keyof Sample): number {
  const rounds = (wanted: string): number[] => (measured.find(candidate => candidate.name === wanted)?.rounds ?? []).map(sample => sample[field])
  const [own, others] = [rounds(name), rounds(reference)]
  return own.length === 0 || others.length === 0 ? NaN : medianRatio(own, others)
}

export function summarise (measured: Measured[], referenceName: string): Row[] {
  const hasReference = measured.some(({ name }) => name === referenceName)
  return measured.map(({ name, title, rounds }) => ({
    name,
    title,
    median: medians(rounds),
    ratios: hasReference
      ? {
          requestsPerSecond: ratioOf(measured, name, referenceName, 'requestsPerSecond'),
          cpuMicrosecondsPerRequest: ratioOf(measured, name, referenceName, 'cpuMicrosecondsPerRequest')
        }
      : null,
    noisyRounds: rounds.filter(({ foreign }) => foreign > FOREIGN).length
  }))
}

function cells ({ title, median, ratios, noisyRounds }: Row): string[] {
  const ratio = (value: number | undefined): string => value === undefined ? '-' : value.toFixed(2)
  return [
    title,
    Math.round(median.requestsPerSecond).toLocaleString('en'),
    ratio(ratios?.requestsPerSecond),
    median.cpuMicrosecondsPerRequest.toFixed(1),
    ratio(ratios?.cpuMicrosecondsPerRequest),
    `${Math.round(median.serverBusy * 100)} %`,
    median.p50Milliseconds.toFixed(2),
    median.p99Milliseconds.toFixed(2),
    median.meanMilliseconds.toFixed(2),
    median.stdevMilliseconds.toFixed(2),
    median.maxMilliseconds.toFixed(1),
    noisyRounds === 0 ? '' : `noisy: ${noisyRounds}`
  ]
}

/** Cells, the head first. */
export function linesOf (rows: Row[]): string[][] {
  return [['', 'req/s', '× ref', 'CPU µs/req', '× ref', 'server busy', 'p50 ms', 'p99', 'mean', 'stdev', 'max', ''], ...rows.map(cells)]
}

/** The first column to the left, figures to the right. */
export function align (lines: string[][]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)))
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return lines.map(line => line.map(pad).join('  ').trimEnd()).join('\n')
}

export function formatMachine ({ node, os, cpu, cores, memoryGiB }: Machine): string {
  return `Node ${node}, ${os}, ${cores} × ${cpu}, ${memoryGiB} GiB`
}
