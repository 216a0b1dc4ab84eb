import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { record } from '../helpers/app.js'
import { buildOnce, eventually, html, open, page, rowOf } from '../helpers/site-build.js'

const COUNT = 40
const SIZE = 10_000

/** Pages that were built one after the other, the last one last. */
let now = Date.parse('2025-01-01')
function site (app: FastifyInstance): void {
  page(app, '/p/:id', ({ id }) => {
    now += 1000
    return html(String(id).padEnd(SIZE, 'x'))
  }, { paths: Array.from({ length: COUNT }, (_, id) => ({ id })) })
}

test('pages of the build are in memory soon after start', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  const events = record(t, 'prewarm')
  const { app } = await open(t, dir, site)
  await eventually('the event comes', () => events.length > 0)
  t.match(events[0], { pages: COUNT, bytes: Number, durationMs: Number })
  t.equal(app.isr.stats().memory.entries, COUNT)
  t.equal(app.isr.stats().memory.bytes, events[0]?.bytes)
  t.equal(app.isr.stats().renders.started, 0)
})

test('the most recent ones first, as far as the budget goes', async t => {
  const dir = t.testdir()
  const options = { isr: { clock: () => now, memory: { maxBytes: 20 * SIZE } } }
  await buildOnce(t, dir, site, { compress: false, concurrency: 1 }, options)
  const events = record(t, 'prewarm')
  const { app } = await open(t, dir, site, options)
  await eventually('the event comes', () => events.length > 0)
  const pages = events[0]?.pages ?? 0
  t.ok(pages >= 12 && pages < 20, `${pages} of ${COUNT}`)
  t.ok(app.isr.stats().memory.bytes <= 20 * SIZE)
  t.equal(app.isr.stats().memory.evictions, 0, 'nothing was loaded to be thrown out')
  const served = record(t, 'serve')
  const newest = Array.from({ length: pages }, (_, index) => COUNT - 1 - index)
  for (const id of newest) await app.inject(`/p/${id}`)
  t.same(served.map(event => event.source), newest.map(() => 'memory'))
  await app.inject('/p/0')
  t.equal(served.at(-1)?.source, 'disk')
})

test('it can be turned off, and no memory needs none', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  const events = record(t, 'prewarm')
  const off = await open(t, dir, site, { isr: { prewarm: false } })
  const none = await open(t, dir, site, { isr: { memory: { maxBytes: 0 } } })
  await eventually('the event comes', () => events.length > 0)
  t.match(events, [{ pages: 0, bytes: 0 }])
  t.equal(off.app.isr.stats().memory.entries, 0)
  t.match((await none.app.inject('/p/1')).statusCode, 200)
})

test('entries that were altered are left out', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  for (const key of ['/p/1', '/p/2']) {
    const file = path.join(dir, rowOf(dir, key).file)
    writeFileSync(file, readFileSync(file).subarray(0, 100))
  }
  const events = record(t, 'prewarm')
  const { app } = await open(t, dir, site)
  await eventually('the event comes', () => events.length > 0)
  t.equal(events[0]?.pages, COUNT - 2)
  t.equal((await app.inject('/p/1')).body, html('1'.padEnd(SIZE, 'x')))
})

test('ready does not wait for it', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  const events = record(t, 'prewarm')
  const { app } = await open(t, dir, site)
  t.equal(events.length, 0)
  await app.close()
  await eventually('closing ends it', () => events.length > 0)
})
