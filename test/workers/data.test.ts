import t from 'tap'
import { record } from '../helpers/app.js'
import { startWorkers } from '../helpers/workers.js'

interface Price { id: string, thread: string, fetches: number }

t.test('pages rendered in workers share their data: one fetch, in a worker', async (t) => {
  const data = record(t, 'data')
  const { get } = await startWorkers(t, { render: { workers: 2 } })
  const prices = await Promise.all(Array.from({ length: 12 }, async (_, page) => (await get(`/price/a/${page}`)).json<Price>()))
  t.same(new Set(prices.map(price => JSON.stringify(price))).size, 1)
  t.match(prices[0], { id: 'a', thread: 'worker', fetches: 1 })
  t.same(data.filter(event => event.outcome === 'miss').length + data.filter(event => event.outcome === 'fresh').length, 12, 'the engine of the main thread was asked')
  t.match((await get('/live-price/a')).json(), { thread: 'worker' }, 'a live handler in the main thread gets the same value')
})

t.test('what the main thread has fetched is used in a worker', async (t) => {
  const { get } = await startWorkers(t)
  t.match((await get('/live-price/b')).json(), { id: 'b', thread: 'main' })
  t.match((await get('/price/b/1')).json(), { id: 'b', thread: 'main' })
})

t.test('the tags of the data are those of the page', async (t) => {
  const { app, get } = await startWorkers(t)
  await get('/price/a/1')
  await get('/price/c/1')
  t.same((await app.isr.inspect('/price/a/1')).tags, ['price-a'])
  await app.isr.purge({ tag: 'price-a' })
  t.match((await get('/price/a/1')).json(), { fetches: 3 }, 'page and datum are gone')
  t.match((await get('/price/c/1')).json(), { fetches: 2 }, 'another stays')
})

t.test('within a render data are not stale', async (t) => {
  const { get, clock } = await startWorkers(t)
  t.match((await get('/price/a/1')).json(), { fetches: 1 })
  clock.forward(1001)
  t.match((await get('/price/a/2')).json(), { fetches: 2 })
})

t.test('an error of a fetch says what it said', async (t) => {
  const { get } = await startWorkers(t)
  t.same((await get('/broken')).json(), ['no such row', 'E_ROW', 404])
})

t.test('a page made of another one: the main thread has that, and its tags', async (t) => {
  const { app, get } = await startWorkers(t)
  const renders = record(t, 'render')
  t.match((await get('/outer')).body, /^outer \(inner \d+\)$/)
  t.equal((await get('/outer')).body, `outer (${(await get('/inner')).body})`)
  t.same(renders.map(render => render.path), ['/inner', '/outer'])
  await app.isr.purge({ tag: 'inner' })
  t.equal((await app.isr.inspect('/outer')).cached, false)
})
