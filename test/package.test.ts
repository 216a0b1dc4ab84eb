// The package as a user gets it: packed, installed into an empty project outside this repository,
// imported by its name and run by its bins. It is packed from dist/, which "pretest" has built.
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { test } from 'tap'
import { runCommand, type CommandResult } from './helpers/command.js'

interface PackageJson {
  version: string
  devDependencies: Record<string, string>
}

interface SourceMap {
  sources: string[]
  sourcesContent?: string[]
}

// From .build/test, where the compiled test runs.
const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')
const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as PackageJson

// Not t.testdir(): below this repository every project would find this package and its
// node_modules, whether they are in the tarball or not.
const temporary = await realpath(await mkdtemp(join(tmpdir(), 'fastify-isr-package-')))
t.teardown(() => rm(temporary, { recursive: true, force: true }))

const APP = `
import isr from 'fastify-isr'

export default async function (app, opts) {
  await app.register(isr, { baseUrl: 'https://example.com' })
  app.get('/about', { config: { prerender: true } }, async (request, reply) => {
    reply.type('text/html')
    return '<h1>About us</h1>'
  })
}
`

function succeed (what: string, { code, stdout, stderr }: CommandResult): string {
  if (code !== 0) throw new Error(`${what} ended with ${code}\n${stdout}\n${stderr}`)
  return stdout
}

async function pack (): Promise<{ tarball: string, files: string[] }> {
  // Without scripts, because "prepack" would rebuild dist/ while other tests may be using it.
  const packed = await runCommand('npm',
    ['pack', '--ignore-scripts', '--json', '--pack-destination', temporary], root)
  const [tarball] = JSON.parse(succeed('npm pack', packed)) as [{ filename: string, files: { path: string }[] }]
  return { tarball: join(temporary, tarball.filename), files: tarball.files.map(file => file.path).sort() }
}

/** An ESM project with the packed package, some more from the registry, and `app.js`. */
async function createProject (name: string, tarball: string, packages: string[]): Promise<string> {
  const dir = join(temporary, name)
  await mkdir(dir)
  await writeFile(join(dir, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }))
  await writeFile(join(dir, 'app.js'), APP)
  const specs = packages.map(packageName => `${packageName}@${devDependencies[packageName]}`)
  succeed('npm install', await runCommand('npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', tarball, ...specs], dir))
  return dir
}

async function filesBelow (folder: string, extension: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile() && entry.name.endsWith(extension))
    .map(entry => relative(root, join(entry.parentPath, entry.name)))
}

const { tarball, files } = await pack()
const project = await createProject('alone', tarball, ['fastify', '@types/node'])
const bin = (name: string, dir = project): string => join(dir, 'node_modules/.bin', name)

test('the tarball holds the compiled modules, the types and the documents, and nothing else', async t => {
  const modules = (await filesBelow('lib', '.ts'))
    .map(file => file.replace(/^lib/, 'dist').replace(/\.ts$/, '.js'))
  // The contract is written by hand; only the types of the other entry points are made from their modules.
  const types = [...await filesBelow('types', '.d.ts'), 'dist/telemetry.d.ts', 'dist/test/tier-contract.d.ts']
  const documents = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
  const wanted = [...documents, ...types, ...modules, ...modules.map(file => `${file}.map`)]
  t.same(files, wanted.sort())
})

test('source maps carry their sources, because lib/ is not in the tarball', async t => {
  const maps = files.filter(file => file.endsWith('.map'))
  t.not(maps.length, 0)
  const isComplete = async (file: string): Promise<boolean> => {
    const { sources, sourcesContent } = JSON.parse(
      await readFile(join(project, 'node_modules/fastify-isr', file), 'utf8')) as SourceMap
    return sourcesContent?.length === sources.length
  }
  const complete = await Promise.all(maps.map(isComplete))
  t.same(maps.filter((_, index) => !complete[index]), [])
})

const boots = {
  'import brings the plugin and an app boots with it': {
    file: 'boot.mjs',
    code: `
import fastify from 'fastify'
import isr, { fastifyIsr, plugin } from 'fastify-isr'
if (isr !== fastifyIsr || isr !== plugin) throw new Error('the names differ')
`
  },
  'require brings the plugin and an app boots with it': {
    file: 'boot.cjs',
    code: `
const fastify = require('fastify')
const isr = require('fastify-isr')
`
  }
}

for (const [name, { file, code }] of Object.entries(boots)) {
  test(name, async t => {
    await writeFile(join(project, file), `${code}
if (typeof isr !== 'function') throw new Error('not a function but ' + typeof isr)

async function boot () {
  const app = fastify()
  await app.register(isr)
  app.get('/about', { config: { prerender: true } }, async () => 'about us')
  const answers = [await app.inject('/about'), await app.inject('/about')]
  await app.close()
  return answers.map(answer => answer.statusCode + ' ' + answer.body)
}

boot().then(answers => console.log(answers.join('\\n')))
`)
    const { code: exit, stdout, stderr } = await runCommand('node', [file], project)
    t.equal(stdout, '200 about us\n200 about us\n')
    t.equal(stderr, '')
    t.equal(exit, 0)
  })
}

test('fastify-isr/telemetry lists the channels and offers a logger', async t => {
  await writeFile(join(project, 'telemetry.js'), `
import { channels, logAll } from 'fastify-isr/telemetry'
console.log(typeof logAll, channels.render.name ?? channels.render)
`)
  const { stdout, stderr } = await runCommand('node', ['telemetry.js'], project)
  t.equal(stderr, '')
  t.equal(stdout, 'function fastify-isr:render\n')
})

test('fastify-isr/test lists what a tier must do', async t => {
  await writeFile(join(project, 'contract.js'), `
import { tierContract } from 'fastify-isr/test'
const [first] = tierContract(() => ({ name: '' }))
await first.run().catch(error => console.log(first.name + ':', error.message))
`)
  const { stdout, stderr } = await runCommand('node', ['contract.js'], project)
  t.equal(stderr, '')
  t.equal(stdout, 'has a name and is up: a tier has a name\n')
})

test('the types compile for ESM and CommonJS, with every library checked', async t => {
  await writeFile(join(project, 'consumer.ts'), `
import fastify, { type FastifyPluginAsync } from 'fastify'
import isr, { fastifyIsr, type IsrOptions, type IsrTier, type RoutePolicy } from 'fastify-isr'
import { channels, logAll } from 'fastify-isr/telemetry'
import { tierContract } from 'fastify-isr/test'

const options: IsrOptions = { baseUrl: 'https://example.com' }
const policy: RoutePolicy = { ttl: 60, tags: ['blog'] }
const same: FastifyPluginAsync<IsrOptions> = fastifyIsr

const app = fastify()
await app.register(isr, options)
app.get('/about', { config: { prerender: policy } }, async request => request.isrRender?.path ?? 'live')
app.post('/about', { config: { revalidate: { path: '/about' } } }, async () => 'saved')
// @ts-expect-error a ttl is a number
app.get('/wrong', { config: { prerender: { ttl: '60' } } }, async () => 'never')
// @ts-expect-error no such option
await app.register(isr, { basUrl: 'https://example.com' })
const { buildId } = await app.isr.prerender({ paths: ['/about'] })
const id: string = buildId
console.log(id, same, logAll)
channels.serve.subscribe(({ path, outcome, durationMs }) => {
  const text: string = path
  const time: number = durationMs
  console.log(text, outcome, time)
})

const tier: IsrTier = {
  name: 'nothing',
  get: async () => null,
  set: async () => false,
  delete: async () => true
}
for (const { name, run } of tierContract(() => tier)) await run().catch(() => { console.log(name) })
`)
  await writeFile(join(project, 'consumer.cts'), `
import fastify = require('fastify')
import isr = require('fastify-isr')

const app = fastify()
app.register(isr, { baseUrl: 'https://example.com' })
app.get('/about', { config: { prerender: { ttl: 60 } } }, async () => 'about')
`)
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'es2023',
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      verbatimModuleSyntax: true,
      skipLibCheck: false,
      types: ['node'],
      noEmit: true
    },
    files: ['consumer.ts', 'consumer.cts']
  }))
  const { code, stdout } = await runCommand('node', [tsc, '-p', '.'], project)
  t.equal(stdout, '')
  t.equal(code, 0)
})

test('fastify-isr --help explains itself', async t => {
  const { code, stdout } = await runCommand(bin('fastify-isr'), ['--help'], project)
  t.match(stdout, /usage: fastify-isr[^]*prerender[^]*link/i)
  t.equal(code, 0)
})

for (const name of ['fastify-isr', 'fastify']) {
  test(`${name} prerender builds the pages of an app`, async t => {
    await rm(join(project, '.prerender'), { recursive: true, force: true })
    const { code, stdout, stderr } = await runCommand(bin(name), ['prerender', 'app.js'], project)
    t.equal(code, 0, stderr)
    t.match(stdout + stderr, '/about')
    t.equal(await readFile(join(project, '.prerender/about/index.html'), 'utf8'), '<h1>About us</h1>')
  })
}

test('a command for fastify-cli says that fastify-cli is missing when it is', async t => {
  const { code, stderr } = await runCommand(bin('fastify'), ['version'], project)
  t.match(stderr, 'fastify-cli')
  t.not(code, 0)
})

test('beside fastify-cli', async t => {
  const both = await createProject('beside-cli', tarball, ['fastify', 'fastify-cli'])
  const cliVersion = (JSON.parse(
    await readFile(join(both, 'node_modules/fastify-cli/package.json'), 'utf8')) as PackageJson).version

  // Which package wins the shared bin depends on the package manager and the order of installs;
  // here it is always fastify-cli.
  async function letFastifyCliWin (): Promise<void> {
    await unlink(bin('fastify', both))
    await symlink('../fastify-cli/cli.js', bin('fastify', both))
  }

  await t.test('fastify-isr prerender works whoever has won the bin', async t => {
    await letFastifyCliWin()
    await rm(join(both, '.prerender'), { recursive: true, force: true })
    const { code, stderr } = await runCommand(bin('fastify-isr', both), ['prerender', 'app.js'], both)
    t.equal(code, 0, stderr)
    t.equal(await readFile(join(both, '.prerender/about/index.html'), 'utf8'), '<h1>About us</h1>')
  })

  await t.test('fastify-isr link makes fastify prerender work', async t => {
    await letFastifyCliWin()
    await rm(join(both, '.prerender'), { recursive: true, force: true })
    succeed('fastify-isr link', await runCommand(bin('fastify-isr', both), ['link'], both))
    const { code, stderr } = await runCommand(bin('fastify', both), ['prerender', 'app.js'], both)
    t.equal(code, 0, stderr)
    t.equal(await readFile(join(both, '.prerender/about/index.html'), 'utf8'), '<h1>About us</h1>')
  })

  await t.test('every other command is forwarded to fastify-cli', async t => {
    await letFastifyCliWin()
    succeed('fastify-isr link', await runCommand(bin('fastify-isr', both), ['link'], both))
    const { code, stdout } = await runCommand(bin('fastify', both), ['version'], both)
    t.match(stdout, cliVersion)
    t.equal(code, 0)

    const routes = await runCommand(bin('fastify', both), ['print-routes', 'app.js'], both)
    t.match(routes.stdout, 'about (GET')
    t.equal(routes.code, 0)
  })
})
