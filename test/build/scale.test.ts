import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { record } from '../helpers/app.js'
import { lengthen } from '../helpers/long-manifest.js'
import { buildOnce, eventually, html, open, page } from '../helpers/site-build.js'

const PAGES = 20_000
const CHILD = fileURLToPath(new URL('../helpers/memory-child.js', import.meta.url))

function site (app: FastifyInstance): void {
  page(app, '/p/:id', ({ id }) => html(String(id)), { paths: [{ id: 1 }, { id: 2 }] })
}

test('ready does not wait for a long list, and what is there is served meanwhile', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  lengthen(dir, PAGES)
  let asked = 0
  const declare = (app: FastifyInstance): void => { page(app, '/p/:id', ({ id }) => html(`${id}`), { paths: () => { asked++; return [] } }) }
  const { app } = await open(t, dir, declare)
  t.equal(app.isr.routes()[0]?.listed, 0, 'nobody knows the pages yet')
  t.ok(app.isr.stats().buildId)
  const [stored, other, missing] = await Promise.all(['/p/1', '/p/unlisted', '/p/long-0000005'].map(url => app.inject(url)))
  t.match(stored?.headers['cache-status'], /hit/)
  t.match(other?.headers['cache-status'], /detail=unlisted/)
  t.match(missing?.headers['cache-status'], /detail=unlisted/, 'listed, maybe, and not there')
  t.equal(asked, 0)
  await eventually('all are known', () => app.isr.routes()[0]?.listed === PAGES, 20_000)
  t.match((await app.inject('/p/long-0000005')).headers['cache-status'], /fwd=uri-miss/, 'listed')
  t.match((await app.inject('/p/unlisted')).headers['cache-status'], /detail=unlisted/)
  t.match((await app.inject('/p/2')).headers['cache-status'], /hit/)
})

test('closing does not wait for a long list either', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  lengthen(dir, PAGES)
  const { app } = await open(t, dir, site)
  await app.close()
  t.equal(app.isr.routes()[0]?.listed, 0)
})

test('all pages are gone through in order while a build takes over', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  const { pages } = lengthen(dir, PAGES)
  const { app } = await open(t, dir, site)
  await eventually('all are known', () => app.isr.routes()[0]?.listed === PAGES, 20_000)
  const { buildId } = app.isr.stats()
  let next: string | null = ''
  const keys: string[] = []
  for (let calls = 0; next !== null; calls++) {
    const { entries, cursor } = await app.isr.entries({ cursor: next, limit: 500 })
    for (const entry of entries) keys.push(entry.key)
    next = cursor
    if (calls === 10) {
      lengthen(dir, PAGES, (manifest) => {
        manifest.buildId = 'another'
        for (const page of manifest.pages) page.file = page.file.replace(/^\.isr\/[^/]*/, '.isr/another')
      })
    }
    if (calls === 20) await eventually('it is in force', () => app.isr.stats().buildId !== buildId, 20_000)
    await nextTurn()
  }
  t.equal(keys.length, PAGES)
  t.same(keys, pages.map(page => page.key))
  const found = await app.isr.entries({ filter: '0000123' })
  t.same(found.entries.map(entry => entry.key), ['/p/long-0000123'])
  t.equal(found.cursor, null)
  t.match(await app.isr.purge({ tag: 'page-77' }, { dryRun: true }), { matched: 1 })
  t.match(await app.isr.purge({ tag: 'long' }, { dryRun: true }), { matched: PAGES - 2 })
  t.match(await app.isr.purge([{ all: true }, { path: '/p/1' }], { dryRun: true }), { matched: PAGES })
})

test('a purge of more pages than are removed at once removes them all', async t => {
  const dir = t.testdir()
  const COUNT = 1500
  const declare = (app: FastifyInstance): void => { page(app, '/p/:id', ({ id }) => html(String(id)), { paths: Array.from({ length: COUNT }, (_, id) => ({ id })) }) }
  await buildOnce(t, dir, declare, { compress: false })
  const { app } = await open(t, dir, declare, { isr: { prewarm: false } })
  t.match(await app.isr.purge({ all: true }), { matched: COUNT })
  const { body } = await app.inject('/p/1499')
  t.equal(body, html('1499'))
  await eventually('they are gone', () => app.isr.stats().disk?.entries === 1, 20_000)
  t.match((await app.inject('/p/1499')).headers['cache-status'], /hit/, 'what was rendered since stays')
})

const SIZE = 10_000
/** A site of which less than the half fits into memory. */
function large (app: FastifyInstance): void {
  page(app, '/p/:id', ({ id }) => html(String(id).padEnd(SIZE, 'x')), { paths: Array.from({ length: 40 }, (_, id) => ({ id })) })
}

test('after a restart the pages that were asked for most are in memory first', async t => {
  const dir = t.testdir()
  const options = { isr: { memory: { maxBytes: 16 * SIZE } } }
  const hot = path.join(dir, '.isr/hot.json')
  await buildOnce(t, dir, large, { compress: false })
  const first = await open(t, dir, large, options)
  for (const id of [3, 17, 31]) for (let times = 0; times < 40 - id; times++) await first.app.inject(`/p/${id}`)
  await first.app.close()
  t.same((JSON.parse(readFileSync(hot, 'utf8')) as { pages: [string, number][] }).pages.map(([key]) => key).slice(0, 3), ['/p/3', '/p/17', '/p/31'])

  for (const [what, alter] of Object.entries<(text: string) => string>({
    whole: text => text,
    'of pages that are no more': text => text.replace('"pages":[', '"pages":[["/gone",99],["/p/99",98],'),
    torn: text => text.slice(0, -9),
    hostile: () => '{"version":1,"pages":[["/p/1",1e999],[1,2],["data:x",3],null,["/etc/passwd",{}]]}',
    empty: () => ''
  })) {
    const text = readFileSync(hot, 'utf8')
    writeFileSync(hot, alter(text))
    const events = record(t, 'prewarm')
    const { app, warnings } = await open(t, dir, large, options)
    await eventually('memory is warm', () => events.length > 0)
    t.ok((events[0]?.pages ?? 0) > 5 && (events[0]?.pages ?? 0) < 16, `${what}: ${events[0]?.pages} pages`)
    const served = record(t, 'serve')
    if (what === 'whole' || what.startsWith('of pages')) {
      for (const id of [3, 17, 31]) await app.inject(`/p/${id}`)
      t.same(served.map(event => event.source), ['memory', 'memory', 'memory'], what)
    }
    t.same(warnings(), [], what)
    await app.close()
    writeFileSync(hot, text)
  }
})

test('a known page costs less than half a kilobyte', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  lengthen(dir, 50_000)
  const bytes = Number(execFileSync(process.execPath, ['--expose-gc', CHILD, dir], { env: { ...process.env, NODE_OPTIONS: '' } }))
  t.ok(bytes > 0 && bytes < 512, `${bytes} bytes`)
})
