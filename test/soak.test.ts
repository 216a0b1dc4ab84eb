// The soak of the benchmarks, shortened: what requests leave behind does not add up. Nothing is timed.
import t from 'tap'
import { growth, judgeSoak, slope, slopeError } from '../bench/soak-growth.js'
import { soak } from '../bench/soak-run.js'

const REQUESTS = 20_000
const KEYS = 500
const MEMORY = 2e6
const DISK = 3e6

t.test('20,000 requests leave no timer, no handle and no listener behind', async (t) => {
  const soaked = await soak({
    requests: REQUESTS, keys: KEYS, ttl: 5, samples: 8, connections: 16, memory: MEMORY, disk: DISK, workers: 0, express: false, redis: false, seed: 1
  })
  const { samples, statuses, exit } = soaked
  const verdicts = judgeSoak(soaked, REQUESTS / 4).filter(({ what }) => !what.includes('per 100,000'))
  t.ok(verdicts.every(({ met }) => met), JSON.stringify(verdicts, null, 2))
  t.equal(exit?.code, 0, 'nothing keeps the process alive after close()')
  for (const { tables } of samples) {
    t.ok((tables['bytes in memory'] ?? Infinity) <= MEMORY)
    t.ok((tables['bytes on disk'] ?? Infinity) <= DISK * 1.1, `${tables['bytes on disk']} on disk`)
    t.equal(tables['renders running'], 0)
    t.equal(tables['renders queued'], 0)
  }
  const last = samples.at(-1)?.events ?? {}
  for (const event of ['hit', 'stale', 'miss', 'bypass', 'unstorable', 'evictions']) t.ok((last[event] ?? 0) > 0, `${event}: it has come to that`)
  for (const status of [200, 304, 404]) t.ok((statuses[status] ?? 0) > 0, `${status}: it has come to that`)
})

t.test('what grows is told from what comes and goes', async (t) => {
  t.equal(slope([[0, 1], [1, 3], [2, 5]]), 2)
  t.equal(slope([[0, 1], [1, 4], [2, 1]]), 0)
  t.equal(slopeError([[0, 1], [1, 3], [2, 5]]), 0)
  t.equal(growth([1, 9, 2, 8, 1, 9]), 0)
  t.equal(growth([1, 2, 3, 4, 5, 6]), 1)
  t.equal(growth([5, 5, 5]), 0)
})
