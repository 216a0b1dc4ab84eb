import { contend, type Contender } from '../compare.js'
import type { RunningCandidate } from '../running.js'
import { addTable, begin, withCandidates, type Suite } from '../suite.js'

const CANDIDATES = ['raw', 'memory-hit', 'express-hit', 'disk-hit', 'static', 'nginx']

async function encoded (candidate: RunningCandidate, encoding: string): Promise<Contender[]> {
  const headers = { 'accept-encoding': encoding }
  const response = await fetch(candidate.origin, { headers })
  await response.arrayBuffer()
  return response.headers.get('content-encoding') === encoding ? [contend(candidate, { headers }, encoding)] : []
}

/** Those that answer 304 when they are told what the visitor has. */
async function revalidated (candidate: RunningCandidate): Promise<Contender[]> {
  const first = await fetch(candidate.origin, { headers: { 'accept-encoding': 'identity' } })
  await first.arrayBuffer()
  const headers = { 'if-none-match': first.headers.get('etag') ?? '' }
  const second = await fetch(candidate.origin, { headers })
  await second.arrayBuffer()
  return second.status === 304 ? [contend(candidate, { headers, status: 304 }, '304')] : []
}

export const encodings: Suite = async context => {
  const result = begin('encodings', context)
  await withCandidates(CANDIDATES, context, result, async running => {
    const contenders: Contender[] = []
    for (const candidate of running) {
      contenders.push(contend(candidate), ...await encoded(candidate, 'gzip'), ...await encoded(candidate, 'br'), ...await revalidated(candidate))
    }
    await addTable(result, contenders, context, { name: 'encodings', title: 'Encodings, and what the visitor has already', reference: 'raw' })
    const heads = running.map(candidate => contend(candidate, { method: 'HEAD' }, 'HEAD'))
    await addTable(result, heads, context, { name: 'head', title: 'HEAD, asked by a client of the runner', reference: 'raw:HEAD', generator: { ...context.autocannon, name: 'own client' } })
  })
}
