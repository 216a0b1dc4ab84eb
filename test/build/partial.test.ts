import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { buildOnce, exportOf, html, mtimeOf, open, outcomes, page, readManifestOf, rowOf } from '../helpers/site-build.js'

let generation = 1
const posts = new Set<string>()

function site (app: FastifyInstance): void {
  page(app, '/', () => html(`home ${generation}`))
  page(app, '/about', () => html(`about ${generation}`), { ttl: 300, tags: ['static'] })
  page(app, '/blog/:slug', ({ slug }) => html(`${slug} ${generation}`), { ttl: 60, tags: ['blog'], sitemap: { priority: 0.25 }, paths: () => [...posts].map(slug => ({ slug })) })
}

const options = { isr: { baseUrl: 'https://example.com' } }

for (const buildId of [undefined, 'pinned']) {
  const settings = { isr: { ...options.isr, ...(buildId === undefined ? {} : { buildId }) } }

  test(`a partial build changes what it names and nothing else (${buildId ?? 'own ids'})`, async t => {
    const dir = t.testdir()
    generation = 1
    posts.clear()
    for (const slug of ['a', 'b', 'c']) posts.add(slug)
    const full = await buildOnce(t, dir, site, {}, settings)
    const before = readManifestOf(dir)
    const mtimes = Object.fromEntries(before.pages.map(row => [row.key, mtimeOf(dir, row.export ?? '')]))

    generation = 2
    const report = await buildOnce(t, dir, site, { paths: ['/blog/b'] }, settings)
    t.equal(report.ok, true)
    t.equal(report.buildId, full.buildId)
    t.same(outcomes(report.pages), { '/blog/b': 'written' })
    t.same(report.removed, [])
    const after = readManifestOf(dir)
    t.equal(after.buildId, before.buildId)
    t.ok(after.generatedAt > before.generatedAt)
    for (const row of before.pages) {
      if (row.key === '/blog/b') continue
      t.same(after.pages.find(page => page.key === row.key), row, `row of ${row.key}`)
      t.equal(mtimeOf(dir, row.export ?? ''), mtimes[row.key])
    }
    t.match(rowOf(dir, '/blog/b'), { ttl: 60, tags: ['blog'], route: '/blog/:slug' })
    t.equal(readFileSync(path.join(dir, 'blog/b/index.html'), 'utf8'), html('b 2'))
    t.same(report.sitemap, { file: 'sitemap.xml', urls: 5 })
    const sitemap = readFileSync(path.join(dir, 'sitemap.xml'), 'utf8')
    t.equal(sitemap.match(/<url>/g)?.length, 5)
    t.match(sitemap, '<priority>0.25</priority>')

    const { app, body } = await open(t, dir, site, settings)
    generation = 3
    for (const [url, text] of [['/', 'home 1'], ['/about', 'about 1'], ['/blog/a', 'a 1'], ['/blog/b', 'b 2'], ['/blog/c', 'c 1']] as const) {
      t.match((await app.inject(url)).headers['cache-status'], /hit/)
      t.equal(await body(url), html(text))
    }
    await app.close()

    posts.delete('c')
    posts.add('d')
    const byRoute = await buildOnce(t, dir, site, { routes: ['/blog/:slug'] }, settings)
    t.same(outcomes(byRoute.pages), { '/blog/a': 'written', '/blog/b': 'written', '/blog/d': 'written' })
    t.same(byRoute.removed, ['/blog/c'], 'a post that is listed no more')
    t.same(readManifestOf(dir).pages.map(row => row.key), ['/', '/about', '/blog/a', '/blog/b', '/blog/d'])
    t.equal(existsSync(path.join(dir, 'blog/c')), false)
    t.equal(existsSync(path.join(dir, before.pages.find(row => row.key === '/blog/c')?.file ?? '')), false)
    t.equal(readFileSync(path.join(dir, 'index.html'), 'utf8'), html('home 1'))

    const both = await buildOnce(t, dir, site, { paths: ['/blog/a'], routes: ['/about'] }, settings)
    t.same(outcomes(both.pages), { '/about': 'written', '/blog/a': 'unchanged' })
  })
}

test('a path or route that matches nothing is a problem, and the rest is built', async t => {
  const dir = t.testdir()
  posts.clear()
  await buildOnce(t, dir, site)
  const declare = (app: FastifyInstance): void => {
    site(app)
    app.get('/live', async () => 'live')
  }
  const report = await buildOnce(t, dir, declare, { paths: ['/about', '/nowhere', '/live', '/about/', 'about', '/a/../b', '', '/blog/x%79'], routes: ['/blog/:id'] })
  t.equal(report.ok, false)
  t.same(report.problems.map(problem => problem.path ?? problem.route), ['/nowhere', '/live', '/about/', 'about', '/a/../b', '', '/blog/x%79', '/blog/:id'])
  t.same(outcomes(report.pages), { '/about': 'unchanged' })
  t.same(readManifestOf(dir).pages.map(row => row.key), ['/', '/about'])
  const nothing = await buildOnce(t, dir, declare, { paths: ['/nowhere'] })
  t.same(readManifestOf(dir).pages.map(row => row.key), ['/', '/about'], 'a typo takes nothing away')
  t.equal(nothing.ok, false)
})

test('a page that fails in a partial build keeps its last good one; one that can\'t be stored goes', async t => {
  const dir = t.testdir()
  let mode: 'fine' | 'broken' | 'gone' = 'fine'
  const declare = (app: FastifyInstance): void => {
    for (const name of ['a', 'b']) {
      app.get(`/${name}`, { config: { prerender: true } }, async (request, reply) => {
        if (mode === 'broken') throw new Error('down')
        return reply.code(mode === 'gone' ? 404 : 200).type('text/html').send(html(name))
      })
    }
  }
  await buildOnce(t, dir, declare)
  mode = 'broken'
  t.same(outcomes((await buildOnce(t, dir, declare, { paths: ['/a'] })).pages), { '/a': 'kept' })
  t.same(readManifestOf(dir).pages.map(row => row.key), ['/a', '/b'])
  mode = 'gone'
  const report = await buildOnce(t, dir, declare, { paths: ['/a'] })
  t.same(report.removed, ['/a'])
  t.same(readManifestOf(dir).pages.map(row => row.key), ['/b'])
  t.same(await exportOf(dir), ['b/index.html'])
})

test('every variant of a path is named by it; a query names one page of each', async t => {
  const dir = t.testdir()
  const declare = (app: FastifyInstance): void => {
    app.get('/list', {
      config: {
        prerender: {
          query: ['page', 'sort'],
          hosts: ['a.example', 'b.example'],
          vary: { 'accept-language': { values: ['en', 'de'], select: header => header ?? 'en' } },
          onDemand: true
        }
      }
    }, async request => `${request.host} ${request.headers['accept-language']} ${JSON.stringify(request.query)}`)
  }
  const all = ['', '?page=2&sort=up'].map(query => ['a.example', 'b.example'].flatMap(host => ['de', 'en'].map(language => `/list${query} host=${host} accept-language=${language}`)))
  t.same((await buildOnce(t, dir, declare)).pages.map(row => row.key), all[0])
  const report = await buildOnce(t, dir, declare, { paths: ['/list?sort=up&utm=x&page=2'] })
  t.same(report.pages.map(row => row.key), all[1])
  const { app } = await open(t, dir, declare)
  const answer = await app.inject({ url: '/list?page=2&sort=up', headers: { host: 'b.example', 'accept-language': 'de' } })
  t.match(answer.headers['cache-status'], /hit/)
  t.equal(answer.body, 'b.example de {"page":"2","sort":"up"}')
})

test('routes that differ by constraint', async t => {
  const dir = t.testdir()
  const declare = (app: FastifyInstance): void => {
    const text = (name: string) => async () => name
    app.get('/v', { constraints: { version: '1.2.0' }, config: { prerender: true } }, text('version 1'))
    app.get('/v', { constraints: { version: '2.0.0' }, config: { prerender: true } }, text('version 2'))
    app.get('/h', { constraints: { host: 'a.example' }, config: { prerender: true } }, text('host a'))
    app.get('/h', { constraints: { host: /^[bc]\.example$/ }, config: { prerender: { hosts: ['b.example', 'c.example'] } } }, text('host b or c'))
    app.get('/h/:id', { constraints: { host: 'a.example' }, config: { prerender: { paths: [{ id: 1 }] } } }, text('a 1'))
  }
  const keys = ['/h host=a.example', '/h host=b.example', '/h host=c.example', '/h/1 host=a.example', '/v version=1.2.0', '/v version=2.0.0']
  const report = await buildOnce(t, dir, declare)
  t.equal(report.ok, true, JSON.stringify(report.problems))
  t.same(report.pages.map(row => row.key), keys)
  const partial = await buildOnce(t, dir, declare, { paths: ['/v', '/h', '/h/1'] })
  t.same(partial.problems, [])
  t.same(partial.pages.map(row => row.key), keys)
  t.same(readManifestOf(dir).pages.map(row => row.key), keys)
  const { app } = await open(t, dir, declare)
  for (const [url, headers, body] of [
    ['/v', { 'accept-version': '1.x' }, 'version 1'],
    ['/v', { 'accept-version': '2.x' }, 'version 2'],
    ['/h', { host: 'a.example' }, 'host a'],
    ['/h', { host: 'c.example' }, 'host b or c'],
    ['/h/1', { host: 'a.example' }, 'a 1']
  ] as const) {
    const answer = await app.inject({ url, headers: { ...headers } })
    t.match(answer.headers['cache-status'], /hit/, url)
    t.equal(answer.body, body)
  }
})

test('a page that was rendered while a partial build ran is not replaced by the older one of the build', async t => {
  const dir = t.testdir()
  let rendered = 0
  let release = (): void => {}
  let slow: Promise<void> = Promise.resolve()
  const declare = (app: FastifyInstance): void => {
    app.get('/a', { config: { prerender: true } }, async (request, reply) => reply.type('text/html').send(`a ${++rendered}`))
    app.get('/b', { config: { prerender: true } }, async (request, reply) => {
      await slow
      return await reply.type('text/html').send('b')
    })
  }
  const { app, body } = await open(t, dir, declare)
  await app.isr.prerender()
  slow = new Promise(resolve => { release = resolve })
  let staged = (): void => {}
  const isStaged = new Promise<void>(resolve => { staged = resolve })
  const building = app.isr.prerender({ paths: ['/a', '/b'], onProgress: ({ row }) => { if (row.key === '/a') staged() } })
  await isStaged
  await app.isr.refresh({ path: '/a' })
  t.equal(await body('/a'), 'a 3', 'newer than the build')
  release()
  await building
  t.equal(await body('/a'), 'a 3')
  await app.close()

  const again = await open(t, dir, declare)
  t.equal(await again.body('/a'), 'a 3', 'on disk, too')
})
