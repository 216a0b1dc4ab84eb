import t from 'tap'
import { MemoryTier } from '../../lib/cache/memory-tier.js'
import { counted, start, type Site } from '../helpers/app.js'

const PATHS = ['/', '/blog', '/blog/a', '/blog/b', '/blogger', '/shop/1']

async function tagged (t: Parameters<typeof start>[0]): Promise<Site> {
  const site = await start(t, (app) => {
    for (const path of ['/', '/blog', '/blogger']) app.get(path, { config: { prerender: true } }, counted())
    app.get('/blog/:slug', { config: { prerender: { onDemand: true, tags: ({ slug }) => ['posts', `post:${slug}`] } } }, counted())
    app.get('/shop/:id', { config: { prerender: { onDemand: true, tags: ['shop'] } } }, counted((nth, request, reply) => {
      reply.isr.tags('found-on-the-way')
      return `#${nth}`
    }))
  })
  for (const path of PATHS) await site.get(path)
  return site
}

/** Paths that are rendered anew for the next visitor. */
async function gone (site: Site): Promise<string[]> {
  const missed: string[] = []
  for (const path of PATHS) if (/uri-miss/.test(String((await site.get(path)).headers['cache-status']))) missed.push(path)
  return missed
}

const CASES = {
  'a prefix': { target: { prefix: '/blog' }, hits: ['/blog', '/blog/a', '/blog/b'] },
  'a prefix with a slash': { target: { prefix: '/blog/' }, hits: ['/blog', '/blog/a', '/blog/b'] },
  'the prefix of everything': { target: { prefix: '/' }, hits: PATHS },
  'a prefix of one page': { target: { prefix: '/blog/a' }, hits: ['/blog/a'] },
  'a tag of the params': { target: { tag: 'post:b' }, hits: ['/blog/b'] },
  'a tag that several pages share': { target: { tag: 'posts' }, hits: ['/blog/a', '/blog/b'] },
  'a tag of the route': { target: { tag: 'shop' }, hits: ['/shop/1'] },
  'a tag that the handler added': { target: { tag: 'found-on-the-way' }, hits: ['/shop/1'] },
  'a tag that nothing has': { target: { tag: 'nobody' }, hits: [] },
  'several targets': { target: [{ tag: 'shop' }, { prefix: '/blog/b' }], hits: ['/blog/b', '/shop/1'] }
}

for (const [name, { target, hits }] of Object.entries(CASES)) {
  t.test(`an order for ${name} concerns its pages and no others`, async (t) => {
    const site = await tagged(t)
    t.match(await site.app.isr.purge(target, { dryRun: true }), { matched: hits.length })
    t.same(await gone(site), [], 'a dry run changes nothing')
    t.match(await site.app.isr.purge(target), { matched: hits.length, degraded: false })
    t.same(await gone(site), hits)
    const { pages } = await site.app.isr.refresh(target)
    t.same(pages.map(page => page.path).sort(), [...hits].sort(), 'the same pages are refreshed')
  })
}

t.test('a wrong target says which forms there are', async (t) => {
  const { app } = await tagged(t)
  for (const target of [{ prefix: 'blog' }, { prefix: '/a/../b' }, { tag: '' }, { tag: 'a\u0001b' }, { tag: 'x'.repeat(257) }, { tag: 1 }, { tag: 'a', path: '/b' }, {}, null]) {
    await t.rejects(app.isr.revalidate(target as never), { code: 'FST_ISR_ERR_INVALID_TARGET' }, JSON.stringify(target))
  }
})

t.test('an order by tag looks at no page that has not the tag', async (t) => {
  const { app } = await tagged(t)
  const { intercept } = t
  intercept(MemoryTier.prototype, 'keys', { value: () => { throw new Error('all pages were gone through') } })
  t.match(await app.isr.revalidate({ tag: 'posts' }), { matched: 2 })
  await t.rejects(app.isr.entries(), /all pages were gone through/)
})
