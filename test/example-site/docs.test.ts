import { readdir } from 'node:fs/promises'
import t from 'tap'
import { docsFolder } from '../../example-app/paths.js'
import type { Section } from '../../example-app/sections.js'
import { attributesOf, startExample } from '../helpers/example-site.js'

t.test('every file of docs/ is a page, called by its first heading, and all are listed', async (t) => {
  const { raw, text } = await startExample(t)
  const list = await text('/docs')
  for (const name of await readdir(docsFolder)) {
    const path = `/docs/${name.replace(/\.md$/, '')}`
    const { status, body } = await raw(path)
    t.equal(status, 200, path)
    t.equal(attributesOf(body.toString(), /<h1\b[^>]*>([^<]+)/g).length, 1, path)
    t.notMatch(body.toString(), /<[^>]* style=/, path)
    t.match(list, `<a href="${path}">`)
  }
})

t.test('links between files lead to pages, to the README as well, and what is no page is said to be none', async (t) => {
  const { text } = await startExample(t)
  t.match(await text('/docs/site'), '<a href="/docs/content#collections">')
  t.match(await text('/docs/cluster'), '<a href="/docs/readme#over-http">')
  t.match(await text('/docs/readme'), '<a href="/docs/security">')
  t.match(await text('/docs/tiers'), '<a href="/docs/s3-tier">')
  t.match(await text('/docs/readme'), '<a href="/repository">')
  t.match(await text('/docs/s3-tier'), 'class="language-ts"><span class="hljs-')
})

t.test('a page lists its parts and leads to the next', async (t) => {
  const { text } = await startExample(t)
  const html = await text('/docs/templates')
  t.match(html, /<nav class="contents" aria-label="On this page">[^]*<a href="#escaping">Escaping<\/a>/)
  t.match(html, /<a href="\/docs\/site" rel="prev">[^]*<a href="\/docs\/content" rel="next">/)
})

t.test('wide code and tables can be scrolled with the keyboard', async (t) => {
  const { text } = await startExample(t)
  const html = await text('/docs/performance')
  t.match(html, '<div class="scroll" tabindex="0">\n<table>')
  t.notMatch(html, '<pre><code')
  t.match(html, '<pre tabindex="0"><code class="language-js">')
})

t.test('the index of the search has each part with a link to its heading, and is a page of the cache', async (t) => {
  const { app, raw, text } = await startExample(t)
  const answer = await raw('/docs/search.json')
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  const sections = JSON.parse(answer.body.toString()) as Section[]
  const escaping = sections.find(({ url }) => url === '/docs/templates#escaping')
  t.match(escaping, { page: 'Templates', heading: 'Escaping', text: /^Templates are trusted, values are not\./ })
  t.notOk(sections.some(({ text }) => /<span class="hljs|<p>|<\/td>/.test(text)), 'text, and no markup')
  t.match(sections.find(({ url }) => url === '/docs/readme#use')?.text, "import isr from 'fastify-isr'")
  for (const url of ['/docs/templates#escaping', '/docs/readme']) {
    const [path = '', id = ''] = url.split('#')
    t.match(await text(path), id === '' ? '<h1' : `id="${id}"`)
  }
  t.match((await app.isr.inspect('/docs/search.json')).tags, ['collection:docs', 'collection:repository'])
  t.ok(answer.body.length < 400_000, `${answer.body.length} bytes`)
})
