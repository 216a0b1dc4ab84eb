import { rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { CollectionOptions, Source } from '../../../types/site.js'
import { fileSource, memorySource } from '../../../lib/site/source/source.js'
import { compileTemplates } from '../../../lib/site/template/index.js'
import { makeContent, makeSite } from '../helpers/content.js'

const posts: CollectionOptions = { dir: 'content/blog', url: ({ slug }) => `/blog/${slug}` }
const nothing = { changed: [], added: [], removed: [], problems: [], errors: [] }
const FILES = { 'pages/index.html': '<% head.html %/>home', 'pages/about.html': 'about', 'partials/head.html': 'head', 'partials/other.html': 'other' }

t.test('a source that gives no answer is a look that fails, and the next one is not kept waiting by it', async (t) => {
  for (const method of ['list', 'stamp'] as const) {
    const source = memorySource(FILES)
    const never: Source = { ...source, [method]: async () => await new Promise(() => {}) }
    let now: Source = source
    const content = makeContent({ patience: 20, source: { locate: () => null, list: async folder => await now.list(folder), stamp: async path => await now.stamp(path), read: async path => await now.read(path) } })
    const before = await content.load()
    source.set('pages/about.html', 'ABOUT')
    now = never
    const paths = method === 'stamp' ? ['pages/about.html'] : undefined
    const [first, second] = [content.refresh(paths), content.refresh(paths)]
    await t.rejects(first, { code: 'FST_ISR_ERR_SITE_SILENT' }, method)
    await t.rejects(second, { code: 'FST_ISR_ERR_SITE_SILENT' }, method)
    t.equal(content.current, before)
    now = source
    t.match(await content.refresh(), { changed: ['page:/about', 'pages/about.html'], errors: [] })
  }
})

t.test('a file that gives no answer is an error of its own: the others are as they are now', async (t) => {
  const source = memorySource(FILES)
  let hangs = ''
  const content = makeContent({ patience: 20, source: { ...source, read: async path => path === hangs ? await new Promise(() => {}) : await source.read(path) } })
  await content.load()
  hangs = 'pages/about.html'
  source.set(hangs, 'ABOUT')
  source.set('pages/index.html', 'HOME')
  t.match(await content.refresh(), { changed: ['page:/', 'pages/index.html'], errors: [{ code: 'FST_ISR_ERR_SITE_SILENT', file: hangs }] })
  hangs = ''
  t.match(await content.refresh(), { changed: ['page:/about', 'pages/about.html'], errors: [] })
})

t.test('who closes does not wait for a source that gives no answer', async (t) => {
  const source = memorySource(FILES)
  let isAsked = (): void => {}
  const asked = new Promise<void>(resolve => { isAsked = resolve })
  let hangs = false
  const content = makeContent({ patience: 1e9, source: { ...source, list: async folder => { if (!hangs) return await source.list(folder); isAsked(); return await new Promise(() => {}) } } })
  await content.load()
  hangs = true
  const look = content.refresh()
  await asked
  content.hurry()
  await t.rejects(look, { code: 'FST_ISR_ERR_SITE_SILENT' })
})

t.test('a folder that can not be read is an error, and its files stay what they were until it can', async (t) => {
  const source = memorySource({ ...FILES, 'pages/closed/a.html': 'a', 'pages/closed/b.html': 'b' })
  let isClosed = false
  const list: Source['list'] = async folder => (await source.list(folder)).flatMap(file => !isClosed || !file.path.startsWith('pages/closed/') ? [file] : file.path.endsWith('/a.html') ? [{ path: 'pages/closed/', stamp: '', error: new Error('permission denied') }] : [])
  const content = makeContent({ source: { ...source, list } })
  await content.load()
  isClosed = true
  source.set('pages/about.html', 'ABOUT')
  t.match(await content.refresh(), { changed: ['page:/about', 'pages/about.html'], removed: [], errors: [{ message: 'permission denied', file: 'pages/closed/' }] })
  t.match(content.current.problems, [{ message: 'permission denied' }])
  t.ok(content.current.pages.find('/closed/b'))
  isClosed = false
  source.delete('pages/closed/b.html')
  t.match(await content.refresh(), { removed: ['/closed/b'], errors: [] })
  t.same(content.current.problems, [])
})

t.test('what has not changed makes nothing new', async (t) => {
  const { content } = await makeSite(FILES)
  const before = content.current
  t.same(await content.refresh(), nothing)
  t.equal(content.current, before)
})

t.test('a file that is touched, with the same bytes, has not changed', async (t) => {
  const root = t.testdir({ pages: { 'index.html': 'home' }, partials: {} })
  const content = makeContent({ source: fileSource(root) })
  const before = await content.load()
  await utimes(join(root, 'pages/index.html'), new Date(), new Date(Date.now() + 5000))
  t.same(await content.refresh(), nothing)
  await writeFile(join(root, 'pages/index.html.new'), 'home')
  await rename(join(root, 'pages/index.html.new'), join(root, 'pages/index.html'))
  t.same(await content.refresh(), nothing)
  t.equal(content.current, before)
})

t.test('a change names the file and the pages that it is part of', async (t) => {
  const { content, source, page } = await makeSite(FILES)
  source.set('partials/head.html', 'HEAD')
  t.same(await content.refresh(), { ...nothing, changed: ['page:/', 'partials/head.html'] })
  t.equal(page('/'), 'HEADhome')
  source.set('pages/about.html', 'ABOUT')
  t.same(await content.refresh(), { ...nothing, changed: ['page:/about', 'pages/about.html'] })
  source.set('partials/other.html', 'nobody uses it')
  t.same(await content.refresh(), { ...nothing, changed: ['partials/other.html'] })
})

t.test('new files and removed ones are noticed', async (t) => {
  const root = t.testdir({ pages: { 'index.html': 'home' }, partials: {}, content: { blog: { 'a.md': 'a' } } })
  const content = makeContent({ source: fileSource(root), collections: new Map([['posts', posts]]) })
  await content.load()
  await writeFile(join(root, 'pages/new.md'), '---\nredirect_from: /old\n---\nnew')
  await writeFile(join(root, 'content/blog/b.md'), 'b')
  t.same(await content.refresh(), { ...nothing, changed: ['collection:posts', 'content/blog/b.md', 'page:/blog/b', 'page:/new', 'page:/old', 'pages/new.md'], added: ['/blog/b', '/new', '/old'] })
  t.match(content.current.pages.find('/new'), { kind: 'page' })
  await rm(join(root, 'pages/new.md'))
  await rm(join(root, 'content/blog/a.md'))
  t.same(await content.refresh(), { ...nothing, changed: ['collection:posts', 'content/blog/a.md', 'page:/blog/a', 'page:/new', 'page:/old', 'pages/new.md'], removed: ['/blog/a', '/new', '/old'] })
  t.equal(content.current.pages.find('/new'), null)
  t.same(content.current.collections.get('posts')?.urls(), ['/blog/b'])
})

t.test('a look at some files sees these and no others', async (t) => {
  const { content, source } = await makeSite({ ...FILES, 'content/blog/a.md': 'a' }, { collections: new Map([['posts', posts]]) })
  source.set('pages/index.html', 'INDEX')
  source.set('pages/about.html', 'ABOUT')
  source.set('content/blog/b.md', 'b')
  source.set('assets/app.css', 'of others')
  t.match(await content.refresh(['pages/about.html', 'assets/app.css', 'assets/', '../x', 'pages/none.html']), { changed: ['page:/about', 'pages/about.html'] })
  t.match(await content.refresh(['content/blog/']), { added: ['/blog/b'] }, 'a folder is all there is in it')
  source.delete('pages/about.html')
  t.match(await content.refresh(['pages/about.html']), { removed: ['/about'] })
  t.match(await content.refresh(), { changed: ['page:/', 'pages/index.html'] })
})

t.test('a page that moves is one that goes and one that comes', async (t) => {
  const { content, source } = await makeSite(FILES, { redirects: { '/there': 'https://a.example/' } })
  source.set('pages/about.html', '---\npath: /us\n---\n')
  t.match(await content.refresh(), { changed: ['page:/about', 'page:/us', 'pages/about.html'], added: ['/us'], removed: ['/about'] })
})

t.test('a file that can no longer be understood stays what it was, and is told whenever it is looked at', async (t) => {
  const { content, source, page } = await makeSite({ ...FILES, 'pages/a.html': '---\ntitle: A\n---\n{{title}}ok' })
  for (const broken of ['---\ntitle: A\ntitle: B\n---\n', '---js\n---\n', 'a\0b']) {
    source.set('pages/a.html', broken)
    for (const look of [undefined, ['pages/a.html']]) t.match(await content.refresh(look), { changed: [], removed: [], errors: [{ file: 'pages/a.html', code: /^FST_ISR_ERR_SITE_/ }] })
    t.match(page('/a'), 'ok')
    t.match(content.current.problems, [{ file: 'pages/a.html' }])
    t.match(await content.refresh(['pages/index.html']), { errors: [] }, 'but not to those who look elsewhere')
  }
  source.set('pages/a.html', '---\ntitle: A\n---\n{{title}}ok')
  t.same(await content.refresh(), nothing, 'put back as it was')
  t.same(content.current.problems, [])
  source.set('pages/b.html', '---js\n---\n')
  t.match(await content.refresh(), { errors: [{ file: 'pages/b.html' }] })
  source.delete('pages/b.html')
  t.same(await content.refresh(), nothing)
  t.same(content.current.problems, [])
})

t.test('a template that can no longer be compiled is a problem of those that use it', async (t) => {
  const { content, source, page } = await makeSite(FILES)
  source.set('partials/head.html', '<% broken')
  t.match(await content.refresh(), { changed: ['partials/head.html'], problems: [{ file: 'partials/head.html', usedBy: ['pages/index.html'] }] })
  t.equal(page('/about'), 'about')
  t.throws(() => page('/'))
  source.set('pages/about.html', 'still')
  t.match(await content.refresh(), { problems: [] }, 'told once')
  source.set('partials/head.html', 'good')
  t.match(await content.refresh(), { changed: ['page:/', 'partials/head.html'], problems: [] })
  t.equal(page('/'), 'goodhome')
})

t.test('a folder that is gone for a while changes nothing', async (t) => {
  const root = t.testdir({ pages: { 'index.html': 'home' }, partials: { 'x.html': 'x' } })
  const content = makeContent({ source: fileSource(root) })
  const before = await content.load()
  await rename(join(root, 'pages'), join(root, 'elsewhere'))
  await t.rejects(content.refresh(), { code: 'FST_ISR_ERR_SITE_FOLDER' })
  t.equal(content.current, before, 'no page is taken for deleted')
  await rename(join(root, 'elsewhere'), join(root, 'pages'))
  t.same(await content.refresh(), nothing)
})

t.test('what throws while a state is made is tried again, and nothing is lost', async (t) => {
  let fails = false
  const { content, source } = await makeSite(FILES, {
    compile: (...args) => {
      if (fails) throw new Error('a filter of the app')
      return compileTemplates(...args)
    }
  })
  const before = content.current
  fails = true
  source.set('pages/about.html', 'ABOUT')
  await t.rejects(content.refresh(), /a filter of the app/)
  t.equal(content.current, before)
  fails = false
  t.match(await content.refresh([]), { changed: ['page:/about', 'pages/about.html'] })
})

t.test('looks come one after the other, and each sees all that was there before it', async (t) => {
  const { content, source } = await makeSite(FILES)
  const stamp = source.stamp.bind(source)
  let running = 0
  source.stamp = async path => {
    t.equal(++running, 1)
    const found = await stamp(path)
    await new Promise(resolve => { setImmediate(resolve) })
    running--
    return found
  }
  const first = content.refresh(['pages/about.html'])
  source.set('pages/about.html', '2')
  const second = content.refresh(['pages/about.html'])
  const changed = [...(await first).changed, ...(await second).changed]
  t.same(changed, ['page:/about', 'pages/about.html'], 'a change is told once')
})
