import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { readManifest } from '../../lib/build/manifest.js'
import type { Manifest, ManifestPage } from '../../lib/index.js'
import { formatManifest, lengthen, rowLike, writeManifestOf } from '../helpers/long-manifest.js'
import { buildOnce, eventually, html, open, page, readManifestOf } from '../helpers/site-build.js'

function site (app: FastifyInstance): void {
  page(app, '/', () => html('home'), { paths: undefined })
  page(app, '/p/:slug', ({ slug }) => html(String(slug)), { paths: [{ slug: 'a' }, { slug: 'b' }, { slug: 'ü' }], tags: ({ slug }: { slug: string }) => ['blog', `say "${slug}"`, 'back\\slash'] })
}

const isReport = (line: string): boolean => line.includes('the manifest could not be read')

test('what is read line by line is what JSON says', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  const text = readFileSync(path.join(dir, '.isr/manifest.json'), 'utf8')
  const manifest = JSON.parse(text) as Manifest
  const [row] = manifest.pages as [ManifestPage]
  t.equal(formatManifest(manifest), text, 'the form is the one that builds write')
  t.same(await readManifest(dir), manifest)
  manifest.pages = [
    rowLike(row, manifest.buildId, '/', { tags: [] }),
    rowLike(row, manifest.buildId, '/%C3%A9', { route: '/:id(^\\d+$)', tags: ['\ud83d\ude00', 'ä', '\u2028'] }),
    rowLike(row, manifest.buildId, '/.well-known/a', { durationMs: 1e-7, ttl: 1e21, bytes: 2 ** 40, exportSkipped: 'its "name" is\nodd' }),
    rowLike(row, manifest.buildId, '/a', { export: 'a/index.html', encodings: {}, renderedAt: '2024-02-29T23:59:59.999Z' }),
    rowLike(row, manifest.buildId, '/a b=1', { path: '/a', encodings: { gzip: 1 } }),
    rowLike(row, manifest.buildId, '/a?page=2', { path: '/a', renderedAt: '1969-12-31T00:00:00Z' })
  ]
  writeManifestOf(dir, formatManifest(manifest))
  t.same(await readManifest(dir), manifest)
  writeManifestOf(dir, formatManifest({ ...manifest, pages: [] }))
  t.same(await readManifest(dir), { ...manifest, pages: [] })
})

test('any change of a byte is judged line by line as it is as a whole', async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  const good = readFileSync(path.join(dir, '.isr/manifest.json'))
  const whole = path.join(t.testdirName, 'whole')
  await buildOnce(t, whole, site)
  const read = async (folder: string): Promise<Manifest | null> => await readManifest(folder).catch((error: { code: string }) => {
    t.equal(error.code, 'FST_ISR_ERR_BAD_MANIFEST')
    return null
  })
  let accepted = 0
  for (let at = 0; at < good.length; at++) {
    const bytes = Buffer.from(good)
    bytes[at] = [0x20, 0x22, 0x30, 0x2c, 0x5c, 0x7d, (bytes[at] ?? 0) ^ 1, (bytes[at] ?? 0) ^ 4][at % 8] ?? 0
    writeFileSync(path.join(dir, '.isr/manifest.json'), bytes)
    let reformatted = 'no JSON'
    try {
      reformatted = JSON.stringify(JSON.parse(bytes.toString()))
    } catch {}
    writeFileSync(path.join(whole, '.isr/manifest.json'), reformatted)
    const [byLine, asWhole] = [await read(dir), await read(whole)]
    if (byLine !== null) accepted++
    if (JSON.stringify(byLine) !== JSON.stringify(asWhole)) t.same(byLine, asWhole, `byte ${at}: ${bytes.toString('latin1', at - 20, at + 20)}`)
  }
  t.ok(accepted > 100 && accepted < good.length / 2, `${accepted} of ${good.length} accepted`)
})

for (const [name, format] of Object.entries<(manifest: Manifest) => string>({
  'in one line': manifest => JSON.stringify(manifest),
  'with other indentation': manifest => JSON.stringify(manifest, null, 2),
  'with line breaks of another system': manifest => formatManifest(manifest).replaceAll('\n', '\r\n'),
  'without its last line break': manifest => formatManifest(manifest).trimEnd(),
  'its fields in another order': manifest => formatManifest({ ...manifest, pages: manifest.pages.map(page => Object.fromEntries(Object.entries(page).reverse()) as unknown as ManifestPage) }),
  'its pages in another order': manifest => formatManifest({ ...manifest, pages: manifest.pages.toReversed() })
})) {
  test(`a manifest that was reformatted: ${name}`, async t => {
    const dir = t.testdir()
    await buildOnce(t, dir, site)
    writeManifestOf(dir, format(readManifestOf(dir)))
    const { app, body, warnings } = await open(t, dir, site)
    t.same(warnings(), [])
    t.match((await app.inject('/p/a')).headers['cache-status'], /hit/)
    t.equal(await body('/p/b'), html('b'))
    t.same((await app.isr.entries()).entries.map(entry => entry.key), ['/', '/p/%C3%BC', '/p/a', '/p/b'])
    t.match(await app.isr.purge({ tag: 'say "b"' }, { dryRun: true }), { matched: 1 })
    t.match(await app.isr.purge({ tag: 'back\\slash' }, { dryRun: true }), { matched: 3 })
    t.match(await app.isr.purge({ prefix: '/p' }, { dryRun: true }), { matched: 3 })
  })
}

test('a long manifest that breaks leaves the build in force as it is', { timeout: 120_000 }, async t => {
  const dir = t.testdir()
  await buildOnce(t, dir, site)
  const { app, logs, warnings } = await open(t, dir, site)
  const broken: Record<string, (text: string) => string> = {
    truncated: text => text.slice(0, text.length >> 1),
    'a line of megabytes, good as it is': text => `${text.slice(0, text.lastIndexOf(',\n'))},${' '.repeat(70_000_000)}${text.slice(text.lastIndexOf(',\n') + 1)}`,
    'a line that is another': text => `${text.slice(0, text.lastIndexOf('    {'))}    {"key":1}\n  ]\n}\n`,
    'a page twice': text => text.replace('\n  ]', `,\n${text.slice(text.lastIndexOf('    {'), text.lastIndexOf('}\n  ]') + 1)}\n  ]`),
    'more after its end': text => `${text}x`
  }
  for (const [name, alter] of Object.entries(broken)) {
    const manifest = lengthen(dir, 20_000, manifest => { manifest.buildId = manifest.buildId.replace(/-.*/, '-other'); for (const page of manifest.pages) page.file = page.file.replace(/^\.isr\/[^/]*/, `.isr/${manifest.buildId}`) })
    const before = warnings().length
    writeManifestOf(dir, alter(formatManifest(manifest)))
    await eventually(`'${name}' is reported`, () => warnings().slice(before).some(isReport), 20_000)
    t.equal(logs.filter(line => isReport(line.msg)).at(-1)?.err?.code, 'FST_ISR_ERR_BAD_MANIFEST', name)
    t.match((await app.inject('/p/a')).headers['cache-status'], /hit/, name)
    t.equal((await app.isr.entries()).entries.length, 4, name)
    writeManifestOf(dir, formatManifest({ ...manifest, pages: manifest.pages.filter(page => !page.key.includes('long')) }))
    await app.isr.prerender()
  }
})
