import t from 'tap'
import { counted, start } from '../helpers/app.js'

const cdn = { isr: { cdn: { cacheControl: true } } }

t.test('a CDN is told the lifetime of the page, counted from its render', async (t) => {
  const site = await start(t, (app) => {
    app.get('/a', { config: { prerender: { ttl: 60, staleWhileRevalidate: 30 } } }, counted())
  }, cdn)
  await site.get('/a')
  site.clock.forward(20)
  const { headers } = await site.get('/a')
  t.equal(headers.age, '20')
  t.equal(headers['cdn-cache-control'], 'max-age=60, stale-while-revalidate=30', 'less Age, the CDN keeps it as long as we do')
  t.equal(headers['cache-control'], 'public, max-age=0, must-revalidate', 'browsers ask each time')
})

t.test('what never ends is a year to a CDN', async (t) => {
  const site = await start(t, (app) => {
    app.get('/a', { config: { prerender: true } }, counted())
    app.get('/b', { config: { prerender: { ttl: 5 } } }, counted())
  }, cdn)
  t.equal((await site.get('/a')).headers['cdn-cache-control'], 'max-age=31536000, stale-while-revalidate=0')
  t.equal((await site.get('/b')).headers['cdn-cache-control'], 'max-age=5, stale-while-revalidate=31536000')
})

t.test('a page that was marked stale is stale for a CDN', async (t) => {
  const site = await start(t, (app) => {
    app.get('/a', { config: { prerender: { ttl: 60 } } }, counted())
  }, cdn)
  await site.get('/a')
  site.clock.forward(10)
  await site.app.isr.revalidate({ path: '/a' })
  t.equal((await site.get('/a')).headers['cdn-cache-control'], 'max-age=10')
})

t.test('a CDN is told nothing of pages that shared caches may not keep, nor unless it was asked for', async (t) => {
  const site = await start(t, (app) => {
    app.get('/a', { config: { prerender: { cacheControl: 'private' } } }, counted())
    app.get('/b', { config: { prerender: true } }, counted((nth, request, reply) => { throw new Error('no page') }))
  }, cdn)
  t.notOk((await site.get('/a')).headers['cdn-cache-control'])
  t.notOk((await site.get('/b')).headers['cdn-cache-control'])
  const plain = await start(t, (app) => { app.get('/a', { config: { prerender: true } }, counted()) })
  t.notOk((await plain.get('/a')).headers['cdn-cache-control'])
})

t.test('an answer that carries a cookie is for no CDN', async (t) => {
  const site = await start(t, (app) => {
    app.addHook('onSend', async (request, reply, payload) => {
      if (request.isrRender === null) reply.header('set-cookie', 'seen=1')
      return payload
    })
    app.get('/a', { config: { prerender: { ttl: 60 } } }, counted())
  }, cdn)
  await site.get('/a')
  const { headers } = await site.get('/a')
  t.match(headers['set-cookie'], 'seen=1')
  t.equal(headers['cache-control'], 'private, no-cache')
  t.notOk(headers['cdn-cache-control'])
})
