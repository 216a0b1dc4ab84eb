import t from 'tap'
import Fastify from 'fastify'
import { Samples, Timings } from '../../../lib/site/admin/timings.js'
import { rawGet } from '../../helpers/app.js'

t.test('median and percentile are those of the last 256, the mean is that of all', async (t) => {
  const samples = new Samples()
  t.same(samples.read(), { count: 0, mean: 0, median: 0, p95: 0 })
  samples.add(10)
  t.same(samples.read(), { count: 1, mean: 10, median: 10, p95: 10 })
  samples.add(20)
  t.same(samples.read(), { count: 2, mean: 15, median: 15, p95: 20 })
  // 256 more: 1 to 256, so that 10 and 20 are out of the ring.
  for (let ms = 256; ms >= 1; ms--) samples.add(ms)
  t.same(samples.read(), { count: 258, mean: (30 + 256 * 257 / 2) / 258, median: 128.5, p95: 244 })
})

t.test('what visitors make up has no figures of its own, and takes no memory', async (t) => {
  const timings = new Timings({ server: {}, isKnown: path => path === '/about' })
  timings.add('/about', 1)
  for (let nth = 0; nth < 5000; nth++) timings.add(`/made-up/${nth}`, 3)
  const { paths, others, total } = timings.read()
  t.same(Object.keys(paths), ['/about'])
  t.equal(others.count, 5000)
  t.equal(total.count, 5001)
})

t.test('answers over a socket are measured, those of other servers are not', async (t) => {
  const [app, other] = [Fastify(), Fastify()]
  t.teardown(() => Promise.all([app.close(), other.close()]))
  for (const one of [app, other]) one.get('/about', async () => 'about')
  let now = 0
  const timings = new Timings({ server: app.server, isKnown: () => true, now: () => now++ })
  const stop = timings.start()
  t.teardown(stop)
  for (const one of [app, other]) {
    await one.listen({ port: 0, host: '127.0.0.1' })
    await rawGet((one.server.address() as { port: number }).port, '/about?x=1')
  }
  t.same(timings.read().paths, { '/about': { count: 1, mean: 1, median: 1, p95: 1 } })
  stop()
  await rawGet((app.server.address() as { port: number }).port, '/about')
  t.equal(timings.read().total.count, 1, 'nothing is measured when it is over')
})
