import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { cacheStatus, counted, start } from '../helpers/app.js'

t.test('enabled: false renders each request anew, anonymously, and keeps nothing', async (t) => {
  const page = counted((nth, request, reply) => reply.type('text/html').send(`#${nth} ${request.headers.cookie ?? 'anonymous'} ${request.isrRender?.reason ?? 'live'}`))
  const { get, head, app } = await start(t, (app) => { app.get('/page', { config: { prerender: { ttl: 60 } } }, page) }, { isr: { enabled: false } })
  for (const nth of [1, 2, 3]) {
    const answer = await get('/page', { cookie: 'sid=1' })
    t.equal(answer.body, `#${nth} anonymous disabled`)
    t.equal(cacheStatus(answer), 'fwd=bypass; detail=disabled')
    t.equal(answer.headers.age, '0')
    t.ok(answer.headers.etag)
  }
  t.equal((await head('/page')).headers['content-length'], '21')
  t.same([page.renders, page.live], [4, 0])
  const { memory, disk } = app.isr.stats()
  t.equal(memory.entries, 0)
  t.equal(disk, null)
  t.same(await app.isr.revalidate({ all: true }).then(({ matched }) => matched), 0)
  t.same(await app.isr.purge({ path: '/page' }).then(({ matched, degraded }) => ({ matched, degraded })), { matched: 0, degraded: false })
  const inspection = await app.isr.inspect('/page')
  t.equal(inspection.cached, false)
  t.match(inspection.reasons[0], /'enabled' is false/)
})

t.test('enabled: false does not remember failures or refusals, and warns all the same', async (t) => {
  let isBroken = true
  const site = await start(t, (app) => {
    app.get('/page', { config: { prerender: true } }, counted(() => {
      if (isBroken) throw new Error('down')
      return 'up'
    }))
    app.get('/cookie', { config: { prerender: true } }, counted((nth, _q, reply) => reply.header('set-cookie', `a=${nth}`).send('x')))
  }, { isr: { enabled: false } })
  t.equal((await site.get('/page')).statusCode, 500)
  isBroken = false
  t.equal((await site.get('/page')).body, 'up')
  t.equal((await site.get('/cookie')).headers['set-cookie'], 'a=1')
  t.equal((await site.get('/cookie')).headers['set-cookie'], 'a=2')
  t.ok(site.warnings().some(message => message.includes("route GET /cookie can't be stored")))
})

t.test('enabled: false refuses wrong policies, answers bypasses live, and unlisted paths as the real thing would', async (t) => {
  const page = counted((_n, request) => request.isrRender === null ? 'live' : 'render')
  const { get } = await start(t, (app) => {
    t.throws(() => app.get('/wrong', { config: { prerender: { ttl: -1 } } }, page), { code: 'FST_ISR_ERR_INVALID_POLICY' })
    app.get('/page/:id', { config: { prerender: { query: ['q'] } } }, page)
  }, { isr: { enabled: false, bypass: { cookies: ['preview'] } } })
  t.equal((await get('/page/1', { authorization: 'x' })).body, 'live')
  t.equal((await get('/page/1', { cookie: 'preview=1' })).body, 'live')
  t.equal((await get('/page/1?q=1&q=2')).body, 'live')
})

t.test('enabled: false writes no file, but a build does', async (t) => {
  const dir = path.join(t.testdir({}), 'out')
  const page = counted()
  const { get, app } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, page) }, { isr: { enabled: false, disk: {}, dir, buildId: 'b' } })
  await get('/page')
  t.notOk(existsSync(dir))
  const report = await app.isr.prerender()
  t.equal(report.ok, true)
  t.ok(readdirSync(dir).includes('page'))
  t.equal(cacheStatus(await get('/page')), 'fwd=bypass; detail=disabled')
  t.equal((await get('/page')).body, `#${page.renders}`)
})
