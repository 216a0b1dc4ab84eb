import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import isr, { type IsrOptions, type RoutePolicy } from '../../lib/index.js'
import { cacheStatus, counted, start, TestClock, until } from '../helpers/app.js'

async function bare (t: Parameters<typeof start>[0], options: IsrOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { disk: false, ...options })
  return app
}

const handler = async (): Promise<string> => 'x'

t.test('a route is declared with one method, several, or all', async (t) => {
  const { get, app } = await start(t, (app) => {
    const config = { prerender: true }
    app.get('/get', { config }, handler)
    app.route({ method: 'GET', url: '/route', config, handler })
    app.route({ method: ['GET'], url: '/array', config, handler })
    app.route({ method: ['POST', 'GET', 'HEAD'], url: '/many', config, handler })
    app.all('/all', { config }, handler)
  })
  for (const path of ['/get', '/route', '/array', '/many', '/all']) {
    await get(path)
    t.equal(cacheStatus(await get(path)), 'hit', path)
  }
  t.same(app.isr.routes().map(({ route }) => route), ['/get', '/route', '/array', '/many', '/all'])
})

t.test('HEAD is served with its GET, or not at all', async (t) => {
  const withHead = await start(t, app => { app.get('/page', { config: { prerender: true } }, handler) })
  t.equal(cacheStatus(await withHead.head('/page')), 'fwd=uri-miss; stored')
  t.equal(cacheStatus(await withHead.get('/page')), 'hit')
  const perRoute = await start(t, app => { app.get('/page', { exposeHeadRoute: false, config: { prerender: true } }, handler) })
  t.equal((await perRoute.head('/page')).statusCode, 404)
  t.equal(cacheStatus(await perRoute.get('/page')), 'fwd=uri-miss; stored')
  const overall = await start(t, app => { app.get('/page', { config: { prerender: true } }, handler) }, { fastify: { exposeHeadRoutes: false } })
  t.equal((await overall.head('/page')).statusCode, 404)
  t.equal(cacheStatus(await overall.get('/page')), 'fwd=uri-miss; stored')
  const own = await start(t, (app) => {
    app.head('/page', async (_request, reply) => reply.header('x-own', '1').send())
    app.get('/page', { config: { prerender: true } }, handler)
  })
  t.equal((await own.head('/page')).headers['x-own'], '1', "a HEAD route of the app's own stays")
})

t.test('prefixes and nested plugins', async (t) => {
  const config = { prerender: true }
  const { get, head, app } = await start(t, async (app) => {
    await app.register(async (blog) => {
      blog.get('/', { config }, async () => 'index')
      blog.get('/post', { config }, async () => 'post')
      await blog.register(async (inner) => { inner.get('/deep', { config }, async () => 'deep') }, { prefix: '/inner' })
    }, { prefix: '/blog' })
    await app.register(async (shop) => {
      shop.get('/', { config, prefixTrailingSlash: 'slash' }, async () => 'shop')
    }, { prefix: '/shop' })
    await app.register(async (docs) => {
      docs.get('/', { config, prefixTrailingSlash: 'no-slash' }, async () => 'docs')
    }, { prefix: '/docs' })
  })
  for (const [path, body] of [['/blog', 'index'], ['/blog/', 'index'], ['/blog/post', 'post'], ['/blog/inner/deep', 'deep'], ['/shop/', 'shop'], ['/docs', 'docs']] as const) {
    t.equal((await get(path)).body, body)
    const hit = await get(path)
    t.equal(hit.body, body)
    t.match(cacheStatus(hit), /^(hit|fwd=bypass)/, path)
    t.equal((await head(path)).statusCode, 200, path)
  }
  for (const path of ['/blog', '/blog/post', '/blog/inner/deep', '/shop/', '/docs']) t.equal(cacheStatus(await get(path)), 'hit', path)
  t.equal((await app.isr.refresh({ route: '/blog/post' })).pages.length, 1)
})

t.test('the plugin works inside an encapsulated app, as command lines load it', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  let inner!: FastifyInstance
  await app.register(async (instance) => {
    inner = instance
    await instance.register(isr, { disk: false })
    instance.get('/page', { config: { prerender: true } }, handler)
  }, { prefix: '/site' })
  app.get('/outside', { config: { prerender: true } }, handler)
  await app.ready()
  t.equal(cacheStatus(await app.inject('/site/page')), 'fwd=uri-miss; stored')
  t.equal(cacheStatus(await app.inject('/site/page')), 'hit')
  t.equal(cacheStatus(await app.inject('/outside')), '')
  t.equal((await inner.isr.refresh({ path: '/site/page' })).pages[0]?.outcome, 'renewed')
})

t.test('what needs a ready app works as soon as it is, in every way to learn of it', async (t) => {
  const outcomes: unknown[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { disk: false })
  app.get('/page', { config: { prerender: true } }, handler)
  const refresh = async (): Promise<void> => { outcomes.push((await app.isr.refresh({ path: '/page' })).pages[0]?.outcome) }
  app.addHook('onListen', refresh)
  const byCallback = new Promise<void>((resolve, reject) => { app.ready((error) => { if (error === null) refresh().then(resolve, reject); else reject(error) }) })
  await app.ready()
  await refresh()
  await byCallback
  await app.listen({ port: 0, host: '127.0.0.1' })
  await until(() => outcomes.length === 3)
  t.notOk(outcomes.includes(undefined))
})

t.test('encapsulated plugins keep their own hooks and decorators in a render', async (t) => {
  const { get } = await start(t, async (app) => {
    for (const name of ['one', 'two']) {
      await app.register(async (instance) => {
        instance.decorateRequest('site', '')
        instance.addHook('onRequest', async (request) => { (request as unknown as { site: string }).site = name })
        instance.get('/page', { config: { prerender: true } }, async request => (request as unknown as { site: string }).site)
      }, { prefix: `/${name}` })
    }
  })
  for (let i = 0; i < 2; i++) for (const name of ['one', 'two']) t.equal((await get(`/${name}/page`)).body, name)
})

t.test('constraints', async (t) => {
  const config = { prerender: true }
  const { get, app } = await start(t, (app) => {
    for (const host of ['a.example', 'b.example']) app.get('/host', { config, constraints: { host } }, counted((_n, request) => `${host} as ${request.host}`))
    for (const version of ['1.0.0', '2.0.0']) app.get('/version', { config, constraints: { version } }, counted((_n, request) => `${version} as ${String(request.headers['accept-version'])}`))
    app.get('/both', { config, constraints: { host: 'a.example', version: '1.2.0' } }, counted())
    app.get('/pattern', { config: { prerender: { hosts: ['x.example', 'y.example'] } }, constraints: { host: /^[xy]\.example$/ } }, counted((_n, request) => request.host))
  })
  for (let i = 0; i < 2; i++) {
    t.equal((await get('/host', { host: 'a.example' })).body, 'a.example as a.example')
    t.equal((await get('/host', { host: 'b.example' })).body, 'b.example as b.example')
    t.equal((await get('/host', { host: 'c.example' })).statusCode, 404)
    t.equal((await get('/version', { 'accept-version': '1.x' })).body, '1.0.0 as 1.0.0')
    t.equal((await get('/version', { 'accept-version': '2.0.0' })).body, '2.0.0 as 2.0.0')
    t.equal((await get('/version')).statusCode, 404)
    t.equal((await get('/both', { host: 'a.example', 'accept-version': '1.2.x' })).body, '#1')
    t.equal((await get('/pattern', { host: 'x.example' })).body, 'x.example')
    t.equal((await get('/pattern', { host: 'y.example' })).body, 'y.example')
  }
  t.equal((await get('/version', { 'accept-version': '2.0.0' })).headers.vary, 'accept-version')
  t.equal(app.isr.stats().memory.entries, 7)
})

t.test('a constraint that no render can meet is refused at the line of its route', async (t) => {
  const app = Fastify({ routerOptions: { constraints: { secret: { name: 'secret', storage: () => new Map() as never, deriveConstraint: () => 'x', validate () {} } } } })
  t.teardown(() => app.close())
  await app.register(isr, { disk: false })
  const config = { prerender: true }
  t.throws(() => app.get('/a', { config, constraints: { host: /x/ } }, handler), { code: 'FST_ISR_ERR_CONSTRAINT', message: /route \/a: .*'host'.*hosts/ })
  t.throws(() => app.get('/b', { config, constraints: { secret: 'alpha' } }, handler), { code: 'FST_ISR_ERR_CONSTRAINT', message: /route \/b: .*'secret'/ })
})

t.test('app.prerender() gives every GET of a block a policy', async (t) => {
  const { get, app } = await start(t, async (app) => {
    await app.prerender({ ttl: 300, tags: ['block'] }, async (block) => {
      block.get('/inherits', counted())
      block.get('/own', { config: { prerender: { ttl: 5 } } }, counted())
      block.get('/out', { config: { prerender: false } }, counted())
      block.post('/form', async () => 'posted')
      await block.register(async (inner) => { inner.get('/page', counted()) }, { prefix: '/nested' })
      await block.prerender({ ttl: 7 }, async (inner) => { inner.get('/inner', counted()) })
      await block.prerender(false, async (inner) => {
        inner.get('/inner-out', counted())
        inner.get('/inner-back', { config: { prerender: true } }, counted())
      })
    })
    await app.prerender(true, (block) => { block.get('/sync', counted()) })
    app.get('/outside', counted())
  })
  const status = async (path: string): Promise<string> => {
    await get(path)
    return cacheStatus(await get(path))
  }
  t.equal(await status('/inherits'), 'hit; ttl=300')
  t.equal(await status('/own'), 'hit; ttl=5')
  t.equal(await status('/out'), '')
  t.equal(await status('/nested/page'), 'hit; ttl=300')
  t.equal(await status('/inner'), 'hit; ttl=7')
  t.equal(await status('/inner-out'), '')
  t.equal(await status('/inner-back'), 'hit')
  t.equal(await status('/sync'), 'hit')
  t.equal(await status('/outside'), '')
  t.equal((await app.inject({ method: 'POST', url: '/form' })).body, 'posted')
  t.equal((await get('/inherits')).headers['cache-status'], 'fastify-isr; hit; ttl=300')
})

t.test('a wrong policy of a block is refused at the line of the block', async (t) => {
  const app = await bare(t)
  t.throws(() => app.prerender({ ttl: -1 }, async () => {}), { code: 'FST_ISR_ERR_INVALID_POLICY', message: /app\.prerender\(\).*'ttl'/ })
})

t.test('prerender on a route without GET is refused at its line', async (t) => {
  const app = await bare(t)
  const config = { prerender: true }
  t.throws(() => app.post('/form', { config }, handler), { code: 'FST_ISR_ERR_ROUTE_WITHOUT_GET', message: 'route POST /form has config.prerender but no GET method: remove the flag or declare a GET route' })
  t.throws(() => app.route({ method: ['PUT', 'DELETE'], url: '/x', config, handler }), { code: 'FST_ISR_ERR_ROUTE_WITHOUT_GET', message: /PUT,DELETE \/x/ })
  t.throws(() => app.head('/head', { config }, handler), { code: 'FST_ISR_ERR_ROUTE_WITHOUT_GET' })
  t.doesNotThrow(() => app.post('/fine', { config: { prerender: false } }, handler))
})

t.test('a wrong policy is refused at the line of its route, with the option and the fix', async (t) => {
  const app = await bare(t)
  const wrong: [policy: unknown, option: string][] = [
    ['yes', 'prerender'], [1, 'prerender'], [null, 'prerender'], [[], 'prerender'],
    [{ ttl: -1 }, 'ttl'], [{ ttl: NaN }, 'ttl'], [{ ttl: '60' }, 'ttl'], [{ ttl: null }, 'ttl'], [{ ttl: -Infinity }, 'ttl'],
    [{ staleWhileRevalidate: -1 }, 'staleWhileRevalidate'], [{ staleIfError: 'x' }, 'staleIfError'],
    [{ paths: 5 }, 'paths'], [{ paths: 'string' }, 'paths'], [{ paths: {} }, 'paths'],
    [{ onDemand: 1 }, 'onDemand'], [{ maxPaths: 0 }, 'maxPaths'], [{ maxPaths: 1.5 }, 'maxPaths'],
    [{ query: 'page' }, 'query'], [{ query: ['a b'] }, 'query'], [{ query: [''] }, 'query'], [{ query: Array.from({ length: 101 }, (_, i) => `q${i}`) }, 'query'],
    [{ hosts: ['A.example'] }, 'hosts'], [{ hosts: ['a.example:80'] }, 'hosts'], [{ hosts: 'a.example' }, 'hosts'],
    [{ vary: { cookie: { values: ['a'], select: () => 'a' } } }, 'vary'], [{ vary: { 'accept-language': { values: [], select: () => 'a' } } }, 'vary'], [{ vary: { 'accept-language': { values: ['a'] } } }, 'vary'], [{ vary: { 'x y': { values: ['a'], select: () => 'a' } } }, 'vary'], [{ vary: ['accept'] }, 'vary'],
    [{ tags: 'blog' }, 'tags'], [{ statuses: { 500: 1 } }, 'statuses'], [{ statuses: { 404: -1 } }, 'statuses'], [{ statuses: [404] }, 'statuses'],
    [{ maxBytes: 0 }, 'maxBytes'], [{ headers: ['x'] }, 'headers'], [{ cacheControl: '' }, 'cacheControl'], [{ cacheControl: 'a\nb' }, 'cacheControl'], [{ cacheControl: 5 }, 'cacheControl'],
    [{ bypass: 'sid' }, 'bypass'], [{ bypass: { cookie: ['sid'] } }, 'bypass'], [{ bypass: { cookies: 'sid' } }, 'bypass'], [{ bypass: { headers: [''] } }, 'bypass'],
    [{ allowHooks: 'yes' }, 'allowHooks'], [{ sitemap: true }, 'sitemap'], [{ sitemap: { priority: 2 } }, 'sitemap'], [{ sitemap: { freq: 'daily' } }, 'sitemap'],
    [{ tll: 60 }, 'tll'], [{ constructor: 1 }, 'constructor']
  ]
  wrong.forEach(([policy, option], i) => {
    t.throws(() => app.get(`/wrong/${i}`, { config: { prerender: policy as RoutePolicy } }, handler),
      { code: 'FST_ISR_ERR_INVALID_POLICY', message: new RegExp(`GET /wrong/${i}.*'${option}' must be `) }, `${option}: ${JSON.stringify(policy)}`)
  })
  t.throws(() => app.get('/tag', { config: { prerender: { tags: ['a\u0001b'] } } }, handler), { code: 'FST_ISR_ERR_INVALID_TAG' })
  t.doesNotThrow(() => app.get('/undefined', { config: { prerender: { ttl: undefined } as unknown as RoutePolicy } }, handler), 'undefined is not given')
})

t.test('a wrong option is refused by register, with its name', async (t) => {
  const wrong: [options: object, option: string][] = [
    [{ enabled: 'no' }, 'enabled'], [{ dir: '' }, 'dir'], [{ dir: 'a\0b' }, 'dir'], [{ urlStyle: 'flat' }, 'urlStyle'],
    [{ baseUrl: 'example.com' }, 'baseUrl'], [{ baseUrl: 'ftp://x' }, 'baseUrl'], [{ baseUrl: 'https://x/path' }, 'baseUrl'], [{ baseUrl: 'https://u:p@x' }, 'baseUrl'],
    [{ sitemap: 1 }, 'sitemap'], [{ defaults: { ttl: -1 } }, 'defaults.ttl'], [{ defaults: { tags: [] } }, 'defaults.tags'],
    [{ memory: 64 }, 'memory'], [{ memory: { maxBytes: -1 } }, 'memory.maxBytes'], [{ disk: true }, 'disk'], [{ disk: { maxBytes: '1' } }, 'disk.maxBytes'], [{ disk: { writeBack: 0 } }, 'disk.writeBack'],
    [{ render: { timeout: 0 } }, 'render.timeout'], [{ render: { concurrency: 0 } }, 'render.concurrency'], [{ render: { maxQueue: -1 } }, 'render.maxQueue'], [{ render: { worker: 1 } }, 'render.worker'],
    [{ encodings: ['deflate'] }, 'encodings'], [{ encodings: ['br', 'br'] }, 'encodings'], [{ encodings: 'br' }, 'encodings'],
    [{ prewarm: 1 }, 'prewarm'], [{ strictPaths: 0 }, 'strictPaths'], [{ buildId: '../x' }, 'buildId'], [{ buildId: '' }, 'buildId'],
    [{ bypass: [] }, 'bypass'], [{ cacheStatus: 'on' }, 'cacheStatus'], [{ clock: 5 }, 'clock'], [{ enbaled: true }, 'enbaled']
  ]
  for (const [options, option] of wrong) {
    const app = Fastify()
    await t.rejects(Promise.resolve(app.register(isr, options as IsrOptions)), { code: 'FST_ISR_ERR_INVALID_OPTION', message: new RegExp(`option '${option.replace('.', '\\.')}' must be `) }, option)
    await app.close().catch(() => {})
  }
})

t.test('registering twice on one server is refused with a coded error', async (t) => {
  const app = await bare(t)
  await t.rejects(Promise.resolve(app.register(isr, { disk: false })), { code: 'FST_ISR_ERR_ALREADY_REGISTERED' })
  const nested = await bare(t)
  await t.rejects(Promise.resolve(nested.register(async (instance) => { await instance.register(isr, { disk: false }) })), { code: 'FST_ISR_ERR_ALREADY_REGISTERED' })
})

t.test('a route declared before the plugin is warned about once, with the fix', async (t) => {
  const early = counted()
  const site = await start(t, app => { app.get('/late', { config: { prerender: true } }, counted()) }, {
    before: (app) => {
      app.get('/early', { config: { prerender: true } }, early)
      app.get('/other', async () => 'x')
    }
  })
  for (const path of ['/early', '/early', '/other', '/late', '/early']) t.equal((await site.get(path)).statusCode, 200)
  t.equal(early.live, 3)
  t.equal(site.warnings().length, 1)
  t.match(site.warnings()[0], /route \/early has config.prerender but was declared before fastify-isr: .*await app\.register\(isr\)/)
})

t.test('nothing that the user passes in is changed', async (t) => {
  const deepFreeze = <T>(value: T): T => {
    if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) deepFreeze(inner)
    return Object.freeze(value)
  }
  const onRequest = Object.freeze([async () => {}]) as never
  const onSend = Object.freeze([async (_request: unknown, _reply: unknown, payload: unknown) => payload]) as never
  const policy = deepFreeze({ ttl: 60, query: ['q'], tags: ['a'], vary: { 'Accept-Language': { values: ['en'], select: () => 'en' } }, statuses: { 404: 1 }, bypass: { headers: ['X-A'] } })
  const config = deepFreeze({ prerender: policy, other: { a: 1 } })
  const options = deepFreeze({ disk: false as const, defaults: { ttl: 5 }, encodings: ['br' as const], bypass: { cookies: ['a'] }, clock: new TestClock().read })
  const { get, app } = await start(t, (app) => {
    app.get('/page', { config, onRequest, onSend } as never, handler)
    app.get('/again', { config, onRequest, onSend } as never, handler)
  }, { isr: options })
  for (const path of ['/page', '/again']) {
    t.equal((await get(path)).statusCode, 200)
    t.equal(cacheStatus(await get(path)), 'hit; ttl=60')
  }
  t.equal(app.isr.routes().length, 2)
})

t.test('hooks of a route run before the page is served, and are warned about where a hit skips them', async (t) => {
  let entered = 0
  const site = await start(t, (app) => {
    const config = { prerender: true }
    const hook = async (): Promise<void> => { entered++ }
    app.get('/guarded', { config, onRequest: hook }, handler)
    app.get('/skipped', { config, preHandler: hook }, handler)
    app.get('/validated', { config, preValidation: [hook] }, handler)
    app.get('/meant', { config: { prerender: { allowHooks: true } }, preHandler: hook }, handler)
  })
  for (let i = 0; i < 3; i++) await site.get('/guarded')
  t.equal(entered, 4, 'three visits and one render')
  t.equal(site.warnings().length, 2)
  t.match(site.warnings()[0], /route GET \/skipped: a cached answer skips its preHandler hooks; .*allowHooks: true/)
  t.match(site.warnings()[1], /route GET \/validated: .*preValidation/)
})

t.test('routes() tells what was declared', async (t) => {
  const { app } = await start(t, async (app) => {
    app.get('/static', { config: { prerender: { ttl: 5 } } }, handler)
    await app.register(async (blog) => { blog.get('/:slug', { config: { prerender: { onDemand: true } } }, handler) }, { prefix: '/blog' })
  })
  t.match(app.isr.routes(), [
    { route: '/static', prefix: '', constraints: {}, static: true, onDemand: false, listed: 1, policy: { ttl: 5 } },
    { route: '/blog/:slug', prefix: '/blog', constraints: {}, static: false, onDemand: true, listed: 0, policy: { ttl: Infinity } }
  ])
})
