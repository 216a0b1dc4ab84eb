import { mock } from 'node:test'
import t from 'tap'
import { memorySource } from '../../../lib/site/index.js'
import { TestClock } from '../../helpers/app.js'
import { eventually, startSite } from '../../helpers/site.js'

const POSTS = { dir: 'content/blog', url: ({ slug }: { slug: string }): string => `/blog/${slug}`, schema: { title: 'text', date: 'date' } } as const
const post = (title: string, date: string): string => `---\ntitle: ${title}\ndate: ${date}\n---\n# ${title}\n`

t.test('a page that is asked for has its files looked at behind: a partial shows without a restart, on the pages that use it', async (t) => {
  const clock = new TestClock()
  const { app, raw, write } = await startSite(t, {
    'pages/index.html': '<% header.html %/><h1>Home</h1>',
    'pages/about.html': '<h1>About</h1>',
    'partials/header.html': '<header>Old</header>'
  }, { clock, site: { check: { every: 60 } } })
  for (const path of ['/', '/about']) { await raw(path); await app.isr.refresh({ path }) }
  const about = (await app.isr.inspect('/about')).entry?.renderedAt
  write('partials/header.html', '<header>New</header>')
  t.match((await raw('/')).body.toString(), 'Old', 'not yet due')
  clock.forward(61)
  const changed = new Promise(resolve => { app.site.on('change', resolve) })
  t.match((await raw('/')).body.toString(), 'Old', 'the visitor does not wait for the look')
  await changed
  await eventually(async () => (await raw('/')).body.toString().includes('New'))
  t.equal((await app.isr.inspect('/about')).entry?.renderedAt, about, 'a page that does not use it is not rendered')
})

t.test('without a build a file page is stored when it is first asked for, and so is a new file as soon as it is known', async (t) => {
  const clock = new TestClock()
  const { app, raw, write } = await startSite(t, { 'pages/index.html': 'home', 'pages/about.html': 'about' }, { clock, site: { check: { every: 60 } } })
  for (const path of ['/', '/about']) {
    t.match((await raw(path)).headers['cache-status'], 'fwd=uri-miss; stored')
    t.match((await app.isr.inspect(path)).tags, ['tpl:pages/'], 'whoever looks finds it, with what it is made of')
  }
  // Somebody has just asked for what there is not, so the list of the core is of this minute.
  t.equal((await raw('/nope')).status, 404)
  write('pages/new.html', 'I am new')
  await app.site.invalidate()
  t.match((await raw('/new')).headers['cache-status'], 'fwd=uri-miss; stored')
  t.match((await raw('/new?any=query')).headers['cache-status'], 'hit')
  t.match((await raw('/nope')).headers['cache-status'], 'detail=unlisted', 'made-up paths fill nothing')
})

t.test('a deleted page goes, and a new one is there, without a restart', async (t) => {
  const clock = new TestClock()
  const { app, raw, write, remove } = await startSite(t, { 'pages/index.html': 'home', 'pages/about.html': 'about' }, { clock, site: { check: { every: 60 } } })
  await raw('/about')
  await app.isr.refresh({ path: '/about' })
  write('pages/new.html', 'I am new')
  remove('pages/about.html')
  clock.forward(61)
  t.equal((await raw('/new')).body.toString(), 'I am new')
  await eventually(async () => (await raw('/about')).status === 404)
  t.equal((await app.isr.inspect('/about')).cached, false)
})

t.test('a clock that is put back does not keep a new page away until it has caught up', async (t) => {
  const clock = new TestClock()
  const { raw, write } = await startSite(t, { 'pages/index.html': 'home' }, { clock, site: { check: { every: 60 } } })
  clock.forward(-86_400)
  write('pages/new.html', 'I am new')
  t.equal((await raw('/new')).body.toString(), 'I am new')
})

t.test('a new post shows in the list, at its own path and in the sitemap, without a restart', async (t) => {
  const { app, raw, write } = await startSite(t, {
    'pages/index.html': '<ul><% each of="posts" as="post" %><li>{{= post.title }}</li><%/ each %></ul>',
    'partials/post.html': '<h1>{{= post.title }}</h1>{{= post.html }}',
    'content/blog/first.md': post('First', '2022-01-01')
  }, {
    site: { baseUrl: 'https://example.com', collections: { posts: POSTS } },
    declare (app) {
      app.get('/blog/:slug', { config: { prerender: { paths: () => app.site.collection('posts').urls() } } }, async (request, reply) => {
        const found = app.site.collection('posts').bySlug((request.params as { slug: string }).slug)
        if (found === null) { reply.callNotFound(); return reply }
        return reply.page('post.html', { post: found })
      })
    }
  })
  for (const path of ['/', '/blog/first', '/sitemap.xml']) { await raw(path); await app.isr.refresh({ path }) }
  t.match((await raw('/')).body.toString(), '<li>First</li>')
  t.match((await raw('/blog/first')).body.toString(), /<h1>First<\/h1>[^]*<h1/)
  const renderedAt = (await app.isr.inspect('/blog/first')).entry?.renderedAt

  write('content/blog/second.md', post('Second', '2022-02-01'))
  await app.site.invalidate('content/blog/second.md')
  await eventually(async () => (await raw('/')).body.toString().includes('<li>Second</li><li>First</li>'))
  t.equal((await raw('/blog/second')).status, 200)
  await eventually(async () => (await raw('/sitemap.xml')).body.toString().includes('https://example.com/blog/second'))
  t.equal((await app.isr.inspect('/blog/first')).entry?.renderedAt, renderedAt, 'the other post is as it was')
})

t.test('a file that was only touched renders nothing', async (t) => {
  const { app, raw, write } = await startSite(t, { 'pages/index.html': '<h1>Home</h1>' })
  await raw('/')
  await app.isr.refresh({ path: '/' })
  const { started } = app.isr.stats().renders
  write('pages/index.html', '<h1>Home</h1>')
  t.same(await app.site.invalidate(), { changed: [], removed: [], errors: [] })
  await raw('/')
  t.equal(app.isr.stats().renders.started, started)
})

t.test('an order from elsewhere never renders files as they were', async (t) => {
  const { app, raw, write } = await startSite(t, { 'pages/index.html': 'old' }, { site: { check: { every: 0 } } })
  await raw('/')
  await app.isr.refresh({ path: '/' })
  write('pages/index.html', 'new')
  // As from the command line or another instance: nobody has told this one about the file.
  await app.isr.refresh({ path: '/' })
  t.equal((await raw('/')).body.toString(), 'new')
})

t.test('check.every 0 looks at nothing because of a visitor', async (t) => {
  const clock = new TestClock()
  const { app, raw, write } = await startSite(t, { 'pages/index.html': 'old' }, { clock, site: { check: { every: 0 } } })
  await raw('/')
  await app.isr.refresh({ path: '/' })
  write('pages/index.html', 'new')
  write('pages/new.html', 'new')
  clock.forward(1000)
  for (let nth = 0; nth < 3; nth++) t.equal((await raw('/')).body.toString(), 'old')
  t.equal((await raw('/new')).status, 404)
})

t.test('the site brings no hook that a hit would have to pass: the express lane is open to it, and changes are noticed all the same', async (t) => {
  const { app, port, write, clock } = await startSite(t, { 'pages/index.html': 'old' }, { isr: { expressLane: true } })
  const get = async (): Promise<string> => await (await fetch(`http://127.0.0.1:${port}/`)).text()
  await app.isr.refresh({ path: '/' })
  for (let nth = 0; nth < 4; nth++) await get()
  t.ok((app.isr.stats().expressLane?.hits ?? 0) > 0)
  write('pages/index.html', 'new')
  clock.forward(61)
  await eventually(async () => await get() === 'new')
})

t.test('a source that hangs stops no later check and not the close of the app; it is counted, and unknown paths are none', async (t) => {
  const clock = new TestClock()
  const source = memorySource({ 'pages/index.html': 'old' })
  let hung = 0
  let hangs = false
  const hang = async <T> (work: () => Promise<T>): Promise<T> => {
    if (!hangs) return await work()
    hung++
    return await new Promise(() => {})
  }
  const { app, raw } = await startSite(t, {}, { clock, site: { source: { ...source, list: async folder => await hang(async () => await source.list(folder)), stamp: async path => await hang(async () => await source.stamp(path)) } } })
  await raw('/')
  await app.isr.refresh({ path: '/' })
  hangs = true
  clock.forward(61)
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => { mock.timers.reset() })
  t.equal((await raw('/')).body.toString(), 'old')
  await eventually(async () => hung === 1)
  mock.timers.tick(30_000)
  await eventually(async () => app.site.admin.cache().revalidationErrors === 1)
  const unknown = raw('/unknown')
  await eventually(async () => hung === 2)
  mock.timers.tick(30_000)
  t.equal((await unknown).status, 404)
  mock.timers.reset()
  hangs = false
  source.set('pages/index.html', 'new')
  clock.forward(61)
  await raw('/')
  await eventually(async () => (await raw('/')).body.toString() === 'new')
  hangs = true
  clock.forward(61)
  await raw('/')
  await eventually(async () => hung === 3)
  await app.close()
})
