import t from 'tap'
import type { CollectionOptions } from '../../../types/site.js'
import { closureOf, filesOf } from '../../../lib/site/freshness/index.js'
import { makeSite } from '../helpers/content.js'

const collections = new Map<string, CollectionOptions>([['posts', { dir: 'content/blog', url: ({ slug }) => `/blog/${slug}` }]])
const FILES = {
  'pages/index.html': '<% a.html %/>{{+ /static/app.css }}',
  'pages/broken.html': '<% none.html %/>',
  'pages/uses-broken.html': '<% c.html %/>',
  'partials/a.html': '<% b.html %/>',
  'partials/b.html': 'b',
  'partials/c.html': '<% d.html %/>',
  'partials/d.html': '<% broken',
  'content/blog/x.md': '<% b.html %/>'
}

t.test('a page is made of its file and of all partials, those of partials included', async (t) => {
  const { content: { current } } = await makeSite(FILES, { collections, redirects: { '/old': '/' } })
  t.same(closureOf(current, '/')?.sort(), ['pages/index.html', 'partials/a.html', 'partials/b.html'])
  t.same(closureOf(current, '/blog/x')?.sort(), ['content/blog/x.md', 'partials/b.html'])
  t.equal(closureOf(current, '/none'), null)
  t.equal(closureOf(current, '/old'), null)
})

t.test('a broken page is also made of what breaks it, and of what it lacks', async (t) => {
  const { content: { current }, content, source } = await makeSite(FILES, { collections })
  t.same(closureOf(current, '/broken')?.sort(), ['pages/broken.html', 'partials/'])
  t.same(closureOf(current, '/uses-broken')?.sort(), ['pages/uses-broken.html', 'partials/', 'partials/d.html'])
  source.set('partials/none.html', 'here')
  t.match(await content.refresh(closureOf(current, '/broken') ?? []), { changed: ['page:/broken', 'partials/none.html'] })
})

t.test('what a render depended on leads to files', async (t) => {
  const { content: { current } } = await makeSite(FILES, { collections })
  t.same(filesOf(['pages/index.html', 'partials/b.html', 'asset:/static/app.css', 'collection:posts', 'collection:none', 'page:/blog/x', 'page:/'], current, collections), ['pages/index.html', 'partials/b.html', 'content/blog/', 'content/blog/x.md'])
})
