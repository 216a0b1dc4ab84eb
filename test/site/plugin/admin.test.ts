import t from 'tap'
import { eventually, startSite } from '../../helpers/site.js'

t.test('figures of an admin page: durations by path, what checks led to, and a refresh', async (t) => {
  const { app, clock, raw, write } = await startSite(t, { 'pages/index.html': 'old' }, { site: { timings: true } })
  for (let nth = 0; nth < 3; nth++) await raw('/')
  await raw('/made-up')
  const timings = app.site.admin.timings()
  t.same(Object.keys(timings?.paths ?? {}), ['/'])
  t.match(timings, { total: { count: 4 }, others: { count: 1 }, paths: { '/': { count: 3 } } })
  t.ok((timings?.paths['/']?.p95 ?? 0) > 0)

  await app.isr.refresh({ path: '/' })
  write('pages/index.html', 'new')
  clock.forward(61)
  await raw('/')
  await eventually(async () => app.site.admin.cache().revalidations === 1)
  t.match(app.site.admin.cache(), { revalidationErrors: 0 })

  write('pages/index.html', 'newer')
  const { pages } = await app.site.admin.refresh()
  t.match(pages, [{ path: '/', outcome: 'stored' }])
  t.equal((await raw('/')).body.toString(), 'newer')
})

t.test('routes that the app prerenders by themselves have figures of their own, too', async (t) => {
  const { app, raw } = await startSite(t, { 'pages/index.html': 'home' }, {
    site: { timings: true },
    declare (app) { app.get('/compare', { config: { prerender: true } }, async () => 'compare') }
  })
  await raw('/compare')
  t.match(app.site.admin.timings(), { others: { count: 0 }, paths: { '/compare': { count: 1 } } })
})

t.test('a refresh renders all that is made of the site: items, pages of handlers, feeds; and nothing else', async (t) => {
  let other = 0
  const { app, raw, write } = await startSite(t, {
    'pages/index.html': 'home',
    'partials/post.html': 'old {{= post.title }}',
    'partials/list.html': 'list',
    'content/blog/a.md': '---\ntitle: A\n---\n'
  }, {
    site: { baseUrl: 'https://example.com', collections: { posts: { dir: 'content/blog', url: ({ slug }) => `/blog/${slug}` } } },
    declare (app) {
      app.get<{ Params: { slug: string } }>('/blog/:slug', { config: { prerender: { paths: () => app.site.collection('posts').urls() } } }, async (request, reply) => reply.page('post.html', { post: app.site.collection('posts').bySlug(request.params.slug) }))
      app.get('/list', { config: { prerender: true } }, async (_request, reply) => reply.page('list.html'))
      app.get('/other', { config: { prerender: true } }, async () => `${++other}`)
    }
  })
  for (const path of ['/', '/blog/a', '/list', '/other', '/sitemap.xml']) await app.isr.refresh({ path })
  write('partials/post.html', 'new {{= post.title }}')
  const { pages } = await app.site.admin.refresh()
  t.same(pages.map(({ path, outcome }) => `${path} ${outcome}`).sort(), ['/ renewed', '/blog/a stored', '/list renewed', '/sitemap.xml renewed'])
  t.equal((await raw('/blog/a')).body.toString(), 'new A')
  t.equal((await raw('/other')).body.toString(), '1')
})

t.test('nothing is measured unless it is asked for', async (t) => {
  const { app, raw } = await startSite(t, { 'pages/index.html': 'home' })
  await raw('/')
  t.equal(app.site.admin.timings(), null)
})
