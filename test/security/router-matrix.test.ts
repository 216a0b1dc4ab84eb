// Paths (F1 to F3, T03, T18 to T20): whatever the router makes of a target, its answer is the one
// of the same app without the plugin, and no file outside `dir` is opened on the way.
import fs from 'node:fs'
import fsp from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import path from 'node:path'
import fc from 'fast-check'
import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions, type RouteOptions } from 'fastify'
import { inject, type DispatchFunc } from 'light-my-request'
import t from 'tap'
import isr, { type IsrOptions, type RoutePolicy } from '../../lib/index.js'

const GENERATED = 10_000
const SEED = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))

interface Target {
  target: string
  headers: Record<string, string>
}

interface Config {
  name: string
  fastify?: FastifyServerOptions
  prefixes?: string[]
}

/** Fastify's types don't know the last one. */
const ALL_OPTIONS: NonNullable<FastifyServerOptions['routerOptions']> & { useSemicolonDelimiter: boolean } = { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false, useSemicolonDelimiter: true }

const CONFIGS: Config[] = [
  { name: 'defaults' },
  { name: 'ignoreTrailingSlash', fastify: { routerOptions: { ignoreTrailingSlash: true } } },
  { name: 'caseSensitive: false', fastify: { routerOptions: { caseSensitive: false } } },
  { name: 'ignoreDuplicateSlashes', fastify: { routerOptions: { ignoreDuplicateSlashes: true } } },
  { name: 'useSemicolonDelimiter', fastify: { routerOptions: { useSemicolonDelimiter: true } as object } },
  { name: 'all of them', fastify: { routerOptions: ALL_OPTIONS } },
  { name: 'trustProxy', fastify: { trustProxy: true } },
  { name: 'prefixes', prefixes: ['/pre', '/of/:tenant', '/Docs'] },
  { name: 'all of them with prefixes and trustProxy', fastify: { routerOptions: ALL_OPTIONS, trustProxy: true }, prefixes: ['/pre', '/of/:tenant', '/Docs'] },
  { name: 'rewriteUrl that folds case', fastify: { rewriteUrl: request => (request.url ?? '/').toLowerCase() } },
  { name: 'rewriteUrl that decodes', fastify: { rewriteUrl: request => decodedOr(request.url ?? '/') } },
  { name: 'rewriteUrl by host', fastify: { rewriteUrl: request => request.headers.host === 'b.example' ? `/of/b${request.url ?? '/'}` : request.url ?? '/' }, prefixes: ['/of/:tenant'] },
  { name: 'rewriteUrl that turns pages around', fastify: { rewriteUrl: request => (request.url ?? '/').replace(/^\/(page|two|docs)\b/, (_all, name: string) => name === 'page' ? '/docs' : name === 'docs' ? '/two' : '/page') } }
]

function decodedOr (url: string): string {
  try {
    return decodeURI(url)
  } catch {
    return url
  }
}

const LANGUAGE = { values: ['en', 'de'], select: (header: string | undefined): string => header?.slice(0, 2) ?? 'en' }
const HOSTS = ['a.example', 'b.example']

type Declared = [pattern: string, policy: RoutePolicy | false, constraints?: RouteOptions['constraints']]

const ROUTES: Declared[] = [
  ['/', {}], ['/page/:slug', {}], ['/page/fixed', {}], ['/page/Upper', {}], ['/docs/*', {}], ['/docs/exact', {}], ['/slash/', {}], ['/multi/:a-:b', {}], ['/file/:name.:ext', {}],
  ['/num/:n(^\\d+$)', {}], ['/opt/:x?', {}], ['/two/:a/:b', {}], ['/two/:a/fixed', {}], ['/a::b', {}], ['/ä/:x', {}], ['/sp ace/:x', {}], ['/any/*', {}], ['/query/:slug', { query: ['q', 'r'] }], ['/lang/:slug', { vary: { 'accept-language': LANGUAGE } }],
  ['/account', false], ['/live/:x', false], ['/page/:slug/private', false], ['/docs/secret/*', false],
  ['/hosts/:slug', { hosts: HOSTS }], ['/version/:slug', { vary: { version: { values: ['0', '1.2.0'], select: header => header ?? '0' } } }], ['/version/:slug', {}, { version: '1.2.0' }], ['/version/:slug', false, { version: '2.0.0' }],
  ['/host/:slug', {}], ['/host/:slug', {}, { host: 'a.example' }], ['/host/:slug', false, { host: 'b.example' }],
  // Two routes whose keys are the same: the router tells them apart by what `hosts` does not look at.
  ['/both/:slug', { hosts: HOSTS }, { host: 'a.example' }], ['/both/:slug', { hosts: HOSTS }]
]

/** Every page names its route, its params and all else that its key holds. */
function declare (app: FastifyInstance): void {
  for (const [pattern, policy, constraints = {}] of ROUTES) {
    const label = [pattern, policy === false ? 'live' : 'page', JSON.stringify(constraints)].join(' ')
    app.get(pattern, { constraints, ...(policy === false ? {} : { config: { prerender: { onDemand: true, ...policy } } }) }, async (request: FastifyRequest) => {
      const parts: unknown[] = [app.prefix, label, request.params]
      if (pattern.startsWith('/query')) parts.push((request.query as Record<string, unknown>).q, (request.query as Record<string, unknown>).r)
      if (pattern.startsWith('/lang')) parts.push(LANGUAGE.values.includes(LANGUAGE.select(request.headers['accept-language'])) ? LANGUAGE.select(request.headers['accept-language']) : 'en')
      if (pattern.startsWith('/hosts') || pattern.startsWith('/both')) parts.push(request.host.toLowerCase().replace(/:\d+$/, ''))
      return JSON.stringify(parts)
    })
  }
}

async function makeApp (config: Config, options: IsrOptions | null): Promise<FastifyInstance> {
  const app = Fastify({ ...config.fastify })
  if (options !== null) await app.register(isr, options)
  declare(app)
  for (const prefix of config.prefixes ?? []) await app.register(async instance => { declare(instance) }, { prefix })
  await app.ready()
  return app
}

/** What the router would do with a request whose target is exactly this. */
async function ask (app: FastifyInstance, { target, headers }: Target): Promise<{ status: number, body: string }> {
  const dispatch = ((request: { url: string }, response: object) => {
    request.url = target
    app.routing(request as never, response as never)
  }) as unknown as DispatchFunc
  const { statusCode, body } = await inject(dispatch, { url: '/', headers: { host: 'a.example', ...headers } })
  return { status: statusCode, body }
}

const CORPUS = [
  '/', '/page/a', '/page/fixed', '/page/Upper', '/page/upper', '/PAGE/a', '/Page/Fixed', '/page/a/private', '/docs/', '/docs', '/docs/exact', '/docs/Exact', '/docs/a/b', '/docs/secret/x', '/docs/secret', '/slash', '/slash/', '/multi/a-b', '/multi/a-b-c', '/multi/a-', '/file/a.b', '/file/a.b.c',
  '/num/1', '/num/1a', '/num/a', '/opt', '/opt/', '/opt/x', '/two/a/b', '/two/a/fixed', '/two/a/FIXED', '/a:b', '/a::b', '/%C3%A4/x', '/ä/x', '/%c3%a4/x', '/sp%20ace/x', '/sp ace/x', '/any/', '/any/a//b', '/query/a', '/query/a?q=1', '/query/a?q=1&q=2', '/query/a?r=1&q=2', '/query/a?q=%C3%A4+b', '/query/a?q=%zz', '/query/a?Q=1', '/query/a;q=1',
  '/lang/a', '/account', '/live/x', '/hosts/a', '/version/a', '/host/a', '/both/a', '/pre', '/pre/', '/pre/page/a', '/of/b/page/a', '/of/b/', '/of/b', '/of/page/page/a', '/Docs/page/a', '/docs/page/a', '/pre//page/a', '//page/a', '/page//a', '/page/./a', '/page/../account', '/docs/../account', '/docs/%2e%2e/account', '/docs/..%2faccount', '/docs/..\\account', '/page/a;x=1', '/page/a%3Bx', '/page/a#b', '/page/a%23b', '/page/a?', '/page/a??',
  '/page/%61', '/page/a%2Fb', '/page/%00', '/page/%', '/page/constructor', '/page/__proto__', '/docs/__proto__', '/page/a%20host=a.example', '/page/a host=a.example', '/host/a host=a.example', '/hosts/a%20host%3Db.example', '/version/a version=1.2.0', 'http://a.example/page/a', '//a.example/page/a', '*', '', '?', '/..', '/.'
]

const HEADERS: Record<string, string>[] = [
  {}, {}, {}, { host: 'b.example' }, { host: 'A.EXAMPLE' }, { host: 'a.example:80' }, { host: 'b.example.' }, { host: '' }, { host: 'a.example', 'x-forwarded-host': 'b.example' }, { host: 'b.example', 'x-forwarded-host': 'a.example' }, { host: 'c.example', 'x-forwarded-host': 'a.example' },
  { 'accept-version': '1.2.0' }, { 'accept-version': '1.x' }, { 'accept-version': '2.x' }, { 'accept-version': '*' }, { version: '1.2.0' }, { version: '1.2.0', 'accept-version': '1.2.0' }, { 'accept-language': 'de-AT' }, { 'accept-language': 'en host=b' }, { 'accept-language': 'fr' }
]

const PIECES = ['/', '//', '/./', '/../', '.', '..', '%2e', '%2E%2e', '%2f', '%5c', '\\', ';', '%3b', '#', '%23', '?', '?q=', '&q=', '&r=', '=', '&', '%00', '%0a', '%', '%61', '%C3%A4', '%c3%a4', 'ä', 'A', ' ', '%20', '+', '-', ':', '*', '~', '@', 'x', '1', 'page', 'PAGE', 'docs', 'fixed', 'private', 'secret', 'account', 'pre', 'of', 'http://', 'a.example', ' host=a.example', '__proto__', 'constructor', 'x'.repeat(101), 'x'.repeat(260)]

/** A path of the corpus, bent here and there. */
const targets = fc.record({
  target: fc.tuple(fc.constantFrom(...CORPUS), fc.array(fc.tuple(fc.nat(40), fc.nat(3), fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...PIECES) }, { weight: 1, arbitrary: fc.string({ maxLength: 4 }) })), { maxLength: 4 }))
    .map(([base, bends]) => bends.reduce((text, [at, cut, piece]) => text.slice(0, at) + piece + text.slice(at + cut), base)),
  headers: fc.constantFrom(...HEADERS)
})

async function check (t: { fail (message: string): unknown }, app: FastifyInstance, twin: FastifyInstance, target: Target): Promise<void> {
  const theirs = await ask(twin, target)
  // The second answer may come from what the first has stored.
  for (const round of ['first', 'second']) {
    const mine = await ask(app, target)
    if (mine.status !== theirs.status || (mine.status === 200 && mine.body !== theirs.body)) {
      t.fail(`${JSON.stringify(target)}, ${round}: ${mine.status} ${mine.body} instead of ${theirs.status} ${theirs.body}`)
    }
  }
}

t.comment(`FC_SEED=${SEED}`)
const generated = fc.sample(targets, { numRuns: GENERATED, seed: SEED })
const share = Math.ceil(GENERATED / CONFIGS.length)

for (const [index, config] of CONFIGS.entries()) {
  t.test(`every target gets the answer of its own route: ${config.name}`, async (t) => {
    const app = await makeApp(config, { disk: false })
    const twin = await makeApp(config, null)
    t.teardown(() => Promise.all([app.close(), twin.close()]))
    for (const target of CORPUS) {
      for (const headers of HEADERS.slice(2)) {
        if (headers.host === undefined || /host|both|page/.test(target)) await check(t, app, twin, { target, headers })
      }
    }
    for (const target of generated.slice(index * share, (index + 1) * share)) await check(t, app, twin, target)
    const { requests, memory } = app.isr.stats()
    t.ok(requests.hit > 100, `${requests.hit} hits`)
    t.ok(memory.entries > 10, `${memory.entries} pages`)
    // What is stored is spelled in one way, under a path that the router sends to that very route.
    const { entries } = await app.isr.entries({ limit: 1000 })
    for (const { key, path } of entries) if (/\/\/|\/\.\.?(?:\/|$)|[\\;#]|%2[ef]|%5c|%0/i.test(path)) t.fail(`stored: ${key}`)
  })
}

t.test('no file outside the output directory is opened, whatever is asked for', async (t) => {
  const root = fs.realpathSync(t.testdir({ secret: 'SECRET', 'a.html': 'SECRET', page: { a: 'SECRET' }, site: { secret: 'SECRET', page: { a: 'SECRET' } } }))
  const dir = path.join(root, 'site')
  const config = CONFIGS[8] ?? { name: '' }
  // Without memory every page is read from disk.
  const app = await makeApp(config, { dir, buildId: 'b', memory: { maxBytes: 0 } })
  t.teardown(() => app.close())
  const touched: string[] = []
  const restore = watchFiles(file => touched.push(file))
  let leaks = 0
  try {
    for (const target of [...CORPUS.map(target => ({ target, headers: {} })), ...['/.isr/manifest.json', '/site/secret', '/../secret', '/docs/../../secret', '/docs/..%2f..%2fsecret', '/docs/secret', '/secret', '/page/../secret'].map(target => ({ target, headers: {} })), ...generated.slice(0, 1000)]) {
      for (let i = 0; i < 2; i++) if ((await ask(app, target)).body.includes('SECRET')) leaks++
    }
    await app.close()
  } finally {
    restore()
  }
  t.equal(leaks, 0)
  const inside = touched.filter(file => /\/site\/\.isr\/b\/[0-9a-f]{2}(?:\/[0-9a-f]{64}(?:\.(?:[0-9a-f]+\.tmp|lock))?)?$/.test(file))
  t.ok(inside.length > 100, `${inside.length} files of pages were opened`)
  const others = [...new Set(touched)].filter(file => !inside.includes(file) && !['manifest.json', 'marks', 'b', ''].some(name => file === path.join(dir, '.isr', name)))
  t.same(others, [])
})

/** Tells of every path that is given to a function of the file system from now on. */
function watchFiles (onPath: (file: string) => void): () => void {
  const undo: (() => void)[] = []
  for (const module of [fs, fsp] as unknown as Record<string, unknown>[]) {
    for (const [name, original] of Object.entries(module)) {
      if (typeof original !== 'function' || !/^[a-z]/.test(name)) continue
      const paths = /^(?:rename|link|symlink|copyFile|cp)/.test(name) ? 2 : 1
      module[name] = function (this: unknown, ...args: unknown[]): unknown {
        for (const arg of args.slice(0, paths)) if (typeof arg === 'string' || Buffer.isBuffer(arg) || arg instanceof URL) onPath(path.resolve(String(arg)))
        return Reflect.apply(original, this, args)
      }
      undo.push(() => { module[name] = original })
    }
  }
  syncBuiltinESMExports()
  return () => {
    for (const step of undo) step()
    syncBuiltinESMExports()
  }
}
