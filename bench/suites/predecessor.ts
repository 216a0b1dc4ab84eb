import { contend } from '../compare.js'
import { measureAllocation, METHOD, type Allocation } from '../heap.js'
import { addTable, begin, withCandidates, type Suite } from '../suite.js'

const CANDIDATES = ['plain', 'memory-hit', 'express-hit', 'disk-hit', 'eta', 'parse']
const COSTLY = ['costly', 'costly-hit']
const ALLOCATING = ['raw', 'memory-hit', 'express-hit', 'disk-hit', 'plain', 'uncached', 'eta', 'parse']

function linesOf (allocations: Allocation[]): string[][] {
  const bytes = (value: number): string => Math.round(value).toLocaleString('en')
  const hit = allocations.find(({ name }) => name === 'memory-hit')?.heapBytesPerRequest ?? NaN
  const ratio = (value: number): string => Number.isNaN(hit) ? '-' : (value / hit).toFixed(2)
  return [
    ['', 'heap', '× memory hit', 'external'],
    ...allocations.map(({ title, heapBytesPerRequest: heap, externalBytesPerRequest: external }) => [title, bytes(heap), ratio(heap), bytes(external)])
  ]
}

export const predecessor: Suite = async context => {
  const result = begin('predecessor', context)
  const { options: { only, connections }, log } = context
  await withCandidates(CANDIDATES, context, result, async running => {
    await addTable(result, running.map(candidate => contend(candidate)), context, { name: 'cached', title: 'A cached page, against the same rendered', reference: 'plain' })
  })
  await withCandidates(COSTLY, context, result, async running => {
    await addTable(result, running.map(candidate => contend(candidate)), context, {
      name: 'costly', title: 'A page of 22 ms of rendering', reference: 'costly', connections: Math.min(connections, 16)
    })
  })
  const allocations: Allocation[] = []
  for (const name of ALLOCATING) {
    if (only !== null && !only.includes(name)) continue
    const allocation = await measureAllocation(name)
    allocations.push(allocation)
    result.facts[`heap:${name}`] = allocation.heapBytesPerRequest
    result.facts[`external:${name}`] = allocation.externalBytesPerRequest
    log(`predecessor: heap of ${name}`)
  }
  if (allocations.length === 0) return
  result.figures.push({ title: 'Bytes allocated per request', lines: linesOf(allocations) })
  result.texts.push(METHOD)
}
