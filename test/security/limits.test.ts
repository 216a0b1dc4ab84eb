// Limits (F11, T30 to T34, T40): what visitors make up costs no more memory than the budget says,
// and no more renders at a time than there are slots.
import { fork, spawn } from 'node:child_process'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { cacheStatus, counted, makeGate, start, until } from '../helpers/app.js'

const CHILD = fileURLToPath(new URL('limits-child.js', import.meta.url))
// Without tap's loaders, which would be part of what is measured.
const { NODE_OPTIONS: _tap, ...env } = process.env
const BUDGET = 16

// A hundred thousand requests take their time on a busy machine.
t.setTimeout(300_000)

interface Report {
  requests: number
  /** MiB in use, more than before, after everything. */
  total: number
  grown: Record<string, number>
  memory: { bytes: number, maxBytes: number, evictions: number }
}

function report (scenario: string): Promise<Report> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--expose-gc', CHILD, scenario, String(BUDGET)], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
    child.on('close', code => code === 0 ? resolve(JSON.parse(text) as Report) : reject(new Error(`ended with ${code}`)))
  })
}

t.test('T30 100,000 keys that nobody will ask for again stay within the memory budget', { timeout: 300_000 }, async (t) => {
  const { requests, total, grown, memory } = await report('keys')
  t.comment(JSON.stringify({ requests, total, grown }))
  t.ok(requests >= 100_000)
  t.ok(memory.bytes <= memory.maxBytes)
  t.ok(memory.evictions > 10_000, `${memory.evictions} evictions`)
  // What counts as 16 MiB is 16 MiB, and a quarter for what can't be measured better.
  t.ok((grown['page 10500'] ?? Infinity) < BUDGET * 1.25, `a full memory tier takes ${grown['page 10500']} MiB`)
  // The names of paths stored on demand come on top; `maxPaths` bounds them.
  t.ok(total < BUDGET * 1.25 + 20, `${total} MiB in the end`)
  for (const [flood, mebibytes] of Object.entries(grown)) if (!/^(?:page 10500|docs)/.test(flood)) t.ok(mebibytes < 10, `${flood}: ${mebibytes} MiB`)
})

t.test('T33 a page of 300 MB passes through without being held', { timeout: 120_000 }, async (t) => {
  const child = fork(CHILD, ['stream'], { env, execArgv: ['--expose-gc'] })
  t.teardown(() => child.kill())
  const next = <T>(): Promise<T> => new Promise(resolve => { child.once('message', message => { resolve(message as T) }) })
  const { port } = await next<{ port: number }>()
  for (let i = 0; i < 2; i++) {
    const received = await new Promise<number>((resolve, reject) => {
      let bytes = 0
      const socket = net.connect(port, '127.0.0.1', () => { socket.write('GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n') })
      socket.on('data', (chunk) => { bytes += chunk.length })
      socket.on('close', () => { resolve(bytes) })
      socket.on('error', reject)
    })
    t.ok(received >= 300 * 1024 * 1024, `${received} bytes`)
  }
  const measured = next<{ peak: number, peakExternal: number, produced: { render: number, live: number } }>()
  child.send('report')
  const { peak, peakExternal, produced } = await measured
  t.comment(`peak: ${peak.toFixed(1)} MiB resident, ${peakExternal.toFixed(1)} MiB in use`)
  t.ok(Math.min(peak, peakExternal) < 20)
  t.ok(produced.render < 6 * 1024 * 1024, `the render stopped after ${produced.render} bytes`)
  t.equal(produced.live, 2 * 300 * 1024 * 1024 + 2 * 64 * 1024)
})

t.test('T31 500 cold pages at once: some render, some wait, the rest is told to come again, and hits are answered', async (t) => {
  const gate = makeGate()
  let running = 0
  let most = 0
  const page = counted(async (_nth, request) => {
    const { slug } = request.params as { slug: string }
    if (slug === 'warm') return 'warm'
    most = Math.max(most, ++running)
    await gate.opened
    running--
    return `page ${slug}`
  })
  const { get, app } = await start(t, (app) => {
    app.get('/page/:slug', { config: { prerender: { onDemand: true } } }, page)
  }, { isr: { render: { concurrency: 4, maxQueue: 100, timeout: 30_000 } } })
  await get('/page/warm')
  const visits = Array.from({ length: 500 }, (_, i) => get(`/page/p${i}`))
  await until(() => app.isr.stats().renders.queued === 100)
  t.equal(app.isr.stats().renders.running, 4)
  for (let i = 0; i < 50; i++) t.equal(cacheStatus(await get('/page/warm')), 'hit')
  gate.open()
  const answers = await Promise.all(visits)
  const refused = answers.filter(answer => answer.statusCode === 503)
  t.equal(refused.length, 500 - 104)
  for (const { headers } of refused) {
    if (headers['cache-control'] !== 'no-store' || !/^[1-9]\d?$/.test(String(headers['retry-after']))) t.fail(JSON.stringify(headers))
  }
  t.equal(answers.filter((answer, i) => answer.body === `page p${i}`).length, 104)
  t.equal(most, 4)
  t.equal(page.live, 0, 'no overflow runs live')
  t.same([app.isr.stats().renders.running, app.isr.stats().renders.queued], [0, 0])
})

t.test('T34 renders that hang give their slots back, and nobody waits for them for ever', async (t) => {
  const { get, app } = await start(t, (app) => {
    app.get('/hang/:slug', { config: { prerender: { onDemand: true } } }, async () => await new Promise(() => {}))
    app.get('/page', { config: { prerender: true } }, async () => 'page')
  }, { isr: { render: { concurrency: 2, maxQueue: 10, timeout: 60 } } })
  const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => get(`/hang/${i}`)))
  for (const { statusCode, headers } of answers) {
    t.equal(statusCode, 504)
    t.equal(headers['cache-control'], 'no-store')
  }
  t.equal(app.isr.stats().renders.running, 0)
  t.equal((await get('/page')).body, 'page')
})

t.test('T32 a client that wants no cached answer causes no render', async (t) => {
  const page = counted()
  const { get } = await start(t, (app) => { app.get('/page', { config: { prerender: { ttl: 60 } } }, page) })
  for (const value of ['no-cache', 'no-store', 'max-age=0', 'only-if-cached', 'min-fresh=1000', 'must-revalidate']) {
    for (let i = 0; i < 20; i++) t.equal((await get('/page', { 'cache-control': value, pragma: 'no-cache' })).body, '#1')
  }
  t.same([page.renders, page.live], [1, 0])
})
