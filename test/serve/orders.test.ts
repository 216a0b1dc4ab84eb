import t from 'tap'
import type { Target } from '../../lib/index.js'
import { cacheStatus, counted, makeGate, record, settle, start, TestClock, until, type Site } from '../helpers/app.js'

/** A small blog: a static page, posts with a query, two hosts. */
async function blog (t: Parameters<typeof start>[0]): Promise<Site & { visit (): Promise<void> }> {
  const site = await start(t, async (app) => {
    app.get('/', { config: { prerender: { ttl: 60, tags: ['home'] } } }, counted())
    app.get('/posts/:slug', { config: { prerender: { ttl: 60, onDemand: true, query: ['page'] } } }, counted())
    app.get('/hosted', { config: { prerender: { hosts: ['a.example', 'b.example'] } } }, counted())
    app.get('/live', async () => 'live')
  })
  return {
    ...site,
    async visit () {
      for (const url of ['/', '/posts/a', '/posts/a?page=2', '/posts/b']) await site.get(url)
      for (const host of ['a.example', 'b.example']) await site.get('/hosted', { host })
    }
  }
}

/** Keys that are not fresh any more, or gone. */
async function touched (site: Site): Promise<string[]> {
  const keys = ['/', '/posts/a', '/posts/a?page=2', '/posts/b', '/hosted host=a.example', '/hosted host=b.example']
  const { entries } = await site.app.isr.entries()
  return keys.filter(key => entries.find(entry => entry.key === key)?.state !== 'fresh')
}

const TARGETS: [target: Target, keys: string[]][] = [
  [{ path: '/' }, ['/']],
  [{ path: '/posts/a' }, ['/posts/a', '/posts/a?page=2']],
  [{ path: '/posts/a?page=2' }, ['/posts/a?page=2']],
  [{ path: '/hosted' }, ['/hosted host=a.example', '/hosted host=b.example']],
  [{ route: '/posts/:slug' }, ['/posts/a', '/posts/a?page=2', '/posts/b']],
  [{ all: true }, ['/', '/posts/a', '/posts/a?page=2', '/posts/b', '/hosted host=a.example', '/hosted host=b.example']],
  [[{ path: '/' }, { path: '/posts/b' }, { path: '/posts/b' }], ['/', '/posts/b']],
  [{ path: '/nowhere' }, []],
  [{ route: '/nowhere' }, []],
  [[], []]
]

for (const order of ['revalidate', 'purge'] as const) {
  t.test(`${order} concerns what its target means, and nothing else`, async (t) => {
    for (const [target, keys] of TARGETS) {
      const site = await blog(t)
      await site.visit()
      const dry = await site.app.isr[order](target, { dryRun: true })
      t.equal(dry.matched, keys.length, JSON.stringify(target))
      t.same(await touched(site), [], 'a dry run changes nothing')
      const result = await site.app.isr[order](target)
      t.equal(result.matched, keys.length)
      t.equal(result.degraded, false)
      t.ok((result.epoch ?? 0) >= (dry.epoch ?? 0))
      t.same(await touched(site), keys)
    }
  })

  t.test(`${order} refuses a target that makes no sense`, async (t) => {
    const { app } = await blog(t)
    const wrong: unknown[] = [
      null, undefined, 'path', 5, {}, { path: 5 }, { path: '' }, { path: 'relative' }, { path: '//x' }, { path: '/a/../b' }, { path: '/%61' }, { path: 'http://x/' },
      { path: '/a', route: '/b' }, { all: false }, { all: 1 }, { tag: '' }, { prefix: 5 }, { unknown: 1 }, [null], [{ path: '/' }, {}], Array.from({ length: 1001 }, () => ({ path: '/' }))
    ]
    for (const target of wrong) await t.rejects(app.isr[order](target as Target), { code: 'FST_ISR_ERR_INVALID_TARGET', statusCode: 400 }, JSON.stringify(target)?.slice(0, 60))
    await t.resolves(app.isr[order](Array.from({ length: 1000 }, (_, i) => ({ path: `/${i}` }))))
  })
}

t.test('revalidate serves the old page and renders behind; purge never shows it again', async (t) => {
  const regenerations = record(t, 'regenerate')
  const { get, app } = await blog(t)
  await get('/')
  await app.isr.revalidate({ path: '/' })
  t.equal((await get('/')).body, '#1')
  await until(() => regenerations.length === 1)
  t.equal(regenerations[0]?.reason, 'revalidate')
  t.equal((await get('/')).body, '#2')
  await app.isr.purge({ path: '/' })
  t.equal((await get('/')).body, '#3')
})

t.test('a purged page is not served even if rendering fails; a revalidated one is', async (t) => {
  let isBroken = false
  const { get, app } = await start(t, (app) => {
    app.get('/page', { config: { prerender: true } }, counted((nth) => {
      if (isBroken) throw new Error('down')
      return `#${nth}`
    }))
  })
  await get('/page')
  isBroken = true
  await app.isr.revalidate({ path: '/page' }, { expire: 0 })
  t.equal((await get('/page')).body, '#1')
  await app.isr.purge({ path: '/page' })
  t.equal((await get('/page')).statusCode, 500)
})

t.test('expire says for how long the old page may still be served', async (t) => {
  const gate = makeGate()
  const { get, app, clock } = await start(t, (app) => {
    app.get('/page', { config: { prerender: true } }, counted(async (nth) => { if (nth === 2) await gate.opened; return `#${nth}` }))
  })
  await get('/page')
  await app.isr.revalidate({ path: '/page' }, { expire: 30 })
  clock.forward(29)
  t.equal((await get('/page')).body, '#1')
  clock.forward(2)
  const waiting = get('/page')
  await settle()
  gate.open()
  t.equal((await waiting).body, '#2')
  for (const expire of [-1, NaN, '1' as unknown as number]) await t.rejects(app.isr.revalidate({ all: true }, { expire }), { code: 'FST_ISR_ERR_INVALID_TARGET' })
})

t.test('a soft order never makes an old page younger or a purged one come back', async (t) => {
  const { get, app } = await blog(t)
  await get('/')
  await app.isr.purge({ path: '/' })
  await app.isr.revalidate({ path: '/' })
  t.equal((await get('/')).body, '#2')
  await app.isr.revalidate({ path: '/' }, { expire: 0 })
  await app.isr.revalidate({ path: '/' }, { expire: 100 })
  t.equal((await get('/')).body, '#3', 'the strictest order wins')
})

t.test('refresh renders now, known or not, and reports per page', async (t) => {
  let status = 200
  let body = 'same'
  const { app, get } = await start(t, (app) => {
    app.get('/page', { config: { prerender: true } }, counted((_n, _q, reply) => reply.code(status).send(body)))
    app.get('/listed/:id', { config: { prerender: { paths: ['/listed/1', '/listed/2'] } } }, counted())
    app.get('/plain', async () => 'x')
  })
  const outcome = async (): Promise<string | undefined> => (await app.isr.refresh({ path: '/page' })).pages[0]?.outcome
  t.equal(await outcome(), 'stored')
  t.equal(await outcome(), 'renewed')
  body = 'other'
  t.equal(await outcome(), 'stored')
  status = 500
  t.equal(await outcome(), 'failed')
  t.equal((await get('/page')).body, 'other', 'a failure keeps the page')
  status = 404
  t.equal(await outcome(), 'dropped')
  t.equal(await outcome(), 'unstorable')
  status = 200
  t.equal(await outcome(), 'stored')
  t.equal(cacheStatus(await get('/page')), 'hit')
  t.same((await app.isr.refresh({ path: '/plain' })).pages, [])
  t.same((await app.isr.refresh({ path: '/nowhere' })).pages, [])
  await app.isr.revalidate({ route: '/listed/:id' })
  await settle()
  t.same((await app.isr.refresh({ route: '/listed/:id' })).pages.map(page => page.path).sort(), ['/listed/1', '/listed/2'])
  t.same((await app.isr.refresh({ all: true })).pages.map(page => page.path).sort(), ['/listed/1', '/listed/2', '/page'])
})

t.test('refresh renders every variant of a path', async (t) => {
  const { app } = await start(t, (app) => {
    app.get('/page', { config: { prerender: { hosts: ['a.example', 'b.example'], vary: { 'accept-language': { values: ['en', 'de'], select: header => header ?? '' } } } } }, counted((_n, request) => `${request.host} ${String(request.headers['accept-language'])}`))
  })
  const { pages } = await app.isr.refresh({ path: '/page' })
  t.same(pages.map(page => page.key).sort(), ['a', 'b'].flatMap(host => ['de', 'en'].map(language => `/page host=${host}.example accept-language=${language}`)))
  t.equal((await app.inject({ url: '/page', headers: { host: 'b.example', 'accept-language': 'de' } })).body, 'b.example de')
})

t.test('refresh joins only a render that begins after the call', async (t) => {
  const gate = makeGate()
  let content = 'old'
  const page = counted(async (nth) => {
    const read = content
    if (nth === 1) await gate.opened
    return read
  })
  const { app, get } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, page) })
  const visitor = get('/page')
  await until(() => page.renders === 1)
  content = 'new'
  const refreshed = Promise.all([app.isr.refresh({ path: '/page' }), app.isr.refresh({ path: '/page' })])
  await settle()
  gate.open()
  t.equal((await visitor).body, 'old')
  await refreshed
  t.equal(page.renders, 2)
  t.equal((await get('/page')).body, 'new')
})

t.test('refresh renders the most recently used pages first', async (t) => {
  const order: string[] = []
  const clock = new TestClock()
  const site = await start(t, (app) => {
    app.get<{ Params: { id: string } }>('/page/:id', { config: { prerender: { ttl: 60, onDemand: true, paths: ['/page/never', '/page/0', '/page/1', '/page/2', '/page/3'] } } }, async ({ params }) => {
      order.push(params.id)
      return params.id
    })
  }, { clock })
  await site.app.isr.revalidate({ route: '/page/:id' })
  await settle()
  const refresh = async (): Promise<string[]> => {
    order.length = 0
    await site.app.isr.refresh({ route: '/page/:id' }, { concurrency: 1 })
    return [...order]
  }
  for (const id of [0, 1, 2, 3, 1, 0]) await site.get(`/page/${id}`)
  t.same(await refresh(), ['0', '1', '3', '2', 'never'])
  t.same(await refresh(), ['0', '1', '3', '2', 'never'], 'a refresh is no use')
  await site.get('/page/2')
  t.same(await refresh(), ['2', '0', '1', '3', 'never'])
  clock.forward(61)
  await site.get('/page/3')
  await until(() => order.length === 6, 'the regeneration behind')
  t.same(await refresh(), ['3', '2', '0', '1', 'never'], 'a stale answer is a use, and its page stays the most used when it was rendered again')
  await site.app.isr.refresh([{ path: '/page/never' }, { path: '/page/0' }])
  await site.app.isr.purge({ path: '/page/3' })
  t.same(await refresh(), ['2', '0', '1', 'never', '3'], 'what is not in memory comes last')
})

t.test('refresh renders at most `concurrency` pages at a time', async (t) => {
  let running = 0
  let most = 0
  const { app } = await start(t, (app) => {
    app.get('/page/:id', { config: { prerender: { onDemand: true, paths: Array.from({ length: 12 }, (_, i) => `/page/${i}`) } } }, async () => {
      most = Math.max(most, ++running)
      await settle()
      running--
      return 'x'
    })
  })
  await app.isr.revalidate({ route: '/page/:id' })
  await settle()
  t.equal((await app.isr.refresh({ route: '/page/:id' }, { concurrency: 3 })).pages.length, 12)
  t.equal(most, 3)
  for (const concurrency of [0, -1, 1.5, NaN]) await t.rejects(app.isr.refresh({ all: true }, { concurrency }), { code: 'FST_ISR_ERR_INVALID_TARGET' })
})

t.test('config.revalidate: a change that was accepted makes pages stale, before its answer leaves', async (t) => {
  let title = 'old'
  const page = counted(() => title)
  const site = await start(t, (app) => {
    app.get('/posts/:slug', { config: { prerender: { onDemand: true } } }, page)
    app.post<{ Params: { slug: string }, Querystring: { status?: string, throws?: string } }>('/posts/:slug', {
      config: { revalidate: request => ({ path: `/posts/${(request.params as { slug: string }).slug}` }) }
    }, async (request, reply) => {
      title = 'new'
      if (request.query.throws !== undefined) throw new Error('refused')
      return reply.code(Number(request.query.status ?? 200)).send('saved')
    })
    app.delete('/posts/:slug', { config: { revalidate: [{ path: '/posts/a' }, { route: '/posts/:slug' }] } }, async (_request, reply) => reply.redirect('/posts', 303))
    app.patch('/broken', { config: { revalidate: () => { throw new Error('no idea') } } }, async () => 'patched')
    app.put('/nonsense', { config: { revalidate: () => ({ path: 'relative' }) } }, async () => 'put')
  })
  const isFresh = async (): Promise<boolean> => (await site.app.isr.inspect('/posts/a')).entry?.state === 'fresh'
  const fresh = async (): Promise<void> => { await site.app.isr.refresh({ path: '/posts/a' }) }
  for (const [method, url, isStale] of [
    ['POST', '/posts/a', true], ['POST', '/posts/a?status=204', true], ['POST', '/posts/a?status=303', true], ['DELETE', '/posts/a', true],
    ['POST', '/posts/a?status=400', false], ['POST', '/posts/a?status=422', false], ['POST', '/posts/a?status=500', false], ['POST', '/posts/a?throws=1', false], ['POST', '/posts/b', false],
    ['PATCH', '/broken', false], ['PUT', '/nonsense', false]
  ] as const) {
    await fresh()
    t.equal(await isFresh(), true)
    const answer = await site.app.inject({ method, url })
    t.equal(await isFresh(), !isStale, `${method} ${url}`)
    if (url === '/broken' || url === '/nonsense') t.equal(answer.statusCode, 200)
  }
  t.equal(site.logs.filter(line => line.msg === 'config.revalidate failed; the answer was sent all the same').length, 2)
})

t.test('config.revalidate with a wrong constant target is refused at its line', async (t) => {
  await start(t, (app) => {
    t.throws(() => app.post('/x', { config: { revalidate: { path: 'relative' } } }, async () => 'x'), { code: 'FST_ISR_ERR_INVALID_TARGET' })
  })
})

t.test('inspect explains what happens to a URL', async (t) => {
  const site = await blog(t)
  const { app, clock } = site
  await site.visit()
  const reasons = async (url: string): Promise<string> => (await app.isr.inspect(url)).reasons.join(' | ')
  const fresh = await app.isr.inspect('/posts/a?page=2&x=1')
  t.match(fresh, { url: '/posts/a?page=2&x=1', key: '/posts/a?page=2', route: '/posts/:slug', cached: true, entry: { state: 'fresh', age: 0, ttl: 60, tier: 'memory', path: '/posts/a', status: 200, bytes: 2 } })
  t.match(await reasons('/'), /fresh/)
  t.same((await app.isr.inspect('/')).entry?.tags, ['home'])
  clock.forward(61)
  t.match(await reasons('/'), /older than its ttl of 60 s/)
  await app.isr.revalidate({ path: '/posts/b' })
  t.match(await reasons('/posts/b'), /marked stale by revalidate/)
  t.match(await reasons('/nowhere'), /no GET route/)
  t.match(await reasons('/live'), /has no config.prerender/)
  t.match(await reasons('/posts/%61'), /spelling/)
  t.match(await reasons('/posts/zzz'), /no entry .*onDemand is on/)
  await t.rejects(app.isr.inspect('relative'), { code: 'FST_ISR_ERR_INVALID_TARGET' })
  await t.rejects(app.isr.inspect(undefined as unknown as string), { code: 'FST_ISR_ERR_INVALID_TARGET' })
  const { started } = app.isr.stats().renders
  t.equal(started, 6, 'looking renders nothing')
})

t.test('entries pages through what is stored', async (t) => {
  const site = await blog(t)
  await site.visit()
  const keys: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const page = await site.app.isr.entries({ cursor, limit: 2 })
    t.ok(page.entries.length <= 2)
    keys.push(...page.entries.map(entry => entry.key))
    cursor = page.cursor
  }
  t.same(keys, ['/', '/hosted host=a.example', '/hosted host=b.example', '/posts/a', '/posts/a?page=2', '/posts/b'])
  t.same((await site.app.isr.entries({ filter: 'posts' })).entries.length, 3)
  for (const limit of [0, 1001, 1.5]) await t.rejects(site.app.isr.entries({ limit }), { code: 'FST_ISR_ERR_INVALID_TARGET' })
})

t.test('stats counts answers and renders by outcome', async (t) => {
  let isBroken = false
  const regenerations = record(t, 'regenerate')
  const { app, get, clock } = await start(t, (app) => {
    app.get('/page', { config: { prerender: { ttl: 1, staleWhileRevalidate: 1 } } }, counted((nth) => {
      if (isBroken) throw new Error('x')
      return `#${nth}`
    }))
    app.get('/private', { config: { prerender: true } }, counted((_n, _q, reply) => { reply.isr.noStore(); return 'x' }))
    app.get('/broken', { config: { prerender: true } }, counted(() => { throw new Error('x') }))
  })
  await get('/page')
  await get('/page')
  clock.forward(1)
  await get('/page')
  await until(() => regenerations.length === 1)
  isBroken = true
  clock.forward(3)
  await get('/page')
  await get('/page', { authorization: 'x' })
  await get('/private')
  await get('/private')
  await get('/broken')
  t.same(app.isr.stats().requests, { hit: 1, stale: 1, miss: 1, staleIfError: 1, bypass: 1, unstorable: 2, failed: 1 })
  t.same(app.isr.stats().renders, { started: 5, stored: 2, renewed: 0, unstorable: 1, failed: 2, running: 0, queued: 0 })
})

t.test('tags of the policy, of its function and of the reply are kept, and wrong ones are refused', async (t) => {
  const { app, get } = await start(t, (app) => {
    app.get('/posts/:slug', { config: { prerender: { onDemand: true, tags: params => [`post:${params.slug}`, 'posts'] } } }, async (_request, reply) => {
      reply.isr.tags('author:1', 'posts')
      return 'x'
    })
    for (const [name, tag] of [['empty', ''], ['control', 'a\u0001'], ['long', 'x'.repeat(257)], ['number', 5]] as const) {
      app.get(`/${name}`, { config: { prerender: true } }, async (_request, reply) => { reply.isr.tags(tag as string); return 'x' })
    }
  })
  await get('/posts/a')
  t.same((await app.isr.inspect('/posts/a')).entry?.tags, ['post:a', 'posts', 'author:1'])
  for (const name of ['empty', 'control', 'long', 'number']) t.equal((await get(`/${name}`)).json<{ code: string }>().code, 'FST_ISR_ERR_INVALID_TAG')
})

t.test('reply.isr does nothing in a live answer', async (t) => {
  const page = counted((_n, request, reply) => {
    reply.isr.tags('a')
    reply.isr.ttl(5)
    reply.isr.noStore()
    return request.isrRender === null ? 'live' : 'render'
  })
  const { get, app } = await start(t, (app) => {
    app.get('/page', { config: { prerender: true } }, page)
    app.get('/plain', page)
  })
  t.equal((await get('/plain')).body, 'live')
  t.equal((await get('/page', { authorization: 'x' })).body, 'live')
  t.equal((await get('/page')).body, 'render')
  t.equal(app.isr.stats().memory.entries, 0)
})

t.test('what needs a ready app says so instead of waiting for itself', async (t) => {
  const errors: unknown[] = []
  await start(t, (app) => {
    app.addHook('onReady', async () => {
      for (const call of [() => app.isr.refresh({ all: true }), () => app.isr.prerender()]) await call().catch((error: unknown) => errors.push(error))
    })
  })
  t.match(errors, [{ code: 'FST_ISR_ERR_NOT_READY' }, { code: 'FST_ISR_ERR_NOT_READY' }])
})
