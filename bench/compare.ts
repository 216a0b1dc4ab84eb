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

export async function compare (contenders: Contender[], { rounds, onRound, ...measuring }: Rounds): Promise<Measured[]> {
  const measured = contenders.map(({ name, title }): Measured => ({ name, title, rounds: [] }))
  for (const contender of contenders) await warm(contender, measuring)
  for (let round = 0; round < rounds; round++) {
    for (const index of rotate([...contenders.keys()], round)) {
      const contender = contenders[index]
      if (contender === undefined) continue
      measured[index]?.rounds.push(await measure(contender.candidate, measuring, contender.request))
    }
    onRound?.(round + 1)
  }
  return measured
}
