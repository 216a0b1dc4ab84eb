import t from 'tap'
import { startExample } from '../helpers/example-site.js'

t.test('/health and /ready answer, are never stored, and say so', async (t) => {
  const { app, raw } = await startExample(t)
  for (let nth = 0; nth < 2; nth++) {
    const health = await raw('/health')
    t.equal(health.status, 200)
    t.equal(health.headers['cache-control'], 'no-store')
    t.equal(health.headers['cache-status'], undefined)
    t.same(JSON.parse(health.body.toString()), { status: 'ok' })
  }
  const ready = await raw('/ready')
  t.equal(ready.status, 200)
  t.equal(ready.headers['cache-control'], 'no-store')
  t.same(JSON.parse(ready.body.toString()), { status: 'ready', redis: 'off', epoch: null, lag: 0 })
  t.same((await app.isr.entries({ filter: 'health' })).entries, [])
})
