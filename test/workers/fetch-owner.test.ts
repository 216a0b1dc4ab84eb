// The worker that fetches a datum ends while others wait for it.
import { setEnvironmentData } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { Askers } from '../../lib/workers/askers.js'
import { until } from '../helpers/app.js'
import fetchApp, { Count, SHARED } from '../helpers/fetch-app.js'
import { startWorkers, type WorkersSite } from '../helpers/workers.js'

interface FetchSite extends WorkersSite {
  count (what: keyof typeof Count): number
  /** The main thread has heard of each before the next asks, and the fetch of the first one runs. */
  ask (urls: readonly string[]): Promise<Array<ReturnType<WorkersSite['get']>>>
  open (gate: 'fetched' | 'exit'): void
}

async function start (t: Test, workers: number): Promise<FetchSite> {
  const counts = new Int32Array(new SharedArrayBuffer(16))
  setEnvironmentData(SHARED, counts)
  const site = await startWorkers(t, { render: { workers, workerMemory: 96 } }, fetchApp)
  // Renders go to the thread that has least to do: all are there when so many at once are in as many.
  for (let round = 0; ; round++) {
    const threads = await Promise.all(Array.from({ length: workers }, async (_, nth) => (await site.get(`/thread/${round}-${nth}`)).body))
    if (new Set(threads).size === workers && threads.every(thread => thread.startsWith('worker'))) break
  }
  // What a worker asks is on its way for a while.
  let heard = 0
  const during = Askers.prototype.during
  t.intercept(Askers.prototype, 'during', {
    async value (this: Askers, ...args: Parameters<Askers['during']>) {
      heard++
      return await during.apply(this, args)
    }
  })
  const count = (what: keyof typeof Count): number => Atomics.load(counts, Count[what])
  return {
    ...site,
    count,
    async ask (urls) {
      const answers: Array<ReturnType<WorkersSite['get']>> = []
      for (const url of urls) {
        const asked = (): number => url.startsWith('/stock/') ? heard : count('asked')
        const before = asked()
        answers.push(site.get(url))
        await until(() => asked() > before && count('fetches') === 1)
      }
      return answers
    },
    open (gate) { Atomics.store(counts, Count[gate], 1) }
  }
}

for (const end of ['exit', 'memory']) {
  t.test(`a fetch that ends its worker (${end}) is done once more, by another who waits`, async (t) => {
    const { ask, open, count } = await start(t, 2)
    const answers = await ask([`/stock/${end}-1/a`, `/stock/${end}-1/b`, `/live/${end}-1`])
    open('fetched')
    const [owner, other, live] = await Promise.all(answers)
    t.equal(owner?.json<{ code: string }>().code, 'FST_ISR_ERR_WORKER_DIED')
    t.match(other?.json(), { nth: 2, thread: 'worker' })
    t.match(live?.json(), { nth: 2, thread: 'worker' })
    t.equal(count('fetches'), 2)
  })
}

t.test('a fetch that ends two workers ends no more of them', async (t) => {
  const { ask, open, count, warnings } = await start(t, 3)
  const answers = await ask(['/stock/exit-99/a', '/stock/exit-99/b', '/stock/exit-99/c', '/live/exit-99'])
  open('fetched')
  const codes = (await Promise.all(answers)).map(answer => [answer.statusCode, answer.json<{ code: string }>().code])
  t.same(codes, Array(4).fill([500, 'FST_ISR_ERR_WORKER_DIED']))
  t.equal(count('fetches'), 2)
  t.equal(warnings().filter(line => line.includes('worker thread has ended')).length, 2)
})

t.test('what was rendered beside the page that ended the worker gets its data by one more fetch', async (t) => {
  const { ask, open, count } = await start(t, 1)
  const answers = await ask(['/stock/never-0/a', '/live/never-0', '/exit'])
  open('exit')
  const [beside, live, exit] = await Promise.all(answers)
  t.match(beside?.json(), { nth: 2, thread: 'worker' })
  t.match(live?.json(), { nth: 2, thread: 'worker' }, 'who waits in the main thread gets the same')
  t.equal(exit?.json<{ code: string }>().code, 'FST_ISR_ERR_WORKER_DIED')
  t.equal(count('fetches'), 2)
})

t.test('a fetch that ignores its signal does not cost the worker', async (t) => {
  const { get, warnings } = await start(t, 1)
  const [code, thread] = (await get('/endless')).json<[string, number]>()
  t.equal(code, 'FST_ISR_ERR_DATA_TIMEOUT')
  t.same((await get('/slow/1000')).json(), ['slow', thread])
  t.notOk(warnings().some(line => line.includes('has ended')))
})
