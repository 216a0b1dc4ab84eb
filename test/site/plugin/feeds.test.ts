import t from 'tap'
import { eventually, startSite } from '../../helpers/site.js'

const POSTS = { dir: 'content/blog', url: ({ slug }: { slug: string }): string => `/blog/${slug}`, schema: { summary: 'text' } } as const
const FILES = {
  'pages/index.html': 'home',
  'pages/about.html': 'about',
  'pages/hidden.html': '---\nnoindex: true\n---\nhidden',
  'pages/404.html': 'none',
  'content/blog/a & b.md': '---\ntitle: A & B\ndate: 2022-01-01\nsummary: Of A\n---\nText of *A*\n',
  'content/blog/draft.md': '---\ntitle: Draft\ndraft: true\n---\nText\n'
}
const SITE = { baseUrl: 'https://example.com', collections: { posts: POSTS }, feed: { collection: 'posts', title: 'News & more' } }

t.test('sitemap, robots.txt and feed name what there is, absolute and escaped', async (t) => {
  const { raw } = await startSite(t, FILES, { site: SITE })
  const sitemap = await raw('/sitemap.xml')
  t.equal(sitemap.headers['content-type'], 'application/xml; charset=utf-8')
  t.same([...sitemap.body.toString().matchAll(/<loc>([^<]*)<\/loc>/g)].map(([, loc]) => loc), ['https://example.com/about', 'https://example.com/', 'https://example.com/blog/a%20&#38;%20b'])
  const robots = await raw('/robots.txt')
  t.equal(robots.headers['content-type'], 'text/plain; charset=utf-8')
  t.match(robots.body.toString(), /User-agent: \*\nAllow: \/\n\nSitemap: https:\/\/example\.com\/sitemap\.xml\n/)
  const feed = await raw('/feed.xml')
  t.equal(feed.headers['content-type'], 'application/atom+xml; charset=utf-8')
  for (const text of ['<title>News &#38; more</title>', '<title>A &#38; B</title>', '&#60;em&#62;A&#60;/em&#62;', '<summary>Of A</summary>']) t.match(feed.body.toString(), text)
  t.notMatch(feed.body.toString(), 'Draft')
})

t.test('they are pages of the cache, made anew when a file is changed', async (t) => {
  const { app, raw, write } = await startSite(t, FILES, { site: SITE })
  for (const path of ['/sitemap.xml', '/feed.xml']) {
    await raw(path)
    t.match((await raw(path)).headers['cache-status'], /hit/)
  }
  write('content/blog/new.md', '---\ntitle: New\ndate: 2022-02-01\n---\nText\n')
  await app.site.invalidate('content/blog/new.md')
  for (const path of ['/sitemap.xml', '/feed.xml']) await eventually(async () => (await raw(path)).body.toString().includes('https://example.com/blog/new'))
})

t.test('the sitemap names what routes of the app list as well, each page once, and what they keep out is not in it', async (t) => {
  const { raw } = await startSite(t, { ...FILES, 'content/blog/hidden.md': '---\ntitle: H\nnoindex: true\n---\n' }, {
    site: SITE,
    declare (app) {
      const answer = async (): Promise<string> => 'page'
      app.get('/compare', { config: { prerender: true } }, answer)
      app.get('/live', answer)
      app.get('/secret', { config: { prerender: { sitemap: false } } }, answer)
      app.get('/search.json', { config: { prerender: true } }, answer)
      app.get('/other-host', { config: { prerender: { hosts: ['other.example'] } } }, answer)
      app.get('/stock/:id', { config: { prerender: { paths: async () => [{ id: 'a b' }, '/stock/c', '/stock/v1.2'] } } }, answer)
      app.get('/blog/:slug', { config: { prerender: { paths: () => app.site.collection('posts').urls() } } }, answer)
    }
  })
  const sitemap = (await raw('/sitemap.xml')).body.toString()
  t.same([...sitemap.matchAll(/<loc>https:\/\/example\.com([^<]*)<\/loc>/g)].map(([, path]) => path).sort(), ['/', '/about', '/blog/a%20&#38;%20b', '/compare', '/stock/a%20b', '/stock/c', '/stock/v1.2'])
  t.match(sitemap, /a%20&#38;%20b<\/loc>\s*<lastmod>2022-01-01/)
})

t.test('a made-up part of the sitemap has nothing listed again', async (t) => {
  let listed = 0
  const { raw } = await startSite(t, FILES, {
    site: SITE,
    declare (app) {
      app.get('/shop/:id', { config: { prerender: { paths: () => { listed++; return ['/shop/1'] } } } }, async () => 'lamp')
    }
  })
  t.match((await raw('/sitemap.xml')).body.toString(), 'https://example.com/shop/1')
  t.equal((await raw('/sitemap-part-7.xml')).status, 404)
  // The core has asked for the parts that there are.
  const before = listed
  for (let part = 8; part < 20; part++) t.equal((await raw(`/sitemap-part-${part}.xml`)).status, 404)
  t.equal(listed, before)
})

t.test('without a baseUrl, or when the app says so, there are none', async (t) => {
  const without = await startSite(t, FILES)
  const off = await startSite(t, FILES, { site: { baseUrl: 'https://example.com', sitemap: false, robots: false } })
  for (const { raw } of [without, off]) {
    for (const path of ['/sitemap.xml', '/robots.txt', '/feed.xml']) t.equal((await raw(path)).status, 404)
  }
})

t.test('the sitemap of the site and that of the core can be told apart', async (t) => {
  const baseUrl = 'https://example.com'
  const files = Object.fromEntries(Object.entries(FILES).filter(([name]) => name.startsWith('pages/')))
  const both = await startSite(t, files, { isr: { baseUrl, sitemap: true }, site: { baseUrl } })
  const report = await both.app.isr.prerender({ dir: t.testdir({}) })
  t.match(report, { sitemap: { file: null, reason: /a page of its own at \/sitemap\.xml/ }, warnings: [] }, 'who has one lacks none')
  t.match((await both.raw('/sitemap.xml')).body.toString(), '<loc>https://example.com/about</loc>')
  const own = await startSite(t, files, { site: { baseUrl } })
  t.same((await own.app.isr.prerender({ dir: t.testdir({}) })).warnings, [], 'nor is the base URL of the core needed for it')
  const core = await startSite(t, files, { isr: { baseUrl, sitemap: true }, site: { sitemap: false } })
  t.match((await core.app.isr.prerender({ dir: t.testdir({}) })).sitemap, { file: 'sitemap.xml', urls: 3 }, 'that of the core has the pages of the site, if nothing else has')
})
