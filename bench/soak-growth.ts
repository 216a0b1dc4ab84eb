// What the samples of a soak say: does anything grow with the requests?
import type { Soaked } from './soak-run.js'
import type { Counts } from './soak-server.js'
import type { Verdict } from './verdict.js'

export type SoakVerdict = Omit<Verdict, 'target'>

/** Bytes of resident memory that 100,000 requests may add. */
const MOST_GROWTH = 1e6
const PER = 100_000
/** Objects per request that may be on their way out. */
const LEFT = 1 / 1000

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

/** Samples before `warm` requests are not looked at. */
export function judgeSoak ({ samples, closed, exit, lost }: Soaked, warm: number): SoakVerdict[] {
  const later = samples.filter(({ requests }) => requests >= warm)
  const less = (what: string, read: (memory: Soaked['samples'][number]['memory']) => number): SoakVerdict => {
    const points = later.map(({ requests, memory }) => [requests, read(memory)] as const)
    const [by, error] = [slope(points) * PER, slopeError(points) * PER]
    return { what: `${what} per 100,000 requests`, required: `< ${megabytes(MOST_GROWTH)}`, measured: `${megabytes(by)} ± ${megabytes(error)}`, met: by < MOST_GROWTH }
  }
  const span = (later.at(-1)?.requests ?? 0) - (later[0]?.requests ?? 0)
  const none = (what: string, all: readonly Counts[], most = 0): SoakVerdict => {
    const found = growing(all, most)
    return { what, required: most === 0 ? 'none' : `≤ ${most}`, measured: found.length === 0 ? 'none' : found.join(', '), met: found.length === 0 }
  }
  return [
    less('resident memory', memory => memory.rss),
    less('heap and buffers', memory => memory.heapUsed + memory.external),
    none('growth of handles', later.map(({ handles }) => handles)),
    none('growth of timers', later.map(({ objects: { Timeout = 0 } }) => ({ Timeout }))),
    // Signals that others depend on are forgotten some time after these.
    none('growth of sockets, requests, answers and signals', later.map(({ objects: { Timeout, ...others } }) => others), Math.ceil(span * LEFT)),
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
