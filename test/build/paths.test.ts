import { createReadStream, type ReadStream } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import type { BuildOptions, PathSource, RoutePolicy } from '../../lib/index.js'
import { buildOnce, eventually, html, open, outcomes, page, readManifestOf } from '../helpers/site-build.js'

const SLUGS = ['/p/a', '/p/b', '/p/c']

const SOURCES: Record<string, RoutePolicy['paths']> = {
  array: [{ slug: 'a' }, { slug: 'b' }, { slug: 'c' }],
  strings: SLUGS,
  mixed: ['/p/a', { slug: 'b' }, '/p/c'],
  set: new Set(SLUGS),
  function: () => SLUGS,
  'async function': async () => SLUGS,
  'generator function': function * () { yield * SLUGS },
  'async generator function': async function * () { yield * SLUGS },
  'function returning an async iterable': async () => ({ async * [Symbol.asyncIterator] () { yield * SLUGS } })
}

for (const [name, paths] of Object.entries(SOURCES)) {
  test(`paths: ${name}`, async t => {
    const dir = t.testdir()
    const declare = (app: FastifyInstance): void => { page(app, '/p/:slug', ({ slug }) => html(String(slug)), { paths }) }
    // Twice, for a list may be asked for more than once.
    for (let times = 0; times < 2; times++) {
      const report = await buildOnce(t, dir, declare)
      t.equal(report.ok, true)
      t.same(report.pages.map(row => row.key), SLUGS)
    }
  })
}

const WRONG: Record<string, [RoutePolicy['paths'], RegExp, string[]]> = {
  'throwing function': [() => { throw new Error('no database') }, /the function failed: no database/, []],
  'rejecting function': [async () => { throw new Error('no database') }, /the function failed: no database/, []],
  'function that throws no error': [() => { throw null }, /the function failed/, []], // eslint-disable-line no-throw-literal
  'generator that breaks off': [function * () { yield '/p/a'; throw new Error('cut') }, /the list broke off: cut/, ['/p/a']],
  'function that returns nothing': [(() => {}) as unknown as () => PathSource, /must return an array or an iterable, got undefined/, []],
  'function that returns text': [(() => '/p/a') as unknown as () => PathSource, /got "\/p\/a"/, []],
  'function that returns an object': [(() => ({ slug: 'a' })) as unknown as () => PathSource, /got an object/, []],
  'missing param': [[{ slug: 'a' }, {}] as unknown as PathSource, /param 'slug' is missing or empty/, ['/p/a']],
  'empty param': [[{ slug: '' }], /param 'slug' is missing or empty/, []],
  'unknown param': [[{ slug: 'a', id: 1 }], /no param 'id'; it has slug/, []],
  'param of a wrong type': [[{ slug: null }] as unknown as PathSource, /param 'slug' must be a string or a number, got null/, []],
  'param with a slash': [[{ slug: 'a/b' }], /holds a slash/, []],
  'param of dots': [[{ slug: '..' }], /can't be a page/, []],
  'too long param': [[{ slug: 'x'.repeat(300) }], /too long/, []],
  number: [[1] as unknown as PathSource, /each item must be a params object or a path, got 1/, []],
  null: [[null] as unknown as PathSource, /got null/, []],
  'path with a query': [['/p/a?x=1'], /no query/, []],
  'relative path': [['p/a'], /not a canonical path/, []],
  'path needlessly encoded': [['/p/%61'], /not a canonical path/, []],
  duplicates: [['/p/a', { slug: 'a' }, '/p/b'], /listed twice/, ['/p/a', '/p/b']],
  'path of another route': [['/p/special', '/p/a'], /route \/p\/special answers this path, not \/p\/:slug/, ['/p/a']],
  'path of no route': [['/q/a', '/p/a'], /no route answers this path/, ['/p/a']]
}

for (const [name, [paths, message, keys]] of Object.entries(WRONG)) {
  test(`paths: ${name}`, async t => {
    const dir = t.testdir()
    const report = await buildOnce(t, dir, app => {
      page(app, '/before', () => html('before'))
      page(app, '/p/:slug', ({ slug }) => html(String(slug)), { paths })
      app.get('/p/special', async () => 'live')
      page(app, '/z/:id', ({ id }) => html(String(id)), { paths: [{ id: 7 }] })
    })
    t.equal(report.ok, false)
    t.equal(report.problems.length, 1)
    t.match(report.problems[0], { route: '/p/:slug', message })
    t.same(report.pages.map(row => row.key), ['/before', ...keys, '/z/7'], 'all other routes are built all the same')
  })
}

test('a list that fails takes no page away', async t => {
  for (const build of [{}, { routes: ['/p/:slug'] }]) {
    const dir = t.testdir()
    let paths: () => PathSource = () => SLUGS
    let text = 'one'
    const declare = (app: FastifyInstance): void => {
      page(app, '/', () => html('home'))
      page(app, '/p/:slug', ({ slug }) => html(`${slug} ${text}`), { paths: () => paths(), query: ['page'], onDemand: true })
    }
    await buildOnce(t, dir, declare)
    await buildOnce(t, dir, declare, { paths: ['/p/a?page=2'] })
    text = 'two'
    paths = function * () { yield '/p/new'; throw new Error('cut') }
    const report = await buildOnce(t, dir, declare, build)
    t.equal(report.ok, false)
    t.same(report.removed, [])
    t.match(outcomes(report.pages), { '/p/a': 'written', '/p/b': 'written', '/p/c': 'written', '/p/new': 'written', '/p/a?page=2': 'written' })
    t.same(readManifestOf(dir).pages.map(row => row.key), ['/', '/p/a', '/p/a?page=2', '/p/b', '/p/c', '/p/new'])
    const { body } = await open(t, dir, declare)
    t.equal(await body('/p/c'), html('c two'))
  }
})

test('a parametric route that nothing lists is named', async t => {
  const report = await buildOnce(t, t.testdir(), app => {
    page(app, '/', () => html('home'))
    page(app, '/unlisted/:id', () => html('x'))
    page(app, '/later/:id', () => html('x'), { onDemand: true })
    page(app, '/none/:id', () => html('x'), { paths: [] })
  })
  t.equal(report.ok, true)
  const named = report.warnings.filter(warning => warning.includes('nothing was rendered'))
  t.same(named, ["route /unlisted/:id: nothing was rendered, for it has neither 'paths' nor 'onDemand'"])
})

test('patterns of all kinds', async t => {
  const dir = t.testdir()
  const declare = (app: FastifyInstance): void => {
    page(app, '/:lang(^en|de$)/about', ({ lang }) => html(`about ${lang}`), { paths: [{ lang: 'en' }, { lang: 'de' }] })
    page(app, '/docs/*', params => html(`docs ${params['*']}`), { paths: [{ '*': 'a/b' }, '/docs/c', { '*': 'with space' }] })
    page(app, '/at/:y-:m', ({ y, m }) => html(`${y} ${m}`), { paths: [{ y: 2025, m: 1 }] })
    page(app, '/opt/:a?', ({ a }) => html(`opt ${a ?? 'none'}`), { paths: [{}, { a: 'x' }] as unknown as PathSource })
    page(app, '/caf\u00e9/:n', ({ n }) => html(`caf\u00e9 ${n}`), { paths: [{ n: '\u00fc' }] })
  }
  const report = await buildOnce(t, dir, declare)
  t.same(report.problems, [])
  const keys = ['/at/2025-1', '/caf%C3%A9/%C3%BC', '/de/about', '/docs/a/b', '/docs/c', '/docs/with%20space', '/en/about', '/opt', '/opt/x']
  t.same(report.pages.map(row => row.key), keys)
  const { app } = await open(t, dir, declare)
  for (const key of keys) t.match((await app.inject(key)).headers['cache-status'], /hit/, key)
  t.equal((await app.inject('/docs/with%20space')).body, html('docs with space'))
})

test('a long list is listed while it is rendered, not before', async t => {
  const dir = t.testdir()
  const count = 2_000
  let listed = 0
  let rendered = 0
  let ahead = 0
  let most = 0
  const { app } = await open(t, dir, app => {
    app.get('/p/:id', {
      config: {
        prerender: {
          async * paths () {
            for (let id = 0; id < count; id++) {
              listed++
              ahead = Math.max(ahead, listed - rendered)
              yield { id }
            }
          }
        }
      }
    }, async () => {
      if (rendered++ % 100 === 0) most = Math.max(most, process.memoryUsage().heapUsed)
      return 'x'
    })
  }, { fastify: { logger: false } })
  const before = process.memoryUsage().heapUsed
  const startedAt = performance.now()
  const report = await app.isr.prerender()
  const ms = performance.now() - startedAt
  t.equal(report.ok, true)
  t.equal(report.pages.length, count)
  t.ok(ahead < 20, `the list is at most ${ahead} pages ahead`)
  t.ok(most - before < 256 * 1024 * 1024, `${Math.round((most - before) / 1024 / 1024)} MiB`)
  t.comment(`${count} pages in ${Math.round(ms)} ms, ${(ms / count).toFixed(2)} ms each, ${Math.round((most - before) / 1024 / 1024)} MiB more heap`)
})

test('a list that is read long after it was asked for loses none of its lines, and fails where its route is', async t => {
  const folder = t.testdir({ 'slugs.txt': SLUGS.join('\n') })
  const file = path.join(folder, 'slugs.txt')
  const closed: Promise<void>[] = []
  const open = (name: string): ReadStream => {
    const stream = createReadStream(name)
    closed.push(new Promise(resolve => { stream.once('close', resolve) }))
    return stream
  }
  const report = await buildOnce(t, path.join(folder, 'pages'), app => {
    page(app, '/first/:slug', ({ slug }) => html(String(slug)), { paths: [{ slug: 'a' }] })
    page(app, '/p/:slug', ({ slug }) => html(String(slug)), { paths: () => createInterface({ input: open(file) }) })
    page(app, '/r/:slug', ({ slug }) => html(String(slug)), { paths: () => open(`${file}.missing`) })
    page(app, '/last/:slug', ({ slug }) => html(String(slug)), { paths: async () => { await Promise.all(closed); return [{ slug: 'a' }] } })
  })
  t.same(report.pages.map(row => row.path), ['/first/a', '/last/a', ...SLUGS])
  t.match(report.problems, [{ route: '/r/:slug', message: /the list broke off: ENOENT/ }])
})

test('a build that breaks off lets go of every list that it asked for', async t => {
  const released: string[] = []
  const list = (name: string) => async function * (): AsyncGenerator<string> {
    try {
      for (let nth = 0; ; nth++) yield `/${name}/${nth}`
    } finally {
      released.push(name)
    }
  }
  const { app } = await open(t, t.testdir(), app => {
    page(app, '/a/:n', () => html('a'), { paths: list('a') })
    page(app, '/b/:n', () => html('b'), { paths: list('b') })
  })
  const controller = new AbortController()
  await t.rejects(app.isr.prerender({ signal: controller.signal, onProgress: () => { controller.abort() } }))
  await eventually('both are released', () => released.length === 2)
  t.same(released.sort(), ['a', 'b'])
})

test('progress knows how many pages there will be, unless a list has an end that nobody knows', async t => {
  async function progressOf (paths: RoutePolicy['paths'], options: BuildOptions = {}): Promise<[done: number, total: number, isTotalKnown: boolean][]> {
    const { app } = await open(t, t.testdir(), app => {
      page(app, '/', () => html('home'))
      page(app, '/first/:slug', ({ slug }) => html(String(slug)), { paths: async () => SLUGS.map(slug => slug.replace('p', 'first')), vary: { 'accept-language': { values: ['en', 'de'], select: () => 'en' } } })
      page(app, '/p/:slug', ({ slug }) => html(String(slug)), { paths })
    })
    const told: [number, number, boolean][] = []
    const report = await app.isr.prerender({ ...options, onProgress: ({ done, total, isTotalKnown }) => { told.push([done, total, isTotalKnown]) } })
    t.equal(told.at(-1)?.[1], report.pages.length)
    return told
  }
  const all = Array.from({ length: 10 }, (_, done) => [done + 1, 10, true])
  t.same(await progressOf(SLUGS), all, 'of an array, from the first page on')
  t.same(await progressOf(async () => SLUGS), all, 'of what a function returns')
  t.same((await progressOf(function * () { yield * SLUGS })).map(([, , isKnown]) => isKnown).slice(0, 7), Array(7).fill(false), 'a generator')
  t.ok((await progressOf(SLUGS, { crawl: true })).every(([, , isKnown]) => !isKnown), 'links are found on the way')
  t.same((await progressOf(() => { throw new Error('no database') })).map(([, total]) => total), Array(7).fill(7), 'a list that fails has no pages')
})
