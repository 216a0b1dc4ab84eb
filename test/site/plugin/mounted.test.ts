import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { fileSource } from '../../../lib/site/index.js'
import { memorySource } from '../../../lib/site/source/source.js'
import { TestClock } from '../../helpers/app.js'
import { eventually, startSite, type FileSite, type FileSiteOptions } from '../../helpers/site.js'

const FILES = {
  'pages/index.html': '<h1>Home</h1>',
  'partials/doc.html': '<title>{{= doc.title }}</title>{{= doc.html }}'
}

/** A site whose docs lie beside it. */
async function startWithDocs (t: Test, docs: Record<string, string>, options: FileSiteOptions = {}): Promise<FileSite & { writeDoc (name: string, text: string): void }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'fastify-isr-docs-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  let time = Date.now() / 1000 - 1000
  const writeDoc = (name: string, text: string): void => {
    writeFileSync(path.join(folder, name), text)
    utimesSync(path.join(folder, name), ++time, time)
  }
  for (const [name, text] of Object.entries(docs)) writeDoc(name, text)
  const site = await startSite(t, FILES, {
    ...options,
    site: { ...options.site, collections: { docs: { dir: 'docs', source: fileSource(folder), url: ({ slug }) => `/docs/${slug}` } } },
    declare (app) {
      app.get('/docs/:slug', { config: { prerender: { paths: () => app.site.collection('docs').urls() } } }, async (request, reply) => {
        const doc = app.site.collection('docs').bySlug((request.params as { slug: string }).slug)
        if (doc !== null) return reply.page('doc.html', { doc })
        reply.callNotFound()
        return reply
      })
    }
  })
  return { ...site, writeDoc }
}

t.test('a collection of a folder outside of the site is shown, linked, and followed when it changes', async (t) => {
  const clock = new TestClock()
  const { app, raw, writeDoc } = await startWithDocs(t, { 'a.md': '# A\n\n[b](b.md#b)', 'b.md': '# B' }, { clock, site: { check: { every: 60 } } })
  await app.isr.refresh([{ path: '/docs/a' }, { path: '/docs/b' }])
  t.equal((await raw('/docs/a')).body.toString(), '<title>A</title><h1 id="a">A</h1>\n<p><a href="/docs/b#b">b</a></p>\n')
  const b = (await app.isr.inspect('/docs/b')).entry?.renderedAt
  writeDoc('a.md', '# A, and more')
  clock.forward(61)
  await raw('/docs/a')
  await eventually(async () => (await raw('/docs/a')).body.toString().includes('A, and more'))
  t.equal((await app.isr.inspect('/docs/b')).entry?.renderedAt, b, 'the other is not rendered')
  writeDoc('c.md', '# C')
  t.match(await app.site.invalidate('docs/c.md'), { changed: ['collection:docs', 'docs/c.md', 'page:/docs/c'] })
  t.equal((await raw('/docs/c')).status, 200)
})

t.test('in development a folder outside of the site is watched', async (t) => {
  const { app, raw, writeDoc } = await startWithDocs(t, { 'a.md': '# A' }, { isr: { enabled: false }, site: { dev: true } })
  await raw('/docs/a')
  const changed = new Promise<string[]>(resolve => { app.site.on('change', change => { resolve(change.changed) }) })
  writeDoc('a.md', '# Otherwise')
  t.same(await changed, ['collection:docs', 'docs/a.md', 'page:/docs/a'])
})

t.test('in development a collection in memory is watched by none, and nothing fails', async (t) => {
  const source = memorySource({ 'a.md': '# A' })
  const { app } = await startSite(t, FILES, { isr: { enabled: false }, site: { dev: true, collections: { docs: { dir: 'docs', source, url: ({ slug }) => `/docs/${slug}` } } } })
  t.same(app.site.collection('docs').urls(), ['/docs/a'])
})
