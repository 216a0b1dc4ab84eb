import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { plain } from '../../helpers/asset-site.js'
import { runCommand, type CommandResult } from '../../helpers/command.js'

const main = fileURLToPath(new URL('../../../lib/cli/main.js', import.meta.url))
const own = (file: string): string => JSON.stringify(new URL(`../../../lib/${file}`, import.meta.url).href)

const APP = `
import isr from ${own('index.js')}
import site from ${own('site/index.js')}
export default async function (app) {
  await app.register(isr)
  await app.register(site, { root: new URL('./site/', import.meta.url), dev: process.env.NODE_ENV === 'development' })
}
`
const SITE = {
  pages: { 'index.html': '<link rel="stylesheet" href="{{+ /static/css/app.css }}"><% generated_livereload_script.html %/>' },
  partials: {},
  assets: { css: { 'app.css': 'body { color: red }' } }
}

t.test('site build makes the assets that pages then refer to by their digests', async (t) => {
  const cwd = t.testdir({ 'package.json': '{ "type": "module" }', 'app.js': APP, site: SITE })
  const cli = (...args: string[]): Promise<CommandResult> => runCommand(process.execPath, [main, ...args], cwd)
  const before = await cli('prerender', 'app.js')
  t.equal(before.code, 1, 'without a build of the assets a page that needs them is an error')
  t.match(before.stderr, /unresolved_asset/)
  const { code, stdout } = await cli('site', 'build', 'app.js')
  t.equal(code, 0)
  t.match(stdout, /✔ \d+ files? in/)
  t.equal((await cli('prerender', 'app.js')).code, 0)
  t.match(await readFile(path.join(cwd, '.prerender/index.html'), 'utf8'), /href="\/static\/css\/app\.[0-9a-f]{16}\.css">$/)
})

t.test('what is broken among them ends with 1 and names the file', async (t) => {
  const cwd = t.testdir({ 'package.json': '{ "type": "module" }', 'app.js': APP, site: { ...SITE, assets: { css: { 'app.css': 'body { color: ' } } } })
  const { code, stderr } = await runCommand(process.execPath, [main, 'site', 'build', 'app.js'], cwd)
  t.equal(code, 1)
  t.match(stderr, 'css/app.css')
})

t.test('a build in development fails, because its pages would load what no visitor can', async (t) => {
  const cwd = t.testdir({ 'package.json': '{ "type": "module" }', 'app.js': APP, site: SITE })
  const { code, stderr } = await runCommand('env', ['NODE_ENV=development', process.execPath, main, 'prerender', 'app.js'], cwd)
  t.equal(code, 1)
  t.match(stderr, /NODE_ENV=production/)
})

t.test('a site without assets has nothing to build, which is no mistake', async (t) => {
  const { assets: _, ...site } = SITE
  const cwd = t.testdir({ 'package.json': '{ "type": "module" }', 'app.js': APP, site: { ...site, pages: { 'index.html': 'home' } } })
  const { code, stdout } = await runCommand(process.execPath, [main, 'site', 'build', 'app.js'], cwd)
  t.equal(code, 0)
  t.match(stdout, /✔ 0 files in .*\n {2}there is none in .*site\/assets/)
})

t.test('options of the build are options of the site', async (t) => {
  const app = APP.replace('root:', "static: { undigested: ['js/sw.js'], targets: ['es2017'], keep: 0 }, images: { maxPixels: 10 }, root:")
  const cwd = t.testdir({ 'package.json': '{ "type": "module" }', 'app.js': app, site: { ...SITE, assets: { ...SITE.assets, js: { 'sw.js': 'self.n = 1' } } } })
  t.equal((await runCommand(process.execPath, [main, 'site', 'build', 'app.js'], cwd)).code, 0)
  t.equal(await readFile(path.join(cwd, 'dist/static/js/sw.js'), 'utf8'), 'self.n=1;\n')
  await writeFile(path.join(cwd, 'site/assets/a.png'), await plain(20, 10))
  const { code, stderr } = await runCommand(process.execPath, [main, 'site', 'build', 'app.js'], cwd)
  t.equal(code, 1)
  t.match(stderr, /more than 'maxPixels' \(10\)/)
})
