import t from 'tap'
import type { Isr, Target } from '../../../types/index.js'
import { Orders, tagOf } from '../../../lib/site/freshness/index.js'

interface Recorded { isr: Pick<Isr, 'revalidate' | 'purge'>, given: [order: string, target: Target][] }

function recorder (fails: () => boolean = () => false): Recorded {
  const given: [string, Target][] = []
  const order = (name: string) => async (target: Target) => {
    if (fails()) throw new Error('no')
    given.push([name, target])
    return { epoch: 1, matched: 0, degraded: false }
  }
  return { isr: { revalidate: order('revalidate'), purge: order('purge') }, given }
}

const none = { changed: [], added: [], removed: [] }

t.test('exactly what has changed is ordered, and what is gone is purged', async (t) => {
  const { isr, given } = recorder()
  const orders = new Orders(isr)
  await orders.give(none)
  t.same(given, [])
  await orders.give({ changed: ['partials/head.html', 'collection:posts', 'page:/a'], added: ['/new'], removed: ['/a'] })
  t.same(given, [
    ['purge', [{ path: '/a' }]],
    ['revalidate', [{ path: '/new' }, { tag: 'tpl:partials/head.html' }, { tag: 'collection:posts' }, { tag: 'page:/a' }]]
  ])
})

t.test('what could not be ordered is ordered with the next', async (t) => {
  let fails = true
  const { isr, given } = recorder(() => fails)
  const orders = new Orders(isr)
  await t.rejects(orders.give({ ...none, changed: ['pages/a.html'], removed: ['/b'] }), /no/)
  await t.rejects(orders.give({ ...none, added: ['/b'] }), /no/)
  fails = false
  await orders.give(none)
  t.same(given, [['revalidate', [{ tag: 'tpl:pages/a.html' }, { path: '/b' }]]], 'a page that came back is not purged')
  await orders.give(none)
  t.equal(given.length, 1)
})

t.test('more than an order may hold are several', async (t) => {
  const { isr, given } = recorder()
  await new Orders(isr).give({ ...none, changed: Array.from({ length: 2500 }, (_, nth) => `pages/${nth}.html`) })
  t.same(given.map(([, target]) => (target as unknown[]).length), [1000, 1000, 500])
})

t.test('a name that is too long for a tag has a tag all the same', async (t) => {
  t.equal(tagOf('asset:/static/a.css'), 'tpl:asset:/static/a.css')
  const long = `pages/${'é'.repeat(200)}.html`
  t.match(tagOf(long), /^tpl:sha256-[0-9a-f]{64}$/)
  t.match(tagOf(`page:/${'x'.repeat(300)}`), /^page:sha256-[0-9a-f]{64}$/)
  t.match(tagOf('pages/a\nb.html'), /^tpl:sha256-/)
  t.not(tagOf(long), tagOf(`${long}x`))
})
