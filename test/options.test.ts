import t from 'tap'
import path from 'node:path'
import type { IsrOptions } from '../types/index.js'
import { packageRoot, readOptions } from '../lib/options.js'
import { readPolicy, type Policy } from '../lib/pages/policy.js'

const read = (options: object): ReturnType<typeof readOptions> => readOptions(options as IsrOptions)

t.test('without options everything has its documented default', async (t) => {
  const { dir, baseUrl, clock, ...settings } = read({})
  t.equal(dir, path.join(packageRoot(), '.prerender'))
  t.equal(baseUrl.href, 'http://localhost/')
  t.equal(clock, Date.now)
  t.same(settings, {
    enabled: true,
    urlStyle: 'directory',
    hasBaseUrl: false,
    sitemap: false,
    defaults: { ttl: Infinity, staleWhileRevalidate: Infinity, staleIfError: Infinity, cacheControl: undefined },
    memory: { maxBytes: 64 * 1024 * 1024 },
    disk: { writeBack: true, maxBytes: 1024 ** 3 },
    render: { timeout: 10_000, concurrency: 4, maxQueue: 1000 },
    encodings: ['br', 'gzip'],
    prewarm: true,
    strictPaths: true,
    buildId: null,
    redis: null,
    tier: null,
    bypass: null,
    revalidateEndpoint: null,
    cacheStatus: true,
    cdn: { cacheControl: false },
    expressLane: null
  })
})

/** As far as the options look at it. */
const client = { status: 'wait', duplicate () {}, call () {} }

t.test('Redis is a client, or a client with options; everything else has a default', async (t) => {
  const defaults = { client, prefix: 'isr', commandTimeout: 500, heartbeat: 1000, leaseTtl: 3000, maxAge: 604_800, secret: null }
  t.same(read({ redis: client }).redis, defaults)
  t.same(read({ redis: { client } }).redis, defaults)
  const given = { client, prefix: 'shop:1', commandTimeout: 50, heartbeat: 100, leaseTtl: 300, maxAge: 60, secret: 's'.repeat(32) }
  t.same(read({ redis: given }).redis, given)
  const tier = { name: 's3', async get () { return null }, async set () { return true }, async delete () { return true } }
  t.equal(read({ tier }).tier, tier)
})

t.test('options are taken as they are given', async (t) => {
  const clock = (): number => 1
  const bypass = (): boolean => false
  const cacheControl = (): string => 'no-cache'
  t.match(read({
    enabled: false,
    dir: 'out',
    urlStyle: 'file',
    baseUrl: 'https://example.com:8443',
    sitemap: true,
    defaults: { ttl: 0, staleWhileRevalidate: 1.5, staleIfError: Infinity, cacheControl },
    memory: { maxBytes: 0 },
    disk: { writeBack: false, maxBytes: 0 },
    render: { timeout: 1, concurrency: 1, maxQueue: 0 },
    encodings: ['gzip'],
    prewarm: false,
    strictPaths: false,
    buildId: '2024-11-06_a.b',
    bypass,
    cacheStatus: false,
    cdn: { cacheControl: true },
    clock
  }), {
    enabled: false,
    dir: path.join(packageRoot(), 'out'),
    urlStyle: 'file',
    baseUrl: { origin: 'https://example.com:8443' },
    hasBaseUrl: true,
    sitemap: true,
    defaults: { ttl: 0, staleWhileRevalidate: 1.5, staleIfError: Infinity, cacheControl },
    memory: { maxBytes: 0 },
    disk: { writeBack: false, maxBytes: 0 },
    render: { timeout: 1, concurrency: 1, maxQueue: 0 },
    encodings: ['gzip'],
    prewarm: false,
    strictPaths: false,
    buildId: '2024-11-06_a.b',
    bypass,
    cacheStatus: false,
    cdn: { cacheControl: true },
    clock
  })
  t.equal(read({ disk: false }).disk, false)
  t.same(read({ encodings: [] }).encodings, [])
  t.equal(read({ dir: '/srv/site' }).dir, '/srv/site')
  t.equal(read({ baseUrl: 'http://[::1]:3000/' }).baseUrl.host, '[::1]:3000')
  t.same(read({ bypass: { cookies: ['Session'], headers: ['X-Preview'] } }).bypass, { cookies: ['Session'], headers: ['x-preview'] }, 'header names have no case, cookie names have')
  t.match(read({ defaults: { cacheControl: 'no-cache' } }).defaults, { cacheControl: 'no-cache', ttl: Infinity })
  t.match(read({ enabled: undefined, memory: undefined, render: { timeout: undefined } }), { enabled: true, render: { timeout: 10_000 } }, 'undefined is not given')
  t.doesNotThrow(() => read({ prefix: '/x', logLevel: 'warn', logSerializers: {} }), 'what register() hands through is not ours')
})

t.test('a wrong option is refused with its name, what it must be and what it was', async (t) => {
  const wrong: [options: object, message: RegExp][] = [
    ...['enabled', 'sitemap', 'prewarm', 'strictPaths', 'cacheStatus'].flatMap((name): [object, RegExp][] => [
      [{ [name]: 'yes' }, new RegExp(`^option '${name}' must be true or false, got "yes"$`)],
      [{ [name]: 1 }, new RegExp(`'${name}' must be true or false, got 1`)],
      [{ [name]: null }, new RegExp(`'${name}' must be true or false, got null`)]
    ]),
    [{ dir: '' }, /^option 'dir' must be a path, got ""$/],
    [{ dir: 7 }, /'dir' must be a path, got 7/],
    [{ dir: 'a\0b' }, /'dir' must be a path/],
    [{ urlStyle: 'folder' }, /^option 'urlStyle' must be 'directory' or 'file', got "folder"$/],
    [{ baseUrl: 'example.com' }, /^option 'baseUrl' must be an absolute http\(s\) URL such as 'https:\/\/example.com', got "example.com"$/],
    [{ baseUrl: '' }, /'baseUrl' must be an absolute/],
    [{ baseUrl: new URL('https://example.com') }, /'baseUrl' must be an absolute.*got an object/],
    [{ baseUrl: 'ftp://example.com' }, /'baseUrl' must be an absolute http/],
    [{ baseUrl: 'javascript:alert(1)' }, /'baseUrl' must be an absolute http/],
    [{ baseUrl: 'https://example.com/blog' }, /'baseUrl' must be an origin without path, query or credentials, got "https:\/\/example.com\/blog"/],
    [{ baseUrl: 'https://example.com?a=1' }, /'baseUrl' must be an origin/],
    [{ baseUrl: 'https://example.com/#a' }, /'baseUrl' must be an origin/],
    [{ baseUrl: 'https://me:secret@example.com' }, /'baseUrl' must be an origin/],
    ...['ttl', 'staleWhileRevalidate', 'staleIfError'].flatMap((name): [object, RegExp][] => [-1, -Infinity, Number.NaN, '60', null, true, 60n].map(value =>
      [{ defaults: { [name]: value } }, new RegExp(`'defaults.${name}' must be a number of seconds, 0 or more \\(Infinity allowed\\), got `)])),
    [{ defaults: { ttl: () => 60 } }, /'defaults.ttl' must be a number of seconds.*got a function/],
    [{ defaults: { cacheControl: 7 } }, /'defaults.cacheControl' must be a header value or a function of the page, got 7/],
    [{ defaults: { cacheControl: '' } }, /'defaults.cacheControl' must be a header value/],
    [{ defaults: { cacheControl: 'a\r\nset-cookie: b' } }, /'defaults.cacheControl' must be a header value/],
    [{ defaults: 60 }, /'defaults' must be an object, got 60/],
    [{ defaults: { tll: 60 } }, /^option 'defaults.tll' must be one of ttl, staleWhileRevalidate, staleIfError, cacheControl, got an unknown name$/],
    ...[-1, 1.5, Infinity, Number.NaN, '1', null, 2 ** 53].map((value): [object, RegExp] => [{ memory: { maxBytes: value } }, /'memory.maxBytes' must be a whole number, 0 or more, got /]),
    [{ memory: { bytes: 1 } }, /'memory.bytes' must be one of maxBytes, got an unknown name/],
    [{ memory: null }, /'memory' must be an object, got null/],
    [{ memory: [] }, /'memory' must be an object, got an array/],
    [{ memory: 64 }, /'memory' must be an object, got 64/],
    ...[1, null, 'redis://localhost', {}, { host: 'localhost' }, () => {}, { client: {} }, { duplicate () {} }].map((value): [object, RegExp] => [{ redis: value }, /^option 'redis(?:\.\w+)?' must be /]),
    ...['', 'a{b}', 'a b', 'x'.repeat(65), 7].map((prefix): [object, RegExp] => [{ redis: { client, prefix } }, /'redis.prefix' must be 1 to 64 letters/]),
    ...['commandTimeout', 'heartbeat', 'leaseTtl'].flatMap(name => [0, -1, 1.5, Infinity, '500'].map((value): [object, RegExp] => [{ redis: { client, [name]: value } }, new RegExp(`'redis.${name}' must be a whole number`)])),
    ...[0, -1, Infinity, Number.NaN, '1'].map((maxAge): [object, RegExp] => [{ redis: { client, maxAge } }, /'redis.maxAge' must be a number of seconds, 1 or more/]),
    ...['short', '', 7, 'with a space that makes it long enough'].map((secret): [object, RegExp] => [{ redis: { client, secret } }, /^option 'redis.secret' must be 32 or more visible characters, got something else$/]),
    [{ redis: { client, host: 'localhost' } }, /'redis.host' must be one of client, prefix, .*, got an unknown name/],
    ...[1, null, {}, { name: 's3' }, { name: 1, get () {}, set () {}, delete () {} }].map((value): [object, RegExp] => [{ tier: value }, /^option 'tier' must be an object with name, get\(\), set\(\) and delete\(\)/]),
    [{ disk: true }, /'disk' must be an object.*got true/],
    [{ disk: { writeBack: 1 } }, /'disk.writeBack' must be true or false, got 1/],
    [{ disk: { maxBytes: -1 } }, /'disk.maxBytes' must be a whole number, 0 or more, got -1/],
    [{ disk: { dir: 'x' } }, /'disk.dir' must be one of writeBack, maxBytes/],
    [{ render: { timeout: 0 } }, /'render.timeout' must be a whole number.* got 0/],
    [{ render: { timeout: 2 ** 31 } }, /'render.timeout' must be a whole number, 1 to 2147483647, got 2147483648/],
    [{ render: { timeout: Infinity } }, /'render.timeout' must be a whole number/],
    [{ render: { concurrency: 0 } }, /'render.concurrency' must be a whole number, 1 or more, got 0/],
    [{ render: { maxQueue: -1 } }, /'render.maxQueue' must be a whole number, 0 or more, got -1/],
    [{ render: { workers: 2 } }, /'render.workers' must be one of timeout, concurrency, maxQueue/],
    [{ encodings: 'br' }, /'encodings' must be an array of 'br' and 'gzip', got "br"/],
    [{ encodings: ['deflate'] }, /'encodings' must be an array of 'br' and 'gzip', got "deflate"/],
    [{ encodings: ['br', 'br'] }, /'encodings' must be free of duplicates, got "br, br"/],
    ...['', '.', '..', '../x', 'a/b', 'a\\b', '-a', 'a b', 'ä', 'x'.repeat(129), 7, null].map((value): [object, RegExp] => [{ buildId: value }, /'buildId' must be 1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit, got /]),
    [{ buildId: 'marks' }, /'buildId' must be/],
    [{ buildId: 'manifest.json' }, /'buildId' must be/],
    [{ bypass: true }, /'bypass' must be \{ cookies\?: string\[\], headers\?: string\[\] \} or a function of the request, got true/],
    [{ bypass: ['session'] }, /'bypass' must be .* got an array/],
    [{ bypass: { cookie: ['session'] } }, /'bypass' must be .* got "cookie"/],
    [{ bypass: { cookies: 'session' } }, /'bypass' must be .* got "session"/],
    [{ bypass: { headers: [''] } }, /'bypass' must be .* got an array/],
    [{ bypass: { headers: [7] } }, /'bypass' must be/],
    [{ cdn: { cacheControl: 'yes' } }, /'cdn.cacheControl' must be true or false, got "yes"/],
    [{ cdn: { maxAge: 1 } }, /'cdn.maxAge' must be one of/],
    [{ clock: 7 }, /'clock' must be a function that returns milliseconds, got 7/],
    [{ tll: 60 }, /^option 'tll' must be one of enabled, dir, .*clock, got an unknown name$/],
    [{ constructor: 1 }, /'constructor' must be one of/],
    [JSON.parse('{"__proto__": 1}'), /'__proto__' must be one of/]
  ]
  for (const [options, message] of wrong) {
    t.throws(() => read(options), { code: 'FST_ISR_ERR_INVALID_OPTION', message, name: 'FastifyError' }, message.source)
  }
  const thrown = await Promise.resolve().then(() => read({ enabled: 'yes' })).catch((error: unknown) => error)
  t.ok(thrown instanceof TypeError)
  const long = 'x'.repeat(1000)
  t.throws(() => read({ urlStyle: long }), { message: /got "x{60}…"$/ }, 'what it was is shown, not all of it')
})

t.test('settings change with nothing that is done to the options afterwards', async (t) => {
  const options = { encodings: ['br'], bypass: { cookies: ['a'] }, defaults: { ttl: 1 } }
  const before = JSON.stringify(options)
  const settings = read(options)
  t.equal(JSON.stringify(options), before)
  options.encodings.push('gzip')
  options.bypass.cookies.push('b')
  options.defaults.ttl = 2
  t.same(settings.encodings, ['br'])
  t.same(settings.bypass, { cookies: ['a'] })
  t.equal(settings.defaults.ttl, 1)
  t.ok(Object.isFrozen(settings) && Object.isFrozen(settings.defaults) && Object.isFrozen(settings.render) && Object.isFrozen(settings.encodings))
})

t.test('a relative dir is taken from the package of the app, wherever a command is typed', async (t) => {
  const dir = t.testdir({
    'package.json': '{}',
    src: { 'server.js': '', 'app.ts': '' },
    node_modules: { '.bin': { fastify: '' }, 'fastify-cli': { 'cli.js': '', 'package.json': '{}' } }
  })
  const { argv } = process
  t.teardown(() => { process.argv = argv })
  const rootFor = (...args: string[]): string => {
    process.argv = ['node', ...args]
    return packageRoot()
  }
  t.equal(rootFor(path.join(dir, 'src', 'server.js')), dir)
  t.equal(rootFor(path.join(dir, 'node_modules', 'fastify-cli', 'cli.js'), 'start', path.join(dir, 'src', 'app.ts')), dir, 'a tool is not the app')
  t.equal(rootFor(path.join(dir, 'node_modules', '.bin', 'fastify'), 'start', '-l', 'info', path.join(dir, 'src', 'server.js')), dir)
  const here = rootFor()
  t.equal(rootFor(path.join(dir, 'node_modules', '.bin', 'fastify'), 'start', 'none.js'), here, 'without an app it is the working directory')
})

const settings = read({ defaults: { ttl: 300, cacheControl: 'no-cache' } })
const policy = (value: unknown): Policy => readPolicy('GET /blog/:slug', value, settings)

t.test('a policy', async (t) => {
  t.test('has the defaults of the plugin', async (t) => {
    const defaults = { ttl: 300, staleWhileRevalidate: Infinity, staleIfError: Infinity, cacheControl: 'no-cache', onDemand: false, maxPaths: 10_000, maxBytes: 5 * 1024 * 1024, query: [], vary: {}, statuses: {} }
    t.same(policy(true), defaults)
    t.same(policy({}), defaults)
    t.same(policy({ ttl: undefined, tags: undefined }), defaults)
    t.equal(readPolicy('GET /', true, read({ strictPaths: false })).onDemand, true)
    t.equal(readPolicy('GET /', { onDemand: false }, read({ strictPaths: false })).onDemand, false)
  })

  t.test('is taken as it is given', async (t) => {
    const select = (): string => 'de'
    const given = {
      ttl: () => 60,
      staleWhileRevalidate: 0,
      staleIfError: 1,
      paths: [{ slug: 'a' }],
      onDemand: true,
      maxPaths: 1,
      query: ['page', 'seite'],
      hosts: ['a.example', '[::1]'],
      vary: { 'Accept-Language': { values: ['en', 'de'], select } },
      tags: ['blog'],
      statuses: { 301: Infinity, 404: 10 },
      maxBytes: 1,
      headers: () => true,
      cacheControl: 'max-age=1',
      bypass: { headers: ['X-Preview'] },
      allowHooks: true,
      sitemap: { changefreq: 'daily', priority: 0.5, lastmod: '2024-01-01' }
    }
    t.same(policy(given), { ...given, vary: { 'accept-language': given.vary['Accept-Language'] }, bypass: { headers: ['x-preview'] } })
    t.ok(Object.isFrozen(policy(given)))
    t.doesNotThrow(() => policy({ sitemap: false, paths: () => [], tags: () => [], bypass: () => true, ttl: Infinity }))
    t.doesNotThrow(() => policy({ sitemap: {}, paths: (async function * () {})(), cacheControl: () => 'x', statuses: {}, vary: {} }))
    t.doesNotThrow(() => policy({ sitemap: { lastmod: new Date() } }))
  })

  t.test('that is wrong is refused with its route, its name, what it must be and what it was', async (t) => {
    const vary = (rule: unknown, name = 'accept-language'): object => ({ vary: { [name]: rule } })
    const select = (): string => 'a'
    const wrong: [value: unknown, message: RegExp][] = [
      ...[false, null, 60, 'yes', [], () => {}].map((value): [unknown, RegExp] => [value, /'prerender' must be true, false or a policy object, got /]),
      ...[-1, Number.NaN, '60', null, {}].map((value): [unknown, RegExp] => [{ ttl: value }, /^route GET \/blog\/:slug: config.prerender: 'ttl' must be a number of seconds, 0 or more \(Infinity allowed\), got /]),
      [{ staleWhileRevalidate: () => 1 }, /'staleWhileRevalidate' must be a number of seconds.*got a function/],
      [{ staleIfError: '1' }, /'staleIfError' must be a number of seconds.*got "1"/],
      [{ paths: '/blog/a' }, /'paths' must be an array, an iterable, or a function that returns one, got "\/blog\/a"/],
      [{ paths: {} }, /'paths' must be an array.*got an object/],
      [{ paths: null }, /'paths' must be an array.*got null/],
      [{ onDemand: 1 }, /'onDemand' must be true or false, got 1/],
      [{ maxPaths: 0 }, /'maxPaths' must be a whole number, 1 or more, got 0/],
      [{ maxPaths: 1.5 }, /'maxPaths' must be/],
      [{ query: 'page' }, /'query' must be an array of query parameter names.*got "page"/],
      [{ query: ['a b'] }, /'query' must be an array of query parameter names, each once, got "a b"/],
      [{ query: [''] }, /'query' must be/],
      [{ query: ['a=b'] }, /'query' must be/],
      [{ query: [7] }, /'query' must be .*got 7/],
      [{ query: Array(101).fill('a') }, /'query' must be .*at most 100, got an array/],
      [{ query: ['page', 'page'] }, /'query' must be .*each once, got "page"/],
      [{ hosts: ['A.example'] }, /'hosts' must be an array of host names in lower case, without port, each once, got "A.example"/],
      [{ hosts: ['a.example:80'] }, /'hosts' must be/],
      [{ hosts: ['https://a.example'] }, /'hosts' must be/],
      [{ hosts: 'a.example' }, /'hosts' must be/],
      [{ hosts: ['a.example', 'a.example'] }, /'hosts' must be .*each once, got "a.example"/],
      [{ vary: ['accept-language'] }, /'vary' must be \{ header: .*got an array/],
      [vary('de'), /'vary' must be \{ header: /],
      [vary({ values: ['a'] }), /'vary' must be \{ header: /],
      [vary({ select }), /'vary' must be \{ header: /],
      [vary({ values: [], select }), /'vary' must be 'accept-language' with at least one value/],
      [vary({ values: ['a b'], select }), /'vary' must be 'accept-language' with values of 1 to 100 visible characters/],
      [vary({ values: ['a\r\nb'], select }), /'vary' must be/],
      [vary({ values: ['a', 'a'], select }), /'vary' must be .*each once, got "a"/],
      [vary({ values: ['a'], select }, 'bad name'), /'vary' must be an object of header names, each once, got "bad name"/],
      ...['cookie', 'Authorization', 'HOST', 'accept-encoding'].map((name): [unknown, RegExp] => [vary({ values: ['a'], select }, name), /'vary' must be free of 'cookie', 'authorization', 'host' and 'accept-encoding', got /]),
      [{ vary: { 'x-a': { values: ['a'], select }, 'X-A': { values: ['b'], select } } }, /'vary' must be an object of header names, each once, got "X-A"/],
      [{ tags: 'blog' }, /'tags' must be an array of tags or a function of the params, got "blog"/],
      [{ statuses: [404] }, /'statuses' must be an object of status: seconds, got an array/],
      [{ statuses: { 500: 1 } }, /'statuses' must be an object with keys out of 301, 308, 404, 410, got "500"/],
      [{ statuses: { 200: 1 } }, /'statuses' must be/],
      [{ statuses: { 302: 1 } }, /'statuses' must be/],
      [{ statuses: { '0x194': 1 } }, /'statuses' must be .*got "0x194"/],
      [{ statuses: { 404: '10' } }, /'statuses' must be an object of status: seconds, got "10"/],
      [{ statuses: { 404: -1 } }, /'statuses' must be/],
      [{ maxBytes: 0 }, /'maxBytes' must be a whole number of bytes, 1 or more, got 0/],
      [{ headers: ['x'] }, /'headers' must be a function of the header name, got an array/],
      [{ cacheControl: 7 }, /'cacheControl' must be a header value or a function of the page, got 7/],
      [{ cacheControl: 'a\nb' }, /'cacheControl' must be/],
      [{ bypass: 'session' }, /'bypass' must be .*got "session"/],
      [{ allowHooks: 'yes' }, /'allowHooks' must be true or false, got "yes"/],
      [{ sitemap: true }, /'sitemap' must be false or \{ changefreq, priority, lastmod \}, got true/],
      [{ sitemap: { changefreq: 'often' } }, /'sitemap' must be/],
      [{ sitemap: { priority: 2 } }, /'sitemap' must be/],
      [{ sitemap: { lastmod: 'never' } }, /'sitemap' must be/],
      [{ sitemap: { lastmod: null } }, /'sitemap' must be/],
      [{ sitemap: { priotity: 1 } }, /'sitemap' must be/],
      [{ tll: 60 }, /'tll' must be one of ttl, staleWhileRevalidate, .*sitemap, got an unknown name$/],
      [{ constructor: {} }, /'constructor' must be one of/],
      [JSON.parse('{"__proto__": {}}'), /'__proto__' must be one of/]
    ]
    for (const [value, message] of wrong) t.throws(() => policy(value), { code: 'FST_ISR_ERR_INVALID_POLICY', message }, message.source)
    for (const tag of ['', 7, 'a\nb', '\u0001all', 'x'.repeat(257), 'ä'.repeat(129)]) t.throws(() => policy({ tags: [tag] }), { code: 'FST_ISR_ERR_INVALID_TAG' }, String(tag).slice(0, 20))
  })
})

t.test('the express lane is off, on, or on without hooks', async (t) => {
  t.equal(read({ expressLane: false }).expressLane, null)
  t.same(read({ expressLane: true }).expressLane, { ignoreHooks: false })
  t.same(read({ expressLane: {} }).expressLane, { ignoreHooks: false })
  t.same(read({ expressLane: { ignoreHooks: true } }).expressLane, { ignoreHooks: true })
})
