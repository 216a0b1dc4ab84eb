import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import isr from '../../lib/index.js'
import { counted, makeGate, record, start, until } from '../helpers/app.js'

t.test('close waits for the renders that run', async (t) => {
  const gate = makeGate()
  const order: string[] = []
  const page = counted(async (nth) => {
    await gate.opened
    order.push(`render ${nth}`)
    return 'x'
  })
  const { app, get } = await start(t, (app) => {
    app.addHook('onClose', async () => { order.push('closed') })
    app.get('/page', { config: { prerender: true } }, page)
  })
  const visitor = get('/page')
  await until(() => page.renders === 1)
  const closing = app.close()
  await new Promise(resolve => setTimeout(resolve, 20))
  t.same(order, [])
  gate.open()
  t.equal((await visitor).body, 'x')
  await closing
  t.same(order, ['render 1', 'closed'], 'what a render needs is still open')
})

t.test('close waits for background renders, too', async (t) => {
  const gate = makeGate()
  const events = record(t, 'regenerate')
  const page = counted(async (nth) => { if (nth > 1) await gate.opened; return `#${nth}` })
  const { app, get, clock } = await start(t, (app) => { app.get('/page', { config: { prerender: { ttl: 1 } } }, page) })
  await get('/page')
  clock.forward(2)
  await get('/page')
  await until(() => page.renders === 2)
  const closing = app.close()
  gate.open()
  await closing
  t.equal(events.length, 1)
})

t.test('a render that hangs delays close by render.timeout at most', async (t) => {
  const page = counted(async () => await new Promise(() => {}))
  const { app, get } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, page) }, { isr: { render: { timeout: 50 } } })
  const visitor = get('/page')
  await until(() => page.renders === 1)
  const startedAt = Date.now()
  await app.close()
  t.ok(Date.now() - startedAt < 1000)
  t.equal((await visitor).statusCode, 504)
})

t.test('what waits for a slot when the app closes is refused', async (t) => {
  const gate = makeGate()
  const page = counted(async () => { await gate.opened; return 'x' })
  const { app, get } = await start(t, (app) => { app.get('/page/:id', { config: { prerender: { onDemand: true } } }, page) }, { isr: { render: { concurrency: 1 } } })
  const first = get('/page/1')
  const second = get('/page/2')
  await until(() => app.isr.stats().renders.queued === 1)
  const closing = app.close()
  const refused = await second
  t.equal(refused.statusCode, 503)
  t.equal(refused.json<{ code: string }>().code, 'FST_ISR_ERR_CLOSING')
  t.equal(refused.headers['cache-control'], 'no-store')
  gate.open()
  t.equal((await first).statusCode, 200)
  await closing
  t.equal(page.renders, 1)
})

t.test('no background render begins once the app closes', async (t) => {
  const page = counted()
  const { app, get, clock, listen } = await start(t, (app) => {
    app.get('/page', { config: { prerender: { ttl: 1 } } }, page)
    app.addHook('preClose', async () => { t.equal((await app.isr.refresh({ path: '/page' })).pages[0]?.outcome, 'failed') })
  })
  await listen()
  await get('/page')
  clock.forward(2)
  await app.close()
  t.equal(page.renders, 1)
})

t.test('close before ready, and close twice', async (t) => {
  const early = Fastify()
  void early.register(isr, { dir: t.testdir({}), buildId: 'b' })
  await early.close()
  await early.close()
  const { app } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, counted()) }, { isr: { dir: t.testdir({}), disk: {}, buildId: 'b' } })
  await app.close()
  await app.close()
})

t.test('what was rendered last is on disk when close resolves', async (t) => {
  const dir = t.testdir({})
  const page = counted()
  const options = { isr: { dir, disk: {}, buildId: 'b' } }
  const { app, get } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, page) }, options)
  await get('/page')
  await app.close()
  const again = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, page) }, options)
  t.equal((await again.get('/page')).body, '#1')
  t.equal(page.renders, 1)
})

t.test('a process that serves and closes ends by itself', async (t) => {
  const dir = t.testdir({})
  mkdirSync(path.join(dir, 'out'))
  const entry = new URL('../../lib/index.js', import.meta.url).href
  const fastify = import.meta.resolve('fastify')
  const script = path.join(dir, 'server.mjs')
  writeFileSync(script, `
    import Fastify from ${JSON.stringify(fastify)}
    import isr from ${JSON.stringify(entry)}
    const app = Fastify()
    await app.register(isr, { dir: ${JSON.stringify(path.join(dir, 'out'))}, buildId: 'b', baseUrl: 'http://site.example' })
    let nth = 0
    app.get('/page', { config: { prerender: { ttl: 0 } } }, async () => 'page ' + ++nth)
    await app.listen({ port: 0 })
    const url = 'http://127.0.0.1:' + app.server.address().port + '/page'
    for (let i = 0; i < 3; i++) await (await fetch(url)).text()
    await app.isr.prerender()
    await app.isr.revalidate({ all: true })
    await (await fetch(url)).text()
    if (process.argv[2] === 'close') await app.close()
    else app.server.close(), app.server.closeAllConnections()
    console.log('done')
  `)
  for (const how of ['close', 'leave']) {
    const { code, signal, output, afterDone } = await runNode(script, how)
    t.same({ code, signal }, { code: 0, signal: null }, output)
    t.match(output, 'done')
    t.ok(afterDone < 3000, `${how}: exited ${afterDone} ms after its last line`)
  }
})

function runNode (script: string, ...args: string[]): Promise<{ code: number | null, signal: string | null, output: string, afterDone: number }> {
  return new Promise((resolve, reject) => {
    const { NODE_OPTIONS: _, ...env } = process.env
    const child = spawn(process.execPath, [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 9000 })
    let output = ''
    let doneAt = 0
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.includes('done')) doneAt = Date.now()
      })
    }
    child.on('error', reject)
    child.on('close', (code, signal) => { resolve({ code, signal, output, afterDone: Date.now() - doneAt }) })
  })
}
