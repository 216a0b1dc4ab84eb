import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { Marks } from '../../lib/cache/marks.js'
import { MemoryTier } from '../../lib/cache/memory-tier.js'
import type { Held } from '../../lib/cache/source.js'
import { PageTable } from '../../lib/pages/page-table.js'
import { buildOnce, html, open, page } from '../helpers/site-build.js'

const TAGS = Array.from({ length: 50 }, (_, nth) => `topic-${nth}`)

function site (app: FastifyInstance): void {
  page(app, '/p/:slug', ({ slug }) => html(String(slug)), { paths: [{ slug: 'a' }], tags: TAGS })
}

test('a hit looks neither at tags nor at marks nor at the pages of the build, however many there are', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  const { app } = await open(t, dir, site)
  const looks: string[] = []
  const held = MemoryTier.prototype.get
  const judge = Marks.prototype.judge
  const find = PageTable.prototype.find
  t.intercept(Marks.prototype, 'judge', { value (this: Marks, ...args: Parameters<Marks['judge']>) { looks.push('marks'); return judge.apply(this, args) } })
  t.intercept(PageTable.prototype, 'find', { value (this: PageTable, key: string) { looks.push('pages'); return find.call(this, key) } })
  t.intercept(MemoryTier.prototype, 'get', {
    value (this: MemoryTier<Held<unknown>>, key: string) {
      const found = held.call(this, key) as Held<unknown> | undefined
      if (found === undefined) return found
      const entry = new Proxy(found.entry, { get (target, name) { if (name === 'tags') looks.push('tags'); return Reflect.get(target, name) as unknown } })
      return { ...found, entry }
    }
  })
  await app.inject('/p/a')
  await app.isr.refresh({ path: '/p/a' })
  t.ok(looks.includes('marks'), 'what is rendered is judged')
  await app.inject('/p/a')

  looks.length = 0
  for (let times = 0; times < 100; times++) {
    const { headers, statusCode } = await app.inject(times % 2 === 0 ? { url: '/p/a' } : { url: '/p/a', headers: { 'if-none-match': '*' } })
    t.equal(statusCode, times % 2 === 0 ? 200 : 304)
    t.match(headers['cache-status'], /hit/)
  }
  t.same(looks, [])
})
