// Defects 1 to 10 of the blog engine that came before: one short test for each, by name, of a
// whole app with real files and sockets. 11 to 17 are in predecessor-defects-more.test.ts.
import { statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import fastifyBasicAuth from '@fastify/basic-auth'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { fileSource } from '../../lib/site/index.js'
import { makeGate, settle, until } from '../helpers/app.js'
import { eventually, startSite, type FileSite } from '../helpers/site.js'

const POSTS = { dir: 'content/blog', url: ({ slug }: { slug: string }): string => `/blog/${slug}`, schema: { title: 'text', date: 'date' } } as const
const post = (title: string, date = '2022-01-01'): string => `---\ntitle: ${title}\ndate: ${date}\n---\nText\n`
const LONG_AGO = new Date('2022-01-01')
const LIST = '<% each of="posts" as="post" %><li>{{= post.title }}</li><%/ each %>'

const text = async ({ raw }: FileSite, target: string): Promise<string> => (await raw(target)).body.toString()
const becomes = async (site: FileSite, target: string, expected: string): Promise<void> => {
  await eventually(async () => await text(site, target) === expected, `${target} becomes ${expected}`)
}

t.test('1. lost updates', async (t) => {
  t.test('a slow render that began with the old content does not overwrite the new page', async (t) => {
    let version = 'old'
    let gate: ReturnType<typeof makeGate> | null = null
    let renders = 0
    const site = await startSite(t, { 'pages/index.html': 'home', 'partials/news.html': '{{= version }}' }, {
      declare (app) {
        app.get('/news', { config: { prerender: true } }, async (_request, reply) => {
          renders++
          const read = version
          await gate?.opened
          return reply.page('news.html', { version: read })
        })
      }
    })
    t.equal(await text(site, '/news'), 'old')
    const slow = gate = makeGate()
    const first = site.app.isr.refresh({ path: '/news' })
    await until(() => renders === 2, 'the slow render')
    version = 'new'
    gate = null
    await site.app.isr.purge({ path: '/news' })
    const second = text(site, '/news')
    await settle()
    slow.open()
    t.equal(await second, 'new', 'who comes after the order')
    await first
    await settle()
    t.equal(await text(site, '/news'), 'new')
    t.match((await site.raw('/news')).headers['cache-status'], /hit/)
  })

  t.test('a slow look at a file does not put back what a later one has found', async (t) => {
    const root = t.testdir({ pages: { 'index.html': 'one' }, partials: {} })
    const files = fileSource(root)
    let gate: ReturnType<typeof makeGate> | null = null
    let reads = 0
    const site = await startSite(t, {}, {
      site: {
        source: {
          ...files,
          async read (path) {
            const read = await files.read(path)
            reads++
            await gate?.opened
            return read
          }
        }
      }
    })
    t.equal(await text(site, '/'), 'one')
    const slow = gate = makeGate()
    writeFileSync(path.join(root, 'pages/index.html'), 'two')
    const before = reads
    const first = site.app.site.invalidate('pages/index.html')
    await until(() => reads > before, 'the slow look')
    gate = null
    writeFileSync(path.join(root, 'pages/index.html'), 'three')
    const second = site.app.site.invalidate('pages/index.html')
    // Several times as long as a look takes that does not wait for another.
    for (let nth = 0; nth < 20; nth++) await files.read('pages/index.html')
    slow.open()
    await Promise.all([first, second])
    t.equal(site.app.site.render('index.html').html, 'three')
    await becomes(site, '/', 'three')
    await settle()
    t.equal(await text(site, '/'), 'three')
  })
})

t.test('2. requests that come all the time do not put off the check of a page', async (t) => {
  const site = await startSite(t, { 'pages/index.html': 'old' }, { site: { check: { every: 1 } } })
  await site.app.isr.refresh({ path: '/' })
  site.write('pages/index.html', 'new')
  t.equal(await text(site, '/'), 'old')
  // A request every tenth of a second, for two of them.
  for (let nth = 0; nth < 20; nth++) {
    site.clock.forward(0.1)
    await text(site, '/')
  }
  await becomes(site, '/', 'new')
})

t.test('2. in development nobody gets the page as it was, however many ask', async (t) => {
  const site = await startSite(t, { 'pages/index.html': 'old' }, { isr: { enabled: false }, site: { dev: true } })
  await text(site, '/')
  site.write('pages/index.html', 'new')
  t.same(new Set(await Promise.all(Array.from({ length: 50 }, async () => await text(site, '/')))), new Set(['new']))
})

t.test('3. a file that is deleted takes its page with it, and counts no errors for ever', async (t) => {
  const site = await startSite(t, { 'pages/index.html': 'home', 'pages/about.html': 'about' })
  await site.app.isr.refresh({ path: '/about' })
  t.match((await site.raw('/about')).headers['cache-status'], /hit/)
  site.remove('pages/about.html')
  site.clock.forward(61)
  await eventually(async () => (await site.raw('/about')).status === 404)
  for (let nth = 0; nth < 3; nth++) {
    site.clock.forward(61)
    t.equal((await site.raw('/about')).status, 404)
    await settle()
  }
  t.equal(site.app.site.admin.cache().revalidationErrors, 0)
})

t.test('4. a partial and a new post show in production without a restart, in pages that are cached too', async (t) => {
  const site = await startSite(t, {
    'pages/index.html': `<% header.html %/>${LIST}`,
    'partials/header.html': 'old ',
    'content/blog/one.md': post('One')
  }, { site: { baseUrl: 'https://example.com', collections: { posts: POSTS } } })
  await site.app.isr.refresh({ path: '/' })
  t.equal(await text(site, '/'), 'old <li>One</li>')
  t.match((await site.raw('/')).headers['cache-status'], /hit/)
  t.notMatch(await text(site, '/sitemap.xml'), 'two')
  site.write('partials/header.html', 'new ')
  site.clock.forward(61)
  await becomes(site, '/', 'new <li>One</li>')
  site.write('content/blog/two.md', post('Two', '2022-02-02'))
  site.clock.forward(61)
  await becomes(site, '/', 'new <li>Two</li><li>One</li>')
  await eventually(async () => (await text(site, '/sitemap.xml')).includes('/blog/two'), 'the sitemap')
})

t.test('5. a change is seen', async (t) => {
  t.test('of the same size, with the same modification time', async (t) => {
    const site = await startSite(t, { 'pages/index.html': 'one' })
    await site.app.isr.refresh({ path: '/' })
    t.equal(await text(site, '/'), 'one')
    const file = path.join(site.root, 'pages/index.html')
    utimesSync(file, LONG_AGO, LONG_AGO)
    await site.app.site.invalidate()
    const { mtimeMs } = statSync(file)
    writeFileSync(file, 'two')
    utimesSync(file, mtimeMs / 1000, mtimeMs / 1000)
    t.equal(statSync(file).mtimeMs, mtimeMs)
    site.clock.forward(61)
    await becomes(site, '/', 'two')
  })

  t.test('of the same size, within the same tick of the clock, whatever its time is set to', async (t) => {
    const site = await startSite(t, { 'pages/index.html': '0000' })
    const file = path.join(site.root, 'pages/index.html')
    for (let nth = 1000; nth < 1200; nth++) {
      writeFileSync(file, String(nth))
      // As copies and archives do.
      if (nth > 1100) utimesSync(file, LONG_AGO, LONG_AGO)
      await site.app.site.invalidate('pages/index.html')
      t.equal(site.app.site.render('index.html').html, String(nth))
    }
  })

  t.test('that falls between the look at the time and the look at the content', async (t) => {
    const root = t.testdir({ pages: { 'index.html': '0000' }, partials: {} })
    const file = path.join(root, 'pages/index.html')
    // All of one size and one time, one after the other, for as long as the site is read.
    let nth = 1000
    const writer = setInterval(() => {
      writeFileSync(file, String(++nth))
      utimesSync(file, LONG_AGO, LONG_AGO)
    })
    const site = await startSite(t, {}, { site: { root } })
    clearInterval(writer)
    await site.app.site.invalidate()
    t.equal(await text(site, '/'), String(nth))
  })
})

t.test('6. paths that do not exist cost one look at the files per interval, keep nothing, and hold nobody up', async (t) => {
  const root = t.testdir({ pages: { 'index.html': 'home' }, partials: {} })
  const files = fileSource(root)
  let lists = 0
  const gate = makeGate()
  const site = await startSite(t, { 'partials/slow.html': 'slow' }, {
    site: { source: { ...files, async list (folder) { if (folder === 'pages') lists++; return await files.list(folder) } } },
    declare (app) { app.get('/slow', { config: { prerender: true } }, async () => { await gate.opened; return 'slow' }) }
  })
  await text(site, '/')
  const slow = site.raw('/slow')
  const before = lists
  site.clock.forward(61)
  const statuses = await Promise.all(Array.from({ length: 300 }, async (_, nth) => (await site.raw(`/made-up/${nth}`)).status))
  t.same(new Set(statuses), new Set([404]))
  t.equal(await text(site, '/'), 'home', 'while another page is being rendered')
  t.ok(lists - before <= 2, `${lists - before} looks`)
  t.same((await site.app.isr.entries()).entries.map(({ path }) => path), ['/'])
  gate.open()
  t.equal((await slow).status, 200)
})

t.test('7. a template that can not be rendered takes no other page down, and no worker', async (t) => {
  const site = await startSite(t, {
    'pages/index.html': 'home',
    'pages/attribute.html': '<% card.html title="T" %><slot:body>{{@nobody}} {{@title}}</slot:body><%/ card.html %>',
    'pages/circle.html': '<% a.html %/>',
    'pages/self.html': '<% self.html %/>',
    'pages/unclosed.html': '<% card.html',
    'partials/card.html': '<h1>{{@title}}</h1>{{body}}',
    'partials/a.html': '<% b.html %/>',
    'partials/b.html': '<% a.html %/>',
    'partials/self.html': '<% self.html %/>'
  })
  for (let nth = 0; nth < 10; nth++) {
    t.equal(await text(site, '/attribute'), '<h1>T</h1>{{@nobody}} {{@title}}', '{{@x}} in the text of a slot is text')
    for (const broken of ['/circle', '/self', '/unclosed']) t.equal((await site.raw(broken)).status, 500, broken)
    t.equal(await text(site, '/'), 'home')
  }
  site.write('partials/b.html', 'mended')
  site.clock.forward(61)
  await becomes(site, '/circle', 'mended')
})

t.test('8. nothing is expanded twice, data are text, and escaped', async (t) => {
  const evil = '<% evil.html %/> {{@title}} {{body}} {{+ /static/x.css}} <slot:body>x</slot:body> <script>'
  const escaped = evil.replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  const site = await startSite(t, {
    'pages/index.html': `---\ntitle: ${evil}\n---\n<% layout.html %><slot:body><% card.html title="{{= page.title }}" %><slot:text>{{= page.title }}</slot:text><%/ card.html %></slot:body><%/ layout.html %>`,
    'partials/layout.html': '<h1>{{title}}</h1>{{body}}',
    'partials/card.html': '<h2>{{@title}}</h2>{{text}}',
    'partials/evil.html': 'EVIL'
  })
  t.equal(await text(site, '/'), `<h1>${escaped}</h1><h2>${escaped}</h2>${escaped}`)
})

t.test('9. paths', async (t) => {
  const FILES = {
    'pages/index.html': 'home',
    'pages/about.html': 'about',
    'pages/admin/design-system.html': 'THE ADMIN',
    'partials/x.html': 'A PARTIAL',
    'content/blog/a.md': 'CONTENT'
  }
  const guard = async (app: FastifyInstance): Promise<void> => {
    await app.register(fastifyBasicAuth, { validate: async (_name, password) => { if (password !== 'secret') throw new Error('no') }, authenticate: true })
    app.addHook('onRequest', async (request, reply) => { if (request.url.startsWith('/admin')) await new Promise<void>((resolve, reject) => { app.basicAuth(request, reply, error => { if (error === undefined) resolve(); else reject(error) }) }) })
  }

  t.test('/../ and /x/../admin never reach partials or pages behind a password', async (t) => {
    const site = await startSite(t, FILES, { before: guard })
    for (const target of ['/../partials/x', '/../partials/x.html', '/about/../../partials/x', '/%2e%2e/partials/x', '/..%2fpartials%2fx', '/..\\partials\\x', '/partials/x', '/../content/blog/a', '/content/blog/a',
      '/x/../admin/design-system', '/./admin/design-system', '//admin/design-system', '/%61dmin/design-system', '/x/%2e%2e/admin/design-system', '/admin%2fdesign-system', '/ADMIN/design-system', '/admin/./design-system', '/\\admin/design-system', '/;/admin/design-system', 'http://visitor.example/admin/design-system']) {
      const { status, body } = await site.raw(target)
      t.notMatch(body.toString(), /PARTIAL|CONTENT|ADMIN/, target)
      t.not(status, 200, target)
    }
    t.equal((await site.raw('/admin/design-system')).status, 401)
    const secret = Buffer.from('admin:secret').toString('base64')
    t.equal((await site.raw('/admin/design-system', [`Authorization: Basic ${secret}`])).body.toString(), 'THE ADMIN')
    t.equal((await site.raw('/admin/design-system')).status, 401, 'nor afterwards from the cache')
  })

  t.test('percent-encoded paths are decoded, once', async (t) => {
    const site = await startSite(t, { ...FILES, 'pages/über uns.html': 'about us', 'pages/100%25.html': 'a name with %25' })
    t.equal(await text(site, '/%C3%BCber%20uns'), 'about us')
    for (const spelling of ['/%c3%bcber%20uns', '/%C3%BCber%20%75ns']) t.equal((await site.raw(spelling)).headers['location'], '/%C3%BCber%20uns', spelling)
    t.equal(await text(site, '/100%2525'), 'a name with %25')
    t.equal((await site.raw('/100%25')).status, 404)
  })
})

t.test('10. one page has one URL', async (t) => {
  const site = await startSite(t, {
    'pages/index.html': 'home',
    'pages/404.html': 'none',
    'pages/docs/index.html': 'docs',
    'pages/long-name.html': '---\npath: /short\n---\nshort'
  })
  for (const second of ['/index', '/index.html', '/404', '/docs/index', '/docs.html', '/long-name']) {
    const { status, body } = await site.raw(second)
    t.equal(status, 404, second)
    t.equal(body.toString(), 'none')
  }
  for (const [target, location] of [['/docs/', '/docs'], ['/short/?a=1', '/short?a=1']] as const) {
    const { status, headers } = await site.raw(target)
    t.match([status, headers['location']], [301, location])
  }
  t.equal(await text(site, '/short'), 'short', "'path' in front matter is the path")
})
