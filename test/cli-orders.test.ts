// Orders from the shell: the real program against a listening app, and against the files of one.
import { createServer, type RequestListener } from 'node:http'
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import type { Inspection } from '../lib/index.js'
import { counted, start, type Counted, type Site, type SiteOptions } from './helpers/app.js'
import { runCommand, type CommandResult } from './helpers/command.js'
import { buildOnce, eventually, exportOf, html, open, page, snapshot } from './helpers/site-build.js'

type Test = Parameters<typeof start>[0]

const main = fileURLToPath(new URL('../lib/cli/main.js', import.meta.url))
const SECRET = 'correct-horse-battery-staple-0123456789'
process.env['ISR_SECRET'] = SECRET

function cli (...args: string[]): Promise<CommandResult> {
  return runCommand(process.execPath, [main, ...args], process.cwd())
}

/** Like `cli`, with another secret in the environment. */
async function cliWith (secret: string | undefined, ...args: string[]): Promise<CommandResult> {
  if (secret === undefined) delete process.env['ISR_SECRET']
  else process.env['ISR_SECRET'] = secret
  try {
    return await cli(...args)
  } finally {
    process.env['ISR_SECRET'] = SECRET
  }
}

interface Served extends Site { about: Counted, url: string, bodies: string[] }

async function serve (t: Test, declare: (app: FastifyInstance) => unknown = () => {}, options: SiteOptions = {}): Promise<Served> {
  const about = counted()
  const bodies: string[] = []
  const site = await start(t, async (app) => {
    app.get('/about', { config: { prerender: { tags: ['info'] } } }, about)
    app.get('/posts/:slug', { config: { prerender: { onDemand: true, query: ['page'] } } }, counted())
    app.get('/broken', { config: { prerender: true } }, async () => { throw new Error('the database is down') })
    await declare(app)
  }, {
    ...options,
    before: (app) => {
      app.addHook('onRequest', async (request) => {
        if (request.method === 'POST') bodies.push(`${String(request.headers.authorization)} ${String(request.headers['isr-signature']).slice(0, 7)}`)
      })
    },
    isr: { clock: Date.now, revalidateEndpoint: { path: '/internal/revalidate', secret: SECRET }, ...options.isr }
  })
  return { ...site, about, bodies, url: `http://127.0.0.1:${await site.listen()}/internal/revalidate` }
}

/** A server that answers like no endpoint does. */
async function listen (t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  t.teardown(() => { server.closeAllConnections(); server.close() })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function state (app: FastifyInstance, url: string): Promise<Inspection['state']> {
  return (await app.isr.inspect(url)).state
}

t.test('revalidate and purge, over HTTP', async (t) => {
  const site = await serve(t)
  const { app, url } = site
  const visit = async (): Promise<void> => { for (const path of ['/about', '/posts/a', '/posts/a?page=2', '/posts/b']) await site.get(path) }
  await visit()
  const revalidated = await cli('revalidate', '--path', '/about', '--prefix', '/posts/b', '--tag', 'unknown', '--route', '/none/:x', '--url', url)
  t.same(revalidated, { code: 0, stdout: '✔ 2 known pages stale from now on\n', stderr: '' })
  t.same(await Promise.all(['/about', '/posts/b', '/posts/a'].map(async path => await state(app, path))), ['stale', 'stale', 'fresh'])
  t.same(site.bodies, ['undefined sha256='], 'signed; the secret itself is not sent')

  const purged = await cli('purge', '--path', '/posts/a', '--path', '/posts/b', '--url', url, '--json')
  t.equal(purged.code, 0)
  t.match(JSON.parse(purged.stdout), { purge: { matched: 3, degraded: false, epoch: Number } })
  t.same(await Promise.all(['/about', '/posts/a', '/posts/a?page=2', '/posts/b'].map(async path => await state(app, path))), ['stale', null, null, null])

  await visit()
  t.equal((await cli('purge', '--all', '--url', url)).stdout, '✔ 4 known pages purged\n')
  t.equal(await state(app, '/about'), null)
})

t.test('more targets than the endpoint takes at once go in batches', async (t) => {
  const site = await serve(t)
  await site.get('/posts/599')
  await site.get('/posts/0')
  const flags = Array.from({ length: 600 }, (_, i) => ['--path', `/posts/${i}`]).flat()
  const { code, stdout } = await cli('revalidate', ...flags, '--url', site.url, '--json')
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { revalidate: { matched: 2, degraded: false } })
  t.equal(site.bodies.length, 3)
  const long = Array.from({ length: 100 }, (_, i) => ['--path', `/posts/${i}${'/x'.repeat(900)}`]).flat()
  t.equal((await cli('revalidate', ...long, '--url', site.url)).code, 0, 'nor more bytes')
})

t.test('refresh, over HTTP', async (t) => {
  const site = await serve(t)
  const { stdout, code } = await cli('refresh', '--path', '/about', '--url', site.url)
  t.match(stdout, /^Path +Time +Outcome\n\/about +\d+ ms +stored\n\n✔ 1 page refreshed: 1 stored\n$/)
  t.equal(code, 0)
  t.equal(site.about.renders, 1)
  const failed = await cli('refresh', '--path', '/about', '--path', '/broken', '--url', site.url)
  t.equal(failed.code, 1)
  t.match(failed.stdout, /✖ 2 pages refreshed: 1 \w+, 1 \w+\n$/)
  t.match(failed.stderr, /^\/broken: /)
  const json = await cli('refresh', '--tag', 'info', '--url', site.url, '--json')
  t.match(JSON.parse(json.stdout), { refresh: { pages: [{ path: '/about', outcome: 'stored' }] } })
  const none = await cli('refresh', '--path', '/nowhere', '--url', site.url)
  t.same([none.code, none.stdout], [0, '✔ 0 pages refreshed\n'])
})

t.test('refresh of what a sitemap lists', async (t) => {
  const locations = ['https://public.example/about', 'https://public.example/posts/a?page=2&amp;x=1', 'https://public.example/posts/%C3%BC', 'https://public.example/posts/ö', 'https://public.example/a//b', 'nonsense']
  const xml = `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n${locations.map(location => `  <url><loc>\n ${location} </loc><lastmod>2026-01-01</lastmod></url>`).join('\n')}\n<url><loc><![CDATA[https://public.example/posts/c]]></loc></url></urlset>`
  const site = await serve(t, (app) => {
    app.get('/sitemap.xml', async (_request, reply) => await reply.type('application/xml').send(xml))
    app.get('/index.xml', async () => '<sitemapindex><sitemap><loc>https://a.example/1.xml</loc></sitemap></sitemapindex>')
    app.get('/empty.xml', async () => '<urlset></urlset>')
    app.get('/many.xml', async () => `<urlset>${'<url><loc>https://a.example/about</loc></url>'.repeat(50_001)}</urlset>`)
    app.get('/large.xml', async () => '<urlset>'.repeat(7_000_000))
  })
  const dir = t.testdir({ 'site.xml': xml })
  for (const source of ['/sitemap.xml', path.join(dir, 'site.xml')]) {
    const { code, stdout, stderr } = await cli('refresh', '--sitemap', source, '--url', site.url, '--json')
    t.equal(code, 0)
    const { refresh: { pages } } = JSON.parse(stdout) as { refresh: { pages: { key: string }[] } }
    t.same(pages.map(page => page.key).sort(), ['/about', '/posts/%C3%B6', '/posts/%C3%BC', '/posts/a?page=2', '/posts/c'])
    t.match(stderr, '2 URLs can be no page and are left out')
  }
  const wrong: [string, RegExp][] = [
    ['/index.xml', /index of sitemaps/],
    ['/empty.xml', /lists nothing/],
    ['/many.xml', /50001 URLs; the most is 50000/],
    ['/large.xml', /too large/],
    ['/missing.xml', /answered 404/],
    ['nowhere.xml', /there is no file nowhere\.xml/],
    ['//other.example/sitemap.xml', /there is no file/],
    [dir, /is no file/]
  ]
  const posts = site.bodies.length
  for (const [source, message] of wrong) {
    const { code, stderr } = await cli('refresh', '--sitemap', source, '--url', site.url)
    t.equal(code, 2, source)
    t.match(stderr, message)
  }
  t.equal(site.bodies.length, posts, 'nothing is sent')
})

t.test('a long sitemap goes in batches of 256', async (t) => {
  const site = await serve(t)
  const dir = t.testdir({ 'site.xml': `<urlset>${Array.from({ length: 600 }, (_, i) => `<url><loc>https://a.example/none/${i}</loc></url>`).join('')}<url><loc>https://a.example/about</loc></url></urlset>` })
  const { code, stdout } = await cli('refresh', '--sitemap', path.join(dir, 'site.xml'), '--url', site.url)
  t.equal(code, 0)
  t.match(stdout, '1 page refreshed')
  t.equal(site.bodies.length, 3)
})

t.test('inspect, over HTTP', async (t) => {
  const site = await serve(t)
  await site.get('/about')
  const { code, stdout } = await cli('inspect', '--path', '/about', '--path', '/About/', '--url', site.url)
  t.equal(code, 0)
  t.match(stdout, /^\/about\n {2}route {3}\/about\n {2}cached {2}yes\n {2}state {3}fresh\n {2}age {5}\d+ m?s\n {2}tier {4}memory\n {2}tags {4}info\n {2}why {5}rendered .*\n\/About\/\n {2}cached {2}no\n {2}why {5}/)
  t.match(JSON.parse((await cli('inspect', '--path', '/about', '--url', site.url, '--json')).stdout), { inspect: [{ url: '/about', cached: true, state: 'fresh' }] })
})

t.test('exit code 1: the app could not make the order durable', async (t) => {
  const dir = t.testdir({ '.isr': { marks: 'a file where a folder should be' } })
  const site = await serve(t, () => {}, { isr: { dir, disk: {}, buildId: 'b' } })
  await site.get('/about')
  const { code, stdout, stderr } = await cli('purge', '--path', '/about', '--url', site.url)
  t.equal(code, 1)
  t.equal(stdout, '✖ 1 known page purged\n')
  t.match(stderr, 'could not make the order durable')
})

t.test('exit code 1: the app refuses or fails', async (t) => {
  const statuses = [400, 403, 413, 415, 422, 500, 502, 503]
  for (const status of statuses) {
    const url = `${await listen(t, (_request, response) => { response.writeHead(status).end('{"message":"no\\u001b[31m way"}') })}/x`
    const { code, stderr } = await cli('purge', '--all', '--url', url)
    t.equal(code, 1, String(status))
    t.equal(stderr, `${url} answered ${status}: no[31m way\n`)
  }
})

t.test('a batch that is refused ends it: what follows is not sent', async (t) => {
  let requests = 0
  const url = `${await listen(t, (request, response) => {
    request.resume()
    requests++
    if (requests === 2) response.writeHead(500)
    response.end('{"revalidate":{"epoch":1,"matched":1,"degraded":false}}')
  })}/x`
  const { code, stdout } = await cli('revalidate', ...Array.from({ length: 700 }, (_, i) => ['--path', `/${i}`]).flat(), '--url', url)
  t.same([code, stdout, requests], [1, '', 2])
})

t.test('exit code 2: wrong secret, wrong address, nobody there', async (t) => {
  const { url, app } = await serve(t)
  const refused = await cliWith('another-secret-that-is-as-long-as-that', 'purge', '--all', '--url', url)
  t.equal(refused.code, 2)
  t.match(refused.stderr, 'refused the signature (401)')
  for (const secret of ['', undefined]) {
    const { code, stderr } = await cliWith(secret, 'purge', '--all', '--url', url)
    t.equal(code, 2)
    t.match(stderr, 'ISR_SECRET is not set')
  }
  t.match(await cli('purge', '--all', '--url', url.replace('internal', 'nowhere')), { code: 2, stderr: /is no revalidate endpoint \(it answered 404\)/ })
  t.match(await cli('purge', '--all', '--url', `${await listen(t, (_request, response) => { response.end('<html>') })}/x`), { code: 2, stderr: /is no revalidate endpoint \(it answered 200\)/ })
  t.match(await cli('purge', '--all', '--url', `${await listen(t, (_request, response) => { response.end('{"purge":{}}') })}/x`), { code: 2, stderr: /is no revalidate endpoint/ })
  let hops = 0
  const elsewhere = await listen(t, () => { hops++ })
  t.match(await cli('purge', '--all', '--url', `${await listen(t, (_request, response) => { response.writeHead(307, { location: `${elsewhere}/x` }).end() })}/x`), { code: 2, stderr: /redirects to http/ })
  t.equal(hops, 0, 'a signed order is not carried elsewhere')
  t.match(await cli('purge', '--all', '--url', `${await listen(t, request => { request.socket.destroy() })}/x`), { code: 2, stderr: /can't reach/ })
  await app.close()
  t.match(await cli('purge', '--all', '--url', url), { code: 2, stderr: /can't reach .*ECONNREFUSED/ })
})

t.test('no message shows a secret', async (t) => {
  const { url } = await serve(t)
  const withPassword = url.replace('http://', 'http://user:pa55word@')
  const results = [
    await cli('revalidate', '--path', '/about', '--url', withPassword),
    await cli('revalidate', '--path', '/about', '--url', withPassword.replace('internal', 'nowhere')),
    await cliWith('x'.repeat(40), 'revalidate', '--path', '/about', '--url', withPassword),
    await cli('revalidate', '--help')
  ]
  t.same(results.map(({ code }) => code), [0, 2, 2, 0])
  t.notMatch(JSON.stringify(results), /pa55word|correct-horse|xxxxxxxx/)
})

t.test('exit code 2 for wrong usage', async (t) => {
  const url = 'http://127.0.0.1:1/x'
  const wrong: [string[], RegExp][] = [
    [['revalidate', '--url', url], /revalidate: which pages\?/],
    [['revalidate', '--all'], /either --url or --dir/],
    [['revalidate', '--all', '--url', url, '--dir', '.'], /either --url or --dir/],
    [['refresh', '--all', '--dir', '.'], /rendering needs the running app/],
    [['refresh', '--all'], /Give --url/],
    [['purge', '/about', '--url', url], /unexpected argument '\/about'/],
    [['purge', '--path', 'about', '--url', url], /no canonical path/],
    [['purge', '--path', '/a/../b', '--url', url], /no canonical path/],
    [['purge', '--tag', '', '--url', url], /invalid tag/],
    [['inspect', '--path', 'about', '--url', url], /beginning with '\/'/],
    [['inspect', '--tag', 'x', '--url', url], /unknown option '--tag'/],
    [['revalidate', '--all', '--url', url, '--secret', SECRET], /unknown option '--secret'/],
    [['revalidate', '--all', '--url', url, '--dry-run'], /unknown option '--dry-run'/],
    [['revalidate', '--all', '--url', url, '--expire', '5'], /unknown option '--expire'/],
    [['revalidate', '--sitemap', '/sitemap.xml', '--url', url], /unknown option '--sitemap'/],
    [['revalidate', '--all', '--url', 'ftp://a.example/x'], /whole address of the endpoint/],
    [['revalidate', '--all', '--url', 'https://a.example'], /whole address of the endpoint/],
    [['revalidate', '--all', '--url', 'a.example/x'], /whole address of the endpoint/]
  ]
  await Promise.all(wrong.map(async ([args, message]) => {
    const { code, stdout, stderr } = await cli(...args)
    t.equal(code, 2, args.join(' '))
    t.match(stderr, message)
    t.equal(stdout, '')
  }))
})

t.test('each command has its help', async (t) => {
  const { stdout } = await cli('--help')
  for (const command of ['revalidate', 'purge', 'refresh', 'inspect']) {
    t.match(stdout, command)
    t.match((await cli(command, '--help')).stdout, `Usage: fastify-isr ${command}`)
  }
})

// ── the files ───────────────────────────────────────────────────────────────

function declare (text: () => string): (app: FastifyInstance) => void {
  return (app) => {
    page(app, '/about', () => html(`about ${text()}`), { tags: ['info'] })
    page(app, '/posts/:slug', ({ slug }) => html(`${slug} ${text()}`), { paths: ['/posts/a', '/posts/b'], onDemand: true })
  }
}

t.test('with --dir a running app and a later one hear of it', async (t) => {
  const dir = t.testdir({})
  let text = 'old'
  const site = declare(() => text)
  await buildOnce(t, dir, site)
  const running = await open(t, dir, site)
  for (const url of ['/about', '/posts/a', '/posts/b']) t.match(await running.body(url), 'old')
  text = 'new'

  t.same(await cli('revalidate', '--tag', 'info', '--dir', dir), { code: 0, stdout: '✔ 1 known page stale from now on\n', stderr: '' })
  await eventually('the running app takes the mark over', async () => await state(running.app, '/about') === 'stale' || (await running.body('/about')).includes('new'))
  t.equal(await state(running.app, '/posts/a'), 'fresh', 'what was not meant is as it was')

  const before = await exportOf(dir)
  t.ok(before.includes('posts/a/index.html'))
  const purged = await cli('purge', '--path', '/posts/a', '--dir', dir, '--json')
  t.equal(purged.code, 0)
  t.match(JSON.parse(purged.stdout), { purge: { matched: 1, degraded: false, epoch: Number } })
  t.same(await exportOf(dir), before.filter(file => !file.startsWith('posts/a/')), 'its readable file goes, no other')
  await eventually('the running app purges', async () => (await running.body('/posts/a')).includes('new'))
  t.match(await running.body('/posts/b'), 'old')
  await running.app.close()

  t.equal((await cli('purge', '--prefix', '/posts', '--dir', dir)).code, 0)
  const later = await open(t, dir, site)
  t.match(await later.body('/posts/b'), 'new', 'read at start')
})

t.test('orders by files come after all others, even by a clock that is ahead', async (t) => {
  const dir = t.testdir({})
  let text = 'old'
  const ahead = { isr: { clock: () => Date.now() + 3_600_000 } }
  await buildOnce(t, dir, declare(() => text), {}, ahead)
  const running = await open(t, dir, declare(() => text), ahead)
  await running.app.isr.revalidate({ path: '/about' })
  const { epoch } = JSON.parse((await cli('purge', '--all', '--dir', dir, '--json')).stdout).purge as { epoch: number }
  t.ok(epoch > Date.now() * 1000 + 3_000_000_000)
  text = 'new'
  await eventually('the purge is heard', async () => (await running.body('/about')).includes('new'))
})

t.test('many orders by files do not pile up files', async (t) => {
  const dir = t.testdir({})
  await buildOnce(t, dir, declare(() => 'x'))
  const marks = path.join(dir, '.isr', 'marks')
  mkdirSync(marks, { recursive: true })
  for (let i = 0; i < 20; i++) {
    const file = path.join(marks, `${i}-${'0'.repeat(12)}.marks`)
    writeFileSync(file, '\n')
    utimesSync(file, 1e9, 1e9)
  }
  t.equal((await cli('revalidate', '--all', '--dir', dir)).code, 0)
  t.equal(readdirSync(marks).length, 1)
})

t.test('inspect --dir reads what is on disk and changes nothing', async (t) => {
  const dir = t.testdir({})
  const site = declare(() => 'x')
  await buildOnce(t, dir, site)
  const running = await open(t, dir, site)
  await running.body('/posts/on-demand')
  await running.app.close()
  const inspect = async (...paths: string[]): Promise<Inspection[]> => {
    const before = await snapshot(dir)
    const { code, stdout } = await cli('inspect', ...paths.flatMap(path => ['--path', path]), '--dir', dir, '--json')
    t.equal(code, 0)
    t.same(await snapshot(dir), before, 'nothing was changed')
    return (JSON.parse(stdout) as { inspect: Inspection[] }).inspect
  }
  t.match(await inspect('/about', '/posts/on-demand', '/nowhere'), [
    { url: '/about', key: '/about', route: '/about', cached: true, state: 'fresh', tier: 'disk', tags: ['info'], reasons: [/fresh until it is revalidated/] },
    { key: '/posts/on-demand', route: '/posts/:slug', cached: true, state: 'fresh' },
    { key: '/nowhere', route: null, cached: false, state: null, reasons: [/no entry is stored/] }
  ])
  t.match((await cli('inspect', '--path', '/about', '--dir', dir)).stdout, /^\/about\n {2}route {3}\/about\n {2}cached {2}yes\n {2}state {3}fresh\n/)
  await cli('revalidate', '--tag', 'info', '--dir', dir)
  t.match(await inspect('/about'), [{ state: 'stale', cached: true, reasons: [/marked stale/] }])
  await cli('purge', '--path', '/posts/on-demand', '--dir', dir)
  t.match(await inspect('/posts/on-demand', '/posts/a'), [{ cached: false, reasons: [/purged/] }, { state: 'fresh' }])
  const [file = ''] = (await inspect('/posts/b')).map(() => JSON.parse(readFileSync(path.join(dir, '.isr/manifest.json'), 'utf8')).pages.find((page: { key: string }) => page.key === '/posts/b').file as string)
  writeFileSync(path.join(dir, file), 'torn')
  t.match(await inspect('/posts/b'), [{ cached: false, reasons: [/not used: .*not an entry/] }])
  t.ok(existsSync(path.join(dir, file)))
})

t.test('a manifest that can not be read does not stand in the way of an order', async (t) => {
  const dir = t.testdir({})
  await buildOnce(t, dir, declare(() => 'x'))
  writeFileSync(path.join(dir, '.isr/manifest.json'), '{')
  const { code, stdout, stderr } = await cli('purge', '--all', '--dir', dir)
  t.same([code, stdout], [0, '✔ 0 known pages purged\n'])
  t.match(stderr, 'is not usable')
  t.equal(readdirSync(path.join(dir, '.isr/marks')).length, 1)
  t.match(await cli('inspect', '--path', '/about', '--dir', dir), { code: 2, stderr: /no readable build/ })
})

t.test('files of another user are left alone: its app could not read these marks', { skip: process.getuid?.() !== 0 }, async (t) => {
  const dir = t.testdir({})
  await buildOnce(t, dir, declare(() => 'x'))
  chownSync(path.join(dir, '.isr'), 4242, 4242)
  const before = await snapshot(dir)
  t.match(await cli('purge', '--all', '--dir', dir), { code: 2, stderr: /written by another user \(4242\)/ })
  t.same(await snapshot(dir), before)
})

t.test('exit codes with --dir', async (t) => {
  const dir = t.testdir({})
  t.match(await cli('purge', '--all', '--dir', dir), { code: 2, stderr: /is no output directory/ })
  t.equal(existsSync(path.join(dir, '.isr')), false, 'nothing is made where nothing was')
  t.match(await cli('inspect', '--path', '/a', '--dir', path.join(dir, 'nowhere')), { code: 2 })
  await buildOnce(t, dir, declare(() => 'x'))
  t.match(await cli('inspect', '--path', 'about', '--dir', dir), { code: 2 })
  t.match(await cli('inspect', '--path', '/about/../', '--dir', dir), { code: 2, stderr: /no canonical path/ })
  rmSync(path.join(dir, '.isr/marks'), { recursive: true, force: true })
  writeFileSync(path.join(dir, '.isr/marks'), '')
  const { code, stderr } = await cli('revalidate', '--all', '--dir', dir)
  t.equal(code, 1)
  t.match(stderr, 'nobody will hear of this order')
})
