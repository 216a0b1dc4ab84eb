import t from 'tap'
import Fastify from 'fastify'
import isr from '../../../lib/index.js'
import site, { memorySource } from '../../../lib/site/index.js'
import { eventually, startSite } from '../../helpers/site.js'

const POSTS = { dir: 'content/blog', url: ({ slug }: { slug: string }): string => `/blog/${slug}`, schema: { title: 'text', date: 'date' } } as const
const FILES = {
  'content/news/draft.md': '---\ndraft: true\n---\n',
  'pages/index.html': 'home',
  'partials/post.html': '<h1>{{= post.title }}</h1><% footer.html %/>',
  'partials/list.html': '<% each of="items" as="item" %><li>{{= item.title }}</li><%/ each %>',
  'partials/footer.html': '<footer></footer>',
  'content/blog/a.md': '---\ntitle: A & <b>\ndate: 2022-01-01\n---\nText\n',
  'content/blog/b.md': '---\ntitle: B\ndate: 2022-02-01\n---\nText\n'
}

t.test('reply.page() sends HTML whose values are escaped, and tags the page with all that it is made of', async (t) => {
  const { app, raw } = await startSite(t, FILES, {
    site: { collections: { posts: POSTS } },
    declare (app) {
      app.get('/blog/:slug', { config: { prerender: { onDemand: true } } }, async (request, reply) =>
        reply.page('post.html', { post: app.site.collection('posts').bySlug((request.params as { slug: string }).slug) }))
      app.get('/blog', { config: { prerender: true } }, async (_request, reply) => reply.page('list.html', { items: app.site.collection('posts').all() }))
    }
  })
  const { headers, body } = await raw('/blog/a')
  t.equal(headers['content-type'], 'text/html; charset=utf-8')
  t.match(body.toString(), '<h1>A &amp; &lt;b&gt;</h1><footer></footer>')
  const { tags } = await app.isr.inspect('/blog/a')
  for (const tag of ['tpl:partials/post.html', 'tpl:partials/footer.html', 'page:/blog/a']) t.ok(tags.includes(tag), `${tag} in ${tags.join(' ')}`)
  t.notOk(tags.includes('collection:posts'), 'one item is not the whole collection')
  t.match((await raw('/blog')).body.toString(), '<li>B</li><li>A &amp; &lt;b&gt;</li>')
  t.ok((await app.isr.inspect('/blog')).tags.includes('collection:posts'))
})

t.test('lists without items, pages of them and neighbours are of their collection, too', async (t) => {
  const { app, raw, write } = await startSite(t, FILES, {
    site: { collections: { posts: POSTS, news: { ...POSTS, dir: 'content/news' } } },
    declare (app) {
      const news = (): ReturnType<typeof app.site.collection> => app.site.collection('news')
      const prerender = { onDemand: true }
      app.get('/news', { config: { prerender } }, async (_request, reply) => reply.page('list.html', { items: [], page: news().page(1, 10) }))
      app.get('/news/tag', { config: { prerender } }, async (_request, reply) => reply.page('list.html', { items: news().tag('none') }))
      app.get('/blog/a', { config: { prerender } }, async (_request, reply) => reply.page('footer.html', { around: app.site.collection('posts').around('a') }))
      app.get('/blog/b', { config: { prerender } }, async (_request, reply) => reply.page('footer.html', { around: app.site.collection('posts').around('none') }))
    }
  })
  for (const [path, tag] of [['/news', 'collection:news'], ['/news/tag', 'collection:news'], ['/blog/a', 'collection:posts'], ['/blog/b', 'collection:posts']] as const) {
    await raw(path)
    t.ok((await app.isr.inspect(path)).tags.includes(tag), path)
  }
  write('content/news/first.md', '---\ntitle: First\n---\n')
  await app.site.invalidate('content/news/first.md')
  t.not((await app.isr.inspect('/news')).state, 'fresh')
})

t.test('it works in a route that is not prerendered', async (t) => {
  const { raw } = await startSite(t, FILES, { declare (app) { app.get('/live', async (_request, reply) => reply.code(201).page('footer.html')) } })
  const { status, headers, body } = await raw('/live')
  t.equal(status, 201)
  t.equal(headers['content-type'], 'text/html; charset=utf-8')
  t.equal(headers['cache-status'], undefined)
  t.equal(body.toString(), '<footer></footer>')
})

t.test('app.site renders, lists pages and names what there is not', async (t) => {
  const { app } = await startSite(t, { ...FILES, 'pages/about.html': '---\ntitle: About us\nnoindex: true\n---\nabout' }, { site: { collections: { posts: POSTS } } })
  t.equal(app.site.render('footer.html').html, '<footer></footer>')
  t.ok(app.site.render('footer.html').tags.includes('tpl:partials/footer.html'))
  t.match(app.site.pages(), [{ path: '/', file: 'pages/index.html', title: null, noindex: false }, { path: '/about', file: 'pages/about.html', title: 'About us', noindex: true }])
  t.same(app.site.collection('posts').urls(), ['/blog/b', '/blog/a'])
  t.throws(() => app.site.collection('news'), { code: 'FST_ISR_ERR_SITE_COLLECTION', message: "the option 'collections' declares 'posts'" })
})

t.test('a site of memory needs no folder', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { disk: false })
  const source = memorySource({ 'pages/index.html': 'one' })
  await app.register(site, { source, static: false })
  t.equal((await app.inject('/')).body, 'one')
  source.set('pages/index.html', 'two')
  await app.site.invalidate('pages/index.html')
  // It is stored by now, so it is served once more and rendered behind.
  await eventually(async () => (await app.inject('/')).body === 'two')
})

t.test('nobody has two sites', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { disk: false })
  await app.register(site, { source: memorySource({ 'pages/index.html': '' }), static: false })
  await t.rejects(async () => { await app.register(site, { source: memorySource({ 'pages/index.html': '' }), static: false }) }, { code: 'FST_ISR_ERR_SITE_ALREADY_REGISTERED' })
})

t.test('data of the option are there for every template; what is nearer goes first', async (t) => {
  const asked: unknown[] = []
  const files = {
    'partials/head.html': '<link rel="canonical" href="https://example.com{{= path? }}"><p>{{= name }} {{= mood? }}</p>',
    'pages/index.html': '<% head.html %/>',
    'pages/about.html': '---\nmood: of the file\n---\n<% head.html %/>',
    'pages/404.html': '<% head.html %/>'
  }
  const { raw, app } = await startSite(t, files, {
    site: { data (page) { asked.push(page.path); return { ...page, name: 'Everywhere', mood: 'common' } } },
    declare (app) { app.get('/live', async (_request, reply) => reply.page('head.html', { mood: 'of the handler' })) }
  })
  const body = async (target: string): Promise<string> => (await raw(target)).body.toString()
  t.equal(await body('/'), '<link rel="canonical" href="https://example.com/"><p>Everywhere common</p>')
  t.match(await body('/about?query'), 'com/about"><p>Everywhere of the file</p>')
  t.match(await body('/live?query'), 'com/live"><p>Everywhere of the handler</p>')
  t.match(await body('/nothing'), 'com"><p>Everywhere common</p>')
  t.match(app.site.render('head.html').html, 'com"><p>Everywhere common</p>')
  t.same(asked, ['/', '/about', '/live', null, null])

  const fixed = await startSite(t, files, {
    site: { data: { name: 'An object', mood: 'common' } },
    declare (app) { app.get('/live', async (_request, reply) => reply.page('head.html', Object.freeze({ mood: 'of the handler' }))) }
  })
  for (const [target, text] of [['/', 'An object common'], ['/about', 'An object of the file'], ['/live', 'An object of the handler']] as const) {
    t.match((await fixed.raw(target)).body.toString(), `<p>${text}</p>`, target)
  }
})

t.test('a page that shows a list of the common data is made of its collection', async (t) => {
  const { app, raw } = await startSite(t, { ...FILES, 'partials/latest.html': '<% each of="latest" as="item" %><li>{{= item.title }}</li><%/ each %>' }, {
    site: { collections: { posts: POSTS }, data: () => ({ latest: app.site.collection('posts').all() }) },
    declare (app) { app.get('/latest', { config: { prerender: true } }, async (_request, reply) => reply.page('latest.html')) }
  })
  t.match((await raw('/latest')).body.toString(), '<li>B</li>')
  t.ok((await app.isr.inspect('/latest')).tags.includes('collection:posts'))
})
