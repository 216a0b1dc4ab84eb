import t from 'tap'
import { S3Tier } from '../../example-app/s3-tier.js'
import type { IsrTierVersion } from '../../types/index.js'
import { startObjectStore } from '../helpers/object-store.js'

const NAME = `b1/${'0'.repeat(64)}`
const all = { maxBytes: 1024 * 1024 }

function recordOf (body: string, epoch: number) {
  const version: IsrTierVersion = { incarnation: 'i', epoch, renderedAt: 1000 }
  return { bytes: Buffer.from(body), version, maxAge: 60 }
}

t.test('the object store of these tests has conditional writes', async (t) => {
  const { url } = await startObjectStore(t)
  const ask = async (method: string, headers: Record<string, string> = {}) => await fetch(`${url}/a`, { method, headers, ...(method === 'PUT' ? { body: 'x' } : {}) })
  t.equal((await ask('PUT', { 'if-match': '"x"' })).status, 404)
  const { status, headers } = await ask('PUT', { 'if-none-match': '*' })
  t.equal(status, 200)
  t.equal((await ask('PUT', { 'if-none-match': '*' })).status, 412)
  t.equal((await ask('PUT', { 'if-match': '"x"' })).status, 412)
  t.equal((await ask('PUT', { 'if-match': headers.get('etag') ?? '' })).status, 200)
  t.equal((await ask('DELETE', { 'if-match': '"x"' })).status, 412)
  t.equal((await ask('DELETE', { 'if-match': headers.get('etag') ?? '' })).status, 204)
  t.equal((await ask('DELETE')).status, 204)
  t.equal((await ask('GET')).status, 404)
  t.equal((await ask('PATCH')).status, 405)
})

t.test('every write has a condition', async (t) => {
  const store = await startObjectStore(t)
  const tier = new S3Tier({ url: store.url })
  for (const epoch of [1, 2, 3]) await tier.set(NAME, recordOf('all the same', epoch))
  await tier.delete(NAME, recordOf('', 3).version)
  const writes = store.requests.filter(({ method }) => method === 'PUT' || method === 'DELETE')
  t.same(writes.map(({ method, headers }) => `${method} ${headers['if-none-match'] ?? (headers['if-match'] === undefined ? 'anyway' : 'if it is the same')}`),
    ['PUT *', 'PUT if it is the same', 'PUT if it is the same', 'DELETE if it is the same'])
  t.equal(new Set(writes.map(({ headers }) => headers['if-match'])).size, 4, 'the version is part of what an ETag stands for')
})

t.test('what stands there in between is looked at again', async (t) => {
  const store = await startObjectStore(t)
  const other = new S3Tier({ url: store.url })
  let times = 0
  const tier = new S3Tier({
    url: store.url,
    async sign ({ method }) {
      if (method === 'PUT' && times++ === 0) await other.set(NAME, recordOf('theirs', 5))
      return {}
    }
  })
  t.equal(await tier.set(NAME, recordOf('ours', 4)), false)
  times = 0
  await other.delete(NAME, recordOf('', 9).version)
  t.equal(await tier.set(NAME, recordOf('ours', 6)), true)
  t.equal((await tier.get(NAME, all))?.toString(), 'ours')
})

t.test('requests are signed', async (t) => {
  const store = await startObjectStore(t)
  const tier = new S3Tier({ url: store.url, sign: async ({ method, url, headers, body }) => ({ authorization: [method, url.slice(store.url.length), Object.keys(headers).length, body?.length ?? 0].join(' ') }) })
  await tier.set(NAME, recordOf('a', 1))
  await tier.get(NAME, all)
  t.match(store.requests.map(({ headers }) => headers.authorization), [`HEAD /${NAME} 0 0`, /^PUT \S+ 2 \d\d$/, `GET /${NAME} 0 0`])
})

t.test('a store that is out of order is an error, soon', async (t) => {
  const store = await startObjectStore(t)
  const tier = new S3Tier({ url: store.url, timeout: 10_000 })
  for (const status of [403, 500, 503]) {
    store.failing = status
    const refused = { message: new RegExp(String(status)) }
    await t.rejects(tier.get(NAME, all), refused)
    await t.rejects(tier.set(NAME, recordOf('a', 1)), refused)
    await t.rejects(tier.delete(NAME, recordOf('', 1).version), refused)
  }
  store.failing = null
  store.isHanging = true
  await t.rejects(new S3Tier({ url: store.url, timeout: 50 }).get(NAME, all), { name: 'TimeoutError' })
  store.isHanging = false
  t.equal(await tier.get(NAME, all), null)
  store.failing = 412
  t.match(await tier.set(NAME, recordOf('a', 1)).catch(error => error as unknown), { message: /too many|412/ })
})
