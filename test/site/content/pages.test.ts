import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { PageTable } from '../../../lib/site/content/index.js'
import { fileSource } from '../../../lib/site/source/source.js'
import type { TemplateError } from '../../../lib/site/template/index.js'
import { makeContent, makeSite } from '../helpers/content.js'

const messages = (errors: readonly Error[]): string[] => errors.map(error => error.message)

t.test('files of pages/ have the URLs of their places', async (t) => {
  const { content, page } = await makeSite({
    'pages/index.html': 'home',
    'pages/about.html': 'about',
    'pages/docs/index.md': '# Docs',
    'pages/docs/a/b.html': 'b',
    'pages/image.png.txt': 'no page',
    'partials/x.html': 'x'
  })
  t.same(content.current.pages.all().map(({ url, file }) => [url, file]), [
    ['/about', 'pages/about.html'], ['/docs/a/b', 'pages/docs/a/b.html'], ['/docs', 'pages/docs/index.md'], ['/', 'pages/index.html']
  ])
  t.equal(page('/'), 'home')
  t.equal(page('/docs'), '<h1 id="docs">Docs</h1>\n')
})

t.test('names with odd characters become paths as the core spells them', async (t) => {
  const names = { 'a b.html': '/a%20b', 'c?d#e.html': '/c%3Fd%23e', '100%.html': '/100%25', 'cafe\u0301.html': '/caf%C3%A9', "it's (1) + 2, @x:y;z=$&.html": "/it's%20(1)%20+%202,%20@x:y%3Bz=$&", '漢字/index.html': '/%E6%BC%A2%E5%AD%97', 'feed.xml.html': '/feed.xml', '…dots….html': '/%E2%80%A6dots%E2%80%A6' }
  const { content } = await makeSite(Object.fromEntries(Object.keys(names).map(name => [`pages/${name}`, ''])))
  t.same(new Set(content.current.pages.all().map(page => page.url)), new Set(Object.values(names)))
  t.same(content.current.problems, [])
})

t.test('a name that no URL can have is told, and breaks nothing else', async (t) => {
  const { content } = await makeSite({ 'pages/a\nb.html': '', 'pages/c.html': '' })
  t.same(content.current.pages.all().map(page => page.url), ['/c'])
  t.match(content.current.problems, [{ code: 'FST_ISR_ERR_SITE_PAGE', file: 'pages/a\nb.html' }])
})

t.test('index, error pages and other spellings are no second URLs', async (t) => {
  const { content: { current: { pages, templates } } } = await makeSite({ 'pages/index.html': '', 'pages/404.html': '', 'pages/500.md': '', 'pages/about.html': '', 'pages/docs/index.html': '', 'pages/docs/404.html': '' })
  for (const path of ['/index', '/404', '/500', '/index.html', '/about.html', '/docs/index', '/docs/index/', '/ABOUT', '//about', '/about//', '/./about', '/about?x', '', 'about', '/%61bout']) t.equal(pages.find(path), null, path)
  t.equal(templates.has('pages/404.html'), true, 'they are templates all the same')
  t.match(pages.find('/docs/404'), { kind: 'page' })
  t.match(pages.find('/about/'), { kind: 'redirect', to: '/about', status: 301 })
  t.match(pages.find('/docs/'), { kind: 'redirect', to: '/docs' })
})

t.test('no path leads out of the pages', async (t) => {
  const { content: { current: { pages } } } = await makeSite({ 'pages/index.html': '', 'pages/x.html': '', 'partials/secret.html': '', 'content/blog/a.md': '' })
  for (const path of ['/../partials/secret', '/../partials/secret.html', '/partials/secret', '/%2e%2e/partials/secret', '/..%2fpartials%2fsecret', '/x/../../partials/secret', '/..\\partials\\secret', '/content/blog/a', '/x\0', '/x%00', '/__proto__', '/constructor']) t.equal(pages.find(path), null, path)
})

t.test('front matter says what a page is', async (t) => {
  const { content } = await makeSite({
    'pages/a.md': '---\ntitle: "A: b"\npath: /über/uns/\nnoindex: true\nrevalidate: 60\ndate: 2026-01-02\nlastmod: 2026-02-03\nown: [x]\n---\n# H',
    'pages/b.html': '---\nttl: 5\ndate: 2026-01-02\n---\n'
  })
  const { pages } = content.current
  t.match(pages.find('/%C3%BCber/uns'), {
    title: 'A: b', noindex: true, revalidate: 60, lastmod: new Date('2026-02-03'), template: 'pages/a.md', toc: [{ id: 'h', text: 'H', level: 1 }], data: { own: ['x'], date: new Date('2026-01-02') }, frontMatter: { date: '2026-01-02' }
  })
  t.match(pages.find('/b'), { title: null, noindex: false, revalidate: 5, lastmod: new Date('2026-01-02') })
  t.equal(pages.find('/a'), null, 'a path replaces the place of the file')
})

t.test('what front matter must not say is refused with its line', async (t) => {
  const wrong: [line: string, message: RegExp][] = [
    ['path: about', /'path' must be a path/], ['path: /a/../b', /'path'/], ['path: /a?b', /'path'/], ['path: //evil.example', /'path'/], ['path: /a%2fb', /'path'/], ['path: "/a\\\\b"', /'path'/],
    ['noindex: yes', /'noindex' must be true or false/], ['revalidate: -1', /0 or more/], ['layout: raw', /name of a file of partials/], ['layout: "a.html %> <% b.html"', /layout/],
    ['redirect_from: [/a, b]', /'redirect_from'/], ['lastmod: soon', /date/], ['draft: maybe', /'draft'/]
  ]
  for (const [line, message] of wrong) {
    const { content: { current } } = await makeSite({ 'pages/a.html': `---\ntitle: x\n${line}\n---\n`, 'pages/b.html': '' })
    t.match(current.problems, [{ code: 'FST_ISR_ERR_SITE_FRONT_MATTER', file: 'pages/a.html', line: 3, message }], line)
    t.equal(current.pages.all().length, 1, 'the other page is there')
  }
})

t.test('a layout gets the body as its default slot, and slots from front matter', async (t) => {
  const { page } = await makeSite({
    'partials/layout.html': '<title>{{title}}</title>{{default}}!',
    'pages/a.md': '---\ntitle: <T>\nlayout: layout.html\n---\nHi *you*',
    'pages/b.html': '---\ntitle: B\nlayout: layout.html\n---\n<p>b</p>'
  })
  t.equal(page('/a'), '<title>&lt;T&gt;</title><p>Hi <em>you</em></p>\n!')
  t.equal(page('/b'), '<title>B</title><p>b</p>!')
})

t.test('messages about templates name the place in the file, whatever was made of the file', async (t) => {
  const { content: { current }, page } = await makeSite({
    'partials/layout.html': '{{title}}{{default}}',
    'pages/a.html': '---\ntitle: x\nlayout: layout.html\n---\nfine\n  <% none.html %/>',
    'pages/b.md': '---\ntitle: x\nlayout: layout.html\n---\n# B\n\n- one\n- two\n\n`<% none.html %/>`\n\nSome <% layout.html title="1" %/>\nand <% none.html %/> here.',
    'pages/c.md': 'text\n\n> <% img\n> src="/static/x.png"\n> %/>\n',
    'pages/d.html': '---\nother: x\nlayout: layout.html\n---\nbody',
    'pages/e.html': '---\ntitle: x\n\nlayout: none.html\n---\nbody'
  })
  const problems = Object.fromEntries(current.templates.problems.map(problem => [problem.file, problem]))
  t.match(problems['pages/a.html'], { line: 6, column: 3, code: 'ref_not_found', frame: '> 6 |   <% none.html %/>' })
  t.match(problems['pages/b.md'], { file: 'pages/b.md', line: 13, frame: '> 13 | and <% none.html %/> here.' }, 'and not that in the code above')
  t.match(problems['pages/c.md'], { line: 3, code: 'missing_attrs' })
  t.match(problems['pages/e.html'], { line: 4, frame: '> 4 | layout: none.html' })
  const error = t.throws(() => page('/d')) as TemplateError
  t.match(error.problem, { line: 3, code: 'missing_slots', frame: /> 3 \| layout: layout.html/ })
})

t.test('two pages with one URL: the first file is served, and both are named', async (t) => {
  const { content: { current } } = await makeSite({ 'pages/a.html': 'one', 'pages/a.md': 'two', 'pages/a/index.html': 'three', 'pages/b.html': '---\npath: /a\n---\n' })
  t.match(current.pages.find('/a'), { file: 'pages/a.html' })
  t.equal(current.pages.all().length, 1)
  t.equal(current.problems.length, 3)
  t.match(messages(current.problems), [/pages\/a\.md: .*\/a, as pages\/a\.html/, /pages\/a\/index\.html/, /pages\/b\.html/])
})

t.test('URLs that differ in case alone are refused, as half of all file systems would', async (t) => {
  const { content: { current } } = await makeSite({ 'pages/About.html': '', 'pages/about.html': '' })
  t.match(current.pages.all(), [{ url: '/About' }])
  t.match(messages(current.problems), [/pages\/about\.html: .*case.*pages\/About\.html is served/])
})

t.test('redirects lead from old paths to pages', async (t) => {
  const { content: { current: { pages, problems } } } = await makeSite({
    'pages/new.html': '---\nredirect_from: [/old, /Älter/x/]\n---\n',
    'pages/other.html': '---\nredirect_from: /old\n---\n',
    'pages/third.html': '---\nredirect_from: /new\n---\n'
  }, { redirects: { '/blog/': 'https://blog.example/', '/new': '/x', '/a': '/b', '/b': '/c', '/c': '/a', '/self': '/self/', 'no path': '/', '/ok': '/new' } })
  t.match(pages.find('/old'), { kind: 'redirect', to: '/new', status: 301 })
  t.match(pages.find('/%C3%84lter/x'), { to: '/new' })
  t.match(pages.find('/old/'), { to: '/new' }, 'in one step, whatever the spelling')
  t.match(pages.find('/blog'), { to: 'https://blog.example/' })
  t.match(pages.find('/ok'), { to: '/new' })
  t.match(pages.find('/a'), { to: '/b' })
  t.equal(pages.find('/c'), null, 'what would close a circle leads nowhere')
  t.equal(pages.find('/self'), null)
  t.match(messages(problems), [/\['\/new'\].*page/, /\['\/c'\].*back to itself/, /\['\/self'\]/, /\['no path'\]/, /other\.html:2: .*\/old, which leads to \/new already/, /third\.html:2: .*\/new, which is the page pages\/new\.html/])
  t.same(pages.redirects().map(({ from }) => from), ['/blog', '/a', '/b', '/ok', '/old', '/%C3%84lter/x'])
})

t.test('a circle is found behind queries and fragments too, and a long row is gone through once', async (t) => {
  const { content: { current: { pages, problems } } } = await makeSite({ 'pages/new.html': '---\nredirect_from: /old\n---\n' }, {
    redirects: { '/a': '/b?x', '/b': '/a?y', '/c': '/c#top', '/d': '/old', '/old': '/e', '/e': '/d', '/f': '/g', '/f/': '/h' }
  })
  t.same(pages.redirects().map(({ from, to }) => `${from} ${to}`), ['/a /b?x', '/d /old', '/old /e', '/f /g'])
  t.match(messages(problems).sort(), [/redirect_from.*\/old, which leads to \/e already/, /\['\/b'\].*back to itself/, /\['\/c'\].*back to itself/, /\['\/e'\].*back to itself/, /\['\/f\/'\].*leads to \/g already/])
  const row = Array.from({ length: 20_000 }, (_, nth) => [`/${nth}`, `/${nth + 1}`] as const)
  for (const redirects of [row, row.toReversed()]) t.equal(new PageTable([], Object.fromEntries(redirects.map(([from, to]) => [`/r${from}`, `/r${to}`]))).redirects().length, 20_000)
})

t.test('drafts are shown in development alone', async (t) => {
  const files = { 'pages/a.html': '---\ndraft: true\nredirect_from: /old\n---\n' }
  const { content: { current } } = await makeSite(files)
  t.same([current.pages.find('/a'), current.pages.find('/old')], [null, null])
  t.match((await makeSite(files, { drafts: true })).content.current.pages.find('/a'), { kind: 'page' })
})

t.test('a prefix stands before all URLs of file pages', async (t) => {
  const { content: { current: { pages } } } = await makeSite({ 'pages/index.html': '', 'pages/a.html': '---\npath: /b\nredirect_from: /c\n---\n' }, { prefix: '/docs/' })
  t.same(pages.all().map(page => page.url), ['/docs/b', '/docs'])
  t.match(pages.find('/docs/c'), { to: '/docs/b' })
  t.match(pages.find('/docs'), { kind: 'page' })
  t.match(pages.find('/docs/'), { kind: 'redirect', to: '/docs' })
})

t.test('front matter may have another reader', async (t) => {
  const parse = (text: string): { data: Record<string, unknown>, bodyOffset: number } => {
    if (text.includes('broken')) throw new Error('it is broken')
    return { data: { title: 42, nested: { a: 1 } }, bodyOffset: 3 }
  }
  const { content: { current }, page } = await makeSite({ 'pages/a.html': '+++body', 'pages/b.html': 'broken' }, { frontMatter: { parse } })
  t.match(current.pages.all(), [{ title: '42', data: { nested: { a: 1 } } }])
  t.equal(page('/a'), 'body')
  t.match(current.problems, [{ message: 'it is broken', file: 'pages/b.html' }])
})

t.test('a missing pages or partials folder is an error that names the place', async (t) => {
  for (const [missing, tree] of Object.entries({ pages: { partials: {} }, partials: { pages: {} } })) {
    const root = t.testdir({ site: tree })
    const content = makeContent({ source: fileSource(join(root, 'site')) })
    await t.rejects(content.load(), { code: 'FST_ISR_ERR_SITE_FOLDER', message: new RegExp(join(root, 'site', missing)) })
    t.throws(() => content.current, TypeError)
    await mkdir(join(root, 'site', missing))
    await t.resolves(content.load())
  }
})

t.test('links that lead out of the site break their own page only', async (t) => {
  const root = t.testdir({ secret: 'SECRET', site: { pages: { 'a.html': 'a' }, partials: {} } })
  await symlink('../../secret', join(root, 'site/pages/b.html'))
  const content = makeContent({ source: fileSource(join(root, 'site')) })
  const { pages, problems } = await content.load()
  t.same(pages.all().map(page => page.url), ['/a'])
  t.match(problems, [{ code: 'FST_ISR_ERR_SITE_OUTSIDE', file: 'pages/b.html' }])
  await rm(join(root, 'site/pages/b.html'))
  await writeFile(join(root, 'site/pages/b.html'), 'b')
  t.match(await content.refresh(), { added: ['/b'], errors: [] })
  t.same(content.current.problems, [])
})

t.test('5000 pages are read, and one of them looked at, without looking at pairs', async (t) => {
  const files = Object.fromEntries(Array.from({ length: 5000 }, (_, nth) => [`pages/${nth % 50}/${nth}.html`, `---\ntitle: ${nth}\nlayout: layout.html\nredirect_from: /old/${nth}\n---\n${nth}`]))
  let looked = 0
  const { content, source } = await makeSite({ ...files, 'partials/layout.html': '{{title}}{{default}}' })
  t.equal(content.current.pages.all().length, 5000)
  t.equal(content.current.pages.redirects().length, 5000)
  const stamp = source.stamp.bind(source)
  source.stamp = async path => { looked++; return await stamp(path) }
  source.set('pages/0/0.html', 'new')
  t.match(await content.refresh(['pages/0/0.html']), { changed: ['page:/0/0', 'page:/old/0', 'pages/0/0.html'], removed: ['/old/0'] })
  t.equal(looked, 1, 'no other file is looked at')
})

t.test('a table can be made by hand', async (t) => {
  t.same(new PageTable([]).all(), [])
})
