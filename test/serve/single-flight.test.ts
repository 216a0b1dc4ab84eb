import net from 'node:net'
import t from 'tap'
import { cacheStatus, counted, makeGate, rawGet, record, start, until } from '../helpers/app.js'

t.test('1000 visitors of a cold page cause one render', async (t) => {
  const gate = makeGate()
  const page = counted(async (nth) => { await gate.opened; return `#${nth}` })
  const { get } = await start(t, app => { app.get('/page', { config: { prerender: true } }, page) })
  const waiting = Array.from({ length: 1000 }, () => get('/page'))
  await until(() => page.renders === 1)
  gate.open()
  const answers = await Promise.all(waiting)
  t.equal(page.renders, 1)
  t.equal(page.live, 0)
  t.ok(answers.every(answer => answer.statusCode === 200 && answer.body === '#1'))
  const counts = new Map<string, number>()
  for (const answer of answers) counts.set(cacheStatus(answer), (counts.get(cacheStatus(answer)) ?? 0) + 1)
  t.same([...counts], [['fwd=uri-miss; stored', 1], ['fwd=uri-miss; collapsed', 999]])
})

t.test('1000 visitors of a stale page are answered at once and cause one render', async (t) => {
  const gate = makeGate()
  const page = counted(async (nth) => { if (nth > 1) await gate.opened; return `#${nth}` })
  const regenerations = record(t, 'regenerate')
  const { get, clock } = await start(t, app => { app.get('/page', { config: { prerender: { ttl: 5 } } }, page) })
  await get('/page')
  clock.forward(6)
  const answers = await Promise.all(Array.from({ length: 1000 }, () => get('/page')))
  t.ok(answers.every(answer => answer.body === '#1' && cacheStatus(answer) === 'hit; ttl=-1; detail=stale'))
  await until(() => page.renders === 2)
  gate.open()
  await until(() => regenerations.length === 1)
  t.equal(page.renders, 2)
  t.equal((await get('/page')).body, '#2')
})

t.test('200 connections at once on a cold page cause one render', async (t) => {
  const gate = makeGate()
  const page = counted(async (nth) => { await gate.opened; return `#${nth}`.padEnd(3000, '.') })
  const site = await start(t, app => { app.get('/page', { config: { prerender: true } }, page) })
  let arrived = 0
  site.app.server.on('request', () => { if (++arrived === 200) gate.open() })
  const port = await site.listen()
  const answers = await Promise.all(Array.from({ length: 200 }, async () => await (await fetch(`http://127.0.0.1:${port}/page`)).text()))
  t.equal(page.renders, 1)
  t.ok(answers.every(body => body === '#1'.padEnd(3000, '.')))
})

t.test('visitors who leave while they wait change nothing for those who stay', async (t) => {
  const gate = makeGate()
  const page = counted(async (nth) => { await gate.opened; return `#${nth}` })
  const site = await start(t, app => { app.get('/page', { config: { prerender: true } }, page) })
  const port = await site.listen()
  const leaver = net.connect(port, '127.0.0.1')
  leaver.write('GET /page HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => page.renders === 1)
  leaver.destroy()
  const second = rawGet(port, '/page')
  gate.open()
  t.equal((await second).body.toString(), '#1')
  t.equal(page.renders, 1)
})

t.test('waiters of a failing render share its failure; waiters of an unstorable one run their own handler', async (t) => {
  const gate = makeGate()
  const failing = counted(async () => { await gate.opened; throw new Error('database gone') })
  const private_ = counted(async (nth, request, reply) => {
    await gate.opened
    return reply.header('set-cookie', `visit=${nth}`).send(`#${nth}`)
  })
  const { get } = await start(t, (app) => {
    app.get('/failing', { config: { prerender: true } }, failing)
    app.get('/private', { config: { prerender: true } }, private_)
  })
  const failures = Array.from({ length: 50 }, () => get('/failing'))
  const cookies = Array.from({ length: 50 }, () => get('/private'))
  await until(() => failing.renders === 1 && private_.renders === 1)
  gate.open()
  for (const answer of await Promise.all(failures)) t.equal(answer.statusCode, 500)
  t.same([failing.renders, failing.live], [1, 0])
  const values = (await Promise.all(cookies)).map(answer => String(answer.headers['set-cookie']))
  t.equal(new Set(values).size, 50, 'nobody shares a cookie')
  t.same([private_.renders, private_.live], [1, 49])
})

t.test('render.concurrency bounds the renders, render.maxQueue those that wait, and the rest is told to come again', async (t) => {
  const gate = makeGate()
  let running = 0
  let most = 0
  const page = counted(async (nth) => {
    most = Math.max(most, ++running)
    await gate.opened
    running--
    return `#${nth}`
  })
  const { get, app } = await start(t, (app) => { app.get('/page/:id', { config: { prerender: { onDemand: true } } }, page) },
    { isr: { render: { concurrency: 2, maxQueue: 3 } } })
  const waiting = Array.from({ length: 8 }, (_, i) => get(`/page/${i}`))
  await until(() => app.isr.stats().renders.queued === 3)
  t.equal(app.isr.stats().renders.running, 2)
  gate.open()
  const answers = await Promise.all(waiting)
  t.equal(most, 2)
  t.same(answers.map(answer => answer.statusCode), [200, 200, 200, 200, 200, 503, 503, 503])
  const refused = answers.at(-1)
  t.equal(refused?.json<{ code: string }>().code, 'FST_ISR_ERR_RENDER_QUEUE_FULL')
  t.equal(refused?.headers['cache-control'], 'no-store')
  t.equal(refused?.headers['retry-after'], '1')
  t.equal(page.live, 0, 'an overflow never runs the live handler')
  t.equal((await get('/page/7')).statusCode, 200, 'a full queue says nothing about the page')
})
