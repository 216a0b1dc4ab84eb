import t from 'tap'
import type { CollectionOptions } from '../../../types/site.js'
import { Collection } from '../../../lib/site/content/index.js'
import { makeSite } from '../helpers/content.js'

const posts: CollectionOptions = { dir: 'content/blog', url: ({ slug }) => `/blog/${slug}`, schema: { title: 'text', date: 'date', weight: 'number' } }
const collections = new Map([['posts', posts]])
const dated = (date: string, more = ''): string => `---\ntitle: T\ndate: ${date}\n${more}\n---\nbody`
const slugs = (items: Iterable<{ slug: string }>): string[] => Array.from(items, ({ slug }) => slug)

t.test('items are sorted newest first, and found by slug and tag', async (t) => {
  const { content } = await makeSite({
    'content/blog/old.md': dated('2026-01-01', 'tags: [a, b]'),
    'content/blog/new.html': dated('2026-03-01', 'tags: b'),
    'content/blog/2026/deep/index.md': dated('2026-02-01'),
    'content/blog/b.md': 'no date',
    'content/blog/a.md': '---\nslug: zeta\n---\nno date either',
    'content/blog/picture.png': 'no item',
    'content/blogger/x.md': 'of another folder'
  }, { collections })
  const collection = content.current.collections.get('posts') as Collection
  t.same(slugs(collection.all()), ['new', '2026/deep', 'old', 'b', 'zeta'])
  t.same(collection.urls(), ['/blog/new', '/blog/2026/deep', '/blog/old', '/blog/b', '/blog/zeta'])
  t.match(collection.bySlug('old'), { url: '/blog/old', file: 'content/blog/old.md', title: 'T', date: new Date('2026-01-01'), tags: ['a', 'b'] })
  t.equal(collection.bySlug('none'), null)
  t.equal(collection.bySlug('constructor'), null)
  t.same([collection.tags(), slugs(collection.tag('b')), slugs(collection.tag('none'))], [['a', 'b'], ['new', 'old'], []])
  t.match(collection.around('old'), { previous: { slug: '2026/deep' }, next: { slug: 'b' } })
  t.same(collection.around('new').previous, null)
  t.same(collection.around('none'), { previous: null, next: null })
  t.throws(() => { (collection.all() as unknown[]).push(1) }, 'nobody changes what others see')
})

t.test('items come in pages', async (t) => {
  const { content } = await makeSite(Object.fromEntries(Array.from({ length: 5 }, (_, nth) => [`content/blog/${nth}.md`, ''])), { collections })
  const collection = content.current.collections.get('posts') as Collection
  const page = (number: number, size: number): unknown => {
    const { items, ...rest } = collection.page(number, size)
    return { items: slugs(items), ...rest }
  }
  t.same(page(1, 2), { items: ['0', '1'], number: 1, pages: 3, total: 5 })
  t.same(page(3, 2), { items: ['4'], number: 3, pages: 3, total: 5 })
  for (const number of [0, -1, 4, 1.5, NaN, Infinity]) t.same((page(number, 2) as { items: string[] }).items, [], String(number))
  t.same(new Collection([]).page(1, 10), { items: [], number: 1, pages: 1, total: 0 })
})

t.test('a collection may be sorted and filtered otherwise', async (t) => {
  const own = new Map([['posts', { ...posts, sort: (a, b) => (a['weight'] as number) - (b['weight'] as number), filter: item => item['hidden'] !== true } satisfies CollectionOptions]])
  const { content } = await makeSite({
    'content/blog/a.md': '---\nweight: 10\n---\n', 'content/blog/b.md': '---\nweight: 9\n---\n', 'content/blog/c.md': '---\nweight: 1\nhidden: true\n---\n'
  }, { collections: own })
  t.same(slugs(content.current.collections.get('posts')?.all() ?? []), ['b', 'a'])
})

t.test('the body of an item is trusted markup, with partials in it', async (t) => {
  const { content, source } = await makeSite({ 'content/blog/a.md': '# Hi\n\n<% note.html %/>\n\n{{x}}', 'partials/note.html': 'note' }, { collections })
  const item = content.current.collections.get('posts')?.bySlug('a')
  t.equal(String(item?.html), '<h1 id="hi">Hi</h1>\nnote\n<p>&#123;&#123;x}}</p>\n')
  t.equal(item?.html, item?.html, 'made once')
  t.same(item?.toc, [{ id: 'hi', text: 'Hi', level: 1 }])
  source.set('partials/note.html', 'NOTE')
  t.match(await content.refresh(), { changed: ['collection:posts', 'page:/blog/a', 'partials/note.html'] })
  t.match(String(content.current.collections.get('posts')?.bySlug('a')?.html), 'NOTE', 'and again when a partial of it changes')
})

t.test('drafts and items to come are hidden, but in development', async (t) => {
  const files = { 'content/blog/a.md': dated('2026-01-01'), 'content/blog/b.md': dated('2026-06-01'), 'content/blog/c.md': dated('2026-01-01', 'draft: true') }
  let now = Date.parse('2026-03-01')
  const shown = async (options: Partial<Parameters<typeof makeSite>[1]> = {}): Promise<string[]> =>
    slugs((await makeSite(files, { collections, clock: () => now, ...options })).content.current.collections.get('posts')?.all() ?? [])
  t.same(await shown(), ['a'])
  t.same(await shown({ drafts: true }), ['b', 'a', 'c'])
  t.same(await shown({ collections: new Map([['posts', { ...posts, future: true }]]) }), ['b', 'a'])

  const { content } = await makeSite(files, { collections, clock: () => now })
  t.match(await content.refresh([]), { changed: [] })
  now = Date.parse('2026-06-01')
  t.match(await content.refresh([]), { changed: ['collection:posts', 'page:/blog/b'], added: ['/blog/b'] }, 'its time comes without any file changing')
  t.same(slugs(content.current.collections.get('posts')?.all() ?? []), ['b', 'a'])
  t.match(await content.refresh([]), { changed: [] })
})

t.test('what is wrong with an item is told with its file, and leaves the others', async (t) => {
  const code = 'FST_ISR_ERR_SITE_PAGE'
  const { content: { current } } = await makeSite({
    'content/blog/a.md': '',
    'content/blog/a.html': '',
    'content/blog/b.md': '---\nslug: ../x\n---\n',
    'content/blog/c.md': '---\nurl: /x\n---\n',
    'content/blog/d.md': '---\ndate: soon\n---\n',
    'content/blog/throws.md': '',
    'content/blog/bad.md': '',
    'content/blog/e.md': '',
    'pages/blog/e.html': ''
  }, {
    collections: new Map([['posts', {
      ...posts,
      url: ({ slug }) => {
        if (slug === 'throws') throw new Error('no url')
        return slug === 'bad' ? 'blog/bad' : `/blog/${slug}`
      }
    }]])
  })
  t.same(slugs(current.collections.get('posts')?.all() ?? []), ['a', 'e'])
  const byFile = Object.fromEntries(current.problems.map(error => [(error as Error & { file: string }).file, error]))
  t.match(byFile, {
    'content/blog/a.md': { code, message: /slug 'a', as content\/blog\/a\.html/ },
    'content/blog/b.md': { code, message: /slug/ },
    'content/blog/c.md': { code: 'FST_ISR_ERR_SITE_FRONT_MATTER', line: 2, message: /'url'/ },
    'content/blog/d.md': { code: 'FST_ISR_ERR_SITE_FRONT_MATTER', line: 2 },
    'content/blog/throws.md': { code, message: /no url/ },
    'content/blog/bad.md': { code, message: /"blog\/bad"/ },
    'content/blog/e.md': { code, message: /pages\/blog\/e\.html/ }
  })
  t.equal(current.problems.length, 7)
})

t.test('a file may be of two collections', async (t) => {
  const { content } = await makeSite({ 'content/blog/a.md': '' }, { collections: new Map([['posts', posts], ['all', { dir: 'content', url: ({ slug }) => `/all/${slug}` }]]) })
  t.same([...content.current.collections.values()].map(collection => collection.urls()), [['/blog/a'], ['/all/blog/a']])
})

t.test('a slug has the form that URLs have, whatever the editor or the file system has made of it', async (t) => {
  const { content } = await makeSite({ 'content/blog/a.md': '---\nslug: cafe\u0301\n---\n', 'content/blog/nai\u0308ve.md': '' }, { collections })
  const posts = content.current.collections.get('posts')
  for (const slug of ['caf\u00E9', 'na\u00EFve']) t.equal(posts?.bySlug(slug)?.url, `/blog/${encodeURIComponent(slug)}`)
})

t.test('two collections with one URL are told', async (t) => {
  const { content } = await makeSite({ 'content/blog/a.md': '', 'content/news/a.md': '' }, { collections: new Map([['posts', posts], ['news', { dir: 'content/news', url: ({ slug }) => `/blog/${slug}` }]]) })
  t.match(content.current.problems, [{ file: 'content/news/a.md', message: /\/blog\/a is also that of content\/blog\/a\.md/ }])
})

t.test('a slug that a URL would read otherwise is refused, a lone percent sign is not', async (t) => {
  const { content: { current } } = await makeSite({ 'content/blog/a%41.md': 'x', 'content/blog/100%.md': 'x' }, { collections: new Map([['posts', { dir: 'content/blog', url: ({ slug }) => `/blog/${slug}` }]]) })
  t.same(current.collections.get('posts')?.urls(), ['/blog/100%25'])
  t.match(current.problems.map(({ message }) => message), [/content\/blog\/a%41\.md: 'a%41' holds what a URL takes for the code of a character/])
})

t.test('old addresses of items lead to them as long as they are shown', async (t) => {
  const { content, source } = await makeSite({
    'content/blog/new.md': '---\nredirect_from: [/blog/old, /blog/%C3%BCber/]\n---\n',
    'content/blog/draft.md': '---\ndraft: true\nredirect_from: /blog/of-draft\n---\n',
    'content/blog/own.md': '---\nredirect_from: /blog/own\n---\n',
    'content/blog/taken.md': '---\nredirect_from: /about\n---\n',
    'pages/about.html': ''
  }, { collections: new Map([['posts', posts], ['again', { ...posts, url: ({ slug }: { slug: string }) => `/again/${slug}` }]]) })
  const target = (path: string): string | null => { const found = content.current.pages.find(path); return found?.kind === 'redirect' ? found.to : null }
  t.same(['/blog/old', '/blog/%C3%BCber', '/blog/of-draft', '/blog/own', '/about'].map(target), ['/blog/new', '/blog/new', null, null, null])
  t.match(content.current.problems.map(({ message }) => message), [/own\.md:2: .*leads back to itself/, /taken\.md:2: .*is the page pages\/about\.html/])
  source.set('content/blog/new.md', '---\nredirect_from: /blog/older\n---\n')
  t.match(await content.refresh(), { added: ['/blog/older'], removed: ['/blog/old', '/blog/%C3%BCber'] })
  source.set('content/blog/new.md', '---\nredirect_from: blog/older\n---\n')
  t.match((await content.refresh()).errors, [{ message: /new\.md:2: .*'redirect_from' must be paths/ }])
})
