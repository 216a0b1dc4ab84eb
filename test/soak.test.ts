// The soak of the benchmarks, shortened: what requests leave behind does not add up. Nothing is timed.
import t from 'tap'
import { growth, judgeSoak, medianSlope, slope, slopeError } from '../bench/soak-growth.js'
import { soak } from '../bench/soak-run.js'

const REQUESTS = 3000
/** Until memory and disk are full. */
const WARM = 500
/** Of all that may be there once more, or not, when it is counted. */
const CHANCE = 2
const MEMORY = 5e5
const DISK = 1e6

t.setTimeout(180_000)

t.test('3,000 requests leave no timer, no handle, no listener and no signal behind', async (t) => {
  const soaked = await soak({
    requests: REQUESTS, keys: 150, ttl: 20, samples: 6, between: 0, connections: 8, ordered: 0, memory: MEMORY, disk: DISK, workers: 0, express: false, redis: false, seed: 1
  })
  const { samples, statuses, exit } = soaked
  // What a few seconds do to memory says nothing.
  const verdicts = judgeSoak(soaked, WARM, CHANCE).filter(({ what }) => !what.includes('per 100,000'))
  t.same(verdicts.filter(({ met }) => !met), [])
  t.equal(verdicts.length, 6)
  t.equal(exit?.code, 0, 'nothing keeps the process alive after close()')
  for (const { tables } of samples) {
    t.ok((tables['bytes in memory'] ?? Infinity) <= MEMORY)
    t.ok((tables['bytes on disk'] ?? Infinity) <= DISK * 1.1, `${tables['bytes on disk']} on disk`)
    t.equal(tables['renders running'], 0)
    t.equal(tables['renders queued'], 0)
  }
  const last = samples.at(-1)?.events ?? {}
  for (const event of ['hit', 'stale', 'miss', 'bypass', 'failed', 'evictions', 'renders failed']) t.ok((last[event] ?? 0) > 0, `${event}: it has come to that`)
  for (const status of [200, 304, 404]) t.ok((statuses[status] ?? 0) > 0, `${status}: it has come to that`)
})

t.test('what grows is told from what comes and goes', async (t) => {
  t.equal(slope([[0, 1], [1, 3], [2, 5]]), 2)
  t.equal(slope([[0, 1], [1, 4], [2, 1]]), 0)
  t.equal(medianSlope([[0, 1], [1, 3], [2, 99], [3, 7]]), 2, 'whatever one of them is like')
  t.equal(slopeError([[0, 1], [1, 3], [2, 5]]), 0)
  t.equal(growth([1, 9, 2, 8, 1, 9]), 0)
  t.equal(growth([1, 2, 3, 4, 5, 6]), 1)
  t.equal(growth([5, 5, 5]), 0)
})
