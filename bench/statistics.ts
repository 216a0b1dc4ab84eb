/** Milliseconds. */
export interface Latencies {
  p50: number
  p99: number
  mean: number
  stdev: number
  max: number
}

/** A value of a sorted list: 0.5 is the median. */
export function quantile (sorted: ArrayLike<number>, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN
}

export function summariseLatencies (milliseconds: number[]): Latencies {
  const sorted = Float64Array.from(milliseconds).sort()
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length
  const variance = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / sorted.length
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), mean, stdev: Math.sqrt(variance), max: sorted.at(-1) ?? NaN }
}
