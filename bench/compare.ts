// Rounds in which contenders take turns.
import type { Request } from './load.js'
import { measure, type Measuring } from './measure.js'
import type { Measured } from './report.js'
import { rotate } from './rounds.js'
import type { RunningCandidate } from './running.js'

const WARM_REQUESTS = 20_000
const WARM_TURNS = 6

/** A candidate and what it is asked for. */
export interface Contender {
  name: string
  title: string
  candidate: RunningCandidate
  request: Request
}

export interface Rounds extends Measuring {
  rounds: number
  onRound?: (round: number) => void
  log?: (line: string) => void
  /** For one that could not be measured, and is left out; without it that is an error. */
  onFailure?: (contender: Contender, error: unknown) => void
}

export function contend (candidate: RunningCandidate, request: Partial<Request> = {}, suffix = ''): Contender {
  return {
    name: candidate.name + (suffix && `:${suffix}`),
    title: candidate.title + (suffix && `, ${suffix}`),
    candidate,
    request: { method: 'GET', headers: {}, paths: candidate.paths, status: 200, ...request }
  }
}

/** Until the JIT has seen enough: on a busy machine a second alone may be a few hundred requests. */
async function warm ({ candidate, request }: Contender, measuring: Measuring): Promise<void> {
  const seconds = Math.min(1, measuring.seconds)
  const warming = { ...measuring, seconds, patience: 0, tries: 1 }
  let requests = 0
  for (let turn = 0; turn < WARM_TURNS && requests < WARM_REQUESTS * seconds; turn++) {
    requests += (await measure(candidate, warming, request)).requestsPerSecond * seconds
  }
}

export async function compare (contenders: Contender[], { rounds, onRound, onFailure, log = () => {}, ...measuring }: Rounds): Promise<Measured[]> {
  const measured = contenders.map(({ name, title }): Measured => ({ name, title, rounds: [] }))
  const failed = new Set<number>()
  const attempt = async (index: number, work: (contender: Contender) => Promise<void>): Promise<void> => {
    const contender = contenders[index]
    if (contender === undefined || failed.has(index)) return
    try {
      // A second time if it fails: one dropped connection must not cost a table its reference.
      await work(contender).catch(async (error: unknown) => {
        log(`${contender.title}: ${String(error)}; once more`)
        await work(contender)
      })
    } catch (error) {
      if (onFailure === undefined) throw error
      failed.add(index)
      onFailure(contender, error)
    }
  }
  for (const index of contenders.keys()) await attempt(index, async contender => await warm(contender, measuring))
  for (let round = 0; round < rounds; round++) {
    for (const index of rotate([...contenders.keys()], round)) {
      await attempt(index, async ({ candidate, request }) => { measured[index]?.rounds.push(await measure(candidate, measuring, request)) })
    }
    onRound?.(round + 1)
  }
  return measured.filter((_, index) => !failed.has(index))
}
