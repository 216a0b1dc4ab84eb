import t from 'tap'
import { cacheStatus, record, until } from '../helpers/app.js'
import { startWorkers } from '../helpers/workers.js'

t.test('a page is rendered in another thread, a live request is not', async (t) => {
  const { get } = await startWorkers(t)
  const answer = await get('/where')
  t.equal(answer.body, 'worker')
  t.equal(cacheStatus(answer), 'fwd=uri-miss; stored')
  t.equal((await get('/where')).body, 'worker', 'what is stored is served from here')
  t.equal((await get('/live')).body, 'main')
  t.equal((await get('/where', { authorization: 'Basic x' })).body, 'main', 'a visitor who bypasses the cache is answered here')
})

t.test('a regeneration and a refresh use it, too', async (t) => {
  const regenerations = record(t, 'regenerate')
  const { app, get, clock } = await startWorkers(t)
  await get('/where')
  clock.forward(11)
  t.equal((await get('/where')).body, 'worker')
  await until(() => regenerations.length === 1)
  t.same((await app.isr.refresh({ path: '/where' })).pages.map(page => page.outcome), ['renewed'])
})

t.test('what the handler says reaches the page: status, headers, tags, lifetime, refusal', async (t) => {
  const { app, get } = await startWorkers(t, { baseUrl: 'https://site.example' })
  const answer = (await get('/render')).json<{ host: string, agent: string, render: object }>()
  t.same(answer, { where: 'worker', render: { route: '/render', path: '/render', key: '/render', reason: 'miss' }, host: 'site.example', agent: 'fastify-isr', warm: false })
  const { entry } = await app.isr.inspect('/render')
  t.equal(entry?.ttl, 7)
  t.same(entry?.tags, ['said'])
  t.equal((await get('/page/3')).headers['x-page'], '3')
  t.match((await get('/page/3')).body, /text of 3/)
  t.match(cacheStatus(await get('/private')), /detail=no-store/)
  t.equal((await get('/missing')).statusCode, 404)
})

t.test('a handler that throws is a failed page, with its own answer', async (t) => {
  const { get } = await startWorkers(t)
  const answer = await get('/throws')
  t.equal(answer.statusCode, 500)
  t.equal(answer.json<{ message: string }>().message, 'thrown in worker')
  t.equal((await get('/where')).body, 'worker')
})

t.test('the log of a worker is the log of the app', async (t) => {
  const { get, logs } = await startWorkers(t)
  await get('/where')
  await until(() => logs.some(line => line.worker === true && line.msg === 'request completed'))
})

t.test('many pages at once', async (t) => {
  const { get } = await startWorkers(t, { render: { workers: 2 } })
  const bodies = await Promise.all(Array.from({ length: 30 }, async (_, id) => (await get(`/page/${id}`)).body))
  t.ok(bodies.every((body, id) => body.includes(`text of ${id}<`)))
  const threads = new Set<string>()
  // The second one may get ready later than the first.
  for (let id = 0; threads.size < 2; id++) {
    for (const { body } of await Promise.all([get(`/thread/${id}-a`), get(`/thread/${id}-b`)])) threads.add(body)
  }
  t.ok([...threads].every(thread => thread.startsWith('worker')), 'both render')
})
