import t, { type Test } from 'tap'
import { DevPages, type Problem } from '../../../lib/site/dev/pages.js'

const HEADER = 'partial:partials/header.html'
const ITEM = 'partial:partials/item.html'
const CSS = 'asset:/static/css/app.css'

const problem: Problem = { message: 'a slot is missing', file: 'partials/item.html', line: 3, column: 7, frame: '> 3 | <% nothing %>' }
const reload = { event: 'reload', data: null }
const ok = { event: 'ok', data: null }
const failed = { event: 'fail', data: { message: 'partials/item.html:3:7\na slot is missing', frame: problem.frame, related: null } }

function site (pages: Record<string, string[]>) {
  const deps = new Map(Object.entries(pages).map(([page, names]) => [page, new Set(names)]))
  const dev = new DevPages(page => deps.get(page) ?? null)
  for (const page of Object.keys(pages)) dev.rendered(page)
  /** What each page hears, without those that hear nothing. */
  const change = (changed: string[], error?: Problem) => Object.fromEntries([...dev.change({ changed, error }, [])].filter(([, news]) => news.length > 0))
  return { dev, deps, change }
}

const css = (...paths: string[]) => ({ event: 'css', data: { paths } })

t.test('only the pages that depend on a changed partial reload', async t => {
  const { change } = site({ '/': [HEADER, ITEM], '/about': [HEADER] })
  t.same(change([ITEM]), { '/': [reload] })
  t.same(change([HEADER]), { '/': [reload], '/about': [reload] })
  t.same(change(['partial:partials/other.html']), {})
})

t.test('a page of which nobody knows what it is made of reloads with every change', async t => {
  const { dev, change } = site({ '/': [HEADER] })
  dev.rendered('/unknown')
  t.same(change(['collection:posts']), { '/unknown': [reload] })
  t.same(change([]), {})
})

t.test('what a page is made of is asked again with each change', async t => {
  const { deps, change } = site({ '/': [HEADER] })
  deps.set('/', new Set([ITEM]))
  t.same(change([HEADER]), {})
  t.same(change([ITEM]), { '/': [reload] })
})

t.test('what a page is made of may be told by names of files, and by cache tags', async t => {
  const { change } = site({ '/': ['tpl:partials/item.html', 'tpl:asset:/static/css/app.css', 'collection:posts'] })
  t.same(change(['partials/item.html']), { '/': [reload] })
  t.same(change(['collection:posts']), { '/': [reload] })
  t.same(change([CSS]), { '/': [css('/static/css/app.css')] })
  t.match(change(['partials/item.html'], problem), { '/': [{ event: 'fail' }] })
})

t.test('stylesheets are swapped in the pages that have them, unless something else has changed, too', async t => {
  const { change } = site({ '/': [HEADER, CSS], '/print': ['asset:/static/css/print.css'] })
  t.same(change([CSS]), { '/': [css('/static/css/app.css')] })
  t.same(change([CSS, HEADER]), { '/': [reload] })
  t.same(change([CSS, 'asset:/static/css/print.css']), { '/': [css('/static/css/app.css')], '/print': [css('/static/css/print.css')] })
})

t.test('paths of stylesheets are written as browsers write them', async t => {
  const { change } = site({ '/': ['asset:/static/css/naïve one.css'] })
  t.same(change(['asset:/static/css/naïve one.css']), { '/': [css('/static/css/na%C3%AFve%20one.css')] })
})

t.test('a stylesheet that no page names is imported by some: all are swapped', async t => {
  const { change } = site({ '/': [CSS], '/about': [HEADER] })
  const all = { event: 'css', data: { paths: null } }
  t.same(change(['asset:/static/css/imported.css']), { '/': [all], '/about': [all] })
})

t.test('another asset that no page names is part of others: pages with assets reload', async t => {
  const { change } = site({ '/': [HEADER, 'asset:/static/js/app.js'], '/about': [HEADER] })
  t.same(change(['asset:/static/js/_imported.js']), { '/': [reload] })
  t.same(change(['asset:/static/img/background.png']), { '/': [reload] })
  t.same(change(['asset:/static/js/app.js']), { '/': [reload] })
})

t.test('a broken partial is shown in the pages that use it, once, and they reload when it is mended', async t => {
  const { change } = site({ '/': [HEADER, ITEM], '/about': [HEADER] })
  t.same(change([ITEM], problem), { '/': [failed] })
  t.same(change(['partial:partials/unused.html'], problem), {}, 'still broken, and known')
  t.same(change([HEADER], problem), { '/about': [reload] }, 'others go on')
  t.same(change([ITEM]), { '/': [ok, reload] })
  t.same(change([ITEM]), { '/': [reload] }, 'healed once')
})

t.test('another mistake in the same file is shown', async t => {
  const { change } = site({ '/': [ITEM] })
  change([ITEM], problem)
  const other = { ...problem, message: 'a tag is not closed', frame: '> 4 | <% if x' }
  t.match(change([ITEM], other), { '/': [{ event: 'fail', data: { frame: other.frame } }] })
})

t.test('a problem is shown where it says that it matters', async t => {
  const { change } = site({ '/': ['collection:posts'], '/about': [HEADER] })
  const broken = { ...problem, file: 'content/posts/first.md', usedBy: ['collection:posts'] }
  t.same(Object.keys(change([], broken)), ['/'])
})

t.test('both places of a problem are shown', async t => {
  const { change } = site({ '/': [ITEM] })
  const related = { message: 'partials/list.html:1 uses it', file: 'partials/list.html', line: 1, frame: '> 1 | {{item}}' }
  t.same(change([ITEM], { ...problem, related }), {
    '/': [{ event: 'fail', data: { ...failed.data, related: { message: related.message, frame: related.frame, related: null } } }]
  })
})

t.test('what mends a page without being a part of it reloads it', async t => {
  const { dev, change } = site({ '/': [ITEM] })
  change([ITEM], problem)
  t.same(change(['partial:partials/was-missing.html']), { '/': [ok, reload] })
  dev.failed('/', problem)
  t.same(change(['partial:partials/was-missing.html']), { '/': [ok, reload] }, 'found out by a render')
})

t.test('a stylesheet that can be made again heals without a reload', async t => {
  const { change } = site({ '/': [HEADER, CSS] })
  const broken = { ...problem, file: '/static/css/app.css' }
  t.match(change([CSS], broken), { '/': [{ event: 'fail' }] })
  t.same(change([CSS]), { '/': [ok, css('/static/css/app.css')] })
})

t.test('what changes while a page is broken is shown when it heals', async t => {
  const { change } = site({ '/': [HEADER, CSS] })
  const broken = { ...problem, file: '/static/css/app.css' }
  change([CSS], broken)
  t.same(change([HEADER], broken), {})
  t.same(change([CSS]), { '/': [ok, reload] })
  t.same(change([CSS]), { '/': [css('/static/css/app.css')] })
})

t.test('after a failed render what the page was made of is watched, and the file to blame', async t => {
  for (const [name, changed] of [['its parts', HEADER], ['the file to blame', ITEM], ['the second one', 'partial:partials/list.html']] as const) {
    const { dev, deps, change } = site({ '/': [HEADER], '/about': [] })
    change([]) // the page is known by what it was made of
    deps.delete('/')
    dev.failed('/', { ...problem, related: { ...problem, file: 'partials/list.html' } })
    const elsewhere: Problem = { ...problem, file: 'partials/elsewhere.html' }
    t.same(change(['partial:partials/elsewhere.html'], elsewhere), {}, 'nothing else is')
    t.same(change([changed], elsewhere), { '/': [ok, reload] }, name)
  }
})

t.test('a page that has never been rendered is tried again with every change', async t => {
  const { dev, change } = site({})
  dev.failed('/', problem)
  t.same(change([HEADER], { ...problem, file: 'partials/elsewhere.html' }), { '/': [ok, reload] })
})

t.test('a render that fails after seeing some of its parts forgets none', async t => {
  const { dev, deps, change } = site({ '/': [HEADER] })
  change([])
  deps.set('/', new Set([ITEM]))
  dev.failed('/', problem)
  const elsewhere = { ...problem, file: 'partials/elsewhere.html' }
  t.same(change([HEADER], elsewhere), { '/': [ok, reload] })
})

t.test('a render that goes well ends the problem, whatever mended it', async t => {
  const { dev, change } = site({ '/': [ITEM] })
  dev.failed('/', problem)
  t.same(dev.missed('/', null), [failed])
  dev.rendered('/')
  t.same(dev.missed('/', null), [])
  t.same(change([HEADER]), {})
})

t.test('who connects again hears what happened meanwhile', async t => {
  const { dev, change } = site({ '/': [HEADER, CSS] })
  const before = dev.now
  change(['partial:partials/other.html'])
  t.same(dev.missed('/', before), [], 'nothing that concerns it')

  change([CSS])
  t.same(dev.missed('/', before), [css('/static/css/app.css')], 'inputs are kept')
  t.same(dev.missed('/', dev.now), [])

  change([HEADER])
  t.same(dev.missed('/', before), [reload])
  t.same(dev.missed('/', dev.now), [])
  t.same(dev.missed('/', null), [], 'a page that is new')

  change([HEADER], { ...problem, file: 'partials/header.html' })
  t.match(dev.missed('/', dev.now), [{ event: 'fail' }], 'what is broken is told to everybody')
})

t.test('pages that nobody shows any more are forgotten in the end', async (t: Test) => {
  const { dev } = site({})
  for (let i = 0; i < 1500; i++) dev.rendered(`/${i}`)
  const told = dev.change({ changed: [HEADER] }, ['/shown'])
  t.equal(told.size, 1000)
  t.same(told.get('/shown'), [reload])
})
