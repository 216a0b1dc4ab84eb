// What others see of a build, at every moment of it.
import { cp, readFile, utimes, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { digestIn, digestOf } from '../../../lib/site/assets/asset-path.js'
import { buildAssets } from '../../../lib/site/assets/build.js'
import { eachOf } from '../../../lib/site/assets/each-of.js'
import type { Manifest, ManifestMeta } from '../../../lib/site/assets/manifest.js'
import { assetSite, plain, type AssetSite } from '../../helpers/asset-site.js'
import { runCommand, type CommandResult } from '../../helpers/command.js'

const child = fileURLToPath(new URL('../../helpers/asset-build-child.js', import.meta.url))

async function buildElsewhere ({ source, out, cacheDir }: AssetSite, killAt = 0): Promise<CommandResult> {
  return await runCommand(process.execPath, [child, source, out, cacheDir, String(killAt)], path.dirname(child))
}

/** All files that a manifest names are there and are what their names say. Says of which build its style sheet is. */
async function checkWhole (t: Test, { out }: AssetSite): Promise<string> {
  const manifest = JSON.parse(await readFile(path.join(out, 'assets.json'), 'utf8')) as Manifest
  const meta = JSON.parse(await readFile(path.join(out, 'assets_meta.json'), 'utf8')) as ManifestMeta
  const urls = new Set([...Object.values(manifest), ...Object.values(meta).flatMap(image => [image.path, ...Object.values(image.variants).flat().map(one => one.path)])])
  const wrong: string[] = []
  for (const url of urls) {
    const bytes = await readFile(path.join(out, url.replace('/static/', ''))).catch(() => Buffer.alloc(0))
    if (digestIn(url) === null ? bytes.length === 0 : digestOf(bytes) !== digestIn(url)) wrong.push(url)
  }
  t.same(wrong, [], 'every URL leads to what it names')
  return await readFile(path.join(out, manifest['/static/app.css']?.replace('/static/', '') ?? ''), 'utf8')
}

const filesOf = async (colour: string) => ({
  'app.css': `a { color: ${colour}; background: url(a.png) }`,
  'a.png': await plain(400, 20, 'png', colour),
  'fixed.txt': colour
})

test('a build that is killed at any moment leaves the last one, or is done', async t => {
  const site = await assetSite(t, await filesOf('red'))
  await buildElsewhere(site)
  const old = await checkWhole(t, site)
  const start = path.join(site.folder, 'start')
  await cp(site.out, start, { recursive: true, preserveTimestamps: true })
  await site.write(await filesOf('blue'))

  const seen: string[] = []
  const buildUntil = async (moment: number): Promise<{ result: CommandResult, copy: AssetSite }> => {
    const copy: AssetSite = { ...site, out: path.join(site.folder, `out-${moment}`) }
    await cp(start, copy.out, { recursive: true, preserveTimestamps: true })
    return { copy, result: await buildElsewhere(copy, moment) }
  }
  const { changes } = JSON.parse((await buildUntil(0)).result.stdout) as { changes: number }
  await eachOf(Array.from({ length: changes }, (_, index) => index + 1), availableParallelism(), async moment => {
    const { copy, result } = await buildUntil(moment)
    t.equal(result.stderr, '')
    seen[moment - 1] = await checkWhole(t, copy) === old ? 'old' : 'new'
  })
  t.ok(seen.length > 15, `${seen.length} moments`)
  t.equal(seen[0], 'old')
  t.equal(seen.at(-1), 'new')
  t.same(seen, seen.toSorted((a, b) => (a === 'old' ? 0 : 1) - (b === 'old' ? 0 : 1)), 'once new, always new')
})

test('what a killed build left behind is gone after the next', async t => {
  const site = await assetSite(t, await filesOf('red'))
  await buildElsewhere(site)
  await site.write(await filesOf('blue'))
  await writeFile(path.join(site.out, '.0123456789ab.tmp'), 'half')
  await writeFile(path.join(site.out, '.fedcba987654.tmp'), 'half, of a build that runs')
  const longAgo = new Date(Date.now() - 2 * 3600_000)
  await utimes(path.join(site.out, '.0123456789ab.tmp'), longAgo, longAgo)
  await buildElsewhere(site)
  t.same([...(await site.built()).keys()].filter(name => name.endsWith('.tmp')), ['.fedcba987654.tmp'])
})

test('builds at the same time into one folder leave one of them, whole', async t => {
  const [red, blue] = [await assetSite(t, await filesOf('red')), await assetSite({ testdir: () => path.join(t.testdirName, 'blue') }, await filesOf('blue'))]
  const both = [red, { ...blue, out: red.out }]
  for (let round = 0; round < 3; round++) {
    const results = await Promise.all([...both, ...both].map(site => buildElsewhere(site)))
    for (const { code, stderr } of results) t.equal(code, 0, stderr)
    await checkWhole(t, red)
    // Both manifests are of one build.
    const manifest = await red.builtJson<Manifest>('assets.json')
    const meta = await red.builtJson<ManifestMeta>('assets_meta.json')
    t.equal(meta['/static/a.png']?.path, manifest['/static/a.png'])
  }
})

test('builds at the same time in one process do not disturb each other either', async t => {
  const site = await assetSite(t, await filesOf('red'))
  const { source, out, cacheDir } = site
  await Promise.all(Array.from({ length: 4 }, () => buildAssets({ source, out, cacheDir, keep: 0 })))
  await checkWhole(t, site)
})

test('a manifest that is damaged is replaced', async t => {
  const site = await assetSite(t, await filesOf('red'))
  const { source, out, cacheDir } = site
  await buildAssets({ source, out, cacheDir })
  await writeFile(path.join(out, 'assets.json'), '{')
  await buildAssets({ source, out, cacheDir })
  await checkWhole(t, site)
})

test('a file of the build that is damaged or gone is written again', async t => {
  const site = await assetSite(t, await filesOf('red'))
  const { source, out, cacheDir } = site
  const { assets } = await buildAssets({ source, out, cacheDir })
  await writeFile(path.join(out, assets['/static/app.css']?.replace('/static/', '') ?? ''), 'a')
  t.match(await buildAssets({ source, out, cacheDir }), { written: 1 })
  await checkWhole(t, site)
})
