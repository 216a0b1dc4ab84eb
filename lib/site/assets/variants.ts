export interface Candidate {
  width: number
  bytes: number
}

/**
 * Drops what is not smaller than something wider: resizing makes flat areas
 * noisy, so that a screenshot may weigh more at half its width. Sorted by width.
 */
export function withoutUseless<T extends Candidate> (candidates: readonly T[]): T[] {
  const kept: T[] = []
  for (const candidate of candidates.toSorted((a, b) => b.width - a.width)) {
    if (candidate.bytes < (kept[0]?.bytes ?? Infinity)) kept.unshift(candidate)
  }
  return kept
}

/** Whether visitors load less, over the `widths` that a page may ask for, than with `other`. */
export function isSmaller (candidates: readonly Candidate[], other: readonly Candidate[], widths: readonly number[]): boolean {
  return candidates.length > 0 && loaded(candidates, widths) < loaded(other, widths)
}

/** Bytes that browsers load which need these widths, one each. */
function loaded (candidates: readonly Candidate[], widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + ((candidates.find(one => one.width >= width) ?? candidates.at(-1))?.bytes ?? 0), 0)
}
