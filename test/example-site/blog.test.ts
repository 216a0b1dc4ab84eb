import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { docsFolder, siteRoot } from '../../example-app/paths.js'
import { attributesOf, startExample } from '../helpers/example-site.js'

const NEWEST = 'templates-that-know-where-they-are'

t.test('the blog lists its posts newest first, in pages that lead to each other', async (t) => {
  const { text, raw } = await startExample(t)
  const first = await text('/blog')
  t.equal(attributesOf(first, /<h2><a href="\/blog\/([^"]+)"/g)[0], NEWEST)
  t.equal(attributesOf(first, /<h2><a href="([^"]+)"/g).length, 4)
  t.match(first, '<a href="/blog/page/2" rel="next">')
  const second = await text('/blog/page/2')
  t.equal(attributesOf(second, /<h2><a href="([^"]+)"/g).length, 2)
  t.match(second, '<a href="/blog" rel="prev">')
  const one = await raw('/blog/page/1')
  t.equal(one.status, 301)
  t.equal(one.headers['location'], '/blog')
  for (const path of ['/blog/page/3', '/blog/page/0', '/blog/page/02', '/blog/page/x', '/blog/none', '/blog/tag/none']) t.equal((await raw(path)).status, 404, path)
})

t.test('a post has its neighbours, its tags and highlighted code, and all of it may be stored', async (t) => {
  const { app, raw, text } = await startExample(t)
  const path = `/blog/${NEWEST}`
  const html = await text(path)
  t.match(html, '<h1>Templates that know where they are</h1>')
  t.equal(attributesOf(html, /<h1\b[^>]*>([^<]*)/g).length, 1)
  t.match(html, '<a href="/blog/what-a-hit-costs">')
  t.match(html, 'class="language-html"><span class="hljs-')
  t.match(html, '<a href="/docs/templates#escaping">')
  t.notMatch(html, / style=/)
  t.match(attributesOf(html, /href="(\/blog\/tag\/[^"]+)"/g), ['/blog/tag/site', '/blog/tag/security'])
  t.match(attributesOf(await text('/blog/tag/security'), /<h2><a href="([^"]+)"/g), [path, '/blog/no-token-in-a-shared-page'])
  await app.isr.refresh({ path })
  t.match((await raw(path)).headers['cache-status'], /hit/)
})

t.test('an image in a post comes in several widths, with its size', async (t) => {
  const { text, raw } = await startExample(t)
  const html = await text('/blog/a-stale-page-is-not-broken')
  t.match(html, /<img src="\/static\/img\/life-of-a-page\.[0-9a-f]{16}\.png" alt="A band[^"]*" width="1360" height="420"/)
  const [srcset = ''] = attributesOf(html, /srcset="([^"]+)"/g)
  const [smallest = ''] = srcset.split(' ')
  const answer = await raw(smallest)
  t.equal(answer.status, 200)
  t.match(answer.headers['cache-control'], 'immutable')
})

t.test('a draft is shown in development, and nowhere else', async (t) => {
  const { raw, text } = await startExample(t)
  t.equal((await raw('/blog/a-change-you-can-see')).status, 404)
  for (const path of ['/blog', '/feed.xml', '/sitemap.xml']) t.notMatch(await text(path), 'a-change-you-can-see', path)
  const dev = await startExample(t, { dev: true })
  t.match(await dev.text('/blog/a-change-you-can-see'), '<strong>Draft</strong>')
})

t.test('feed, sitemap and robots.txt name what there is', async (t) => {
  const { raw, text } = await startExample(t)
  const feed = await raw('/feed.xml')
  t.equal(feed.headers['content-type'], 'application/atom+xml; charset=utf-8')
  t.equal(attributesOf(feed.body.toString(), /(<entry>)/g).length, 6)
  t.match(await text('/robots.txt'), 'Sitemap: https://example.com/sitemap.xml')
  const paths = attributesOf(await text('/sitemap.xml'), /<loc>https:\/\/example\.com([^<]*)<\/loc>/g)
  for (const path of ['/', '/compare', '/blog', '/blog/page/2', '/blog/tag/isr', `/blog/${NEWEST}`, '/docs', '/docs/site', '/docs/readme']) t.ok(paths.includes(path), path)
  for (const path of ['/repository', '/admin', '/admin/stats', '/health', '/docs/search.json', '/feed.xml', '/request']) t.notOk(paths.includes(path), path)
  t.equal(new Set(paths).size, paths.length)
})

t.test('every figure of a post stands in the documentation', async (t) => {
  const docs = (await Promise.all((await readdir(docsFolder)).map(async name => await readFile(join(docsFolder, name), 'utf8')))).join('\n')
  const folder = join(siteRoot, 'content/blog')
  for (const name of await readdir(folder)) {
    const [, , body = ''] = (await readFile(join(folder, name), 'utf8')).split(/^---$/m)
    // With a part behind the point, or in thousands: what was measured.
    for (const [figure] of body.replace(/```[^]*?```/g, '').matchAll(/\d+\.\d+|\d,\d{3}|\b\d{2,} %/g)) {
      const rounded = new RegExp(figure.replace(/ %$/, '').replace('.', '\\.').replace(',', ',?') + '\\d*')
      t.match(docs, rounded, `${name}: ${figure}`)
    }
  }
})

t.test('old addresses lead to new ones', async (t) => {
  const { raw } = await startExample(t)
  for (const [from, to] of [['/news', '/blog'], ['/docs/getting-started', '/docs/readme'], ['/documentation', '/docs'], ['/about-nothing', null]] as const) {
    const { status, headers } = await raw(from)
    t.equal(status, to === null ? 404 : 301)
    if (to !== null) t.equal(headers['location'], to)
  }
})
