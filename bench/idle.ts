// Other work on the machine is the noise of a benchmark: it is waited for, and told of.
import { setTimeout as sleep } from 'node:timers/promises'
import { isAvailable, machineTicks, ownTicks } from './proc.js'

/** Of the machine, below which a round does not begin before `patience` is over. */
const IDLE = 0.9
/** Of the machine, above which a round is repeated and, in the end, called noisy. */
export const FOREIGN = 0.12
/** Milliseconds that a look at an idle machine takes. */
export const WINDOW = 250

/** Waits up to that many seconds for a machine that is idle. */
export async function waitForIdle (patience: number): Promise<void> {
  if (!isAvailable) return
  const deadline = performance.now() + patience * 1000
  while (performance.now() < deadline) {
    const before = machineTicks()
    await sleep(WINDOW)
    const after = machineTicks()
    if (1 - (after.busy - before.busy) / (after.total - before.total) >= IDLE) return
  }
}

/** Starts to watch; what it returns tells which part of the machine others have used since, from 0 to 1. */
export function watchForeign (): () => number {
  if (!isAvailable) return () => NaN
  const before = { ...machineTicks(), own: ownTicks() }
  return () => {
    const after = { ...machineTicks(), own: ownTicks() }
    const foreign = (after.busy - before.busy) - (after.own - before.own)
    return Math.max(0, foreign / (after.total - before.total))
  }
}
