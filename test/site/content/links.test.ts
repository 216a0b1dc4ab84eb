import t from 'tap'
import type { CollectionOptions } from '../../../types/site.js'
import { makeSite } from '../helpers/content.js'

const docs: CollectionOptions = { dir: 'docs', url: ({ slug }) => slug === 'index' ? '/docs' : `/docs/${slug}` }
const collections = new Map([['docs', docs]])

t.test('a relative link from one Markdown file to another leads to where that one is shown', async (t) => {
  const { page } = await makeSite({
    'pages/a.md': '[1](b.md) [2](./sub/index.md?x=1&y#z) [3](../docs/guide.md#part) [4](<with space.html>) [5](/b.md) [6](#here) [7](https://a.example/b.md) [8](other) [9](../x.md "T")',
    'pages/b.md': '---\npath: /moved\n---\n[back](a.md)',
    'pages/sub/index.md': '[up](../a.md)',
    'pages/with space.html': '<a href="b.md">HTML stays as it is</a>',
    'docs/guide.md': '# Guide'
  }, { collections })
  t.equal(page('/a'), '<p>' + [
    ['/moved', 1], ['/sub?x=1&amp;y#z', 2], ['/docs/guide#part', 3], ['/with%20space', 4], ['/b.md', 5], ['#here', 6], ['https://a.example/b.md', 7], ['other', 8]
  ].map(([url, text]) => `<a href="${url}">${text}</a>`).join(' ') + ' <a href="../x.md" title="T">9</a></p>\n')
  t.equal(page('/sub'), '<p><a href="/a">up</a></p>\n')
  t.equal(page('/with%20space'), '<a href="b.md">HTML stays as it is</a>')
})

t.test('the body of an item is linked, too, and so is a page in a layout', async (t) => {
  const { content, page } = await makeSite({
    'docs/a.md': 'See [b](b.md#x).',
    'docs/b.md': 'B',
    'pages/c.md': '---\nlayout: layout.html\n---\n[a](../docs/a.md) <% note.html %/>',
    'partials/layout.html': '<main>{{default}}</main>',
    'partials/note.html': 'note'
  }, { collections })
  t.equal(String(content.current.collections.get('docs')?.bySlug('a')?.html), '<p>See <a href="/docs/b#x">b</a>.</p>\n')
  t.equal(page('/c'), '<main><p><a href="/docs/a">a</a> note</p>\n</main>')
})

t.test('a link to something else is for the app to say', async (t) => {
  const asked: string[][] = []
  const link = (href: string, file: string): string | undefined => {
    asked.push([href, file])
    return href.startsWith('../') ? `https://repository.example/${href.slice(3)}?a"<b>&{{c}}<% d.html %/>` : undefined
  }
  const { page } = await makeSite({ 'pages/a.md': '[1](../README.md#data) [2](b.md) [3](c.md)', 'pages/b.md': '' }, { markdown: { link } })
  t.equal(page('/a'), '<p><a href="https://repository.example/README.md#data?a&quot;&lt;b&gt;&amp;&#123;&#123;c}}&lt;% d.html %/&gt;">1</a> <a href="/b">2</a> <a href="c.md">3</a></p>\n')
  t.same(asked, [['../README.md#data', 'pages/a.md'], ['c.md', 'pages/a.md']])
})

t.test('a function for links that throws is a problem of the file with the link, and of no other', async (t) => {
  const { content, page } = await makeSite({ 'pages/a.md': '[1](none.md)', 'pages/b.md': 'B' }, { markdown: { link () { throw new Error('no idea') } } })
  t.match(content.current.problems, [{ file: 'pages/a.md', message: /'markdown\.link' threw for 'none\.md': no idea/ }])
  t.equal(page('/a'), '<p><a href="none.md">1</a></p>\n')
  t.equal(page('/b'), '<p>B</p>\n')
})

t.test('when a file is shown elsewhere, comes or goes, the pages that link to it are made anew, and no others', async (t) => {
  const { content, source, page } = await makeSite({ 'pages/a.md': '[b](b.md)', 'pages/b.md': 'B', 'pages/c.md': '[a](a.md)' })
  source.set('pages/b.md', '---\npath: /moved\n---\nB')
  t.match(await content.refresh(), { changed: ['page:/a', 'page:/b', 'page:/moved', 'pages/a.md', 'pages/b.md'] })
  t.equal(page('/a'), '<p><a href="/moved">b</a></p>\n')
  source.delete('pages/b.md')
  t.match(await content.refresh(), { changed: ['page:/a', 'page:/moved', 'pages/a.md', 'pages/b.md'] })
  t.equal(page('/a'), '<p><a href="b.md">b</a></p>\n')
  source.set('pages/b.md', 'changed, and where it was')
  await content.refresh()
  source.set('pages/b.md', 'changed again')
  t.match(await content.refresh(), { changed: ['page:/b', 'pages/b.md'] })
})

t.test('a template tag behind a link is found where it stands in the Markdown', async (t) => {
  const { content } = await makeSite({ 'pages/a.md': 'A [link](b.md) and\n[another](b.md), then <% none.html %/>.', 'pages/b.md': '---\npath: /a-much-longer-path-than-before\n---\n' })
  t.match(content.current.templates.problems, [{ file: 'pages/a.md', line: 2, column: 23, code: 'ref_not_found' }])
})

t.test('Markdown without a title is called by its first heading', async (t) => {
  const { content, page } = await makeSite({
    'docs/a.md': 'Text\n\n## Not this\n\n# The `code` *of* it\n\n# Nor this',
    'docs/b.md': '---\ntitle: Of its own\n---\n# Heading',
    'docs/c.md': 'none',
    'pages/d.md': '---\nlayout: layout.html\n---\n# D & co',
    'partials/layout.html': '<title>{{title}}</title>{{default}}'
  }, { collections })
  const items = content.current.collections.get('docs')
  t.same(['a', 'b', 'c'].map(slug => items?.bySlug(slug)?.title), ['The code of it', 'Of its own', undefined])
  t.equal(page('/d'), '<title>D &amp; co</title><h1 id="d-co">D &amp; co</h1>\n')
  t.match(content.current.pages.find('/d'), { title: 'D & co' })
})

t.test('an image beside a page is told as a problem, unless the app says where it is', async (t) => {
  const files = { 'pages/a.md': '# A\n\n![one](img/a.png) ![two](/static/b.png) ![three](https://a.example/c.png)\n', 'docs/b.md': '![four](../img/d.png "T")' }
  const { content, page } = await makeSite(files, { collections })
  t.match(content.current.problems, [
    { file: 'pages/a.md', line: 3, column: 8, message: /the image 'img\/a\.png' .* put it into assets\// },
    { file: 'docs/b.md', line: 1, column: 9, message: /'\.\.\/img\/d\.png'/ }
  ])
  t.match(page('/a'), '<img src="img/a.png" alt="one">')
  const told = await makeSite(files, { collections, markdown: { link: href => href.startsWith('../') ? `https://repository.example/${href.slice(3)}?a"<b>` : href } })
  t.same(told.content.current.problems, [])
  t.match(String(told.content.current.collections.get('docs')?.bySlug('b')?.html), '<img src="https://repository.example/img/d.png?a&quot;&lt;b&gt;" alt="four" title="T">')
})
