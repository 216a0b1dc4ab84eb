// Orders over HTTP: as somebody who may give them, and as somebody who may not.
import { createHmac } from 'node:crypto'
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import isr, { type IsrOptions, type OrderResult } from '../../lib/index.js'
import { Credentials } from '../../lib/ops/credentials.js'
import { counted, exchange, parseAnswer, start, TestClock, WARN, ERROR, type Counted, type Site, type SiteOptions } from '../helpers/app.js'

type Test = Parameters<typeof start>[0]
interface Answer { status: number, headers: Record<string, unknown>, body: string, json: Record<string, unknown> }

const SECRET = 'correct-horse-battery-staple-0123456789'
const OTHER = 'another-horse-battery-staple-0123456789'
const URL = '/internal/revalidate'
const BEARER = { authorization: `Bearer ${SECRET}` }
const ABOUT = { revalidate: [{ path: '/about' }] }

interface Endpoint extends Site {
  about: Counted
  post (body: unknown, headers?: Record<string, string>, more?: { url?: string, from?: string }): Promise<Answer>
}

async function serve (t: Test, { secret = SECRET as string | string[], url = URL, isr = {} as IsrOptions, declare, ...options }: SiteOptions & { secret?: string | string[], url?: string, declare?: (app: Site['app']) => unknown } = {}): Promise<Endpoint> {
  const about = counted(nth => `about #${nth}`)
  const site = await start(t, async (app) => {
    app.get('/about', { config: { prerender: { tags: ['info'] } } }, about)
    app.get('/posts/:slug', { config: { prerender: { onDemand: true } } }, counted())
    await declare?.(app)
  }, { ...options, isr: { ...isr, revalidateEndpoint: { path: url, secret } } })
  return {
    ...site,
    about,
    async post (body, headers = BEARER, { url: target = url, from = '192.0.2.1' } = {}) {
      const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
      const response = await site.app.inject({ method: 'POST', url: target, payload, headers: { 'content-type': 'application/json', ...headers }, remoteAddress: from })
      const isJson = response.headers['content-type']?.toString().startsWith('application/json') === true
      return { status: response.statusCode, headers: response.headers, body: response.body, json: isJson ? response.json() as Record<string, unknown> : {} }
    }
  }
}

function signed (body: string, { secret = SECRET, at, over = body, timestamp = String(at) }: { secret?: string, at?: number, over?: string, timestamp?: string }): Record<string, string> {
  return { 'isr-timestamp': timestamp, 'isr-signature': `sha256=${createHmac('sha256', secret).update(`${timestamp}.${over}`).digest('hex')}` }
}

async function fresh (site: Site, key: string): Promise<boolean> {
  const { entries } = await site.app.isr.entries()
  return entries.find(entry => entry.key === key)?.state === 'fresh'
}

t.test('200: each action does what it says, with counts and epoch', async (t) => {
  const site = await serve(t)
  await site.get('/about')
  await site.get('/posts/a')
  const soft = await site.post({ revalidate: [{ tag: 'info' }, { route: '/posts/:slug' }] })
  t.equal(soft.status, 200)
  t.match(soft.json, { revalidate: { matched: 2, degraded: false, epoch: Number } })
  t.equal(await fresh(site, '/about'), false)
  t.match(await site.post({ purge: [{ prefix: '/posts' }] }), { status: 200, json: { purge: { matched: 1 } } })
  t.match((await site.app.isr.inspect('/posts/a')).entry, null)
  const refreshed = await site.post({ refresh: [{ path: '/about' }] })
  t.match(refreshed, { status: 200, json: { refresh: { pages: [{ path: '/about', outcome: 'stored', durationMs: Number }] } } })
  t.equal(await fresh(site, '/about'), true)
  const inspected = await site.post({ inspect: [{ path: '/about' }, { path: '/nowhere' }, { path: '/About/' }] })
  t.match(inspected, { status: 200, json: { inspect: [{ url: '/about', cached: true, state: 'fresh', tags: ['info'] }, { route: null, cached: false }, { cached: false }] } })
})

t.test('200: several actions in one request, the purge first', async (t) => {
  const site = await serve(t)
  await site.get('/about')
  const { status, json } = await site.post({ inspect: [{ path: '/about' }], refresh: [{ path: '/about' }], revalidate: [], purge: [{ all: true }] })
  t.equal(status, 200)
  t.match(json, { purge: { matched: 1 }, revalidate: { matched: 0 }, refresh: { pages: [{ outcome: 'stored' }] }, inspect: [{ cached: true }] })
})

t.test('200: an unknown path or tag is no error', async (t) => {
  const { post } = await serve(t)
  t.match(await post({ revalidate: [{ path: '/nowhere' }, { tag: 'unknown' }] }), { status: 200, json: { revalidate: { matched: 0, degraded: false } } })
})

t.test('a page that fails to render is told to who may know, without its stack', async (t) => {
  const { post } = await serve(t, { declare: app => { app.get('/broken', { config: { prerender: true } }, async () => { throw new Error('the database is down') }) } })
  const { status, json, body } = await post({ refresh: [{ path: '/broken' }] })
  t.equal(status, 200)
  t.match(json, { refresh: { pages: [{ path: '/broken', outcome: 'failed', reason: String }] } })
  t.notMatch(body, /at .*\.js|"error"/)
})

t.test('401: always the same answer, whatever is asked and whatever is wrong', async (t) => {
  const site = await serve(t)
  await site.get('/about')
  const now = site.clock.now / 1000
  const bodies = [ABOUT, { revalidate: [{ path: '/nowhere' }] }, { inspect: [{ path: '/about' }] }, 'no json {', '', { revalidate: 'x' }, { revalidate: Array.from({ length: 300 }, () => ({ all: true })) }, { __proto__: null, x: 1 }]
  const wrong: Record<string, string>[] = [
    {},
    { authorization: `Bearer ${SECRET}x` },
    { authorization: `Bearer ${SECRET.slice(0, -1)}` },
    { authorization: `Bearer ${SECRET.toUpperCase()}` },
    { authorization: `Bearer ${'x'.repeat(8000)}` },
    { authorization: 'Bearer ' },
    { authorization: 'Bearer' },
    { authorization: 'Bearer x' },
    { authorization: SECRET },
    { authorization: `Basic ${SECRET}` },
    { authorization: `Bearer ${SECRET} ${SECRET}` },
    { authorization: `Bearer ${SECRET},${OTHER}` },
    { 'x-secret': SECRET, cookie: `authorization=Bearer ${SECRET}` },
    signed('another body', { at: now }),
    { ...signed(JSON.stringify(ABOUT), { at: now }), 'isr-signature': SECRET }
  ]
  const seen = new Set<string>()
  let address = 0
  for (const headers of wrong) {
    for (const body of bodies) {
      const { status, headers: sent, body: text } = await site.post(body, headers, { from: `198.51.100.${address++ % 250}` })
      t.equal(sent['cache-control'], 'no-store')
      seen.add(JSON.stringify([status, text, Object.keys(sent).sort(), sent['content-length']]))
    }
  }
  t.equal(seen.size, 1)
  t.match([...seen][0], /^\[401,/)
  t.equal(await fresh(site, '/about'), true, 'nothing was done')
})

t.test('413: more than 64 KiB, right or wrong secret alike', async (t) => {
  const { post } = await serve(t)
  const huge = JSON.stringify({ revalidate: [], filler: 'x'.repeat(64 * 1024) })
  for (const headers of [BEARER, { authorization: 'Bearer wrong' }, {}] as Record<string, string>[]) {
    const { status, json, headers: sent } = await post(huge, headers)
    t.equal(status, 413)
    t.same(json, { error: 'Payload Too Large' })
    t.equal(sent['cache-control'], 'no-store')
  }
  const most = `{"revalidate":[{"path":"/about"}]${' '.repeat(64 * 1024 - 34)}}`
  t.equal(most.length, 64 * 1024)
  t.equal((await post(most)).status, 200)
  t.equal((await post(`${most} `)).status, 413)
})

t.test('413: a body without a length is cut off as well', async (t) => {
  const site = await serve(t)
  const port = await site.listen()
  const chunk = 'x'.repeat(0x4000)
  const head = [`POST ${URL} HTTP/1.1`, 'Host: a', 'Connection: close', `Authorization: Bearer ${SECRET}`, 'Content-Type: application/json', 'Transfer-Encoding: chunked', '', ''].join('\r\n')
  const answer = parseAnswer(await exchange(port, `${head}${`4000\r\n${chunk}\r\n`.repeat(5)}0\r\n\r\n`))
  t.equal(answer.status, 413)
  t.equal(answer.headers['cache-control'], 'no-store')
})

t.test('T38 415: what a form of another site can send is refused, the right secret or not', async (t) => {
  const { post, get, about } = await serve(t)
  await get('/about')
  const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/json', 'application/jsonx', 'application/json-patch+json', 'text/plain; application/json', 'nonsense']
  for (const type of types) {
    for (const headers of [BEARER, {}]) {
      const answer = await post(ABOUT, { ...headers, 'content-type': type })
      t.equal(answer.status, 415, type)
      t.equal(answer.headers['cache-control'], 'no-store')
      t.same(answer.json, { error: 'Unsupported Media Type' })
    }
  }
  await get('/about')
  t.equal(about.renders, 1)
  for (const type of ['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset=UTF-8']) t.equal((await post(ABOUT, { ...BEARER, 'content-type': type })).status, 200, type)
})

t.test('T38 neither a browser\'s own credentials nor other methods give orders', async (t) => {
  const site = await serve(t)
  await site.get('/about')
  // Fastify answers methods that a URL does not have with 404.
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
    const response = await site.app.inject({ method, url: URL, headers: { ...BEARER, ...(method === 'PUT' || method === 'PATCH' ? { 'content-type': 'application/json' } : {}) }, ...(method === 'PUT' || method === 'PATCH' ? { payload: JSON.stringify(ABOUT) } : {}) })
    t.equal(response.statusCode, 404, method)
  }
  t.equal((await site.post(ABOUT, { cookie: 'session=admin', origin: 'https://evil.example' })).status, 401)
  t.equal(await fresh(site, '/about'), true)
})

t.test('422: says what is wrong, and does nothing at all', async (t) => {
  const site = await serve(t)
  await site.get('/about')
  const long = `/${'x'.repeat(200)}`.repeat(11)
  const wrong: [body: unknown, message: RegExp][] = [
    ['', /no JSON/],
    ['{', /no JSON/],
    ['[]', /must be an object/],
    ['null', /must be an object/],
    ['"x"', /must be an object/],
    [{}, /none of the keys/],
    [{ Revalidate: [] }, /"Revalidate" is none of/],
    [{ revalidate: [{ path: '/about' }], dryRun: true }, /"dryRun" is none of/],
    [{ revalidate: { path: '/about' } }, /must be an array/],
    [{ revalidate: 'x' }, /must be an array/],
    [{ revalidate: null }, /must be an array/],
    [{ revalidate: ['/about'] }, /must be one of/],
    [{ revalidate: [[{ path: '/about' }]] }, /must be one of/],
    [{ revalidate: [{ path: '/about', expire: 0 }] }, /must be one of/],
    [{ revalidate: [{ all: 'yes' }] }, /must be one of/],
    [{ revalidate: [{ path: '/../etc/passwd' }] }, /no canonical path/],
    [{ revalidate: [{ prefix: '/*' }, { prefix: '//' }] }, /no canonical path/],
    [{ revalidate: [{ tag: '' }] }, /invalid tag/],
    [{ revalidate: [{ tag: '\u0001all' }] }, /invalid tag/],
    [{ revalidate: [{ tag: 'x'.repeat(257) }] }, /invalid tag/],
    [{ revalidate: [{ path: long }] }, /longer than 2048/],
    [{ revalidate: [{ route: 'x'.repeat(2049) }] }, /longer than 2048/],
    [{ revalidate: [{ path: `/about?${'x'.repeat(2048)}` }] }, /longer than 2048/],
    [{ inspect: [{ path: `/${'x'.repeat(2048)}` }] }, /longer than 2048/],
    [{ inspect: [{ tag: 'info' }] }, /inspect takes/],
    [{ inspect: [{ path: 'about' }] }, /path such as/],
    [{ refresh: [{ nonsense: 1 }] }, /must be one of/]
  ]
  for (const [body, message] of wrong) {
    const answer = await site.post(body)
    t.equal(answer.status, 422, JSON.stringify(body).slice(0, 80))
    t.match(answer.json.message, message)
    t.equal(answer.headers['cache-control'], 'no-store')
    t.ok(answer.body.length < 500, 'a short answer')
  }
  for (const bad of [{ revalidate: [{ path: 'x' }] }, { refresh: [{}] }, { inspect: [{}] }]) {
    t.equal((await site.post({ purge: [{ all: true }], ...bad })).status, 422)
    t.equal(await fresh(site, '/about'), true, 'an order is given as a whole or not at all')
  }
  t.same(site.logs.filter(line => line.level >= ERROR), [])
})

t.test('T37 with a right secret too much is refused: items, bytes, depth, names', async (t) => {
  const site = await serve(t)
  const paths = (length: number): object[] => Array.from({ length }, (_, i) => ({ path: `/posts/${i}` }))
  t.match(await site.post({ revalidate: paths(256) }), { status: 200, json: { revalidate: { matched: 0 } } })
  t.match(await site.post({ revalidate: paths(257) }), { status: 422, json: { message: /257 targets; the most is 256/ } })
  t.match(await site.post({ revalidate: paths(128), purge: paths(128), inspect: paths(1) }), { status: 422, json: { message: /257 targets/ } })
  const deep = 30_000
  const hostile: string[] = [
    `{"revalidate":[${'['.repeat(deep)}${']'.repeat(deep)}]}`,
    `{"revalidate":${'['.repeat(deep)}${']'.repeat(deep)}}`,
    `{"revalidate":[${'{"path":'.repeat(5000)}"/"${'}'.repeat(5000)}]}`,
    '{"__proto__":[{"all":true}]}',
    '{"__proto__":{"revalidate":[{"all":true}]}}',
    '{"constructor":[{"all":true}]}',
    '{"toString":[]}',
    '{"revalidate":[{"__proto__":{"all":true}}]}',
    '{"revalidate":[{"__proto__":{"path":"/about"},"constructor":1}]}',
    '{"revalidate":{"length":1,"0":{"all":true}}}',
    '{"revalidate":[{"path":{"toString":"/about"}}]}',
    '{"inspect":[{"path":["/about"]}]}'
  ]
  await site.get('/about')
  for (const body of hostile) {
    const { status } = await site.post(body)
    t.equal(status, 422, body.slice(0, 60))
  }
  for (const odd of ['/%', '/%zz', '/\u0000', '//', '/..', '/about\r\nx: y', '/\ud800', '/a?%', '/about#x', '/;']) t.equal((await site.post({ inspect: [{ path: odd }] })).status, 200, JSON.stringify(odd))
  t.equal(({} as Record<string, unknown>).all, undefined)
  t.equal(await fresh(site, '/about'), true)
  t.same(site.logs.filter(line => line.level >= ERROR), [])
})

t.test('the same key twice: the last one counts, as JSON has it', async (t) => {
  const { post } = await serve(t)
  t.match(await post('{"revalidate":"x","revalidate":[]}'), { status: 200 })
})

t.test('T36 guesses: none of them gets in, the address is slowed down, the right secret is not', async (t) => {
  const site = await serve(t)
  const statuses: number[] = []
  for (let i = 0; i < 300; i++) {
    const guess = i % 2 === 0 ? SECRET.slice(0, i % (SECRET.length - 1) + 1) : `${SECRET}${'x'.repeat(i)}`
    statuses.push((await site.post(ABOUT, { authorization: `Bearer ${guess}` })).status)
  }
  t.same(statuses.slice(0, 10), Array.from({ length: 10 }, () => 401))
  t.same(new Set(statuses.slice(10)), new Set([429]))
  const refused = await site.post(ABOUT, {})
  t.same(refused.json, { error: 'Too Many Requests' })
  t.equal(refused.headers['cache-control'], 'no-store')
  t.equal((await site.post(ABOUT)).status, 200, 'whoever has the secret')
  t.equal((await site.post(ABOUT, {}, { from: '192.0.2.2' })).status, 401, 'another address')
  site.clock.forward(59)
  t.equal((await site.post(ABOUT, {})).status, 429)
  site.clock.forward(2)
  t.equal((await site.post(ABOUT, {})).status, 401, 'a minute later')
  t.ok(site.logs.filter(line => line.level >= WARN).length < 20, 'guesses do not fill the log')
})

t.test('T36 every secret is compared, by hashes of one length', async (t) => {
  const secrets = [SECRET, OTHER, 'a-third-one-that-is-much-longer-than-the-others-are-0123456789']
  const credentials = new Credentials(secrets)
  for (const secret of secrets) t.equal(credentials.hasBearer(`Bearer ${secret}`), true)
  // Buffers of unequal lengths would make timingSafeEqual throw.
  for (const length of [1, 31, 32, 33, 64, 10_000]) t.equal(credentials.hasBearer(`Bearer ${'x'.repeat(length)}`), false)
  // By construction: a map over all, never some(), find() or a loop that ends at the first.
  const source = readFileSync(path.join(import.meta.dirname, '../../../lib/ops/credentials.ts'), 'utf8')
  const comparisons = source.split('\n').filter(line => line.includes('timingSafeEqual('))
  t.equal(comparisons.length, 2)
  for (const line of comparisons) t.match(line, /\.map\(.*timingSafeEqual\(.*\)\.includes\(true\)/)
  t.notMatch(source, /\.some\(|\.find\(|===\s*secret|\.includes\((?!true)/)
})

t.test('signed requests', async (t) => {
  const site = await serve(t)
  const body = JSON.stringify(ABOUT)
  const at = Math.floor(site.clock.now / 1000)
  const send = async (headers: Record<string, string>, payload = body): Promise<number> => (await site.post(payload, headers, { from: `198.51.100.${n++}` })).status
  let n = 1

  t.test('get in while their time is at most 300 seconds away', async (t) => {
    t.equal(await send(signed(body, { at })), 200)
    for (const seconds of [-300, -1, 1, 300]) t.equal(await send(signed(body, { at: at + seconds })), 200, String(seconds))
    for (const seconds of [-301, 301, -1e6, 1e6]) t.equal(await send(signed(body, { at: at + seconds })), 401, String(seconds))
    const recorded = signed(body, { at })
    site.clock.forward(300)
    t.equal(await send(recorded), 200)
    site.clock.forward(1)
    t.equal(await send(recorded), 401, 'replayed too late')
    site.clock.forward(-301)
  })

  t.test('have one form of time', async (t) => {
    for (const timestamp of ['', ' ', 'now', `${at}.0`, `+${at}`, `-${at}`, `0x${at.toString(16)}`, at.toExponential(), `${at}000`, `${at},${at}`, 'NaN', 'Infinity', '9'.repeat(13), new Date(at * 1000).toISOString()]) {
      t.equal(await send(signed(body, { timestamp })), 401, JSON.stringify(timestamp))
    }
    const { 'isr-signature': signature = '' } = signed(body, { at })
    t.equal(await send({ 'isr-signature': signature }), 401, 'none')
    t.equal(await send({ 'isr-timestamp': String(at + 1), 'isr-signature': signature }), 401, 'another')
  })

  t.test('are signed over time and bytes', async (t) => {
    t.equal(await send(signed(body, { at, over: `${body} ` })), 401)
    t.equal(await send(signed(body, { at, over: '' })), 401)
    t.equal(await send(signed(body, { at }), `${body} `), 401, 'the same JSON in other bytes')
    t.equal(await send(signed(body, { at }), JSON.stringify({ purge: [{ all: true }] })), 401)
    t.equal(await send(signed(`1.${body}`, { timestamp: String(at).slice(0, -2), over: `${String(at).slice(-2)}.${body}` })), 401, 'the point divides')
    t.equal(await send(signed(body, { at, secret: OTHER })), 401)
  })

  t.test('have one form of signature', async (t) => {
    const { 'isr-timestamp': timestamp = '', 'isr-signature': signature = '' } = signed(body, { at })
    const hex = signature.slice('sha256='.length)
    for (const wrong of ['', hex, `sha1=${hex}`, `sha256=${hex.slice(2)}`, `sha256=${hex}00`, `sha256=${Buffer.from(hex, 'hex').toString('base64')}`, `sha256=${hex}, sha256=${hex}`, `sha256= ${hex}`, `sha256=${'0'.repeat(64)}`, 'sha256=']) {
      t.equal(await send({ 'isr-timestamp': timestamp, 'isr-signature': wrong }), 401, wrong)
    }
    t.equal(await send({ 'isr-timestamp': timestamp, 'isr-signature': signature }), 200)
  })

  t.test('an empty body is no order, signed or not', async (t) => {
    t.equal(await send(signed('', { at }), ''), 422)
  })
})

t.test('a list of secrets lets one be replaced', async (t) => {
  const site = await serve(t, { secret: [OTHER, SECRET] })
  const body = JSON.stringify(ABOUT)
  for (const secret of [SECRET, OTHER]) {
    t.equal((await site.post(body, { authorization: `Bearer ${secret}` })).status, 200)
    t.equal((await site.post(body, signed(body, { secret, at: Math.floor(site.clock.now / 1000) }))).status, 200)
  }
  t.equal((await site.post(body, { authorization: `Bearer ${SECRET}${OTHER}` })).status, 401)
  const after = await serve(t, { secret: [OTHER] })
  t.equal((await after.post(body)).status, 401, 'the old one is gone')
})

t.test('the secret in the query does not count', async (t) => {
  const { post, logs } = await serve(t)
  for (const query of [`secret=${SECRET}`, `token=${SECRET}`, `authorization=Bearer%20${SECRET}`, `access_token=${SECRET}`]) t.equal((await post(ABOUT, {}, { url: `${URL}?${query}` })).status, 401)
  t.notMatch(JSON.stringify(logs), SECRET, 'nor is it logged by us')
})

t.test('no secret and no signature in logs or answers', async (t) => {
  const site = await serve(t, { declare: app => { app.get('/broken', { config: { prerender: true } }, async () => { throw new Error('down') }) } })
  const body = JSON.stringify(ABOUT)
  const headers = signed(body, { at: Math.floor(site.clock.now / 1000) })
  const answers = [
    await site.post(body, headers),
    await site.post(ABOUT),
    await site.post(ABOUT, { authorization: `Bearer ${SECRET}-guess` }),
    await site.post({ nonsense: [] }),
    await site.post('x'.repeat(70_000)),
    await site.post(ABOUT, { ...BEARER, 'content-type': 'text/plain' }),
    await site.post({ refresh: [{ path: '/broken' }] })
  ]
  t.same(answers.map(answer => answer.status), [200, 200, 401, 422, 413, 415, 200])
  const seen = JSON.stringify([answers, site.logs])
  t.notMatch(seen, SECRET)
  t.notOk(seen.includes(headers['isr-signature'] ?? '-'))
})

t.test('register refuses secrets that can be guessed, and shows none', async (t) => {
  const short = 's3cr3t-that-is-too-short'
  const wrong: unknown[] = [short, '', undefined, null, 42, [], [short], [SECRET, short], [SECRET, undefined], `${short} with spaces in between it`, `${SECRET}\n`, `${SECRET}ü`, { secret: SECRET }, [[SECRET]], 'x'.repeat(31)]
  for (const secret of wrong) {
    const error = await register({ path: URL, secret } as never)
    t.match(error, { code: 'FST_ISR_ERR_INVALID_OPTION', message: /revalidateEndpoint\.secret.*32 or more/ }, JSON.stringify(secret))
    t.notMatch(`${String(error?.stack)}`, /s3cr3t|correct-horse/)
  }
  for (const endpoint of [SECRET, { path: SECRET, secret: URL }, { path: SECRET, secret: SECRET }, { path: 'x y', secret: SECRET }, [SECRET], true]) {
    const error = await register(endpoint as never)
    t.match(error, { code: 'FST_ISR_ERR_INVALID_OPTION' })
    t.notMatch(String(error?.stack), /correct-horse/, 'in the wrong place it is not shown either')
  }
  t.equal(await register({ path: URL, secret: 'x'.repeat(32) }), null)
  t.equal(await register(undefined as never), null)

  async function register (revalidateEndpoint: NonNullable<IsrOptions['revalidateEndpoint']>): Promise<Error | null> {
    const app = Fastify()
    try {
      await app.register(isr, { disk: false, ...(revalidateEndpoint === undefined ? {} : { revalidateEndpoint }) })
      await app.ready()
      return null
    } catch (error) {
      return error as Error
    } finally {
      await app.close().catch(() => {})
    }
  }
})

t.test('without the option there is no endpoint', async (t) => {
  const { app } = await start(t, () => {})
  t.equal((await app.inject({ method: 'POST', url: URL, headers: { ...BEARER, 'content-type': 'application/json' }, payload: JSON.stringify(ABOUT) })).statusCode, 404)
})

t.test('503 when the order could not be made durable; it holds in this process', async (t) => {
  const dir = t.testdir({})
  // A file where the folder of marks should be: no permission bits that a privileged user ignores.
  mkdirSync(path.join(dir, '.isr'))
  writeFileSync(path.join(dir, '.isr', 'marks'), '')
  const site = await serve(t, { isr: { dir, disk: {}, buildId: 'b' } })
  await site.get('/about')
  for (const action of ['revalidate', 'purge']) {
    await site.app.isr.refresh({ path: '/about' })
    const { status, json, headers } = await site.post({ [action]: [{ path: '/about' }] })
    t.equal(status, 503)
    t.match(json[action] as OrderResult, { matched: 1, degraded: true, epoch: Number })
    t.equal(headers['cache-control'], 'no-store')
    t.equal(await fresh(site, '/about'), false)
  }
  t.equal((await site.post({ inspect: [{ path: '/about' }] })).status, 200, 'what needs no disk works on')
  t.ok((await site.get('/about')).statusCode === 200)
  // Before its directory goes.
  await site.app.close()
})

t.test('with enabled: false orders are taken and concern nothing', async (t) => {
  const { post } = await serve(t, { isr: { enabled: false } })
  t.match(await post(ABOUT), { status: 200, json: { revalidate: { matched: 0 } } })
})

t.test('below an encapsulated app it lies below its prefix', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async (inner) => {
    await inner.register(isr, { disk: false, revalidateEndpoint: { path: URL, secret: SECRET } })
    inner.get('/about', { config: { prerender: true } }, counted())
  }, { prefix: '/site' })
  await app.ready()
  await app.inject('/site/about')
  const post = async (url: string): Promise<{ statusCode: number, body: string }> => await app.inject({ method: 'POST', url, headers: { ...BEARER, 'content-type': 'application/json' }, payload: JSON.stringify({ revalidate: [{ path: '/site/about' }] }) })
  t.match(JSON.parse((await post(`/site${URL}`)).body), { revalidate: { matched: 1 } })
  t.equal((await post(URL)).statusCode, 404)
})

t.test('the app\'s own parsers, error handler and hooks are not disturbed, and do not disturb it', async (t) => {
  const site = await serve(t, {
    before: (app) => {
      app.removeAllContentTypeParsers()
      app.addContentTypeParser('application/json', { parseAs: 'string' }, async (_request: unknown, body: string) => ({ parsedByApp: body }))
      app.addContentTypeParser('text/plain', { parseAs: 'string' }, async (_request: unknown, body: string) => body)
      app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => await reply.code(error.statusCode ?? 500).send({ handledByApp: error.message }))
    },
    declare: (app) => {
      app.post('/echo', async request => request.body)
      app.post('/fail', async () => { throw Object.assign(new Error('mine'), { statusCode: 418 }) })
    }
  })
  const own = async (url: string, payload: string, type: string): Promise<unknown> => {
    const { body } = await site.app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } })
    return body.startsWith('{') ? JSON.parse(body) : body
  }
  t.same(await own('/echo', '{"a":1}', 'application/json'), { parsedByApp: '{"a":1}' })
  t.equal(await own('/echo', 'text', 'text/plain'), 'text')
  t.equal((await own('/echo', `"${'x'.repeat(100_000)}"`, 'application/json') as { parsedByApp: string }).parsedByApp.length, 100_002, 'the limit is the endpoint\'s alone')
  t.same(await own('/fail', '{}', 'application/json'), { handledByApp: 'mine' })
  const body = JSON.stringify(ABOUT)
  t.equal((await site.post(body, signed(body, { at: Math.floor(site.clock.now / 1000) }))).status, 200, 'the endpoint gets the bytes')
  t.equal((await site.post(body, { ...BEARER, 'content-type': 'text/plain' })).status, 415)
  t.match(await site.post('{'), { status: 422, json: { error: 'Unprocessable Entity' } })
})

t.test('a hook of the app that refuses is heard, and even then nothing may be stored', async (t) => {
  const { post } = await serve(t, { before: (app) => { app.addHook('onRequest', async () => { throw Object.assign(new Error('not from your network, 10.0.0.1'), { statusCode: 403 }) }) } })
  const { status, headers, body } = await post(ABOUT)
  t.equal(status, 403)
  t.equal(headers['cache-control'], 'no-store')
  t.notMatch(body, '10.0.0.1')
})

t.test('time is the plugin\'s clock', async (t) => {
  const clock = new TestClock()
  clock.now = 1_000_000
  const { post } = await serve(t, { clock })
  const body = JSON.stringify(ABOUT)
  t.equal((await post(body, signed(body, { at: 1000 }))).status, 200)
  t.equal((await post(body, signed(body, { at: Math.floor(Date.now() / 1000) }))).status, 401)
})

t.test('a client that leaves in the middle of its body, or tells a wrong length, harms nobody', async (t) => {
  const site = await serve(t)
  const port = await site.listen()
  const head = (more: string[]): string => [`POST ${URL} HTTP/1.1`, 'Host: a', 'Connection: close', ...more, '', ''].join('\r\n')
  const wrongLength = parseAnswer(await exchange(port, `${head(['Content-Type: application/json', 'Content-Length: abc'])}{}`))
  t.equal(wrongLength.status, 400)
  const twice = parseAnswer(await exchange(port, head([`Authorization: Bearer ${OTHER}`, `Authorization: Bearer ${SECRET}`])))
  t.equal(twice.status, 401, 'of two credentials the first counts')
  const twoTimes = parseAnswer(await exchange(port, head(['isr-timestamp: 1', 'isr-timestamp: 2', 'isr-signature: x'])))
  t.equal(twoTimes.status, 401)
  const none = parseAnswer(await exchange(port, head([`Authorization: Bearer ${SECRET}`])))
  t.equal(none.status, 422, 'no body and no type: nothing that could be an order')
  t.same(site.logs.filter(line => line.level >= ERROR), [])
})
