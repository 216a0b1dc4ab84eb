import t from 'tap'
import { until } from '../helpers/app.js'
import { startWorkers } from '../helpers/workers.js'

for (const [page, code] of [['/exit', 'FST_ISR_ERR_WORKER_DIED'], ['/uncaught', 'FST_ISR_ERR_WORKER_DIED']] as const) {
  t.test(`${page}: the end of a worker costs that render`, async (t) => {
    const { get, warm, warnings } = await startWorkers(t)
    await warm()
    const answer = await get(page)
    t.equal(answer.statusCode, 500)
    t.equal(answer.json<{ code: string }>().code, code)
    t.equal((await get('/where')).body, 'worker', 'another one has taken its place')
    t.equal(warnings().filter(line => line.includes('worker thread has ended')).length, 1)
  })
}

t.test('what was rendered beside it is rendered again', async (t) => {
  const { get } = await startWorkers(t)
  t.equal((await get('/where')).body, 'worker')
  const [slow, exit, other] = await Promise.all([get('/slow/300'), get('/exit'), get('/slow/200')])
  t.equal(slow.body, 'worker')
  t.equal(other.body, 'worker')
  t.equal(exit.json<{ code: string }>().code, 'FST_ISR_ERR_WORKER_DIED')
})

t.test('a page that computes for ever costs that render', async (t) => {
  const { get, warm } = await startWorkers(t, { render: { timeout: 12_000 } })
  await warm()
  const [slow, hang] = await Promise.all([get('/slow/100'), get('/hang')])
  t.equal(slow.body, 'worker', 'the one beside it is rendered again, in time')
  t.equal(hang.json<{ code: string }>().code, 'FST_ISR_ERR_RENDER_TIMEOUT')
  t.equal((await get('/slow/10')).body, 'worker')
})

t.test('a page that takes more memory than a worker has costs that render', async (t) => {
  const { get, warnings } = await startWorkers(t, { render: { workerMemory: 128, timeout: 60_000 } })
  const answer = await get('/memory')
  t.equal(answer.json<{ code: string }>().code, 'FST_ISR_ERR_WORKER_DIED')
  t.match(answer.json<{ message: string }>().message, /needed more than 128 MiB/)
  t.equal((await get('/where')).body, 'worker')
  t.ok(warnings().some(line => line.includes('128 MiB')))
})

t.test('a render that waits in vain ends at its time, and the worker stays', async (t) => {
  const { get, warm, warnings } = await startWorkers(t, { render: { timeout: 1500 } })
  await warm()
  const thread = (await get('/thread/a')).body
  t.equal((await get('/slow/60000')).json<{ code: string }>().code, 'FST_ISR_ERR_RENDER_TIMEOUT')
  t.equal((await get('/thread/b')).body, thread)
  t.notOk(warnings().some(line => line.includes('has ended')))
})

t.test('a crash outside of every render', async (t) => {
  const { get, warnings } = await startWorkers(t)
  const first = (await get('/thread/a')).body
  t.equal((await get('/later')).body, 'worker')
  await until(() => warnings().some(line => line.includes('has ended')))
  t.not((await get('/thread/b')).body, first)
})
