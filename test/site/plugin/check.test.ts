import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { referencesOf } from '../../../lib/site/check/references.js'
import type { CheckReport } from '../../../lib/site/check/check.js'
import { runCommand, type CommandResult } from '../../helpers/command.js'

const main = fileURLToPath(new URL('../../../lib/cli/main.js', import.meta.url))
const own = (file: string): string => JSON.stringify(new URL(`../../../lib/${file}`, import.meta.url).href)

const APP = `
import isr from ${own('index.js')}
import site from ${own('site/index.js')}
export default async function (app) {
  await app.register(isr)
  await app.register(site, { static: { dir: 'built' }, root: new URL('./site/', import.meta.url), collections: { posts: { dir: 'content/blog', url: post => '/blog/' + post.slug } } })
  app.get('/blog/:slug', { config: { prerender: { paths: () => app.site.collection('posts').urls() } } }, async (request, reply) =>
    reply.page('post.html', { post: app.site.collection('posts').bySlug(request.params.slug) }))
  app.get('/dynamic', async () => 'dynamic')
}
`
const GOOD = {
  pages: { 'index.html': '<h1 id="top">Home</h1>\n<a href="/about">About</a> <a href="/about#team">Team</a> <a href="/blog/first">First</a> <a href="/dynamic">D</a> <a href="https://example.org/none">out</a> <a href="mailto:a@b.c">mail</a> <a href="#top">up</a>', 'about.html': '<h2 id="team">Team</h2>' },
  partials: { 'post.html': '<h1>{{= post.title }}</h1>\n<a href="/">Home</a>\n{{= post.html }}' },
  content: { blog: { 'first.md': '---\ntitle: First\n---\nText with [a link](/about).\n' } }
}

interface Tree { [name: string]: string | Tree }

function project (t: Test, site: Tree, app = APP): string {
  return t.testdir({ 'package.json': '{ "type": "module" }', 'app.js': app, site } as never)
}

async function check (cwd: string, ...flags: string[]): Promise<CommandResult & { report (): CheckReport }> {
  const result = await runCommand(process.execPath, [main, 'site', 'check', 'app.js', ...flags], cwd)
  return { ...result, report: () => JSON.parse(result.stdout) as CheckReport }
}

t.test('a site without mistakes: exit code 0, and nothing is left behind', async (t) => {
  const cwd = project(t, GOOD)
  const { code, stdout, stderr } = await check(cwd)
  t.equal(stderr, '')
  t.equal(code, 0)
  t.match(stdout, '3 pages')
  t.match(stdout, 'nothing is broken')
})

t.test('what is broken is named with file, line and column, whatever it is', async (t) => {
  const cwd = project(t, {
    pages: {
      'index.html': '<h1>Home</h1>\n  <a href="/abuot">About</a>\n<a href="/about#tema">Team</a>\n',
      'about.html': '<h2 id="team">Team</h2>\n<% haeder.html %/>',
      'image.html': '<p>Image</p>\n<% img src="/static/img/none.png" alt="none" %/>\n'
    },
    partials: { 'post.html': '<h1>{{= post.title }}</h1>\n{{= post.html }}', 'unused.html': '<% each of="x" as="y" %>never closed' },
    content: { blog: { 'first.md': '---\ntitle: First\n---\nText.\n\nA [link](/nowhere) to nothing.\n' } }
  })
  const { code, report } = await check(cwd, '--json')
  t.equal(code, 1)
  const places = report().problems.map(({ file, line, column, code }) => `${file}:${line}:${column} ${code}`)
  t.match(places, [
    /^content\/blog\/first\.md:6:10 broken_link$/,
    /^pages\/about\.html:2:\d+ ref_not_found$/,
    /^pages\/image\.html:2:\d+ unresolved_/,
    /^pages\/index\.html:2:12 broken_link$/,
    /^partials\/unused\.html:1:\d+ unclosed_tag$/
  ])
  const printed = await check(cwd)
  t.equal(printed.code, 1)
  t.match(printed.stderr, /pages\/index\.html:2:12 {2}\[broken_link\] nothing answers '\/abuot' \(on \/\)\n {2}2 \| {3}<a href="\/abuot">About<\/a>\n {17}\^{6}\n/)
})

t.test('each mistake is printed once, with the lines around it: the log of the app does not tell it as well', async (t) => {
  const { stderr } = await check(project(t, {
    ...GOOD,
    pages: { 'index.html': '<h1>Home</h1>\n{{= nothing }}', 'about.html': '<% haeder.html %/>', 'twice.html': '---\ntitle: a\ntitle: b\n---\n' }
  }))
  for (const place of ['pages/index.html:2:1', 'pages/about.html:1:1', "'title' is given twice"]) t.equal(stderr.split(place).length - 1, 1, `${place} in ${stderr}`)
})

t.test('what only shows when a page of the app is rendered is named by its place as well', async (t) => {
  const { code, report } = await check(project(t, { ...GOOD, content: { blog: { 'first.md': '---\ntitle: First\n---\nText.\n\n<% img src="/static/img/none.png" alt="none" %/>\n' } } }), '--json')
  t.equal(code, 1)
  t.match(report().problems, [{ file: 'content/blog/first.md', line: 6, code: /^unresolved_/ }], 'once: what leads to a broken page is not broken')
})

t.test('an anchor that its page has not got', async (t) => {
  const { code, report } = await check(project(t, { ...GOOD, pages: { ...GOOD.pages, 'index.html': '<a href="/about#tema">Team</a>' } }), '--json')
  t.equal(code, 1)
  t.match(report().problems, [{ code: 'broken_anchor', file: 'pages/index.html', line: 1, column: 10, message: "/about has no element with the id 'tema'" }])
})

t.test('links between Markdown files are followed, and named as they are written', async (t) => {
  const { code, report } = await check(project(t, {
    ...GOOD,
    pages: { ...GOOD.pages, 'a.md': '# A\n\n[good](b.md#b)\n\n[broken](b.md#c) and [gone](gone.md)\n', 'b.md': '---\npath: /moved\n---\n# B\n' }
  }), '--json')
  t.equal(code, 1)
  t.match(report().problems, [
    { code: 'broken_anchor', file: 'pages/a.md', line: 5, column: 10, message: "/moved has no element with the id 'c'" },
    { code: 'broken_link', file: 'pages/a.md', line: 5, column: 29, message: "nothing answers '/gone.md'" }
  ])
})

t.test('links to routes of the app are proven without running them, and files below a wildcard are asked for', async (t) => {
  const app = `import { writeFileSync } from 'node:fs'\n${APP.replace('  app.get(\'/dynamic\'', `  const act = (name) => { writeFileSync(new URL(name, import.meta.url), '') }
  app.get('/logout', async () => { act('logged-out'); return 'bye' })
  app.get('/user/:id/delete', async () => { act('deleted'); return 'gone' })
  app.get('/go/*', async () => { act('gone'); return 'gone' })
  app.get('/files/*', async (request, reply) => request.params['*'] === 'a.pdf' ? 'a' : reply.callNotFound())
  app.get('/admin', { onRequest: async (request, reply) => reply.code(401).send('who?') }, async () => 'admin')
  app.post('/form', async () => 'posted')
  app.get('/dynamic'`)}`
  const cwd = project(t, { ...GOOD, pages: { ...GOOD.pages, 'index.html': '<h1 id="top">Home</h1><a href="/logout">x</a> <a href="/user/1/delete?sure=1">x</a> <a href="/go/home">x</a> <a href="/admin">x</a>\n<a href="/files/a.pdf">x</a> <a href="/files/b.pdf">x</a> <a href="/form">x</a>' } }, app)
  const { code, report } = await check(cwd, '--json')
  t.equal(code, 1)
  t.same(report().problems.map(({ message }) => message), ["nothing answers '/files/b.pdf' (on /)", "nothing answers '/form' (on /)"])
  for (const name of ['logged-out', 'deleted', 'gone']) t.notOk(existsSync(path.join(cwd, name)), name)
})

t.test('an image beside a post is broken once, with what to do about it', async (t) => {
  const { code, report } = await check(project(t, { ...GOOD, content: { blog: { 'first.md': '---\ntitle: First\n---\n![x](img/a.png)\n' } } }), '--json')
  t.equal(code, 1)
  t.match(report().problems, [{ file: 'content/blog/first.md', line: 4, column: 6, code: 'FST_ISR_ERR_SITE_PAGE' }])
  t.equal(report().problems.length, 1)
})

t.test('wrong usage, an app without a site and an app that does not load end with 2', async (t) => {
  const cwd = t.testdir({ 'package.json': '{ "type": "module" }', 'app.js': 'export default async function () {}', 'broken.js': 'throw new Error("no")' })
  for (const [args, message] of [
    [[], /site: which command\?/],
    [['chekc'], /unknown command 'chekc'/],
    [['check'], /which app\?/],
    [['check', 'app.js', 'b.js'], /one app file, please/],
    [['check', 'app.js', '--fast'], /unknown option '--fast'/],
    [['check', 'app.js'], /does not register fastify-isr\/site/],
    [['check', 'broken.js'], /no/],
    [['check', 'none.js'], /there is no/]
  ] as const) {
    const { code, stderr } = await runCommand(process.execPath, [main, 'site', ...args], cwd)
    t.equal(code, 2, args.join(' '))
    t.match(stderr, message)
  }
  for (const [args, text] of [[['--help'], 'site <command>'], [['check', '--help'], 'site check <app file>'], [['new', '--help'], 'site new "Title"']] as const) {
    t.match((await runCommand(process.execPath, [main, 'site', ...args], path.dirname(cwd))).stdout, text)
  }
})

t.test('references are read from tags alone, with their entities undone', async (t) => {
  const { links, anchors } = referencesOf(`
    <!-- <a href="/comment"> --><script src=/app.js>const a = '<a href="/script">'</script>
    <A HREF='/a?b=1&amp;c=2' title="a > b">x</A><a name=old></a><img src="/i.png" srcset="/i.w1.png 1w, /i.w2.png 2w" alt="<a href='/alt'>">
    <h2 id="über">x</h2><video poster="/p.jpg"></video><textarea><a href="/text"></textarea>`)
  t.same(links, ['/app.js', '/a?b=1&c=2', '/i.png', '/i.w1.png', '/i.w2.png', '/p.jpg'])
  t.same([...anchors], ['old', 'über'])
})
