import t from 'tap'
import type { FastifyRequest } from 'fastify'
import type { Bypass } from '../types/index.js'
import { readBypass, readOptions } from '../lib/options.js'
import { makeBypass } from '../lib/pages/bypass.js'
import { readPolicy } from '../lib/pages/policy.js'
import type { PageRoute } from '../lib/pages/registry.js'
import type { Headers, Rendered, RenderJob } from '../lib/pages/render.js'
import { isFailure, isPerRequest, own, ownVary, whyUnstorable } from '../lib/pages/storable.js'
import { ALL_TAG, checkTag, isAutomatic, keyTag, pathTag, prefixesOf, prefixTag, routeTag, trimPrefix } from '../lib/pages/tags.js'

const settings = readOptions({ baseUrl: 'https://example.com' })

interface Answer {
  status?: number
  headers?: Headers
  body?: string | null
  policy?: object
  renderHeaders?: Record<string, string>
  job?: Partial<RenderJob>
}

function rendered ({ status = 200, headers = {}, body = '<p>', policy = {}, renderHeaders = {}, job = {} }: Answer): Rendered {
  const route = { policy: readPolicy('GET /', policy, settings), renderHeaders } as unknown as PageRoute
  return {
    job: { route, snapshot: {}, isMisrouted: false, sawOnSend: true, noStore: false, tags: new Set(), ttl: null, date: null, ...job } as RenderJob,
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', ...headers },
    body: body === null ? null : Buffer.from(body)
  }
}

const why = (answer: Answer): string | null => whyUnstorable(rendered(answer), settings)?.reason ?? null

t.test('what may be stored', async (t) => {
  const select = (): string => 'a'
  const storable: [name: string, answer: Answer][] = [
    ['a plain page', {}],
    ['an empty one', { body: '' }],
    ['a status that the policy names', { status: 404, policy: { statuses: { 404: 10 } } }],
    ['a page for all caches', { headers: { 'cache-control': 'public, max-age=60, s-maxage=600, must-revalidate' } }],
    ['a directive that only looks like another', { headers: { 'cache-control': 'x-private=1, no-cached, no-storey' } }],
    ['one that varies on its encoding', { headers: { vary: 'Accept-Encoding' } }],
    ['one that varies on what the policy declares', { headers: { vary: 'accept-language , X-Device' }, policy: { vary: { 'Accept-Language': { values: ['a'], select }, 'x-device': { values: ['a'], select } } } }],
    ['one that varies on what makes the router choose its route', { headers: { vary: 'Accept-Version' }, renderHeaders: { 'accept-version': '1.x' } }],
    ['a Vary that stood before the route\'s own code ran', { headers: { vary: 'Origin' }, job: { snapshot: { vary: 'origin' } } }],
    ['a Vary of a hook, with another of the route', { headers: { vary: 'Origin, Accept-Encoding' }, job: { snapshot: { vary: 'Origin' } } }],
    ['a Cache-Control that stood before', { headers: { 'cache-control': 'no-store' }, job: { snapshot: { 'cache-control': 'no-store' } } }],
    ['a policy with hashes', { headers: { 'content-security-policy': "script-src 'sha256-abc'" } }],
    ['a redirect to a path', { status: 301, headers: { location: '/there?a=b' }, policy: { statuses: { 301: 1 } } }],
    ['a redirect that leads nowhere', { status: 301, policy: { statuses: { 301: 1 } } }],
    ['a redirect beside the page', { status: 308, headers: { location: 'there' }, policy: { statuses: { 308: 1 } } }],
    ['a redirect within the origin', { status: 301, headers: { location: 'https://example.com/there' }, policy: { statuses: { 301: 1 } } }],
    ['what its handler has encoded', { headers: { 'content-encoding': 'gzip' } }],
    ['a page about nonces', { body: '<p>A nonce looks like \'nonce-abc\' in a Content-Security-Policy</p><meta name="x">' }]
  ]
  for (const [name, answer] of storable) t.equal(why(answer), null, name)
})

t.test('what may not be stored, and why', async (t) => {
  const csp = (content: string): string => `<head><meta http-equiv="Content-Security-Policy" content="${content}"></head>`
  const refused: [reason: string, answer: Answer][] = [
    ['route', { job: { isMisrouted: true } }],
    ['status-401', { status: 401, job: { snapshot: null } }],
    ['status-200', { job: { snapshot: null } }],
    ['raw', { job: { sawOnSend: false } }],
    ['no-store', { job: { noStore: true } }],
    ...[201, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 410, 414].map((status): [string, Answer] => [`status-${status}`, { status }]),
    ['status-302', { status: 302, policy: { statuses: { 301: 1 } } }],
    ['max-bytes', { body: null }],
    ['set-cookie', { headers: { 'set-cookie': 'a=b' } }],
    ['set-cookie', { headers: { 'set-cookie': ['a=b', 'c=d'] }, job: { snapshot: { 'set-cookie': ['a=b', 'c=d'] } } }],
    ['clear-site-data', { headers: { 'clear-site-data': '"cache"' } }],
    ...['private', 'no-store', 'no-cache', 'PRIVATE', 'max-age=0, private', 'no-cache="set-cookie"', 'private=x-a', 'public,no-store', 'max-age=1 , no-cache ,x'].map((value): [string, Answer] => ['cache-control', { headers: { 'cache-control': value } }]),
    ['cache-control', { headers: { 'cache-control': 'private' }, job: { snapshot: { 'cache-control': 'public' } } }],
    ...['cookie', 'Accept-Language', '*', ', *', 'accept-encoding, Origin', ' *', 'constructor', '__proto__', 'toString'].map((value): [string, Answer] => ['vary', { headers: { vary: value } }]),
    ['vary', { headers: { vary: ['Accept-Encoding', 'Cookie'] } }],
    ['vary', { headers: { vary: 'Origin, Cookie' }, job: { snapshot: { vary: 'Origin' } } }],
    ['content-encoding', { headers: { 'content-encoding': 'x-secret' } }],
    ['content-encoding', { headers: { 'content-encoding': 'gzip, br' } }],
    ['nonce', { headers: { 'content-security-policy': "script-src 'nonce-abc'" } }],
    ['nonce', { headers: { 'content-security-policy': "script-src 'NONCE-abc'" } }],
    ['nonce', { headers: { 'content-security-policy': ["default-src 'self'", "script-src 'nonce-abc'"] } }],
    ['nonce', { headers: { 'content-security-policy-report-only': "script-src 'nonce-abc'" } }],
    ['nonce', { headers: { 'content-security-policy': "script-src 'nonce-abc'" }, job: { snapshot: { 'content-security-policy': "script-src 'nonce-abc'" } } }],
    ['nonce', { body: csp("script-src 'nonce-abc'") }],
    ['nonce', { body: csp('script-src &#39;nonce-abc&#39;') }],
    ['nonce', { body: csp('script-src &#x27;nonce-abc&#x27;') }],
    ['nonce', { body: '<META\n CONTENT="script-src \'nonce-abc\'" HTTP-EQUIV=content-security-policy>' }],
    ['nonce', { body: csp("script-src 'nonce-abc'"), headers: { 'content-type': 'TEXT/HTML' } }],
    ['nonce', { body: csp("script-src 'nonce-abc'"), headers: { 'content-type': 'application/xhtml+xml' } }],
    ...['https://evil.example/', '//evil.example', '/\\evil.example', '\\\\evil.example', 'javascript:alert(1)', 'https://example.com.evil.example/', 'http://example.com/', 'https://example.com:8443/', 'https://example.com@evil.example/', 'data:text/html,x', 'http://'].map((location): [string, Answer] => ['location', { status: 301, headers: { location }, policy: { statuses: { 301: 1 } } }])
  ]
  for (const [reason, answer] of refused) t.equal(why(answer), reason, `${reason}: ${JSON.stringify({ ...answer, job: answer.job?.snapshot })}`)
})

t.test('the one warning names the mistake and the fix; what is no mistake needs none', async (t) => {
  const fix = (answer: Answer): string | null | undefined => whyUnstorable(rendered(answer), settings)?.fix
  t.match(fix({ headers: { 'set-cookie': ['session=abc; Path=/', 'b=1'] } }), /'session', 'b'.*saveUninitialized: false/)
  t.notMatch(fix({ headers: { 'set-cookie': ['session=abc'] } }), /abc/, 'a cookie\'s value is nobody\'s business')
  t.match(fix({ headers: { vary: 'X-Device' } }), /'x-device'/)
  t.match(fix({ body: null, policy: { maxBytes: 7 } }), /larger than 7 bytes/)
  t.match(fix({ status: 401, job: { snapshot: null } }), /401/)
  for (const answer of [{ status: 404 }, { job: { noStore: true } }, { headers: { 'cache-control': 'private' } }]) t.equal(fix(answer), null)
})

t.test('statuses that say nothing about the page', async (t) => {
  t.same([200, 301, 404, 407, 408, 409, 410, 428, 429, 430, 499, 500, 503, 504, 599].filter(isFailure), [408, 429, 500, 503, 504, 599])
})

t.test('what stood before the route\'s own code ran belongs to each request', async (t) => {
  const snapshot = { 'x-frame-options': 'DENY', link: ['a', 'b'], 'x-number': 7 as unknown as string }
  t.equal(isPerRequest(snapshot, 'x-frame-options', 'DENY'), true)
  t.equal(isPerRequest(snapshot, 'x-frame-options', 'SAMEORIGIN'), false, 'the route has the last word')
  t.equal(isPerRequest(snapshot, 'link', ['a', 'b']), true)
  t.equal(isPerRequest(snapshot, 'x-number', '7'), true)
  t.equal(isPerRequest(snapshot, 'x-other', 'x'), false)
  t.equal(isPerRequest(snapshot, 'constructor', 'x'), false)
  t.equal(isPerRequest(null, 'x-other', 'x'), false)
  const answer = rendered({ headers: { 'x-frame-options': 'DENY', 'x-own': 'x' }, job: { snapshot } })
  t.equal(own(answer, 'x-frame-options'), undefined)
  t.equal(own(answer, 'x-own'), 'x')
  t.same(ownVary(rendered({ headers: { vary: 'Origin,  Accept-Language,,accept-encoding' }, job: { snapshot: { vary: 'ORIGIN' } } })), ['accept-language', 'accept-encoding'])
  t.same(ownVary(rendered({ job: { snapshot: null } })), [])
})

t.test('bypass', async (t) => {
  const reasonFor = (headers: Record<string, string>, ...rules: (Bypass | null | undefined)[]): string | null => {
    const read = rules.map(rule => rule === null || rule === undefined ? rule : readBypass(rule, () => { throw new Error('refused') }))
    return makeBypass(read, () => {})({ headers } as unknown as FastifyRequest)
  }

  t.test('Authorization always goes to the live handler', async (t) => {
    t.equal(reasonFor({ authorization: 'Bearer x' }), 'authorization')
    t.equal(reasonFor({ authorization: '' }), 'authorization')
    t.equal(reasonFor({ cookie: 'a=b' }), null, 'a cookie that nobody has named does not')
  })

  t.test('by the name of a cookie, whatever its value and neighbours', async (t) => {
    const rule = { cookies: ['session', 'preview'] }
    for (const cookie of ['session=1', 'a=b; session=1', 'session=', 'session', ' session = 1', 'a=b;session=1;c=d', 'preview=1']) t.equal(reasonFor({ cookie }, rule), 'cookie', cookie)
    for (const cookie of ['', 'sessions=1', 'Session=1', 'a=session', 'a=b; xsession=1', 'a=session=1', '=session']) t.equal(reasonFor({ cookie }, rule), null, cookie)
    t.equal(reasonFor({}, rule), null)
  })

  t.test('by the name of a header', async (t) => {
    t.equal(reasonFor({ 'x-preview': '' }, { headers: ['X-Preview'] }), 'header')
    t.equal(reasonFor({ 'x-other': '1' }, { headers: ['x-preview'] }), null)
  })

  t.test('by a function; one that throws means yes, and is reported', async (t) => {
    t.equal(reasonFor({}, () => true), 'function')
    t.equal(reasonFor({}, () => false), null)
    const errors: Error[] = []
    const check = makeBypass([() => { throw new Error('oops') }], error => { errors.push(error) })
    t.equal(check({ headers: {} } as unknown as FastifyRequest), 'function')
    t.match(errors, [{ message: 'oops' }])
  })

  t.test('by any of the rules', async (t) => {
    const rules: Bypass[] = [{ cookies: ['a'] }, { headers: ['x-b'] }, request => request.headers['x-c'] !== undefined]
    t.equal(reasonFor({ cookie: 'a=1' }, ...rules), 'cookie')
    t.equal(reasonFor({ 'x-b': '1' }, ...rules), 'header')
    t.equal(reasonFor({ 'x-c': '1' }, ...rules), 'function')
    t.equal(reasonFor({ 'x-d': '1' }, ...rules), null)
    t.equal(reasonFor({}, null, undefined), null)
  })
})

t.test('tags', async (t) => {
  t.test('are strings of 1 to 256 bytes without control characters', async (t) => {
    for (const tag of ['a', 'blog:5', 'ä ö', '☕', 'x'.repeat(256), ' ', '__proto__']) t.equal(checkTag(tag), tag)
    for (const tag of ['', 'x'.repeat(257), '☕'.repeat(86), 'a\nb', 'a\0', '\u0001all', '\u007f', 7, null, undefined, {}, ['a']]) t.throws(() => checkTag(tag, ' (route /)'), { code: 'FST_ISR_ERR_INVALID_TAG', message: /\(route \/\)$/ })
  })

  t.test('of a user are never taken for those that every page has, nor one kind for another', async (t) => {
    const automatic = [ALL_TAG, pathTag('/a'), keyTag('/a'), routeTag('/a'), prefixTag('/a')]
    t.equal(new Set(automatic).size, automatic.length)
    for (const tag of automatic) {
      t.equal(isAutomatic(tag), true)
      t.throws(() => checkTag(tag))
    }
    t.equal(isAutomatic('all'), false)
  })

  t.test('of prefixes end where a segment does', async (t) => {
    t.same(prefixesOf('/'), ['/'])
    t.same(prefixesOf('/blog'), ['/', '/blog'])
    t.same(prefixesOf('/blog/a/b'), ['/', '/blog', '/blog/a', '/blog/a/b'])
    t.same(prefixesOf('/blog/'), ['/', '/blog'])
    t.same([trimPrefix('/blog/'), trimPrefix('/blog'), trimPrefix('/')], ['/blog', '/blog', '/'])
  })
})
