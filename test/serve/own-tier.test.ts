import t, { type Test } from 'tap'
import { S3Tier } from '../../example-app/s3-tier.js'
import type { IsrTier } from '../../types/index.js'
import { counted, start, until, type Site, type TestClock } from '../helpers/app.js'
import { startObjectStore } from '../helpers/object-store.js'

const ttl = { ttl: 60, staleWhileRevalidate: 60, staleIfError: 60 }

async function startInstance (t: Test, tier: IsrTier, body: string, clock?: TestClock): Promise<{ site: Site, about: ReturnType<typeof counted> }> {
  const about = counted(nth => `${body} ${nth}`)
  const site = await start(t, (app) => { app.get('/about', { config: { prerender: ttl } }, about) }, { isr: { buildId: 'b1', tier }, ...(clock === undefined ? {} : { clock }) })
  return { site, about }
}

t.test('instances share pages in a tier of the app\'s own', async (t) => {
  const store = await startObjectStore(t)
  const one = await startInstance(t, new S3Tier({ url: store.url }), 'one')
  t.equal((await one.site.get('/about')).body, 'one 1')
  await until(() => store.objects.size === 1, 'the page is in the store')

  const two = await startInstance(t, new S3Tier({ url: store.url }), 'two', one.site.clock)
  t.equal((await two.site.get('/about')).body, 'one 1')
  t.equal(two.about.renders, 0)

  one.site.clock.forward(70)
  t.equal((await two.site.get('/about')).body, 'one 1', 'stale')
  await until(() => store.requests.filter(({ method, status }) => method === 'PUT' && status === 200).length === 2, 'the new page is in the store')
  const three = await startInstance(t, new S3Tier({ url: store.url }), 'three', one.site.clock)
  t.equal((await three.site.get('/about')).body, 'two 1')
})

t.test('a store that is down or hangs costs nobody a page', async (t) => {
  const store = await startObjectStore(t)
  const one = await startInstance(t, new S3Tier({ url: store.url, timeout: 100 }), 'one')
  store.isHanging = true
  t.equal((await one.site.get('/about')).body, 'one 1')
  store.isHanging = false
  store.failing = 503
  const two = await startInstance(t, new S3Tier({ url: store.url }), 'two')
  t.equal((await two.site.get('/about')).body, 'two 1')
  await until(() => two.site.warnings().some(message => message.includes('tier')), 'it says so')
  t.ok(two.site.warnings().length <= 3, 'not per page')
})

t.test('what somebody has put into the store is not served', async (t) => {
  const store = await startObjectStore(t)
  const one = await startInstance(t, new S3Tier({ url: store.url }), 'one')
  await one.site.get('/about')
  await until(() => store.objects.size === 1, 'the page is in the store')
  for (const [path, object] of store.objects) store.objects.set(path, { ...object, body: Buffer.concat([object.body.subarray(0, -5), Buffer.from('evil!')]) })
  const two = await startInstance(t, new S3Tier({ url: store.url }), 'two')
  t.equal((await two.site.get('/about')).body, 'two 1')
})

t.test('pages that are shared need a namespace', async (t) => {
  await t.rejects(start(t, () => {}, { isr: { tier: new S3Tier({ url: 'http://127.0.0.1:9' }) } }), { message: /option 'tier' needs a namespace/ })
})
