// What the samples of a soak say: does anything grow with the requests?
import type { Soaked } from './soak-run.js'
import type { Counts, SoakMemory } from './soak-server.js'
import { quantile } from './statistics.js'
import type { Verdict } from './verdict.js'

export type SoakVerdict = Omit<Verdict, 'target'>

const PER = 100_000
/** Bytes that 100,000 requests may add to resident memory, which the allocator gives back as it likes. */
const MOST_RESIDENT = 1e6
/** And to what is in use after a garbage collection: less than a byte per request. */
const MOST_USED = 1e5
/** Standard errors between a slope and what it must be below. */
const SURE = 2

/** Of the line with the least squares of distances. */
export function slope (points: ReadonlyArray<readonly [x: number, y: number]>): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  const [covariance, variance] = points.reduce(([xy, xx], [x, y]) => [xy + (x - meanX) * (y - meanY), xx + (x - meanX) ** 2], [0, 0]) as [number, number]
  return covariance / variance
}

/** Standard error of the slope: how far off it may be by chance. */
export function slopeError (points: ReadonlyArray<readonly [x: number, y: number]>): number {
  const by = slope(points)
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  const residual = points.reduce((sum, [x, y]) => sum + (y - meanY - by * (x - meanX)) ** 2, 0)
  const variance = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return Math.sqrt(residual / (points.length - 2) / variance)
}

/** The median of the slopes between all pairs of points: what single samples are like does not matter to it. */
export function medianSlope (points: ReadonlyArray<readonly [x: number, y: number]>): number {
  const slopes = points.flatMap(([x, y], index) => points.slice(index + 1).map(([otherX, otherY]) => (otherY - y) / (otherX - x)))
  return quantile(Float64Array.from(slopes).sort(), 0.5)
}

/** What even the least of the later half is more than the most of the earlier half: what only comes and goes does not grow. */
export function growth (values: readonly number[]): number {
  const half = values.length >> 1
  return Math.max(0, Math.min(...values.slice(-half)) - Math.max(...values.slice(0, half)))
}

/** What grows by more than that, as `name +3`. */
function growing (all: readonly Counts[], most: number): string[] {
  const names = new Set(all.flatMap(counts => Object.keys(counts)))
  return [...names].flatMap((name) => {
    const more = growth(all.map(counts => counts[name] ?? 0))
    return more <= most ? [] : [`${name} +${more}`]
  })
}

function megabytes (bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`
}

/** Samples before `warm` requests are not looked at. `most`: what may be more at the end by chance, when there are few of them. */
export function judgeSoak ({ samples, memory, closed, exit, lost }: Soaked, warm: number, most = 0): SoakVerdict[] {
  const later = samples.filter(({ requests }) => requests >= warm)
  const less = (what: string, most: number, read: (memory: SoakMemory) => number): SoakVerdict => {
    const points = memory.filter(({ requests }) => requests >= warm).map(reading => [reading.requests, read(reading)] as const)
    const [by, error, median] = [slope(points) * PER, slopeError(points) * PER, medianSlope(points) * PER]
    return { what: `${what} per 100,000 requests`, required: `< ${megabytes(most)}`, measured: `${megabytes(by)} ± ${megabytes(error)}, median ${megabytes(median)}`, met: by + SURE * error < most }
  }
  const none = (what: string, all: readonly Counts[]): SoakVerdict => {
    const found = growing(all, most)
    return { what, required: most === 0 ? 'none' : `≤ ${most}`, measured: found.length === 0 ? 'none' : found.join(', '), met: found.length === 0 }
  }
  return [
    less('resident memory', MOST_RESIDENT, memory => memory.rss),
    less('heap and buffers', MOST_USED, memory => memory.heapUsed + memory.external),
    none('growth of handles', later.map(({ handles }) => handles)),
    none('growth of timers', later.map(({ objects: { Timeout = 0 } }) => ({ Timeout }))),
    none('growth of streams and signals', later.map(({ objects: { Timeout, ...others } }) => others)),
    none('growth of listeners', later.map(({ listeners }) => listeners)),
    { what: 'requests that got no answer', required: '0', measured: String(lost), met: lost === 0 },
    {
      what: 'ends by itself after app.close()',
      required: 'yes',
      measured: exit === null ? `no: ${closed.handles.join(', ')}` : `${Math.round(closed.milliseconds)} ms, and ${Math.round(exit.milliseconds)} ms more`,
      met: exit?.code === 0
    }
  ]
}
