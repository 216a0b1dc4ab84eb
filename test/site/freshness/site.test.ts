// The parts together, as the plugin puts them together: files on disk, the cache in front of them.
import { rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Content } from '../../../lib/site/content/index.js'
import { Checker, closureOf, Orders, tagOf } from '../../../lib/site/freshness/index.js'
import { fileSource } from '../../../lib/site/source/source.js'
import { cacheStatus, record, start, type Site } from '../../helpers/app.js'
import { TestClock } from '../../helpers/engine.js'
import { context, makeContent } from '../helpers/content.js'

interface Running extends Site {
  root: string
  content: Content
  checker: Checker
  /** The answer that a visitor gets after the time for a check, and the one after all that follows from it. */
  visit: (url: string) => Promise<[at: string, after: string]>
}

const TREE = { pages: { 'index.html': '<% head.html %/>home', 'about.html': 'about' }, partials: { 'head.html': 'head ' } }

async function run (t: Test, tree: Record<string, unknown> = TREE): Promise<Running> {
  const root = t.testdir(tree as Parameters<typeof t.testdir>[0])
  const clock = new TestClock()
  const content = makeContent({ source: fileSource(root), clock: clock.read })
  await content.load()
  let checker!: Checker
  const site = await start(t, app => {
    const orders = new Orders(app.isr)
    checker = new Checker({
      every: 60_000,
      clock: clock.read,
      closure: page => closureOf(content.current, page),
      async check (paths) {
        const changes = await content.refresh(paths)
        await orders.give(changes)
        return changes
      },
      onError: error => { app.log.error(error) }
    })
    app.addHook('onRequest', async request => {
      if (request.isrRender === null) checker.due(request.url)
    })
    app.get('/*', { config: { prerender: { onDemand: true } } }, async (request, reply) => {
      const found = content.current.pages.find(request.url)
      if (found?.kind !== 'page') return reply.code(404).send('none')
      const { html, deps } = content.current.templates.render(found.template, {}, context)
      reply.isr.tags(...[...deps].map(tagOf), `page:${found.url}`)
      return reply.type('text/html').send(html)
    })
  }, { clock })
  const after = async (url: string): Promise<string> => {
    await checker.settled()
    await site.app.isr.refresh({ path: url })
    return (await site.get(url)).body
  }
  return { ...site, root, content, checker, visit: async url => { clock.forward(60); return [(await site.get(url)).body, await after(url)] } }
}

t.test('a change reaches visitors by a request that is answered at once with the old page', async (t) => {
  const { root, get, visit, checker } = await run(t)
  t.equal((await get('/')).body, 'head home')
  await writeFile(join(root, 'partials/head.html'), 'HEAD ')
  t.equal((await get('/')).body, 'head home', 'before its time nobody looks')
  t.same(await visit('/'), ['head home', 'HEAD home'])
  t.match(checker.stats, { revalidations: 1, revalidationErrors: 0 })
})

t.test('pages that a change is no part of are not rendered', async (t) => {
  const { root, get, visit } = await run(t)
  await get('/')
  await get('/about')
  const rendered = record(t, 'render')
  await writeFile(join(root, 'partials/head.html'), 'HEAD ')
  await visit('/')
  t.match(cacheStatus(await get('/about')), /^hit/)
  t.equal(rendered.filter(({ path }) => path === '/about').length, 0)
})

t.test('a file that was touched renders nothing', async (t) => {
  const { root, get, checker, clock } = await run(t)
  await get('/')
  const rendered = record(t, 'render')
  await utimes(join(root, 'pages/index.html'), new Date(), new Date(Date.now() - 3_600_000))
  clock.forward(60)
  await get('/')
  await checker.settled()
  t.match(cacheStatus(await get('/')), /^hit/)
  t.same(rendered, [])
  t.match(checker.stats, { revalidations: 0, revalidationErrors: 0 })
})

t.test('a page whose file can no longer be understood is served as it was, and counted', async (t) => {
  const { root, get, visit, checker, clock } = await run(t)
  await get('/about')
  await writeFile(join(root, 'pages/about.html'), '---\na: 1\na: 2\n---\n')
  t.same(await visit('/about'), ['about', 'about'])
  t.same(await visit('/about'), ['about', 'about'])
  t.equal(checker.stats.revalidationErrors, 2)
  await rm(join(root, 'pages'), { recursive: true })
  clock.forward(60)
  t.equal((await get('/about')).body, 'about')
})

t.test('a page whose partial is broken is served as it was until that is repaired', async (t) => {
  const { root, get, visit, checker } = await run(t)
  await get('/')
  await writeFile(join(root, 'partials/head.html'), '<% broken')
  t.same(await visit('/'), ['head home', 'head home'])
  t.equal(checker.stats.revalidationErrors, 1)
  await writeFile(join(root, 'partials/head.html'), 'repaired ')
  t.match(await visit('/'), ['head home', 'repaired home'])
})

t.test('a deleted page is gone', async (t) => {
  const { root, get, visit } = await run(t)
  await get('/about')
  await rm(join(root, 'pages/about.html'))
  t.same(await visit('/about'), ['about', 'none'])
  t.equal((await get('/about')).statusCode, 404)
})

t.test('a new page appears without a restart', async (t) => {
  const { root, get, visit } = await run(t)
  t.equal((await get('/new')).statusCode, 404)
  await writeFile(join(root, 'pages/new.html'), 'new')
  t.same(await visit('/new'), ['none', 'new'])
})
