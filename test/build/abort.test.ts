import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import isr, { type BuildOptions } from '../../lib/index.js'
import { buildOnce, filesOf, html, open, outcomes, page, readManifestOf, snapshot } from '../helpers/site-build.js'

const COUNT = 30
let generation = 1
let broken = ''

function site (app: FastifyInstance): void {
  page(app, '/', () => html(`home ${generation}`))
  app.get('/p/:id', { config: { prerender: { paths: Array.from({ length: COUNT }, (_, id) => ({ id })) } } }, async (request, reply) => {
    await sleep(2)
    if (request.url === broken) throw new Error('broken')
    return reply.type('text/html').send(html(`${request.url} ${generation}`))
  })
}

const isr_ = { baseUrl: 'https://example.com' }

/** Files but those of the running server's own: marks. */
const KINDS = [
  ['a new id', {}, {}],
  ['one id', { buildId: 'pinned' }, {}],
  ['a partial build', {}, { routes: ['/p/:id'] }]
] as const

for (const [name, options, build] of KINDS) {
  const wanted: BuildOptions = { ...build, routes: 'routes' in build ? [...build.routes] : undefined as never }
  if (wanted.routes === undefined) delete wanted.routes

  test(`an aborted build leaves the old one as it was, to the byte (${name})`, async t => {
    const dir = t.testdir()
    generation = 1
    broken = ''
    await buildOnce(t, dir, site, {}, { isr: { ...isr_, ...options } })
    const before = await snapshot(dir)
    generation = 2
    for (const after of [0, 1, 5, COUNT]) {
      const { app } = await open(t, dir, site, { isr: { ...isr_, ...options } })
      const controller = new AbortController()
      if (after === 0) controller.abort()
      const building = app.isr.prerender({ ...wanted, signal: controller.signal, onProgress: ({ done }) => { if (done === after) controller.abort() } })
      await t.rejects(building, { code: 'FST_ISR_ERR_BUILD_ABORTED' })
      t.equal(app.isr.building, false)
      await app.close()
      t.same(await snapshot(dir), before, `aborted after ${after} pages`)
    }
    t.equal((await buildOnce(t, dir, site, wanted, { isr: { ...isr_, ...options } })).ok, true)
  })

  test(`failFast stops at the first failure and leaves the old build as it was (${name})`, async t => {
    const dir = t.testdir()
    generation = 1
    broken = ''
    await buildOnce(t, dir, site, {}, { isr: { ...isr_, ...options } })
    const before = await snapshot(dir)
    generation = 2
    broken = '/p/4'
    const report = await buildOnce(t, dir, site, { ...wanted, failFast: true }, { isr: { ...isr_, ...options } })
    t.equal(report.ok, false)
    t.match(report.pages.find(row => row.key === '/p/4'), { outcome: 'kept', error: /status 500/ })
    t.ok(report.pages.length < COUNT / 2, `${report.pages.length} pages`)
    t.same([report.removed, report.sitemap.file], [[], null])
    t.same(await snapshot(dir), before)
  })
}

test('what an app with its own build id has stored outlives an aborted first build', async t => {
  const dir = t.testdir()
  generation = 1
  broken = ''
  const { app, body } = await open(t, dir, site, { isr: { buildId: 'pinned' } })
  await body('/')
  await app.close()
  const before = await snapshot(dir)
  t.equal(Object.keys(before).length, 1, 'written back')
  const builder = await open(t, dir, site, { isr: { buildId: 'pinned' } })
  await t.rejects(builder.app.isr.prerender({ signal: AbortSignal.abort() }), { code: 'FST_ISR_ERR_BUILD_ABORTED' })
  t.same(await snapshot(dir), before)
})

test('a list or a page that never ends can be aborted', async t => {
  const never = new Promise<never>(() => {})
  for (const declare of [
    (app: FastifyInstance) => { page(app, '/p/:id', () => html('x'), { paths: () => never }) },
    (app: FastifyInstance) => { app.get('/p', { config: { prerender: true } }, () => never) }
  ]) {
    const dir = t.testdir()
    const { app } = await open(t, dir, declare, { isr: { render: { timeout: 1000 } } })
    const startedAt = performance.now()
    await t.rejects(app.isr.prerender({ signal: AbortSignal.timeout(100) }), { code: 'FST_ISR_ERR_BUILD_ABORTED' })
    t.ok(performance.now() - startedAt < 900)
    t.same((await filesOf(dir)), [])
  }
})

test('closing the app ends its build', async t => {
  const dir = t.testdir()
  generation = 1
  broken = ''
  await buildOnce(t, dir, site)
  const before = await snapshot(dir)
  const { app } = await open(t, dir, site)
  const building = app.isr.prerender({ onProgress: ({ done }) => { if (done === 3) void app.close() } })
  await t.rejects(building, { code: 'FST_ISR_ERR_BUILD_ABORTED' })
  t.same(await snapshot(dir), before)
})

test('a listener that throws ends the build', async t => {
  const dir = t.testdir()
  const { app } = await open(t, dir, site)
  await t.rejects(app.isr.prerender({ onProgress () { throw new Error('listener') } }), { message: 'listener' })
  await sleep(50)
  t.same(await filesOf(dir), [], 'no worker wrote on')
})

test('a directory that can\'t be written to', async t => {
  const root = t.testdir({ file: 'not a folder' })
  let renders = 0
  const { app } = await open(t, path.join(root, 'file/out'), app => { page(app, '/', () => html(String(renders++))) })
  await t.rejects(app.isr.prerender(), { code: 'FST_ISR_ERR_BUILD_UNWRITABLE', message: /could not be written to '.*file\/out': ENOTDIR/ })
  t.equal(renders, 0, 'told before anything is rendered')
})

test('something else in the way of the export, and the old build is served on', async t => {
  const dir = t.testdir()
  generation = 1
  broken = ''
  const old = (app: FastifyInstance): void => { page(app, '/', () => html(`home ${generation}`)) }
  await buildOnce(t, dir, old)
  const manifest = readFileSync(path.join(dir, '.isr/manifest.json'), 'utf8')
  mkdirSync(path.join(dir, 'p'), { recursive: true })
  writeFileSync(path.join(dir, 'p/7'), 'a file where a folder has to be')
  generation = 2
  const { app, body } = await open(t, dir, site)
  await t.rejects(app.isr.prerender(), { code: 'FST_ISR_ERR_BUILD_UNWRITABLE', message: /p\/7/ })
  t.equal(readFileSync(path.join(dir, '.isr/manifest.json'), 'utf8'), manifest)
  t.equal(await body('/'), html('home 1'))
  t.same((await filesOf(dir)).filter(file => /staging|tmp/.test(file)), [])
  rmSync(path.join(dir, 'p/7'))
  t.equal((await app.isr.prerender()).ok, true)
  t.equal(await body('/'), html('home 2'))
})

test('a manifest that can\'t be replaced', async t => {
  const dir = t.testdir({ '.isr': { 'manifest.json': { folder: '' } } })
  const { app } = await open(t, dir, site)
  await t.rejects(app.isr.prerender(), { code: 'FST_ISR_ERR_BUILD_UNWRITABLE', message: /manifest\.json/ })
  t.same((await filesOf(dir)).filter(file => file.startsWith('.isr')), ['.isr/manifest.json/folder'])
})

test('one build at a time in a process, and none before the app is ready', async t => {
  generation = 1
  broken = ''
  const { app } = await open(t, t.testdir(), site)
  const first = app.isr.prerender()
  const second = app.isr.prerender()
  await t.rejects(second, { code: 'FST_ISR_ERR_BUILD_RUNNING' })
  t.equal(app.isr.building, true)
  t.equal((await first).ok, true)
  t.equal((await app.isr.prerender()).ok, true, 'one after the other')

  const early = Fastify()
  t.teardown(() => early.close())
  await early.register(isr, { dir: t.testdir() })
  site(early)
  await t.rejects(early.isr.prerender(), { code: 'FST_ISR_ERR_NOT_READY' })
  let inHook: unknown
  early.addHook('onReady', async () => { await early.isr.prerender().catch((error: unknown) => { inHook = error }) })
  await early.ready()
  t.match(inHook, { code: 'FST_ISR_ERR_NOT_READY' })
  t.equal((await early.isr.prerender()).ok, true)
})

test('options that make no sense are refused before anything happens', async t => {
  const dir = t.testdir()
  generation = 1
  broken = ''
  await buildOnce(t, dir, site)
  const before = await snapshot(dir)
  const { app } = await open(t, dir, site)
  for (const wrong of [
    { concurrency: 0 }, { concurrency: NaN }, { concurrency: 1.5 }, { paths: '/a' }, { paths: [1] }, { routes: '/p/:id' }, { urlStyle: 'flat' }, { brotli: 12 }, { brotli: -1 },
    { baseUrl: 'example.com' }, { baseUrl: 'https://example.com/sub' }, { dir: '' }, { force: 'yes' }, { onProgress: 1 }, { path: ['/a'] }
  ]) {
    await t.rejects(app.isr.prerender(wrong as never), { code: 'FST_ISR_ERR_INVALID_OPTION' }, JSON.stringify(wrong))
  }
  t.same(await snapshot(dir), before)
  t.equal(app.isr.building, false)
})

test('in development a build is a build', async t => {
  const dir = t.testdir()
  generation = 1
  broken = ''
  const report = await buildOnce(t, dir, site, {}, { isr: { enabled: false } })
  t.equal(report.ok, true)
  t.equal(readManifestOf(dir).pages.length, COUNT + 1)
  t.equal(new Set(Object.values(outcomes(report.pages))).size, 1)
})
