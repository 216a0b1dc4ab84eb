// A process of its own: what is tried out, is tried out once.
import http from 'node:http'
import t from 'tap'
import { start } from '../helpers/app.js'

t.test('where the responses of Node look different, Node makes the heads, and the app is told', async (t) => {
  const headers = new WeakMap<object, string | null>()
  Object.defineProperty(http.OutgoingMessage.prototype, '_header', {
    // Null elsewhere.
    get (this: object) { return headers.get(this) ?? undefined },
    set (this: object, value: string | null) { headers.set(this, value) }
  })
  let made = 0
  const { _storeHeader: storeHeader } = http.ServerResponse.prototype as unknown as { _storeHeader: () => unknown }
  Object.assign(http.ServerResponse.prototype, {
    _storeHeader (this: http.ServerResponse, ...args: []) {
      made++
      return Reflect.apply(storeHeader, this, args)
    }
  })
  const { logs, listen } = await start(t, app => { app.get('/page', { config: { prerender: { ttl: 60 } } }, async () => 'a page') })
  t.ok(logs.some(({ msg }) => /^heads of answers are not prebuilt: the HTTP server of Node .* is not as expected \(its responses look different\)$/.test(msg)))
  const url = `http://127.0.0.1:${await listen()}/page`
  await (await fetch(url)).text()
  const before = made
  for (let times = 0; times < 3; times++) {
    const response = await fetch(url)
    t.match(response.headers.get('cache-status'), /hit/)
    t.equal(await response.text(), 'a page')
  }
  t.equal(made, before + 3)
})
