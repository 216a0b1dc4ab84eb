import { readFile, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test, type Test } from 'tap'
import { Assets, lenient } from '../../../lib/site/assets/assets.js'
import { buildAssets } from '../../../lib/site/assets/build.js'
import { assetSite, plain, type AssetSite, type Files } from '../../helpers/asset-site.js'

async function built (t: Test, files: Files): Promise<{ assets: Assets, site: AssetSite }> {
  const site = await assetSite(t, files)
  const { source, out, cacheDir } = site
  await buildAssets({ source, out, cacheDir })
  return { assets: await Assets.load(out), site }
}

test('a path of an asset gives its URL, with what follows the name', async t => {
  const { assets } = await built(t, { 'css/app.css': 'a{}', 'i.svg': '<svg width="3" height="3"/>', 'a b.txt': 'x', 'e\u0301.txt': 'x' })
  t.match(assets.resolve('/static/css/app.css'), /^\/static\/css\/app\.[0-9a-f]{16}\.css$/)
  t.match(assets.resolve('/static/i.svg#star'), /^\/static\/i\.[0-9a-f]{16}\.svg#star$/)
  t.match(assets.resolve('/static/i.svg?v=1'), /\.svg\?v=1$/)
  t.equal(assets.resolve('/static/a%20b.txt'), assets.resolve('/static/a b.txt'))
  t.equal(assets.resolve('/static/\u00e9.txt'), assets.resolve('/static/e\u0301.txt'))
})

test('a path of no asset is refused, with what was probably meant', async t => {
  const { assets } = await built(t, { 'css/App.css': 'a{}' })
  t.throws(() => assets.resolve('/static/css/app.css'), { code: 'FST_ISR_ERR_SITE_ASSET_UNKNOWN', message: "there is no asset '/static/css/app.css'; did you mean '/static/css/App.css'?" })
  for (const path of ['/static/x.css', 'css/App.css', '', '/static/', '/static/%', '/static/__proto__', 'https://example.com/a.png']) {
    t.throws(() => assets.resolve(path), { code: 'FST_ISR_ERR_SITE_ASSET_UNKNOWN' }, path)
  }
})

test('an image is refused for the first thing that is wrong with it', async t => {
  const { assets } = await built(t, { 'a.png': await plain(20, 10), 'a.txt': 'x' })
  const wrong: [Record<string, string>, string][] = [
    [{ alt: '' }, 'FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES'],
    [{ src: '', alt: '' }, 'FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES'],
    [{ src: '/static/a.png' }, 'FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES'],
    [{ src: '/static/a.txt', alt: '' }, 'FST_ISR_ERR_SITE_IMAGE_SRC'],
    [{ src: 'https://example.com/a.png', alt: '' }, 'FST_ISR_ERR_SITE_IMAGE_SRC'],
    [{ src: '//example.com/a.png', alt: '' }, 'FST_ISR_ERR_SITE_IMAGE_SRC'],
    [{ src: '/static/b.png', alt: '' }, 'FST_ISR_ERR_SITE_ASSET_UNKNOWN']
  ]
  for (const [attributes, code] of wrong) t.throws(() => assets.image(attributes), { code }, JSON.stringify(attributes))
  t.match(assets.image({ src: '/static/a.png', alt: '' }), /alt="" width="20" height="10"/)
  t.match(assets.meta('/static/a.png'), { width: 20, height: 10 })
  t.equal(assets.meta('/static/a.txt'), null)
})

test('at run time what is missing is reported, and the page is made without it', async t => {
  const { assets } = await built(t, { 'a.txt': 'x' })
  const reports: string[] = []
  const { resolve, image } = lenient(assets, error => { reports.push(error.message) })
  t.equal(resolve('/static/a.txt'), assets.resolve('/static/a.txt'))
  t.equal(resolve('/static/x.css'), '/static/x.css')
  t.equal(image({ src: '/static/x".png', alt: '<A>', loading: 'lazy' }), '<img src="/static/x&quot;.png" alt="&lt;A&gt;" loading="lazy" decoding="async" />')
  t.same(reports, ["there is no asset '/static/x.css'", "there is no asset '/static/x\".png'"])
  t.throws(() => image({ src: '/static/x.png' }), { code: 'FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES' }, 'what only an author can put right')
})

test('a folder without a build, or with a damaged one, is told', async t => {
  const dir = t.testdir()
  await t.rejects(Assets.load(dir), { code: 'FST_ISR_ERR_SITE_ASSETS_MISSING', message: /no assets have been built in '.*'/ })
  for (const text of ['{', '[]', '{"a":1}', '{"/a":"x"}', '{"/a":"/%"}', 'null']) {
    await writeFile(path.join(dir, 'assets.json'), text)
    await t.rejects(Assets.load(dir), { code: 'FST_ISR_ERR_SITE_ASSETS_UNREADABLE' }, text)
  }
  await writeFile(path.join(dir, 'assets.json'), '{}')
  for (const text of ['[', '{"/a":{"width":1}}', '{"/a":{"path":"/a","width":1,"height":1,"variants":{"fallback":[{}]}}}']) {
    await writeFile(path.join(dir, 'assets_meta.json'), text)
    await t.rejects(Assets.load(dir), { code: 'FST_ISR_ERR_SITE_ASSETS_UNREADABLE' }, text)
  }
  await rm(path.join(dir, 'assets_meta.json'))
  await Assets.load(dir)
})

test('in development paths stay as they are, and have to exist', async t => {
  const { source } = await assetSite(t, { 'css/app.scss': 'a{}', 'css/_part.css': 'a{}', 'js/app.ts': '', 'a b.png': await plain(30, 10), '.env': 'x', 'bad.png': 'x' })
  await symlink('/etc', path.join(source, 'etc'))
  const assets = Assets.development(source)
  t.equal(assets.resolve('/static/css/app.css'), '/static/css/app.css')
  t.equal(assets.resolve('/static/js/app.js?x#y'), '/static/js/app.js?x#y')
  t.equal(assets.image({ src: '/static/a b.png', alt: 'A', loading: 'lazy' }), '<img src="/static/a%20b.png" alt="A" width="30" height="10" loading="lazy" decoding="async" />')
  for (const path of ['/static/css/other.css', '/static/css/_part.css', '/static/css/app.scss', '/static/js/app.ts', '/static/.env', '/static/etc/hostname', '/static/../assets/a b.png', '/static/css', '/elsewhere/css/app.css', '/static/a\0.png']) {
    t.throws(() => assets.resolve(path), { code: 'FST_ISR_ERR_SITE_ASSET_UNKNOWN' }, path)
  }
  t.throws(() => assets.image({ src: '/static/bad.png', alt: '' }), { code: 'FST_ISR_ERR_SITE_IMAGE_SIZE' })
})

test('in development an image has its new size as soon as it is saved', async t => {
  const { source, write } = await assetSite(t, { 'a.png': await plain(30, 10) })
  const assets = Assets.development(source)
  t.match(assets.meta('/static/a.png'), { width: 30 })
  await write({ 'a.png': await plain(41, 10) })
  t.match(assets.meta('/static/a.png'), { width: 41 })
  await rm(path.join(source, 'a.png'))
  t.equal(assets.meta('/static/a.png'), null)
})

test('at run time neither sharp nor esbuild is loaded', async t => {
  const folder = new URL('../../../lib/site/assets/', import.meta.url)
  const seen = new Set<string>()
  const follow = async (module: URL): Promise<void> => {
    if (seen.has(module.href)) return
    seen.add(module.href)
    const text = await readFile(module, 'utf8')
    for (const [, specifier = ''] of text.matchAll(/^(?:import|export) .*?from ['"]([^'"]+)['"]/gm)) {
      t.notOk(['sharp', 'esbuild', '@fastify/static'].includes(specifier), `${module} imports ${specifier}`)
      if (specifier.startsWith('.')) await follow(new URL(specifier, module))
    }
  }
  await follow(new URL('assets.js', folder))
  await follow(new URL('serve.js', folder))
  t.ok(seen.has(new URL('image-size/avif.js', folder).href), 'all imports are followed')
  t.notOk(seen.has(new URL('image-encoder.js', folder).href))
})
