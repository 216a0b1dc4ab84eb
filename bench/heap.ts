// What a request allocates. The server runs with a young generation so large that nothing is
// collected while it is asked: what the heap has grown by is what has been allocated.
import { Agent, request } from 'node:http'
import { reply } from './load.js'
import { startCandidate, verifyCandidate, type RunningCandidate } from './running.js'
import type { Memory, Question } from './server.js'

export const METHOD = 'heapUsed after N requests less heapUsed before, over N, in a server whose young generation ' +
  'is so large that the garbage collector does not run in between (checked); external: the same of Buffers'

const FLAGS = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256']
const WARM_UP = 3000
const CONNECTIONS = 10

export interface Allocation {
  name: string
  title: string
  requests: number
  heapBytesPerRequest: number
  externalBytesPerRequest: number
}

async function drive (url: string, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  let left = count
  const visit = async (): Promise<void> => {
    while (left-- > 0) {
      await new Promise<void>((resolve, reject) => {
        request(url, { agent }, response => response.resume().on('end', resolve)).on('error', reject).end()
      })
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, visit))
  agent.destroy()
}

async function ask ({ process: child }: RunningCandidate, question: Question): Promise<Memory> {
  child.send(question)
  return await reply<Memory>(child)
}

async function allocationOf (running: RunningCandidate): Promise<Allocation> {
  const url = running.origin + (running.paths[0] ?? '/')
  await drive(url, WARM_UP)
  for (let requests = 2000; requests >= 125; requests /= 2) {
    const before = await ask(running, 'collect')
    await drive(url, requests)
    const after = await ask(running, 'memory')
    if (after.collections > 0) continue
    return {
      name: running.name,
      title: running.title,
      requests,
      heapBytesPerRequest: (after.heap - before.heap) / requests,
      externalBytesPerRequest: (after.external - before.external) / requests
    }
  }
  throw new Error(`${running.name}: the garbage collector could not be kept from running`)
}

export async function measureAllocation (name: string): Promise<Allocation> {
  const running = await startCandidate(name, undefined, undefined, FLAGS)
  try {
    await verifyCandidate(running)
    return await allocationOf(running)
  } finally {
    await running.stop()
  }
}
