import Fastify from 'fastify'
import t from 'tap'
import { WorkerPool } from '../../lib/workers/pool.js'
import type { RenderRequest } from '../../lib/pages/render.js'

t.test('a render that nobody waits for any more is not kept until a thread has time for it', async (t) => {
  const app = Fastify()
  const pool = new WorkerPool({
    count: 1,
    memory: 64,
    setup: { load: { file: 'app.js', useOptions: true, require: [], import: [], prefix: undefined, pluginTimeout: undefined, logLevel: undefined, appOptions: {} }, server: {}, logLevel: 'silent', customLevels: {} },
    timeout: 60_000,
    log: app.log,
    appLog: app.log,
    answer: async () => null
  })
  // No thread is ever there: the pool isn't started.
  const request = (signal: AbortSignal): RenderRequest => ({ signal, page: { key: '/a' }, isNested: false }) as RenderRequest
  const [first, second] = [new AbortController(), new AbortController()]
  const given = pool.render(request(first.signal))
  const waiting = pool.render(request(second.signal))
  first.abort(new Error('too late'))
  await t.rejects(given, { message: 'too late' })
  await t.rejects(pool.render(request(first.signal)), { message: 'too late' }, 'nor one that comes too late')
  await pool.close()
  await t.rejects(waiting, { code: 'FST_ISR_ERR_CLOSING' }, 'the other one waited on')
})
