// Whatever is wrong with an asset fails the build, names the file, and leaves the last build as it was.
import { execFileSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'tap'
import { buildAssets, type AssetBuildOptions } from '../../../lib/site/assets/build.js'
import { readWhole } from '../../../lib/site/assets/source-files.js'
import { assetSite, photo, plain, type AssetSite, type Files } from '../../helpers/asset-site.js'

const BROKEN = 'FST_ISR_ERR_SITE_ASSET_BROKEN'
const BUNDLE = 'FST_ISR_ERR_SITE_BUNDLE'
const CLASH = 'FST_ISR_ERR_SITE_ASSET_CLASH'

interface Case {
  title: string
  files?: Files
  prepare?: (site: AssetSite) => Promise<unknown>
  options?: Partial<AssetBuildOptions>
  code: string
  message: RegExp
}

const jpeg = await photo(500, 300)
const png = await plain(20, 10)
const webp = await photo(300, 200, 'webp')

const cases: Case[] = [
  { title: 'an image that is none', files: { 'img/a.png': 'no image' }, code: BROKEN, message: /'img\/a\.png': its size can't be read/ },
  { title: 'an empty image', files: { 'a.jpg': '' }, code: BROKEN, message: /'a\.jpg'/ },
  { title: 'a JPEG that breaks off', files: { 'a.jpg': jpeg.subarray(0, jpeg.length - 2000) }, code: BROKEN, message: /'a\.jpg': its pixels can't be read/ },
  { title: 'a PNG that breaks off', files: { 'a.png': (await photo(300, 200, 'png')).subarray(0, 20_000) }, code: BROKEN, message: /'a\.png': its pixels can't be read/ },
  { title: 'a small JPEG that breaks off, of which nothing is made', files: { 'a.jpg': jpeg.subarray(0, jpeg.length - 2000) }, options: { widths: [], formats: [] }, code: BROKEN, message: /'a\.jpg': its pixels/ },
  { title: 'a WebP that breaks off', files: { 'a.webp': webp.subarray(0, webp.length - 3000) }, code: BROKEN, message: /'a\.webp': its pixels/ },
  { title: 'an image with the extension of another format', files: { 'a.png': jpeg }, code: BROKEN, message: /'a\.png': its content is jpeg: rename it/ },
  { title: 'an image that pretends to be an SVG', files: { 'a.svg': png }, code: BROKEN, message: /'a\.svg': its content is png/ },
  { title: 'an SVG without a size', files: { 'a.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>' }, code: BROKEN, message: /'a\.svg'.*viewBox/ },
  { title: 'an image with too many pixels', files: { 'a.png': png }, options: { maxPixels: 199 }, code: BROKEN, message: /'a\.png': it has 20 x 10 pixels, more than 'maxPixels' \(199\)/ },
  { title: 'a header that promises more pixels than anybody has', files: { 'a.png': bomb() }, code: BROKEN, message: /it has 60000 x 60000 pixels/ },
  { title: 'a style sheet that names an asset that is not there', files: { 'css/a.css': 'a { background: url(/static/img/x.png) }' }, code: BUNDLE, message: /css\/a\.css:1:\d+: there is no asset '\/static\/img\/x\.png'/ },
  { title: 'a style sheet that names a file beside itself that is not there', files: { 'css/a.css': '\n\na { background: url(x.png) }' }, code: BUNDLE, message: /css\/a\.css:3:\d+: there is no asset 'x\.png'/ },
  { title: 'a style sheet that leaves the folder', files: { 'a.css': 'a { background: url(../secret.png) }' }, prepare: site => writeFile(path.join(site.folder, 'secret.png'), png), code: BUNDLE, message: /there is no asset '\.\.\/secret\.png'/ },
  { title: 'a style sheet that is none', files: { 'css/a.css': 'a { color: red' }, code: BUNDLE, message: /css\/a\.css:1:\d+: / },
  { title: 'a script that is none', files: { 'a.js': 'const = 1' }, code: BUNDLE, message: /a\.js:1:7: / },
  { title: 'a script that imports what is not there', files: { 'a.js': 'import "./b.js"' }, code: BUNDLE, message: /a\.js:1:8: .*\.\/b\.js/ },
  { title: 'a script that imports an image that is not there', files: { 'a.js': 'import b from "./b.png"; console.log(b)' }, code: BUNDLE, message: /a\.js:1:\d+: there is no asset '\.\/b\.png'/ },
  { title: 'a script that esbuild warns of', files: { 'a.js': 'if (x === -0) console.log(1)' }, code: BUNDLE, message: /a\.js:1:\d+: / },
  { title: 'Sass without a transform', files: { 'a.scss': '$a: 1px; b { c { width: $a } }' }, code: BUNDLE, message: /a\.scss:?.*/ },
  { title: 'a transform that throws', files: { 'css/a.css': 'a{}' }, options: { css: { transform: () => { throw new Error('bad colour') } } }, code: BUNDLE, message: /css\/a\.css.*css\.transform failed: bad colour/ },
  { title: 'a transform that returns nothing', files: { 'css/a.css': 'a{}' }, options: { css: { transform: () => undefined as unknown as string } }, code: BUNDLE, message: /css\.transform must return a string, got undefined/ },
  { title: 'names that differ in case alone', files: { 'img/A.txt': '1', 'img/a.txt': '2' }, code: CLASH, message: /'img\/A\.txt' and 'img\/a\.txt'/ },
  { title: 'names that differ in how an accent is written', files: { 'e\u0301.txt': '1', '\u00e9.txt': '2' }, code: CLASH, message: /rename one/ },
  { title: 'two sources of one style sheet', files: { 'a.css': 'a{}', 'a.scss': 'a{}' }, code: CLASH, message: /'a\.css' and 'a\.scss'/ },
  { title: 'a name with a line break', files: { 'a\nb.txt': '1' }, code: BROKEN, message: /rename it/ },
  { title: 'a link to a file outside', prepare: site => symlink('/etc/hostname', path.join(site.source, 'a.txt')), code: BROKEN, message: /'a\.txt': it is a link to a file outside/ },
  { title: 'a link to a folder', prepare: site => symlink('.', path.join(site.source, 'loop')), code: BROKEN, message: /'loop': it is a link to/ },
  { title: 'a link to nothing', prepare: site => symlink('nowhere', path.join(site.source, 'a.txt')), code: BROKEN, message: /'a\.txt': it is a link to nothing/ },
  { title: 'a pipe', prepare: async site => execFileSync('mkfifo', [path.join(site.source, 'pipe.txt')]), code: BROKEN, message: /'pipe\.txt': it is neither a file nor a folder/ }
]

for (const { title, files = {}, prepare, options = {}, code, message } of cases) {
  test(`${title} fails the build`, async t => {
    const site = await assetSite(t, { 'good.txt': 'good' })
    const { source, out, cacheDir } = site
    await buildAssets({ source, out, cacheDir })
    const before = await site.built()
    await site.write({ ...files, 'good.txt': 'better' })
    await prepare?.(site)
    await t.rejects(buildAssets({ source, out, cacheDir, ...options }), { code, message })
    t.same(await site.built(), before)
  })
}

test('a link to another file of the folder is that file', async t => {
  const { source, out, cacheDir, write } = await assetSite(t, {})
  await write({ 'a.txt': 'one' })
  await symlink('a.txt', path.join(source, 'b.txt'))
  t.match((await buildAssets({ source, out, cacheDir })).assets['/static/b.txt'], /^\/static\/b\.[0-9a-f]{16}\.txt$/)
})

test('options are checked before anything is done', async t => {
  const { source, out } = await assetSite(t, { 'a.txt': 'a' })
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ source: '' }, /'source'/],
    [{ out: path.join(source, 'dist') }, /'out' must be a folder apart from 'source'/],
    [{ out: path.dirname(source) }, /'out' must be a folder apart/],
    [{ prefix: 'static/' }, /'prefix'/],
    [{ prefix: '/' }, /'prefix'/],
    [{ widths: [0] }, /'widths'/],
    [{ widths: 360 }, /'widths'/],
    [{ formats: ['gif'] }, /'formats'/],
    [{ maxPixels: 0 }, /'maxPixels'/],
    [{ css: { transform: 'sass' } }, /'css\.transform'/],
    [{ undigested: ['/a.txt'] }, /'undigested'/],
    [{ undigested: ['assets.json'] }, /'undigested'.*'assets\.json'/],
    [{ keep: -1 }, /'keep'/],
    [{ width: [1] }, /'width'/]
  ]
  for (const [options, message] of wrong) {
    await t.rejects(buildAssets({ source, out, ...options }), { code: 'FST_ISR_ERR_INVALID_OPTION', message }, JSON.stringify(options))
  }
})

test('a folder that nobody can write to is told, with what becomes of the last build', async t => {
  const { source, out, cacheDir, folder } = await assetSite(t, { 'a.txt': 'a' })
  await mkdir(path.dirname(out))
  await writeFile(out, 'a file')
  await t.rejects(buildAssets({ source, out, cacheDir }), { code: 'FST_ISR_ERR_SITE_ASSETS_UNWRITABLE', message: /the last build stays in force/ })
  await writeFile(path.join(folder, 'file'), '')
  await t.rejects(buildAssets({ source, out: `${out}2`, cacheDir: path.join(folder, 'file') }), { code: 'FST_ISR_ERR_SITE_ASSETS_UNWRITABLE' })
})

test('a file that has changed since it was read fails the build', async t => {
  const site = await assetSite(t, { 'a.txt': 'a', 'a.css': 'a{}' })
  const { source, out, cacheDir } = site
  await buildAssets({ source, out, cacheDir })
  const before = await site.built()
  await site.write({ 'a.txt': 'b' })
  const transform = async (text: string): Promise<string> => {
    await site.write({ 'a.txt': 'c' })
    return text
  }
  await t.rejects(buildAssets({ source, out, cacheDir: `${cacheDir}2`, css: { transform } }), { code: BROKEN, message: /'a\.txt': it has changed during the build/ })
  t.same((await site.built()).get('assets.json'), before.get('assets.json'))
  await buildAssets({ source, out, cacheDir, css: { transform } })
})

test('a file that is gone when its turn comes fails the build', async t => {
  const { source } = await assetSite(t, {})
  await t.rejects(readWhole({ name: 'a.bin', file: path.join(source, 'a.bin') }), { code: BROKEN, message: /'a\.bin': it can't be read: ENOENT/ })
})

test('a file that never stands still fails the build', async t => {
  const { source, write } = await assetSite(t, {})
  await write({ 'a.bin': Buffer.alloc(4_000_000) })
  const file = path.join(source, 'a.bin')
  const done = new AbortController()
  const writer = (async () => { while (!done.signal.aborted) await writeFile(file, 'a', { flag: 'a' }) })()
  await t.rejects(readWhole({ name: 'a.bin', file }), { code: BROKEN, message: /it changes all the time/ })
  done.abort()
  await writer
})

/** 60 000 × 60 000 pixels by its header. */
function bomb (): Buffer {
  const bytes = Buffer.from(png)
  bytes.writeUInt32BE(60_000, 16)
  bytes.writeUInt32BE(60_000, 20)
  return bytes
}
