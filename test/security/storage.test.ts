// Storage (T14, T43, T44, T47, T48, F17): whatever lies in the output directory, a visitor gets the
// right page, stored or rendered anew; never a wrong byte, and never an error.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { readManifest } from '../../lib/build/manifest.js'
import { decode, encode } from '../../lib/cache/codec.js'
import { entryFile } from '../../lib/cache/disk-tier.js'
import type { Entry } from '../../lib/cache/entry.js'
import isr, { type IsrOptions, type Manifest } from '../../lib/index.js'
import { settle, until } from '../helpers/app.js'

type Test = typeof t
type Assertions = Pick<Test, 'teardown' | 'equal'>

const SLUGS = ['a', 'b', '__proto__', 'constructor']
/** What the pages of a site end in says which of its apps rendered them. */
let apps = 0

interface Site {
  app: FastifyInstance
  dir: string
  /** The text of a page rendered by this app. */
  text (slug: string): string
  /** Asks for a page; fails unless the answer is a page of that name that some app has rendered. */
  visit (slug: string, what?: string): Promise<string>
  file (key: string): string
}

/** Without memory, so that every visit goes to disk. */
async function start (t: Assertions, dir: string, options: IsrOptions = {}): Promise<Site> {
  const name = `app ${apps++}`
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { dir, memory: { maxBytes: 0 }, prewarm: false, encodings: [], ...options })
  const text = (slug: string): string => `the page ${slug} of ${name}`
  app.get('/page/:slug', { config: { prerender: { paths: SLUGS.map(slug => ({ slug })), statuses: { 404: 60 } } } }, async (request) => text((request.params as { slug: string }).slug))
  app.get('/__proto__', { config: { prerender: true } }, async () => text('of the prototype'))
  app.get('/constructor', { config: { prerender: true } }, async () => text('of the constructor'))
  app.get('/other', { config: { prerender: { paths: [] } } }, async () => text('other'))
  await app.ready()
  return {
    app,
    dir,
    text,
    file: key => path.join(dir, '.isr', entryFile(app.isr.stats().buildId ?? '', key)),
    async visit (slug, what = slug) {
      const answer = await app.inject(`/page/${slug}`)
      const isRight = answer.statusCode === 200 && new RegExp(`^the page ${slug} of app \\d+$`).test(answer.body) && answer.headers['set-cookie'] === undefined
      // One assertion each would be tens of thousands.
      if (!isRight) t.equal(`${answer.statusCode} ${JSON.stringify(answer.headers)} ${answer.body}`, text(slug), what)
      return answer.body
    }
  }
}

async function built (t: Assertions & Pick<Test, 'testdir'>): Promise<Site> {
  const site = await start(t, path.join(t.testdir({ secret: 'SECRET' }), 'site'))
  const { ok } = await site.app.isr.prerender()
  t.equal(ok, true)
  return site
}

function flip (bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8))
  return copy
}

t.test('T47 one flipped bit anywhere in a stored page: it is rendered again', async (t) => {
  const builder = await built(t)
  const good = fs.readFileSync(builder.file('/page/a'))
  const reader = await start(t, builder.dir)
  const file = reader.file('/page/a')
  t.equal(await reader.visit('a'), builder.text('a'), 'whole, it is read')
  const known = (): number | undefined => reader.app.isr.stats().disk?.entries
  const all = known()
  let fresh = 0
  for (let at = 0; at < good.length; at++) {
    fs.writeFileSync(file, flip(good, at))
    if (await reader.visit('a', `byte ${at}`) === reader.text('a')) fresh++
    // The broken file was forgotten; when the new one is there, it is known again.
    await until(() => known() === all)
    await settle()
    if (fs.readFileSync(file).compare(flip(good, at)) === 0) t.fail(`byte ${at}: the broken file is there still`)
  }
  t.equal(fresh, good.length)
  fs.writeFileSync(file, good)
  await until(() => reader.app.isr.stats().renders.running === 0)
  t.equal(await reader.visit('a'), builder.text('a'))
})

t.test('T47 a stored page cut short anywhere, or longer than it was: it is rendered again', async (t) => {
  const builder = await built(t)
  const good = fs.readFileSync(builder.file('/page/a'))
  for (const bytes of [...Array.from({ length: 40 }, (_, i) => good.subarray(0, Math.floor(good.length * i / 40))), Buffer.concat([good, Buffer.from('x')]), Buffer.concat([good, good]), Buffer.alloc(good.length), Buffer.from('x'.repeat(5000))]) {
    const reader = await start(t, builder.dir, { disk: { writeBack: false } })
    fs.writeFileSync(reader.file('/page/a'), bytes)
    t.equal(await reader.visit('a'), reader.text('a'), `${bytes.length} bytes`)
    await reader.app.close()
  }
})

t.test('T47 one flipped bit anywhere in the manifest', async (t) => {
  const builder = await built(t)
  await builder.app.close()
  const file = path.join(builder.dir, '.isr', 'manifest.json')
  const good = fs.readFileSync(file)
  const counts = { accepted: 0, refused: 0, stored: 0, fresh: 0 }
  for (let at = 0; at < good.length; at++) {
    fs.writeFileSync(file, flip(good, at))
    const isAccepted = await readManifest(builder.dir).then(() => true, () => false)
    counts[isAccepted ? 'accepted' : 'refused']++
    // Those that are refused are all alike; of the others every fourth says enough.
    if (at % (isAccepted ? 4 : 40) !== 0) continue
    const reader = await start(t, builder.dir, { disk: { writeBack: false } })
    for (const slug of SLUGS) counts[await reader.visit(slug, `byte ${at}`) === builder.text(slug) ? 'stored' : 'fresh']++
    await reader.app.close()
  }
  t.comment(JSON.stringify(counts))
  for (const [name, count] of Object.entries(counts)) t.ok(count > 100, `${name}: ${count}`)
})

t.test('T47 no manifest, or something else in its place, never keeps the app from starting', async (t) => {
  const builder = await built(t)
  await builder.app.close()
  const file = path.join(builder.dir, '.isr', 'manifest.json')
  const good = fs.readFileSync(file, 'utf8')
  const manifest = JSON.parse(good) as Manifest
  const page = (more: object): string => JSON.stringify({ ...manifest, pages: manifest.pages.map(page => ({ ...page, ...more })) })
  const contents: Record<string, string> = {
    empty: '',
    null: 'null',
    'an array': '[]',
    half: good.slice(0, good.length / 2),
    'another version': JSON.stringify({ ...manifest, version: 2 }),
    'a build id that climbs': JSON.stringify({ ...manifest, buildId: '../../secret' }),
    'pages that are no list': JSON.stringify({ ...manifest, pages: {} }),
    'pages twice': JSON.stringify({ ...manifest, pages: [...manifest.pages, ...manifest.pages] }),
    'a file that climbs': page({ file: '.isr/../../secret' }),
    'an export that climbs': page({ export: '../secret' }),
    'an absolute export': page({ export: '/etc/passwd' }),
    'a path that climbs': page({ path: '/../secret', key: '/../secret' }),
    'a key of another page': page({ key: '/other' }),
    'a tag that is no string': page({ tags: [{}] }),
    'a prototype': good.replace('"version"', '"__proto__": { "polluted": true }, "version"'),
    'a prototype in a page': good.replaceAll('"encodings":{', '"encodings":{"__proto__":{"polluted":1},"constructor":1,'),
    'deeply nested': `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  }
  for (const [name, content] of Object.entries(contents)) {
    fs.writeFileSync(file, content)
    const reader = await start(t, builder.dir, { disk: { writeBack: false } })
    for (const slug of SLUGS) await reader.visit(slug, name)
    t.equal(({} as { polluted?: unknown }).polluted, undefined)
    await reader.app.close()
  }
})

t.test('T44 links, pipes and directories in place of the manifest', async (t) => {
  const builder = await built(t)
  await builder.app.close()
  const file = path.join(builder.dir, '.isr', 'manifest.json')
  const outside = path.join(builder.dir, '..', 'manifest.json')
  fs.renameSync(file, outside)
  const kinds: Record<string, () => void> = {
    'a symbolic link': () => { fs.symlinkSync(outside, file) },
    'a symbolic link to nothing': () => { fs.symlinkSync('/nowhere', file) },
    'a pipe': () => { execFileSync('mkfifo', [file]) },
    'a directory': () => { fs.mkdirSync(file) },
    'a file that is too large': () => { sparse(file, 600) }
  }
  for (const [name, make] of Object.entries(kinds)) {
    fs.rmSync(file, { force: true, recursive: true })
    make()
    const reader = await start(t, builder.dir, { disk: { writeBack: false } })
    t.equal(reader.app.isr.stats().buildId, null, `${name} is not read`)
    t.equal(await reader.visit('a', name), reader.text('a'))
    await reader.app.close()
  }
})

function sparse (file: string, megabytes: number): void {
  fs.writeFileSync(file, 'FISR')
  fs.truncateSync(file, megabytes * 1024 * 1024)
}

t.test('T44 links, pipes, directories and huge files in place of a stored page', async (t) => {
  const site = await built(t)
  const secret = path.join(site.dir, '..', 'secret')
  const elsewhere = path.join(site.dir, '..', 'elsewhere')
  const kinds: Record<string, (file: string) => void> = {
    'a symbolic link to a secret': file => { fs.symlinkSync(secret, file) },
    'a symbolic link to the page itself': (file) => { fs.symlinkSync(elsewhere, file) },
    'a symbolic link to nothing': file => { fs.symlinkSync('/nowhere', file) },
    'a symbolic link to a device': file => { fs.symlinkSync('/dev/zero', file) },
    'a symbolic link in a circle': file => { fs.symlinkSync(file, file) },
    'a hard link to a secret': file => { fs.linkSync(secret, file) },
    'a pipe': file => { execFileSync('mkfifo', [file]) },
    'a directory': file => { fs.mkdirSync(file) },
    'a huge file': file => { sparse(file, 300) }
  }
  for (const [name, make] of Object.entries(kinds)) {
    await t.test(name, async (t) => {
      const reader = await start(t, site.dir)
      const file = reader.file('/page/a')
      if (fs.existsSync(file)) fs.copyFileSync(file, elsewhere)
      fs.rmSync(file, { force: true, recursive: true })
      make(file)
      const startedAt = Date.now()
      t.equal(await reader.visit('a'), reader.text('a'), 'it is not read')
      t.ok(Date.now() - startedAt < 5000, 'and nobody waits for it')
      for (const slug of SLUGS) await reader.visit(slug)
      await reader.app.close()
      t.equal(fs.readFileSync(secret, 'utf8'), 'SECRET', 'what a link leads to is left alone')
      if (!fs.lstatSync(file).isDirectory()) t.ok(fs.lstatSync(file).isFile() && fs.statSync(file).nlink === 1, 'a page of its own is there again')
      fs.rmSync(file, { force: true, recursive: true })
      fs.copyFileSync(elsewhere, file)
    })
  }
})

t.test('T47 entries of other keys, builds and routes in place of a stored page', async (t) => {
  const site = await built(t)
  const buildId = site.app.isr.stats().buildId ?? ''
  const entry = decode(fs.readFileSync(site.file('/page/a')), { key: '/page/a', buildId })
  const meta = entry.meta as Record<string, unknown> & { headers: [string, string][] }
  const withHeader = (name: string, value: unknown): Partial<Entry> => ({ meta: { ...meta, headers: [...meta.headers, [name, value]] } })
  // All with a right checksum: made by somebody who can write here, or by a defect.
  const forged: Record<string, Partial<Entry>> = {
    'another key': { key: '/page/b' },
    'another build': { buildId: 'other' },
    'a route that does not exist': { meta: { ...meta, route: '/gone' } },
    'a prototype for a route': { meta: { ...meta, route: '__proto__' } },
    'a status that is not stored': { meta: { ...meta, status: 206 } },
    'a status of the prototype': { meta: { ...meta, status: 'constructor' } },
    'no metadata': { meta: {} },
    'headers that are no list': { meta: { ...meta, headers: { length: 1 } } },
    'a header with a line break': withHeader('x-a', 'a\r\nset-cookie: sid=1'),
    'a header name with a line break': withHeader('x-a\r\nset-cookie', 'sid=1'),
    'a header that is no string': withHeader('x-a', { toString: 1 }),
    'a cookie': withHeader('set-cookie', 'sid=stolen'),
    'a cookie in capitals': withHeader('Set-Cookie', 'sid=stolen'),
    'a transfer coding': withHeader('transfer-encoding', 'chunked'),
    'an etag with a line break': { meta: { ...meta, etag: '"a\r\nset-cookie: sid=1"' } },
    'a hash with a line break': { hash: 'a\r\nset-cookie: sid=1' },
    'a coding with a line break': { bodies: [{ encoding: 'gzip\r\nset-cookie: sid=1', bytes: Buffer.from('x') }] },
    'an age that is no number': { meta: { ...meta, age: 'x' } },
    'a Vary with a line break': { meta: { ...meta, vary: ['a\r\nb'] } }
  }
  for (const [name, changes] of Object.entries(forged)) {
    const reader = await start(t, site.dir, { disk: { writeBack: false } })
    fs.writeFileSync(site.file('/page/a'), encode({ ...entry, ...changes }))
    t.equal(await reader.visit('a', name), reader.text('a'), name)
    await reader.app.close()
  }
  fs.writeFileSync(site.file('/page/a'), encode(entry))
  const [a, b] = [fs.readFileSync(site.file('/page/a')), fs.readFileSync(site.file('/page/b'))]
  fs.writeFileSync(site.file('/page/a'), b)
  fs.writeFileSync(site.file('/page/b'), a)
  const reader = await start(t, site.dir)
  t.equal(await reader.visit('a'), reader.text('a'), 'swapped')
  t.equal(await reader.visit('b'), reader.text('b'), 'swapped')
})

t.test('T48 names of the prototype are paths and params like any other', async (t) => {
  const builder = await built(t)
  const reader = await start(t, builder.dir)
  for (const [url, slug] of [['/page/__proto__', '__proto__'], ['/page/constructor', 'constructor'], ['/__proto__', 'of the prototype'], ['/constructor', 'of the constructor']] as const) {
    t.equal((await reader.app.inject(url)).body, builder.text(slug), url)
  }
  for (const url of ['/toString', '/hasOwnProperty', '/prototype', '/page', '/__proto__/x']) {
    const answer = await reader.app.inject(url)
    t.equal(answer.statusCode, 404, url)
    t.equal(answer.headers['cache-status'], undefined)
  }
  // Unlisted, although every object has something of that name.
  for (const url of ['/page/toString', '/page/hasOwnProperty', '/page/valueOf']) t.equal((await reader.app.inject(url)).headers['cache-status'], 'fastify-isr; fwd=bypass; detail=unlisted', url)
})

t.test('T43, T45 keys that file systems have trouble with are hashed into names', async (t) => {
  const dir = path.join(t.testdir(), 'site')
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { dir, buildId: 'b', memory: { maxBytes: 0 } })
  app.get('/docs/*', { config: { prerender: { onDemand: true } } }, async request => `docs ${(request.params as { '*': string })['*']}`)
  await app.ready()
  const paths = ['con', 'nul', 'aux.html', 'a.', 'a:b', 'a%20', '.htaccess', '.isr/manifest.json', 'A', 'a', '%C3%A4', 'a%CC%88', 'x'.repeat(255), Array.from({ length: 12 }, () => 'y'.repeat(160)).join('/'), '~', '-rf', '*', "'", '$(id)', 'manifest.json', 'b/aa']
  for (let round = 0; round < 2; round++) {
    for (const name of paths) t.equal((await app.inject(`/docs/${name}`)).body, `docs ${decodeURIComponent(name)}`, name.slice(0, 40))
  }
  await app.close()
  const files = fs.readdirSync(dir, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile()).map(entry => path.relative(dir, path.join(entry.parentPath, entry.name)))
  t.equal(files.length, paths.length)
  for (const file of files) t.match(file, /^\.isr\/b\/([0-9a-f]{2})\/\1[0-9a-f]{62}$/)
})

t.test('T44, T51 entries are readable by their owner only', async (t) => {
  const site = await built(t)
  const root = path.join(site.dir, '.isr')
  for (const entry of fs.readdirSync(root, { recursive: true, withFileTypes: true })) {
    const mode = fs.statSync(path.join(entry.parentPath, entry.name)).mode & 0o777
    t.equal(mode, entry.isDirectory() ? 0o700 : 0o600, path.relative(root, path.join(entry.parentPath, entry.name)))
  }
})
