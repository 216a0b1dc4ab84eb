import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import { test } from 'tap'
import isr, { type IsrOptions } from '../../lib/index.js'
import { record } from '../helpers/app.js'
import { buildOnce, eventually, html, open, page, readManifestOf } from '../helpers/site-build.js'
import { generationOf, site, type ChildSettings } from '../helpers/site-child.js'

const CHILD = fileURLToPath(new URL('../helpers/site-child.js', import.meta.url))
const PAGES = 25
/** What a server renders by itself; a page of a build shows another one. */
const LIVE = 0

async function buildElsewhere (dir: string, settings: ChildSettings): Promise<void> {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, CHILD, 'build', dir, JSON.stringify({ build: { brotli: 1 }, ...settings })], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit') as [number]
  if (code !== 0) throw new Error(`the build ended with ${code}`)
}

interface Watch { seen: number[], misses: string[], stop (): Promise<void> }

/** Asks for every page, again and again, several at a time. */
function watch (app: FastifyInstance): Watch {
  const over = new AbortController()
  const result: Watch = { seen: [], misses: [], stop: async () => { over.abort(); await Promise.all(visitors) } }
  const visitor = async (first: number): Promise<void> => {
    for (let id = first; !over.signal.aborted; id = (id + 7) % PAGES) {
      const { body, statusCode, headers } = await app.inject({ url: `/p/${id}`, headers: { 'accept-encoding': 'identity' } })
      if (statusCode !== 200) result.misses.push(`${statusCode}`)
      if (!String(headers['cache-status']).includes('hit')) result.misses.push(String(headers['cache-status']))
      result.seen.push(generationOf(String(id), body))
      await sleep(1)
    }
  }
  const visitors = [0, 1, 2, 3, 4, 5].map(visitor)
  return result
}

/** Generations in the order in which they were seen first, if none came back. */
function sequence (seen: readonly number[]): number[] {
  return seen.filter((generation, index) => generation !== seen[index - 1])
}

for (const [name, options] of Object.entries<IsrOptions>({
  'from memory': {},
  'from disk': { memory: { maxBytes: 0 } },
  'without writing back': { disk: { writeBack: false } }
})) {
  test(`a running server takes over a build of another process as one generation (${name})`, { timeout: 60_000 }, async t => {
    const dir = t.testdir()
    await buildElsewhere(dir, { pages: PAGES, generation: 1 })
    const app = await site(dir, { pages: PAGES, generation: LIVE, isr: options })
    t.teardown(() => app.close())
    const watching = watch(app)
    await sleep(200)
    for (const generation of [2, 3]) {
      await buildElsewhere(dir, { pages: PAGES, generation })
      const builtAt = performance.now()
      await eventually('the new pages come', () => watching.seen.at(-1) === generation)
      t.ok(performance.now() - builtAt < 2500, 'within two heartbeats')
      await sleep(100)
    }
    await watching.stop()
    t.same(watching.misses, [], 'no visitor waited, none failed')
    // Answers that were under way at the change may arrive after a new one.
    const first = watching.seen.indexOf(2)
    t.ok(first > 0)
    t.same(sequence(watching.seen), [1, 2, 3], 'no old page after the first new one')
    t.equal(app.isr.stats().renders.started, 0)
  })
}

test('the very first build of a directory is picked up', { timeout: 60_000 }, async t => {
  const dir = t.testdir()
  const app = await site(dir, { pages: PAGES, generation: LIVE })
  t.teardown(() => app.close())
  t.equal(generationOf('3', (await app.inject('/p/3')).body), LIVE)
  const warmed = record(t, 'prewarm')
  await buildElsewhere(dir, { pages: PAGES, generation: 1 })
  await eventually('memory is warm', () => warmed.some(event => event.pages === PAGES))
  for (let id = 0; id < PAGES; id++) {
    const answer = await app.inject(`/p/${id}`)
    t.match(answer.headers['cache-status'], /hit/)
    t.equal(generationOf(String(id), answer.body), 1)
  }
  t.equal(app.isr.stats().buildId, readManifestOf(dir).buildId)
  await app.isr.refresh({ path: '/p/1' })
  await app.close()
  const again = await site(dir, { pages: PAGES, generation: 9 })
  t.equal(generationOf('1', (await again.inject('/p/1')).body), LIVE, 'and written back to from then on')
  await again.close()
})

test('a build of the same process is in force when it resolves', async t => {
  const dir = t.testdir()
  let generation = 1
  const declare = (app: FastifyInstance): void => { page(app, '/p/:id', ({ id }) => html(`${id} ${generation}`), { paths: [{ id: 1 }, { id: 2 }] }) }
  const { app, body } = await open(t, dir, declare)
  for (generation = 1; generation < 5; generation++) {
    await app.isr.prerender()
    t.equal(await body('/p/1'), html(`1 ${generation}`))
    t.equal(await body('/p/2'), html(`2 ${generation}`))
  }
  await app.isr.prerender({ paths: ['/p/1'] })
  t.equal(await body('/p/1'), html('1 5'))
  t.equal(await body('/p/2'), html('2 4'))
})

test('pages of a partial build replace those in memory; the others stay there', async t => {
  const dir = t.testdir()
  let generation = 1
  const declare = (app: FastifyInstance): void => { page(app, '/p/:id', ({ id }) => html(`${id} ${generation}`), { paths: [{ id: 1 }, { id: 2 }, { id: 3 }] }) }
  await buildOnce(t, dir, declare)
  const { app, body } = await open(t, dir, declare)
  for (const id of [1, 2, 3]) await body(`/p/${id}`)
  generation = 2
  await buildOnce(t, dir, declare, { paths: ['/p/2'] })
  await eventually('it is seen', async () => await body('/p/2') === html('2 2'))
  t.equal(await body('/p/1'), html('1 1'))
  t.equal(app.isr.stats().renders.started, 0)
})

test('an order that comes while a build is under way holds for its pages', async t => {
  for (const [order, options] of [['purge', {}], ['revalidate', { expire: 0 }]] as const) {
    const dir = t.testdir()
    let generation = 1
    const declare = (app: FastifyInstance): void => { page(app, '/p/:id', ({ id }) => html(`${id} ${generation}`), { paths: [{ id: 1 }, { id: 2 }, { id: 3 }] }) }
    const { app, body } = await open(t, dir, declare)
    await app.isr.prerender()
    generation = 2
    await app.isr.prerender({
      concurrency: 1,
      // The first page has been rendered, and what it shows is deleted right after.
      onProgress: ({ done, row }) => { if (done === 1) { t.equal(row.key, '/p/1'); void app.isr[order]({ path: '/p/1' }, options) } }
    })
    generation = 3
    t.equal(await body('/p/1'), html('1 3'), `${order}: rendered after the order`)
    t.equal(await body('/p/2'), html('2 2'))
    await app.close()
    // Read from disk by the next one: the order is there, too.
    generation = 4
    const next = await open(t, dir, declare)
    t.match(await next.body('/p/1'), /1 [34]/)
    t.equal(await next.body('/p/2'), html('2 2'))
  }
})

test('an order of long ago does not concern a build made since', async t => {
  const dir = t.testdir()
  let generation = 1
  const declare = (app: FastifyInstance): void => { page(app, '/p', () => html(`${generation}`)) }
  const { app, body } = await open(t, dir, declare)
  await app.isr.prerender()
  await app.isr.purge({ all: true })
  generation = 2
  await buildOnce(t, dir, declare)
  generation = 3
  await eventually('it is seen', () => app.isr.stats().buildId === readManifestOf(dir).buildId)
  t.equal(await body('/p'), html('2'))
})

test('a server with a build id of its own keeps its build and says what to do', async t => {
  const dir = t.testdir()
  let generation = 1
  const declare = (app: FastifyInstance): void => { page(app, '/p', () => html(`${generation}`)) }
  await buildOnce(t, dir, declare, {}, { isr: { buildId: 'one' } })
  const { app, body, logs } = await open(t, dir, declare, { isr: { buildId: 'one' } })
  t.equal(await body('/p'), html('1'))
  generation = 2
  await buildOnce(t, dir, declare, {}, { isr: { buildId: 'two' } })
  const said = (): number => logs.filter(line => line.msg.includes('restart to use the new build')).length
  await eventually('it says so', () => said() > 0)
  generation = 3
  t.equal(await body('/p'), html('1'))
  await sleep(1200)
  t.equal(said(), 1, 'once')
  await app.close()
  const restarted = await open(t, dir, declare, { isr: { buildId: 'two' } })
  t.equal(await restarted.body('/p'), html('2'))
  const pinned = await open(t, dir, declare, { isr: { buildId: 'one' } })
  t.equal(await pinned.body('/p'), html('1'), 'a rollback finds its pages')
})

test('routes and pages that a build no longer has are live again at once', async t => {
  const dir = t.testdir()
  let slugs = ['a', 'b']
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { dir })
  page(app, '/p/:slug', ({ slug }) => html(`stored ${slug}`), { paths: () => slugs.map(slug => ({ slug })) })
  await app.ready()
  await app.isr.prerender()
  t.match((await app.inject('/p/b')).headers['cache-status'], /hit/)
  slugs = ['a']
  await app.isr.prerender()
  t.notMatch((await app.inject('/p/b')).headers['cache-status'], /hit/)
  t.match((await app.inject('/p/a')).headers['cache-status'], /hit/)
})
