// The command line and the real plugin together: what a build leaves on disk, and what it leaves alone.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import type { BuildReport, Manifest } from '../types/index.js'
import { runCommand, type CommandResult } from './helpers/command.js'

const main = fileURLToPath(new URL('../lib/cli/main.js', import.meta.url))
const plugin = new URL('../lib/index.js', import.meta.url).href

const ROUTES = `
  const page = body => async (request, reply) => reply.type('text/html').send(body)
  app.get('/', { config: { prerender: true } }, page('<h1>Home</h1><a href="/linked/a">a</a>' + '<p>text</p>'.repeat(500)))
  app.get('/about', { config: { prerender: true } }, page('<h1>About ' + (opts.edition ?? 1) + '</h1>'))
  app.get('/linked/:name', { config: { prerender: true } }, page('linked'))
  app.get('/blog/:slug', { config: { prerender: { paths: () => Array.from({ length: 40 }, (_, at) => ({ slug: 'p' + at })) } } }, async (request, reply) => {
    if (opts.slow !== undefined) await new Promise(resolve => setTimeout(resolve, Number(opts.slow)))
    if (request.params.slug === opts.failing) throw new Error('the database is gone')
    return reply.type('text/html').send('<p>' + request.params.slug + ' ' + (opts.edition ?? 1) + '</p>')
  })`

const APP = `
import isr from '${plugin}'
export default async function (app, opts) {
  await app.register(isr, opts.baseUrl === undefined ? {} : { baseUrl: opts.baseUrl })
  ${ROUTES}
}
`

function project (t: Test, files: Record<string, string> = { 'app.js': APP }): string {
  return t.testdir({ 'package.json': '{ "type": "module" }', ...files })
}

function cli (cwd: string, ...args: string[]): Promise<CommandResult> {
  return runCommand(process.execPath, [main, 'prerender', ...args], cwd)
}

function read (dir: string, file: string): string {
  return readFileSync(path.join(dir, '.prerender', file), 'utf8')
}

function manifestOf (dir: string): Manifest {
  return JSON.parse(read(dir, '.isr/manifest.json')) as Manifest
}

/** Every file of the output with its content. */
function snapshot (dir: string): Record<string, string> {
  const entries = readdirSync(path.join(dir, '.prerender'), { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => path.join(entry.parentPath, entry.name)).sort()
  return Object.fromEntries(files.map(file => [file, readFileSync(file, 'latin1')]))
}

test('builds an app into its package, from wherever it is started', async t => {
  const dir = project(t)
  const { code, stdout, stderr } = await runCommand(process.execPath, [main, 'prerender', path.join(dir, 'app.js'), '--', '--baseUrl', 'https://a.example'], tmpdir())
  t.equal(code, 0, stderr)
  t.match(stdout, '42 written')
  t.equal(read(dir, 'about/index.html'), '<h1>About 1</h1>')
  t.equal(read(dir, 'blog/p39/index.html'), '<p>p39 1</p>')
  t.match(read(dir, 'sitemap.xml'), '<loc>https://a.example/about</loc>')
  t.ok(existsSync(path.join(dir, '.prerender/index.html.br')))
  t.equal(manifestOf(dir).pages.length, 42)
})

test('an exported instance is built alike', async t => {
  const dir = project(t, {
    'server.js': `
      import Fastify from 'fastify'
      import isr from '${plugin}'
      const app = Fastify()
      const opts = {}
      await app.register(isr)
      ${ROUTES}
      export default app`
  })
  const { code, stderr } = await cli(dir, 'server.js', '--quiet')
  t.equal(code, 0, stderr)
  t.equal(manifestOf(dir).pages.length, 42)
})

test('nothing changed: nothing is written; with --force everything is', async t => {
  const dir = project(t)
  await cli(dir, 'app.js', '--quiet')
  const again = await cli(dir, 'app.js')
  t.match(again.stdout, '42 pages in')
  t.match(again.stdout, '42 unchanged')
  t.match((await cli(dir, 'app.js', '--force')).stdout, '42 written')
})

test('--path and --route build what they name and leave the rest', async t => {
  const dir = project(t)
  await cli(dir, 'app.js', '--quiet')
  const one = await cli(dir, 'app.js', '--path', '/about', '--', '--edition', '2')
  t.match(one.stdout, '1 page in')
  t.equal(read(dir, 'about/index.html'), '<h1>About 2</h1>')
  t.equal(read(dir, 'blog/p0/index.html'), '<p>p0 1</p>')
  t.equal(manifestOf(dir).pages.length, 42)
  t.match((await cli(dir, 'app.js', '--route', '/blog/:slug', '--', '--edition', '3')).stdout, '40 pages in')
  t.equal(read(dir, 'blog/p0/index.html'), '<p>p0 3</p>')
  t.equal(read(dir, 'about/index.html'), '<h1>About 2</h1>')

  const nothing = await cli(dir, 'app.js', '--path', '/nowhere')
  t.match(nothing.stderr, /Problems\n {2}\/nowhere {2}/)
  t.equal(nothing.code, 1)
})

test('--crawl, --url-style, --no-compress, --base-url and --dir', async t => {
  const dir = project(t)
  const { code, stderr } = await cli(dir, 'app.js', '--crawl', '--url-style', 'file', '--no-compress', '--base-url', 'https://b.example', '--dir', 'site')
  t.equal(code, 0)
  t.match(stderr, /--dir: writing to .*site, but the running app reads .*\.prerender/)
  t.equal(readFileSync(path.join(dir, 'site/linked/a.html'), 'utf8'), 'linked')
  t.match(readFileSync(path.join(dir, 'site/sitemap.xml'), 'utf8'), 'https://b.example/about')
  t.notOk(existsSync(path.join(dir, 'site/about.html.br')))
  t.notOk(existsSync(path.join(dir, '.prerender')))
})

test('a failing page', async t => {
  await t.test('does not stop the others, keeps its last version, and ends in 1', async t => {
    const dir = project(t)
    await cli(dir, 'app.js', '--quiet')
    const { code, stdout, stderr } = await cli(dir, 'app.js', '--', '--edition', '2', '--failing', 'p7')
    t.equal(code, 1)
    t.match(stdout, '40 written, 1 unchanged, 1 kept')
    t.match(stderr, /Failed\n {2}\/blog\/p7 {2}.*500/)
    t.equal(read(dir, 'blog/p7/index.html'), '<p>p7 1</p>')
    t.equal(read(dir, 'blog/p8/index.html'), '<p>p8 2</p>')
  })

  await t.test('stops a build with --fail-fast, and the last build stays as it was', async t => {
    const dir = project(t)
    await cli(dir, 'app.js', '--quiet')
    const before = snapshot(dir)
    const { code, stdout } = await cli(dir, 'app.js', '--fail-fast', '--', '--edition', '2', '--failing', 'p7')
    t.equal(code, 1)
    t.match(stdout, 'the last build is untouched')
    t.same(snapshot(dir), before)
  })
})

test('--json prints the report', async t => {
  const dir = project(t)
  const { code, stdout } = await cli(dir, 'app.js', '--json', '--', '--failing', 'p7')
  const report = JSON.parse(stdout) as BuildReport
  t.equal(report.ok, false)
  t.equal(report.pages.length, 42)
  t.match(report.pages.find(page => page.path === '/blog/p7'), { outcome: 'failed', error: /500/ })
  t.equal(report.dir, path.join(dir, '.prerender'))
  t.equal(code, 1)
})

test('--sitemap without a base URL is wrong usage', async t => {
  const { code, stderr } = await cli(project(t), 'app.js', '--sitemap')
  t.match(stderr, /base-url.*FST_ISR_ERR_SITEMAP_BASE_URL/)
  t.equal(code, 2)
})

test('options the plugin refuses are named, without a stack', async t => {
  const dir = project(t, { 'app.js': `import isr from '${plugin}'\nexport default async app => { await app.register(isr, { urlStyle: 'flat' }) }` })
  const { code, stderr } = await cli(dir, 'app.js')
  t.match(stderr, /^option 'urlStyle' must be .*\(FST_ISR_ERR_INVALID_OPTION\)\n$/)
  t.equal(code, 2)
})

test('routes declared before the plugin was there are explained', async t => {
  const dir = project(t, {
    'app.js': `import isr from '${plugin}'
      export default async function (app) {
        app.register(isr)
        app.get('/', { config: { prerender: true } }, async () => 'home')
      }`
  })
  const { code, stderr } = await cli(dir, 'app.js')
  t.match(stderr, /^app\.js has no prerender route\n[^]*await app\.register\(isr/)
  t.equal(code, 2)
})

test('SIGINT during a build leaves the last build as it was: 130', async t => {
  const dir = project(t)
  await cli(dir, 'app.js', '--quiet')
  const before = snapshot(dir)
  const child = spawn(process.execPath, [main, 'prerender', 'app.js', '--', '--edition', '2', '--slow', '100'],
    { cwd: dir, env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const isFirst = !stderr.includes('written')
    stderr += text
    if (isFirst && stderr.includes('written')) child.kill('SIGINT')
  })
  const code = await new Promise(resolve => child.on('close', resolve))
  t.equal(code, 130, stderr)
  t.match(stderr, /stopped; the last build is untouched\n$/)
  t.same(snapshot(dir), before)
})
