import { quantile } from './statistics.js'

/** Every round begins with another candidate, so that none always follows the same one. */
export function rotate<T> (list: T[], by: number): T[] {
  const start = by % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}

export function median (values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = quantile(sorted, 0.5)
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[sorted.length / 2 - 1] ?? NaN)) / 2
}

/** The noise of a machine comes in waves: what is compared was measured within the same round. */
export function medianRatio (rounds: number[], reference: number[]): number {
  return median(rounds.map((value, round) => value / (reference[round] ?? NaN)))
}
