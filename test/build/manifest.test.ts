import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execFileSync } from 'node:child_process'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { readManifest } from '../../lib/build/manifest.js'
import type { Manifest, ManifestPage } from '../../lib/index.js'
import { buildOnce, eventually, filesOf, html, open, page, readManifestOf, rowOf, snapshot } from '../helpers/site-build.js'

const LONG = 'long '.repeat(1000)

function site (app: FastifyInstance): void {
  page(app, '/', () => html('home'))
  page(app, '/blog/:slug', ({ slug }) => html(`${slug}${LONG}`), { paths: [{ slug: 'a' }, { slug: 'b' }], ttl: 60, tags: ['blog'] })
}

test('the manifest says all there is to say of a page', async t => {
  const dir = t.testdir()
  const before = Date.now()
  const report = await buildOnce(t, dir, site)
  const manifest = readManifestOf(dir)
  t.same(Object.keys(manifest), ['version', 'buildId', 'incarnation', 'epoch', 'generatedAt', 'pages'])
  t.match(manifest, { version: 1, buildId: report.buildId, incarnation: null, epoch: 0, generatedAt: report.generatedAt })
  t.ok(Date.parse(manifest.generatedAt) >= before)
  t.same(manifest.pages.map(row => row.key), ['/', '/blog/a', '/blog/b'])

  const row = rowOf(dir, '/blog/a')
  const body = html(`a${LONG}`)
  t.same(Object.keys(row).sort(), ['bytes', 'durationMs', 'encodings', 'export', 'file', 'key', 'path', 'renderedAt', 'route', 'sha256', 'status', 'tags', 'ttl'])
  t.match(row, { path: '/blog/a', route: '/blog/:slug', export: 'blog/a/index.html', status: 200, bytes: body.length, ttl: 60, tags: ['blog'] })
  t.same(row.tags, ['blog'], 'no automatic tags')
  t.equal(row.sha256, createHash('sha256').update(body).digest('hex'))
  t.equal(row.file, `.isr/${report.buildId}/${createHash('sha256').update('/blog/a').digest('hex').replace(/^(..)/, '$1/$1')}`)
  t.ok(existsSync(path.join(dir, row.file)))
  t.same(Object.keys(row.encodings).sort(), ['br', 'gzip'])
  t.equal(row.encodings.br, readFileSync(path.join(dir, 'blog/a/index.html.br')).length)
  t.equal(row.encodings.gzip, readFileSync(path.join(dir, 'blog/a/index.html.gz')).length)
  t.ok(Date.parse(row.renderedAt) >= before && row.durationMs >= 0)
  t.equal(rowOf(dir, '/').ttl, null, 'null is for ever')

  for (const { outcome, error, ...rest } of report.pages) t.same(rowOf(dir, rest.key), rest, 'the report has the rows of the manifest')
  t.same((await filesOf(path.join(dir, '.isr'))).filter(file => /tmp|staging/.test(file)), [], 'nothing is left over')
  t.same(await readManifest(dir), manifest)
})

/** A manifest of the last build with something changed. */
function altered (change: (manifest: Manifest, page: ManifestPage) => unknown): (dir: string) => void {
  return dir => {
    const manifest = readManifestOf(dir)
    const changed = change(manifest, manifest.pages[0] as ManifestPage)
    writeFileSync(path.join(dir, '.isr/manifest.json'), typeof changed === 'string' ? changed : JSON.stringify(manifest))
  }
}

const set = (key: string, value: unknown) => altered((manifest, page) => { (page as unknown as Record<string, unknown>)[key] = value })
const file = (dir: string): string => path.join(dir, '.isr/manifest.json')

const HOSTILE: Record<string, (dir: string) => void> = {
  truncated: dir => { truncateSync(file(dir), readFileSync(file(dir)).length >> 1) },
  empty: dir => { writeFileSync(file(dir), '') },
  'no JSON': dir => { writeFileSync(file(dir), '<html>') },
  'an array': altered(() => '[]'),
  null: altered(() => 'null'),
  'of a later version': altered(manifest => { (manifest as { version: number }).version = 2 }),
  'a build id that leads out': altered(manifest => { manifest.buildId = '../../etc' }),
  'a build id of the plugin': altered(manifest => { manifest.buildId = 'marks' }),
  'pages missing': altered(manifest => JSON.stringify({ ...manifest, pages: undefined })),
  'duplicate keys': altered((manifest, page) => { manifest.pages.push(page) }),
  'prototype for a page': altered(manifest => JSON.stringify(manifest).replace('"key":', '"__proto__":')),
  'prototype for encodings': altered(manifest => JSON.stringify(manifest).replace(/"encodings":\{[^}]*\}/, '"encodings":{"__proto__":{"br":1}}')),
  'export leads out': set('export', '../../victim/index.html'),
  'export is absolute': set('export', '/victim/index.html'),
  'export among the entries': set('export', '.isr/manifest.json'),
  'export is no string': set('export', 1),
  'file leads out': set('file', '../../../victim'),
  'file of another build': set('file', `.isr/other/aa/${'a'.repeat(64)}`),
  'key of another path': set('key', '/blog/z'),
  'path that is no path': altered((manifest, page) => { page.key = page.path = '/a/../b' }),
  'bytes are text': set('bytes', '1'),
  'encodings are text': set('encodings', { br: '1' }),
  'a date that is none': set('renderedAt', 'yesterday'),
  'ttl below zero': set('ttl', -1),
  'tags no list': set('tags', 'blog'),
  'sha256 no hash': set('sha256', 'x'),
  huge: dir => { truncateSync(file(dir), 600 * 1024 * 1024) },
  'a folder': dir => { rmSync(file(dir)); mkdirSync(file(dir)) },
  'a link': dir => { rmSync(file(dir)); symlinkSync('/etc/passwd', file(dir)) },
  'a pipe that nobody writes to': dir => { rmSync(file(dir)); execFileSync('mkfifo', [file(dir)]) }
}

const isReport = (line: string): boolean => line.includes('the manifest could not be read')

test('a server outlives a manifest that can\'t be trusted', async t => {
  const root = t.testdir()
  await Promise.all(Object.entries(HOSTILE).map(async ([name, alter]) => {
    const dir = path.join(root, name)
    await buildOnce(t, dir, site)
    const { app, body, warnings } = await open(t, dir, site)
    const good = await body('/blog/a')
    alter(dir)
    await eventually(`'${name}' is reported`, () => warnings().some(isReport))
    t.equal(await body('/blog/a'), good, `${name}: what was served is served on`)
    t.match((await app.inject('/')).headers['cache-status'], /hit/, name)
    // A second look finds it unchanged.
    await new Promise(resolve => setTimeout(resolve, 1100))
    t.equal(warnings().filter(isReport).length, 1, `${name}: reported once`)
    await app.close()
  }))
})

for (const [name, alter] of Object.entries(HOSTILE)) {
  test(`started on a manifest that can't be trusted: ${name}`, async t => {
    const root = t.testdir({ victim: { 'index.html': 'precious' }, 'victim.txt': 'precious' })
    const dir = path.join(root, 'site/out')
    await buildOnce(t, dir, site)
    alter(dir)
    const { app, body, warnings } = await open(t, dir, site)
    t.equal(await body('/'), html('home'))
    t.equal(await body('/blog/a'), html(`a${LONG}`))
    // A large one is read behind.
    await eventually('it is reported', () => warnings().some(isReport))
    t.equal(warnings().filter(isReport).length, 1, 'reported once')
    await t.rejects(app.isr.prerender({ paths: ['/'] }), { code: 'FST_ISR_ERR_BAD_MANIFEST' }, 'a partial build does not know what to keep')
    await app.isr.purge({ all: true })
    await app.close()

    if (name !== 'a folder') {
      const report = await buildOnce(t, dir, site)
      t.equal(report.ok, true)
      t.match(report.warnings.join(), /manifest .* is not usable/)
      t.same((await readManifest(dir))?.pages.map(row => row.key), ['/', '/blog/a', '/blog/b'], 'a full build makes it good again')
    }
    t.same((await filesOf(root)).filter(file => !file.startsWith('site/out')), ['victim.txt', 'victim/index.html'])
    t.equal(readFileSync(path.join(root, 'victim/index.html'), 'utf8'), 'precious')
  })
}

test('names that mean something to JavaScript are names like others', async t => {
  const dir = t.testdir()
  const slugs = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const declare = (app: FastifyInstance): void => { page(app, '/:slug', ({ slug }) => html(String(slug)), { paths: slugs.map(slug => `/${slug}`) }) }
  const report = await buildOnce(t, dir, declare)
  t.equal(report.ok, true)
  const { app } = await open(t, dir, declare)
  for (const slug of slugs) {
    const answer = await app.inject(`/${slug}`)
    t.match(answer.headers['cache-status'], /hit/)
    t.equal(answer.body, html(slug))
  }
})

test('an entry that was altered is rendered again', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  for (const [key, alter] of Object.entries<(bytes: Buffer) => Buffer>({
    '/blog/a': bytes => { bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1; return bytes },
    '/blog/b': bytes => bytes.subarray(0, bytes.length - 5),
    '/': () => readFileSync(path.join(dir, rowOf(dir, '/blog/a').file))
  })) {
    const entry = path.join(dir, rowOf(dir, key).file)
    writeFileSync(entry, alter(readFileSync(entry)))
  }
  const { app } = await open(t, dir, site)
  t.equal((await app.inject('/blog/a')).body, html(`a${LONG}`))
  t.equal((await app.inject('/blog/b')).body, html(`b${LONG}`))
  t.equal((await app.inject('/')).body, html('home'))
})

test('an order to purge follows no link out of the directory', async t => {
  const root = t.testdir({ victim: { 'index.html': 'precious' } })
  const dir = path.join(root, 'out')
  await buildOnce(t, dir, site)
  rmSync(path.join(dir, 'blog/a'), { recursive: true })
  symlinkSync(path.join(root, 'victim'), path.join(dir, 'blog/a'))
  const { app } = await open(t, dir, site)
  const before = await snapshot(path.join(root, 'victim'))
  await app.isr.purge({ path: '/blog/a' })
  t.same(await snapshot(path.join(root, 'victim')), before)
  await t.rejects(app.isr.prerender({ force: true }), /leads out of the output directory/)
  t.same(await snapshot(path.join(root, 'victim')), before)
})
