import path from 'node:path'
import t from 'tap'
import type { Source } from '../../../types/site.js'
import { fileSource, memorySource, mountedSource } from '../../../lib/site/source/source.js'

const texts = async (source: Source, folder: string): Promise<Record<string, string | undefined>> =>
  Object.fromEntries(await Promise.all((await source.list(folder)).map(async ({ path }) => [path, (await source.read(path))?.text] as const)))

t.test('a folder comes from another source, and hides what the site has there', async (t) => {
  const docs = memorySource({ 'a.md': 'docs a', 'sub/b.md': 'docs b' })
  const source = mountedSource(memorySource({ 'pages/index.html': 'home', 'docs/hidden.md': 'hidden', 'docsish/c.md': 'c' }), new Map([['docs', docs]]))
  t.same(await texts(source, ''), { 'docs/a.md': 'docs a', 'docs/sub/b.md': 'docs b', 'docsish/c.md': 'c', 'pages/index.html': 'home' })
  t.same(await texts(source, 'docs'), { 'docs/a.md': 'docs a', 'docs/sub/b.md': 'docs b' })
  t.same(await texts(source, 'docs/sub'), { 'docs/sub/b.md': 'docs b' })
  t.same(await texts(source, 'pages'), { 'pages/index.html': 'home' })
  t.equal(await source.read('docs/hidden.md'), null)
  t.equal(await source.stamp('docs/hidden.md'), null)
  t.match(await source.read('docs/a.md'), { path: 'docs/a.md', stamp: await source.stamp('docs/a.md') })
  t.same(await texts(mountedSource(memorySource({ 'a.md': 'a' }), new Map([['content/docs', docs]])), 'content'), { 'content/docs/a.md': 'docs a', 'content/docs/sub/b.md': 'docs b' })
})

t.test('a folder on disk outside of the site is read, and nothing beside it', async (t) => {
  const dir = t.testdir({ site: { 'x.html': 'x' }, docs: { 'a.md': 'a', 'link.md': t.fixture('symlink', '../secret.md'), 'own.md': t.fixture('symlink', 'a.md') }, 'secret.md': 'SECRET' })
  const docs = fileSource(path.join(dir, 'docs'))
  const source = mountedSource(fileSource(path.join(dir, 'site')), new Map([['docs', docs]]))
  t.same((await source.list('docs')).map(({ path }) => path), ['docs/a.md', 'docs/link.md', 'docs/own.md'])
  t.equal((await source.read('docs/own.md'))?.text, 'a')
  await t.rejects(source.read('docs/link.md'), { code: 'FST_ISR_ERR_SITE_OUTSIDE' })
  for (const escape of ['docs/../secret.md', 'docs/../../secret.md', 'docs//secret.md', 'docs/./a.md', '../secret.md', 'docs\\..\\secret.md']) {
    t.equal(await source.read(escape), null, escape)
    t.equal(await source.stamp(escape), null, escape)
    t.equal(source.locate(escape), null, escape)
  }
  t.equal(source.locate('docs/a.md'), path.join(dir, 'docs/a.md'))
  t.equal(source.locate('docs'), path.join(dir, 'docs'))
})

t.test('a folder that is missing is named as the site calls it, with the place where it was looked for', async (t) => {
  const source = mountedSource(memorySource({}), new Map([['docs', fileSource('/no/such/folder')]]))
  await t.rejects(source.list('docs'), { code: 'FST_ISR_ERR_SITE_FOLDER', message: /no folder 'docs': looked for \/no\/such\/folder; create it, or correct the option that names it/ })
})
