import Fastify from 'fastify'
import t from 'tap'
import isr from '../../../lib/index.js'
import site, { memorySource } from '../../../lib/site/index.js'
import { startSite } from '../../helpers/site.js'

const FILES = { 'pages/index.html': '<h1>Docs</h1>', 'pages/about.html': '---\nredirect_from: /older\n---\n<h1>About</h1>', 'pages/404.html': '<h1>Not here</h1>' }

t.test('the home of a site with a prefix is the prefix without its slash, in the cache like all pages', async (t) => {
  const { app, raw } = await startSite(t, FILES, { site: { prefix: '/docs', redirects: { '/docs/old': '/docs/about', '/manual': '/docs' } } })
  t.same(app.site.pages().map(page => page.path), ['/docs', '/docs/about'])
  for (const [path, heading] of [['/docs', 'Docs'], ['/docs/about', 'About']] as const) {
    t.match((await raw(path)).body.toString(), `<h1>${heading}</h1>`)
    await app.isr.refresh({ path })
    t.match((await raw(path)).headers['cache-status'], /hit/, path)
  }
  for (const [from, to] of [['/docs/', '/docs'], ['/docs/?a=1', '/docs?a=1'], ['/docs/about/', '/docs/about'], ['/docs/old', '/docs/about'], ['/manual?a=1', '/docs?a=1'], ['/docs/older', '/docs/about']] as const) {
    t.match(await raw(from), { status: 301, headers: { location: to } }, from)
  }
  for (const path of ['/', '/about', '/docsabout', '/docs-old', '/docs//']) t.equal((await raw(path)).status, 404, path)
  const report = await app.isr.prerender({ dir: t.testdir({}) })
  t.same(report.pages.map(({ path, outcome }) => [path, outcome]), [['/docs', 'written'], ['/docs/about', 'written']])
})

t.test('a route of the app that begins like the prefix goes its own way', async (t) => {
  const { raw } = await startSite(t, FILES, { site: { prefix: '/docs' }, declare: app => { app.get('/docs-old/:name', async () => 'its own') } })
  t.equal((await raw('/docs-old/a')).body.toString(), 'its own')
})

t.test('what begins like the prefix is left to the routes of the app, and its home, too, if the app has one', async (t) => {
  const { app, raw } = await startSite(t, FILES, {
    site: { prefix: '/docs' },
    declare (app) {
      app.get('/:slug', async request => `slug ${(request.params as { slug: string }).slug}`)
      app.get('/*', async () => 'anything')
    }
  })
  for (const [path, text] of [['/docs-old', 'slug docs-old'], ['/docsabout', 'slug docsabout'], ['/docs-old/a/b', 'anything'], ['/docs', '<h1>Docs</h1>'], ['/docs/about', '<h1>About</h1>']] as const) {
    t.equal((await raw(path)).body.toString(), text, path)
  }
  const report = await app.isr.prerender({ dir: t.testdir({}) })
  t.same(report.pages.map(({ path }) => path).sort(), ['/docs', '/docs/about'])

  const own = await startSite(t, { 'pages/about.html': 'about' }, { site: { prefix: '/docs/' }, declare: app => { app.get('/docs', async () => 'its own') } })
  t.equal((await own.raw('/docs')).body.toString(), 'its own')
  t.same((await own.app.isr.prerender({ dir: t.testdir({}) })).pages.map(({ path }) => path), ['/docs/about'])
})

t.test('a redirect that nobody would ask the site for is refused', async (t) => {
  await t.rejects(startSite(t, FILES, { site: { prefix: '/docs/', notFound: false, redirects: { '/old': '/docs/about' } } }), { code: 'FST_ISR_ERR_INVALID_OPTION', message: /option 'redirects\.\/old' must be named by a path below the option 'prefix', '\/docs\/'/ })
})

t.test('a site in a context with a prefix of Fastify is refused with what to do', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(async (scope) => {
    await scope.register(isr, { disk: false })
    await scope.register(site, { source: memorySource(FILES), static: false })
  }, { prefix: '/sub' })
  await t.rejects(async () => { await app.ready() }, { code: 'FST_ISR_ERR_SITE_PREFIX', message: /below the prefix '\/sub'/ })
})

t.test('an app with a not-found handler of its own hears of the option', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.setNotFoundHandler(async () => 'mine')
  await app.register(isr, { disk: false })
  await t.rejects(async () => { await app.register(site, { source: memorySource(FILES), static: false }) }, { code: 'FST_ISR_ERR_INVALID_OPTION', message: /option 'notFound' must be false where the app has a not-found handler of its own/ })
})
