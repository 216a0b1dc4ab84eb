import path from 'node:path'
import t from 'tap'
import { buildAssets } from '../../../lib/site/assets/build.js'
import { TemplateError } from '../../../lib/site/index.js'
import { startSite } from '../../helpers/site.js'

const BROKEN = '<h1>Broken</h1>\n<% none.html %/>\n'
const SECRET = /none\.html|pages\/about|partials/

t.test('a broken page: the log has file, line and frame, the visitor nothing of it', async (t) => {
  const { raw, logs } = await startSite(t, { 'pages/about.html': BROKEN, 'pages/index.html': 'home' })
  const { status, body, headers } = await raw('/about')
  t.equal(status, 500)
  t.match(body.toString(), '<h1>Something went wrong</h1>')
  t.notMatch(body.toString(), SECRET)
  t.notMatch(JSON.stringify(headers), SECRET)
  const line = logs.find(({ msg }) => msg.includes('could not be rendered') && msg.includes('/about'))
  t.match(line, { level: 50, page: '/about', file: 'pages/about.html', line: 2, code: 'ref_not_found' })
  t.match(String(line?.['frame']), '<% none.html %/>')
  t.equal((await raw('/')).status, 200, 'it breaks nothing else')
})

t.test('500.html of the site takes the place of the built-in page; a broken one does not', async (t) => {
  const files = { 'pages/about.html': BROKEN }
  t.match((await (await startSite(t, { ...files, 'pages/500.html': '<h1>Sorry</h1>' })).raw('/about')).body.toString(), '<h1>Sorry</h1>')
  t.match((await (await startSite(t, { ...files, 'pages/500.html': BROKEN })).raw('/about')).body.toString(), '<h1>Something went wrong</h1>')
})

t.test('a page that was good goes on as it was, and is new again once it is mended', async (t) => {
  const { app, raw, write } = await startSite(t, { 'pages/about.html': '<h1>Good</h1>' })
  await raw('/about')
  await app.isr.refresh({ path: '/about' })
  write('pages/about.html', BROKEN)
  await app.site.invalidate('pages/about.html')
  const { pages: [failed] } = await app.isr.refresh({ path: '/about' })
  t.equal(failed?.outcome, 'failed')
  const old = await raw('/about')
  t.equal(old.status, 200)
  t.equal(old.body.toString(), '<h1>Good</h1>')
  write('pages/about.html', '<h1>Mended</h1>')
  await app.site.invalidate('pages/about.html')
  await app.isr.refresh({ path: '/about' })
  t.equal((await raw('/about')).body.toString(), '<h1>Mended</h1>')
})

t.test('reply.page() with an error is the same 500', async (t) => {
  const { raw } = await startSite(t, { 'pages/index.html': 'home', 'partials/post.html': BROKEN }, {
    declare (app) {
      app.get('/blog/:slug', async (_request, reply) => reply.page('post.html', { post: {} }))
      app.get('/none', async (_request, reply) => reply.page('nothing.html'))
    }
  })
  for (const target of ['/blog/a', '/none']) {
    const { status, body } = await raw(target)
    t.equal(status, 500)
    t.notMatch(body.toString(), /none\.html|nothing\.html/)
  }
})

t.test('an asset that is not there fails a build; a visitor gets the page, and the log the reason', async (t) => {
  const folder = t.testdir({ assets: { css: { 'app.css': 'body { color: red }' } } })
  const dir = path.join(folder, 'static')
  await buildAssets({ source: path.join(folder, 'assets'), out: dir })
  const { app, raw, logs } = await startSite(t, { 'pages/index.html': '<link href="{{+ /static/css/gone.css }}"><% img src="/static/gone.png" alt="" %/>' }, { site: { static: { dir } } })
  const report = await app.isr.prerender()
  t.equal(report.ok, false)
  t.ok(logs.some(line => line['code'] === 'unresolved_asset'))
  const { status, body } = await raw('/')
  t.equal(status, 200)
  t.match(body.toString(), '<link href="/static/css/gone.css"><img src="/static/gone.png" alt=""')
  t.ok(logs.some(({ level, msg }) => level === 50 && msg.includes('/static/css/gone.css')))
  t.ok(logs.some(({ level, msg }) => level === 50 && msg.includes('/static/gone.png')))
  t.throws(() => app.site.asset(1 as unknown as string))
  t.equal(app.site.asset('/static/css/none.css'), '/static/css/none.css')
})

t.test('a build and an order to render tell the reason, with its place', async (t) => {
  const { app, raw } = await startSite(t, { 'pages/about.html': BROKEN, 'partials/post.html': '<p>{{= post.title }}</p><% none.html %/>' }, {
    declare (app) { app.get('/post', { config: { prerender: true } }, async (_request, reply) => reply.page('post.html', { post: {} })) }
  })
  const { pages } = await app.isr.prerender({ dir: t.testdir({}) })
  t.match(pages.map(({ path, error }) => [path, error]), [
    ['/about', /^rendering \/about answered with status 500: pages\/about\.html:2:1 \[ref_not_found\] there is no partial/],
    ['/post', /: partials\/post\.html:1:\d+ \[ref_not_found\]/]
  ])
  t.match((await app.isr.refresh({ path: '/about' })).pages, [{ outcome: 'failed', reason: /status 500$/, error: { cause: { message: /pages\/about\.html:2:1/ } } }])
  t.notMatch((await raw('/about')).body.toString(), SECRET)
})

t.test('an error of a template can be told by its class', async (t) => {
  const { app } = await startSite(t, { 'pages/about.html': BROKEN })
  try {
    app.site.render('about.html')
    t.fail('it is broken')
  } catch (error) {
    t.ok(error instanceof TemplateError)
    t.match(error, { code: 'FST_ISR_ERR_SITE_TEMPLATE', problem: { code: 'ref_not_found', file: 'pages/about.html', line: 2 } })
  }
})
