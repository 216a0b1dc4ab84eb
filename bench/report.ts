import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
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

export function summarise (measured: Measured[], referenceName: string): Row[] {
  const reference = measured.find(({ name }) => name === referenceName)?.rounds
  const ratio = (rounds: Sample[], reference: Sample[], field: keyof Sample): number =>
    medianRatio(rounds.map(sample => sample[field]), reference.map(sample => sample[field]))
  return measured.map(({ name, title, rounds }) => ({
    name,
    title,
    median: {
      requestsPerSecond: median(rounds.map(sample => sample.requestsPerSecond)),
      cpuMicrosecondsPerRequest: median(rounds.map(sample => sample.cpuMicrosecondsPerRequest)),
      serverBusy: median(rounds.map(sample => sample.serverBusy)),
      p50Milliseconds: median(rounds.map(sample => sample.p50Milliseconds)),
      p99Milliseconds: median(rounds.map(sample => sample.p99Milliseconds))
    },
    ratios: reference === undefined
      ? null
      : {
          requestsPerSecond: ratio(rounds, reference, 'requestsPerSecond'),
          cpuMicrosecondsPerRequest: ratio(rounds, reference, 'cpuMicrosecondsPerRequest')
        }
  }))
}

const HEADINGS = ['', 'req/s', '× plain', 'CPU µs/req', '× plain', 'server busy', 'p50 ms', 'p99 ms']

function cells ({ title, median, ratios }: Row): string[] {
  const ratio = (value: number | undefined): string => value === undefined ? '-' : value.toFixed(2)
  return [
    title,
    Math.round(median.requestsPerSecond).toLocaleString('en'),
    ratio(ratios?.requestsPerSecond),
    median.cpuMicrosecondsPerRequest.toFixed(1),
    ratio(ratios?.cpuMicrosecondsPerRequest),
    `${Math.round(median.serverBusy * 100)} %`,
    median.p50Milliseconds.toFixed(2),
    median.p99Milliseconds.toFixed(2)
  ]
}

export function formatTable (rows: Row[]): string {
  return align([HEADINGS, ...rows.map(cells)])
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
