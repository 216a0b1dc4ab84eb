import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'tap'
import { buildAssets } from '../../../lib/site/assets/build.js'
import { assetSite, plain } from '../../helpers/asset-site.js'
import { runCommand } from '../../helpers/command.js'

const hook = new URL('../../helpers/missing-package.js', import.meta.url).href
const library = (name: string): string => new URL(`../../../lib/site/assets/${name}`, import.meta.url).href

/** Runs a module in a process without a package; what goes wrong is printed. */
async function without (name: string, folder: string, lines: string): Promise<string> {
  const file = path.join(folder, `without-${name.replace(/\W/g, '-')}.mjs`)
  await writeFile(file, `try {\n${lines}\nconsole.log('done') } catch (error) { console.log(error.code, error.message) }`)
  const { stdout, stderr } = await runCommand(process.execPath, ['--import', `${hook}?package=${name}`, file], folder)
  return stdout + stderr
}

test('a build without sharp or esbuild fails with what to install, and leaves the last one', async t => {
  const site = await assetSite(t, { 'a.png': await plain(20, 10), 'a.css': 'a{}' })
  const { source, out, cacheDir, folder } = site
  await buildAssets({ source, out, cacheDir })
  const before = await site.built()
  await site.write({ 'a.txt': 'new' })
  for (const [name, file] of [['sharp', 'a\\.png'], ['esbuild', 'a\\.css']] as const) {
    const output = await without(name, folder, `const { buildAssets } = await import('${library('build.js')}'); await buildAssets(${JSON.stringify({ source, out, cacheDir })})`)
    t.match(output, new RegExp(`^FST_ISR_ERR_SITE_PEER the package '${name}' is needed for .*'${file}' and not installed: npm install ${name}`))
    t.same(await site.built(), before)
  }
})

test('a site without images needs no sharp, and one without style sheets and scripts no esbuild', async t => {
  const { source, out, cacheDir, folder, write } = await assetSite(t, { 'a.css': 'a{}' })
  const lines = `const { buildAssets } = await import('${library('build.js')}'); await buildAssets(${JSON.stringify({ source, out, cacheDir })})`
  t.equal(await without('sharp', folder, lines), 'done\n')
  await rm(path.join(source, 'a.css'))
  await write({ 'a.png': await plain(20, 10) })
  t.equal(await without('esbuild', folder, lines), 'done\n')
})

test('an app that serves assets without @fastify/static is told so', async t => {
  const { source, out, cacheDir, folder } = await assetSite(t, { 'a.txt': 'a' })
  await buildAssets({ source, out, cacheDir })
  const output = await without('@fastify/static', folder, `
    const { Assets } = await import('${library('assets.js')}')
    const { serveAssets } = await import('${library('serve.js')}')
    await serveAssets({}, { assets: await Assets.load(${JSON.stringify(out)}), dir: ${JSON.stringify(out)} })`)
  t.match(output, /^FST_ISR_ERR_SITE_PEER the package '@fastify\/static' is needed for serving assets and not installed: npm install @fastify\/static/)
})
