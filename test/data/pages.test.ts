import t from 'tap'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { CachedContext, CachedFunction, IsrOptions } from '../../lib/index.js'
import { cacheStatus, counted, makeGate, settle, start, until, type Site } from '../helpers/app.js'
import { Origin } from '../helpers/origin.js'

type Test = Parameters<typeof start>[0]
type Post = CachedFunction<[id?: string], string>
type Declare = (app: Site['app'], post: Post, origin: Origin) => unknown

/** An app with a source of posts, and pages that the test declares. */
async function startSite (t: Test, declare: Declare, { isr = {}, tags = [], ttl = Infinity, staleIfError = 0 }: { isr?: IsrOptions, tags?: string[] | ((value: string) => string[]), ttl?: number, staleIfError?: number } = {}) {
  const origin = new Origin()
  let post: Post | undefined
  const site = await start(t, app => {
    post = app.isr.cached('post', origin.fetch, { ttl, staleIfError, tags })
    return declare(app, post, origin)
  }, { isr })
  if (post === undefined) throw new Error('not declared')
  return { ...site, origin, post }
}

/** `/p/:id` shows a post. */
const onePost: Declare = (app, post) => {
  app.get('/p/:id', { config: { prerender: { onDemand: true } } }, async request => await post((request.params as { id: string }).id))
}

/** What each of some pages is, in one word. */
async function states (site: Pick<Site, 'app'>, ...urls: string[]): Promise<string[]> {
  return await Promise.all(urls.map(async url => (await site.app.isr.inspect(url)).state ?? 'nothing'))
}

/** Waits until nothing is rendered behind any more. */
async function idle ({ app }: Pick<Site, 'app'>): Promise<void> {
  await settle(5)
  await until(() => app.isr.stats().renders.running === 0, 'the end of all renders')
  await settle(5)
}

/** Visits until nothing is rendered behind any more; tells the last body. */
async function settled (site: Pick<Site, 'get'>, url: string): Promise<string> {
  for (const startedAt = Date.now(); Date.now() - startedAt < 5000;) {
    const response = await site.get(url)
    if (cacheStatus(response).startsWith('hit') && !cacheStatus(response).includes('detail')) return response.body
    await settle()
  }
  throw new Error(`${url} never gets fresh`)
}

t.test('revalidating a datum makes exactly the pages stale that used it', async t => {
  const site = await startSite(t, onePost)
  for (const id of ['7', '8']) await site.get(`/p/${id}`)
  site.origin.version = 2
  t.equal((await site.post.revalidate('7')).matched, 2, 'the datum and the page')
  t.strictSame(await states(site, '/p/7', '/p/8'), ['stale', 'fresh'])
  t.equal((await site.get('/p/7')).body, '7 v1')
  await idle(site)
  t.equal((await site.get('/p/7')).body, '7 v2')
  t.equal((await site.get('/p/8')).body, '8 v1')
  t.strictSame(await states(site, '/p/7', '/p/8'), ['fresh', 'fresh'])
})

t.test('purging a datum purges exactly the pages that used it', async t => {
  const site = await startSite(t, onePost)
  for (const id of ['7', '8']) await site.get(`/p/${id}`)
  site.origin.version = 2
  t.equal((await site.post.purge('7')).matched, 2)
  t.strictSame(await states(site, '/p/7', '/p/8'), ['nothing', 'fresh'])
  t.equal((await site.get('/p/7')).body, '7 v2')
})

t.test('a tag of a datum is a tag of the page, however the datum was asked for', async t => {
  const ways: Record<string, (post: Post, app: Site['app']) => unknown> = {
    awaited: async post => await post('7'),
    parallel: async post => await Promise.all(['6', '7', '8'].map(id => post(id))),
    'after-a-timer': async post => { await sleep(1); return await post('7') },
    'after-an-immediate': async post => { await turn(); return await post('7') },
    'in-a-callback': async post => await new Promise((resolve, reject) => { setTimeout(() => { post('7').then(resolve, reject) }, 1) }),
    'by-inject': async (_post, app) => (await app.inject('/api/7')).json<unknown>(),
    'by-inject-of-a-page': async (_post, app) => (await app.inject('/fragment')).body
  }
  const site = await startSite(t, (app, post) => {
    app.get('/api/:id', async request => ({ post: await post((request.params as { id: string }).id) }))
    app.get('/fragment', { config: { prerender: true } }, async () => await post('7'))
    for (const [name, ask] of Object.entries(ways)) app.get(`/${name}`, { config: { prerender: true } }, async () => JSON.stringify(await ask(post, app)))
    app.get('/other', { config: { prerender: true } }, async () => await post('9'))
  }, { tags: ['posts'] })
  const urls = Object.keys(ways).map(name => `/${name}`)
  for (const url of [...urls, '/other']) await site.get(url)
  site.origin.version = 2
  await site.post.revalidate('7')
  for (const url of urls) t.strictSame(await states(site, url), ['stale'], url)
  t.strictSame(await states(site, '/other'), ['fresh'])
  for (const url of urls) t.match(await settled(site, url), /7 v2/, url)
  await site.app.isr.revalidate({ tag: 'posts' })
  t.strictSame(new Set(await states(site, ...urls, '/other')), new Set(['stale']))
})

t.test('through data that are made of data', async t => {
  const site = await startSite(t, (app, post) => {
    const list = app.isr.cached('list', async () => await Promise.all(['1', '2'].map(id => post(id))), { ttl: Infinity })
    const index = app.isr.cached('index', async () => ({ list: await list() }), { ttl: Infinity })
    app.get('/index', { config: { prerender: true } }, async () => (await index()).list.join(', '))
    app.get('/again', { config: { prerender: true } }, async () => (await index()).list.join(', '))
  })
  await site.get('/index')
  // Made of data that were all there already.
  await site.get('/again')
  t.equal(site.origin.fetches, 2)
  site.origin.version = 2
  await site.post.revalidate('2')
  t.strictSame(await states(site, '/index', '/again'), ['stale', 'stale'])
  t.equal(await settled(site, '/index'), '1 v1, 2 v2')
  t.equal(await settled(site, '/again'), '1 v1, 2 v2')
  site.origin.version = 3
  await site.post.purge('1')
  t.strictSame(await states(site, '/index', '/again'), ['nothing', 'nothing'])
  t.equal((await site.get('/again')).body, '1 v3, 2 v2')
})

t.test('through a hook of isr.data', async t => {
  const site = await startSite(t, (app, post) => {
    app.decorateRequest('title', '')
    const load = app.isr.data({ name: 'title', ttl: Infinity, fetch: async () => await post('7'), apply (request, _reply, value) { (request as unknown as { title: string }).title = value } })
    for (const point of ['onRequest', 'preHandler'] as const) {
      app.get(`/${point}`, { config: { prerender: true }, [point]: load }, async request => (request as unknown as { title: string }).title)
    }
  })
  for (const url of ['/onRequest', '/preHandler']) t.equal((await site.get(url)).body, '7 v1')
  t.strictSame(site.warnings(), [], 'a hook that only loads data is skipped without harm')
  site.origin.version = 2
  await site.post.revalidate('7')
  for (const url of ['/onRequest', '/preHandler']) {
    t.strictSame(await states(site, url), ['stale'])
    t.equal(await settled(site, url), '7 v2')
  }
})

t.test('what visitors ask for themselves is no part of a page', async t => {
  const site = await startSite(t, (app, post) => {
    app.addHook('onRequest', async request => { if (request.isrRender === null) await post(String(request.headers['x-id'])) })
    app.get('/page', { config: { prerender: { ttl: 60 } } }, async () => await post('page'))
    app.get('/live', async () => await post('live'))
    app.get('/private', { config: { prerender: true } }, async (request, reply) => { reply.isr.noStore(); return await post('private') })
  }, { tags: value => [value] })
  await Promise.all([site.get('/live', { 'x-id': '1' }), site.get('/page', { 'x-id': '2' }), site.get('/page', { 'x-id': '3' }), site.get('/private')])
  site.clock.forward(61)
  await site.get('/page', { 'x-id': '4' })
  await idle(site)
  const { tags } = await site.app.isr.inspect('/page')
  t.strictSame(tags, ['page v1'])
  for (const id of ['1', '2', '3', '4', 'live', 'private']) await site.post.purge(id)
  t.strictSame(await states(site, '/page'), ['fresh'])
})

t.test('what a render leaves running belongs to no page', async t => {
  const site = await startSite(t, (app, post) => {
    app.get('/page', { config: { prerender: true } }, async () => {
      setTimeout(() => { void post('late') }, 20).unref()
      return 'page'
    })
  }, { ttl: 10 })
  await site.post('late')
  site.clock.forward(11)
  site.origin.version = 2
  await site.get('/page')
  await until(() => site.origin.fetches === 2, 'the late fetch')
  t.notMatch((await site.app.isr.inspect('/page')).tags.join(), /late/)
  t.match(site.logs.filter(line => line.msg === 'data').at(-1), { outcome: 'stale' }, 'it is not made to wait as a render is')
})

t.test('a tag that page and datum share gives a page with the new datum', async t => {
  const site = await startSite(t, (app, post) => {
    app.get('/page', { config: { prerender: { tags: ['posts'] } } }, async () => await post('7'))
  }, { tags: ['posts'] })
  await site.get('/page')
  site.origin.version = 2
  await site.app.isr.revalidate({ tag: 'posts' })
  t.equal((await site.get('/page')).body, '7 v1')
  await idle(site)
  t.equal((await site.get('/page')).body, '7 v2')
  t.strictSame(await states(site, '/page'), ['fresh'])
  t.equal(site.origin.fetches, 2)
})

t.test('a render waits for a stale datum, a visitor does not', async t => {
  const site = await startSite(t, onePost, { ttl: 10 })
  await site.post('7')
  site.clock.forward(11)
  site.origin.version = 2
  site.origin.gate = makeGate()
  t.equal(await site.post('7'), '7 v1', 'a visitor')
  const page = site.get('/p/7')
  await settle(5)
  site.origin.gate.open()
  t.equal((await page).body, '7 v2', 'a page')
  t.equal(site.origin.fetches, 2)
})

t.test('if the source fails the page is made of the old datum, and is as old as that', async t => {
  const site = await startSite(t, (app, post) => {
    app.get('/page', { config: { prerender: { tags: ['posts'] } } }, async () => await post('7'))
  }, { tags: ['posts'], ttl: 10 })
  await site.get('/page')
  await site.app.isr.revalidate({ tag: 'posts' })
  site.origin.version = 2
  site.origin.error = new Error('down')
  await site.get('/page')
  await idle(site)
  t.equal((await site.get('/page')).body, '7 v1')
  t.strictSame(await states(site, '/page'), ['stale'], 'not fresh for ever')
  site.origin.error = null
  site.clock.forward(60)
  t.equal(await settled(site, '/page'), '7 v2')
  t.strictSame(await states(site, '/page'), ['fresh'])
})

t.test('a page that is purged or revalidated is new when it is rendered again, however old its data', async t => {
  const handler = counted()
  const site = await startSite(t, (app, post) => {
    app.get('/page', { config: { prerender: true } }, async (request, reply) => `${await post('7')} ${String(await handler(request, reply))}`)
  }, { tags: ['posts'] })
  await site.post('7')
  site.clock.forward(100)
  await site.get('/page')
  for (const order of ['purge', 'revalidate'] as const) {
    for (const target of [{ path: '/page' }, { route: '/page' }, { prefix: '/' }]) {
      site.clock.forward(100)
      const before = handler.renders
      await site.app.isr[order](target)
      const { statusCode } = await site.get('/page')
      t.equal(statusCode, 200)
      await idle(site)
      t.strictSame(await states(site, '/page'), ['fresh'], `${order} ${JSON.stringify(target)}`)
      await site.get('/page')
      await idle(site)
      t.equal(handler.renders, before + 1, 'one render')
    }
  }
  site.clock.forward(1)
  t.match(await site.app.isr.refresh({ path: '/page' }), { pages: [{ outcome: 'stored' }] })
  t.equal(site.origin.fetches, 1)
})

t.test('of several data each is as old as it is, and no older', async t => {
  const site = await startSite(t, (app, post) => {
    app.get('/page', { config: { prerender: true } }, async () => (await Promise.all([post('old'), post('new')])).join())
  })
  await site.post('old')
  await site.post('new')
  site.clock.forward(10)
  site.origin.version = 2
  await site.post.revalidate('new')
  await site.post.refresh('new')
  t.equal((await site.get('/page')).body, 'old v1,new v2')
  t.strictSame(await states(site, '/page'), ['fresh'])
  await site.app.isr.revalidate({ all: true })
  t.equal(await settled(site, '/page'), 'old v2,new v2')
})

t.test('a datum that is revalidated or purged while a page is rendered makes that page stale', async t => {
  for (const order of ['revalidate', 'purge'] as const) {
    const gate = makeGate()
    const site = await startSite(t, (app, post) => {
      app.get('/page', { config: { prerender: true } }, async () => { const text = await post('7'); await gate.opened; return text })
    })
    const first = site.get('/page')
    await until(() => site.origin.fetches === 1, 'the fetch')
    await settle()
    site.origin.version = 2
    await site.post[order]('7')
    gate.open()
    const { body } = await first
    if (order === 'purge') t.equal(body, '7 v2', 'the old one is not served to anybody')
    t.equal(await settled(site, '/page'), '7 v2', order)
  }
})

t.test('a datum that is revalidated while it is fetched for a page', async t => {
  const site = await startSite(t, onePost)
  site.origin.gate = makeGate()
  const first = site.get('/p/7')
  await until(() => site.origin.fetches === 1, 'the fetch')
  site.origin.version = 2
  await site.post.revalidate('7')
  site.origin.gate.open()
  await first
  t.equal(await settled(site, '/p/7'), '7 v2')
})

t.test('the lifetime of a page is its own, unless it inherits that of its data', async t => {
  const site = await startSite(t, (app, post) => {
    app.get('/own', { config: { prerender: { ttl: 100 } } }, async () => await post('7'))
    app.get('/inherits', { config: { prerender: { ttl: 100, inheritTtl: true } } }, async () => await post('7'))
    app.get('/shorter', { config: { prerender: { ttl: 2, inheritTtl: true } } }, async () => await post('7'))
    app.get('/none', { config: { prerender: { ttl: 100, inheritTtl: true } } }, async () => 'none')
  }, { ttl: 10 })
  await site.post('7')
  site.clock.forward(4)
  for (const url of ['/own', '/inherits', '/shorter', '/none']) await site.get(url)
  t.strictSame(await Promise.all(['/own', '/inherits', '/shorter', '/none'].map(async url => (await site.app.isr.inspect(url)).entry?.ttl)), [100, 6, 2, 100])
  site.clock.forward(6)
  t.strictSame(await states(site, '/own', '/inherits', '/shorter', '/none'), ['fresh', 'stale', 'stale', 'fresh'])
})

t.test('a page and a datum that wait for each other fail with a code', async t => {
  const { app, get, logs } = await start(t, app => {
    const datum = app.isr.cached('circle', async () => {
      const { statusCode, body } = await app.inject('/page')
      if (statusCode !== 200) throw new Error(body)
      return body
    })
    app.get('/page', { config: { prerender: true } }, async (_request, reply) => {
      try {
        return await datum()
      } catch (error) {
        return await reply.code(500).send((error as Error).message)
      }
    })
  }, { isr: { render: { timeout: 2000 } } })
  const { statusCode } = await get('/page')
  t.equal(statusCode, 500)
  t.match(JSON.stringify(logs), /FST_ISR_ERR_RENDER_CYCLE/)
  t.equal(app.isr.stats().renders.running, 0)
})

for (const enabled of [true, false]) {
  t.test(`a build stores the tags of its data, so that orders reach its pages after a restart (built with enabled: ${String(enabled)})`, async t => {
    const dir = t.testdir()
    const declare: Declare = (app, post) => {
      app.get('/p/:id', { config: { prerender: { paths: ['/p/7', '/p/8'] } } }, async request => await post((request.params as { id: string }).id))
    }
    const first = await startSite(t, declare, { isr: { dir, disk: {}, enabled }, tags: ['posts'] })
    t.equal((await first.app.isr.prerender()).ok, true)
    await first.app.close()

    const open = async () => await startSite(t, declare, { isr: { dir, disk: {}, prewarm: false }, tags: ['posts'] })
    const second = await open()
    second.origin.version = 2
    t.equal(second.app.isr.stats().memory.entries, 0, 'nothing is in memory')
    t.equal((await second.app.isr.purge({ tag: 'posts' }, { dryRun: true })).matched, 2)
    t.equal((await second.post.purge('7')).matched, 1)
    t.equal((await second.get('/p/7')).body, '7 v2')
    t.equal((await second.get('/p/8')).body, '8 v1')
    await second.app.isr.revalidate({ tag: 'posts' })
    await second.app.close()

    const third = await open()
    third.origin.version = 3
    t.strictSame(await states(third, '/p/7', '/p/8'), ['stale', 'stale'], 'the order outlives a restart')
    t.equal(await settled(third, '/p/8'), '8 v3')
    await third.app.close()
  })
}

t.test('a page that was made of an old datum is so after a restart, too', async t => {
  const dir = t.testdir()
  const open = async () => await startSite(t, (app, post) => {
    app.get('/page', { config: { prerender: { tags: ['posts'] } } }, async () => await post('7'))
  }, { isr: { dir, buildId: 'b1', disk: {} }, tags: ['posts'] })
  const first = await open()
  await first.get('/page')
  await first.app.isr.revalidate({ tag: 'posts' })
  first.origin.error = new Error('down')
  await first.get('/page')
  await idle(first)
  await first.app.close()
  const second = await open()
  t.strictSame(await states(second, '/page'), ['stale'])
  await second.app.close()
})

t.test('a fetch that reads the context of its page is not given one', async t => {
  const { AsyncLocalStorage } = await import('node:async_hooks')
  const visitor = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const { get, app } = await start(t, app => {
    app.addHook('onRequest', (_request, _reply, done) => { visitor.run('ann', done) })
    const datum = app.isr.cached('datum', async (_id: string, _context: CachedContext) => { seen.push(visitor.getStore()); return 1 })
    app.get('/live', async () => await datum('live'))
  })
  t.equal((await get('/live')).body, '1')
  t.strictSame(seen, [undefined], 'or the first visitor would be in what all of them get')
  t.equal(app.isr.stats().memory.entries, 1)
})

t.test('a page that had to do without a datum is reached by orders for it', async t => {
  const site = await startSite(t, (app, post) => {
    app.get('/page', { config: { prerender: true } }, async () => await post('7').catch(() => 'nothing'))
  }, { tags: ['posts'] })
  site.origin.error = new Error('down')
  t.equal((await site.get('/page')).body, 'nothing')
  site.origin.error = null
  site.clock.forward(1)
  await site.post.revalidate('7')
  t.equal(await settled(site, '/page'), '7 v1')
})

t.test('a page that is made of another page knows the data of that, in memory or not', async t => {
  const site = await startSite(t, (app, post) => {
    app.get('/inner', { config: { prerender: { ttl: 10 } } }, async () => await post('7'))
    app.get('/outer', { config: { prerender: true } }, async () => (await app.inject('/inner')).body)
  })
  await site.get('/inner')
  t.equal((await site.get('/outer')).body, '7 v1')
  for (const version of [2, 3]) {
    site.origin.version = version
    await site.post.revalidate('7')
    t.strictSame(await states(site, '/inner', '/outer'), ['stale', 'stale'])
    t.equal(await settled(site, '/outer'), `7 v${version}`)
  }
  site.clock.forward(11)
  t.strictSame(await states(site, '/inner', '/outer'), ['stale', 'fresh'])
})
