// The command line as a user types it: every test starts the real program. The apps carry a stand-in
// for the plugin, so that what is tested here is loading, flags, exit codes and ends; builds by the
// real plugin are in cli-build.test.ts.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { runCommand, type CommandResult } from './helpers/command.js'

const main = fileURLToPath(new URL('../lib/cli/main.js', import.meta.url))
const repository = fileURLToPath(new URL('../..', import.meta.url))

function cli (cwd: string, ...args: string[]): Promise<CommandResult> {
  return runCommand(process.execPath, [main, ...args], cwd)
}

// Reports what it was called with, so that a test sees how flags arrive.
const FAKE = `
export function attach (app, prerender, routes = [{}]) {
  app.server[Symbol.for('fastify-isr')] = { dir: '/the/dir', building: false, routes: () => routes, prerender }
}
export const report = (pages, more) => ({
  buildId: 'b1', dir: '/the/dir', generatedAt: '2026-01-01T00:00:00.000Z', durationMs: 5, pages, removed: [],
  sitemap: { file: null, urls: 0 }, warnings: [], problems: [], ok: !pages.some(page => page.error), ...more
})
export const row = (path, more) => ({
  key: path, path, route: path, outcome: 'written', status: 200, bytes: 1234, durationMs: 3, encodings: { br: 321 }, ...more
})
/** Writes one page that says what the app got. */
export const echo = (value) => async ({ onProgress, signal, ...options }) => {
  const page = row('/' + encodeURIComponent(JSON.stringify({ value, options })))
  onProgress({ done: 1, total: 1, isTotalKnown: true, row: page })
  return report([page])
}
`

interface Echo { value: unknown, options: unknown }

function project (t: Test, files: Record<string, string>): string {
  return t.testdir({ 'package.json': '{ "type": "module" }', 'fake.js': FAKE, ...files })
}

/** What `echo` was given, from the report of `--json`. */
function readEcho ({ stdout }: CommandResult): Echo {
  const { pages } = JSON.parse(stdout) as { pages: { path: string }[] }
  return JSON.parse(decodeURIComponent(pages[0]!.path.slice(1))) as Echo
}

const PLUGIN = `
import { attach, echo } from './fake.js'
export default async function (app, opts) { attach(app, echo(opts)) }
`

test('help, version and usage', async t => {
  const dir = project(t, {})

  await t.test('--help and help explain the commands', async t => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      const { code, stdout } = await cli(dir, ...args)
      t.match(stdout, 'prerender <app file>')
      t.equal(code, 0)
    }
  })

  await t.test('each command has its help', async t => {
    for (const args of [['prerender', '--help'], ['help', 'prerender'], ['prerender', 'app.js', '-h']]) {
      const { code, stdout } = await cli(dir, ...args)
      t.match(stdout, 'Usage: fastify-isr prerender <app file>')
      t.equal(code, 0)
    }
    t.match((await cli(dir, 'link', '--help')).stdout, 'Usage: fastify-isr link')
  })

  await t.test('--version is the version of this package', async t => {
    const { version } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as { version: string }
    t.equal((await cli(dir, '--version')).stdout, `${version}\n`)
  })

  const wrong: [string, string[], RegExp][] = [
    ['no command', [], /^Usage: fastify-isr/],
    ['a flag instead of a command', ['--frobnicate'], /unknown flag --frobnicate/],
    ['a misspelt command', ['prerendr', 'app.js'], /did you mean 'prerender'/],
    ['no app', ['prerender'], /which app\?/],
    ['two apps', ['prerender', 'a.js', 'b.js'], /one app file, please; got a\.js, b\.js/],
    ['an app that is not there', ['prerender', 'nowhere.js'], /there is no .*nowhere\.js/],
    ['an unknown flag', ['prerender', 'app.js', '--frobnicate'], /^prerender: unknown option '--frobnicate'\nSee 'fastify-isr prerender --help'\.\n$/],
    ['a flag without its value', ['prerender', 'app.js', '--path'], /^prerender: option '--path <value>' argument missing/],
    ['a number of workers that is none', ['prerender', 'app.js', '--workers', 'two'], /--workers must be a whole number/],
    ['a path that is none', ['prerender', 'app.js', '--path', 'about'], /--path must be the path of a page/],
    ['a concurrency that is none', ['prerender', 'app.js', '--concurrency', '0'], /--concurrency must be a whole number, 1 or more, got '0'/],
    ['a brotli quality out of range', ['prerender', 'app.js', '--brotli', '12'], /--brotli must be a whole number, from 0 to 11/],
    ['an unknown url style', ['prerender', 'app.js', '--url-style', 'flat'], /--url-style must be 'directory' or 'file', got 'flat'/],
    ['a base URL with a path', ['prerender', 'app.js', '--base-url', 'https://a.example/b'], /--base-url must be an origin/]
  ]
  for (const [name, args, message] of wrong) {
    await t.test(`exit code 2 for ${name}`, async t => {
      const { code, stdout, stderr } = await cli(dir, ...args)
      t.match(stderr, message)
      t.equal(stdout, '')
      t.equal(code, 2)
    })
  }
})

test('other commands go to fastify-cli', async t => {
  await t.test('which gets the arguments and gives the exit code', async t => {
    const dir = project(t, { 'app.js': 'export default async function (app, opts) { app.get(\'/about\', async () => opts) }' })
    const routes = await cli(dir, 'print-routes', 'app.js')
    t.match(routes.stdout, 'about (GET')
    t.equal(routes.code, 0)
    t.match((await cli(dir, 'help', 'start')).stdout, 'fastify start')
    t.match((await cli(dir, 'start', '--help')).stdout, 'fastify start')
    t.equal((await cli(dir, 'print-routes', 'nowhere.js')).code, 1)
  })

  await t.test('and if it is not installed, that is said', async t => {
    const dir = mkdtempSync(path.join(tmpdir(), 'fastify-isr-cli-'))
    t.teardown(() => rmSync(dir, { recursive: true }))
    const { code, stderr } = await cli(dir, 'start', 'app.js')
    t.match(stderr, /'start' is not a command of fastify-isr, and fastify-cli.* is not installed/)
    t.equal(code, 2)
  })
})

test('every form of app is loaded', async t => {
  const forms: [string, Record<string, string>, string[]][] = [
    ['an ESM plugin', { 'app.js': PLUGIN }, ['app.js']],
    ['a CommonJS plugin', {
      'app.cjs': `module.exports = async function (app, opts) {
        const { attach, echo } = await import('./fake.js')
        attach(app, echo(opts))
      }`
    }, ['app.cjs']],
    ['a CommonJS plugin compiled from ESM syntax', {
      'app.cjs': `Object.defineProperty(exports, '__esModule', { value: true })
      exports.default = async function (app, opts) {
        const { attach, echo } = await import('./fake.js')
        attach(app, echo(opts))
      }`
    }, ['app.cjs']],
    ['a TypeScript plugin', {
      'app.ts': "import { attach, echo } from './fake.js'\nimport { nothing } from './typed.js'\n" +
        'enum Only { TypeScript }\n' +
        'export default async function (app: { server: object }, opts: object & { [Only.TypeScript]?: 1 }): Promise<void> { attach(app, echo(opts), nothing) }',
      'typed.ts': 'export const nothing: undefined = undefined'
    }, ['app.ts', '--import', 'tsx']],
    ['an exported instance', {
      'app.js': `import Fastify from 'fastify'
      import { attach, echo } from './fake.js'
      const app = Fastify({ logger: true })
      app.register(async function (instance) { attach(instance, echo({})) })
      export default app`
    }, ['app.js']],
    ['an instance named app', {
      'app.js': `import Fastify from 'fastify'
      import { attach, echo } from './fake.js'
      export const app = Fastify()
      attach(app, echo({}))`
    }, ['app.js']],
    ['an exported CommonJS instance', {
      'app.cjs': `const app = require('fastify')()
      app.register(async function () {
        const { attach, echo } = await import('./fake.js')
        attach(app, echo({}))
      })
      module.exports = app`
    }, ['app.cjs']]
  ]
  for (const [name, files, args] of forms) {
    await t.test(name, async t => {
      const result = await cli(project(t, files), 'prerender', ...args, '--json')
      t.equal(result.code, 0, result.stderr)
      t.same(readEcho(result).value, {})
    })
  }

  await t.test('TypeScript without a loader names the remedy', async t => {
    // Newer versions of Node run it as it is.
    if ('typescript' in process.features && process.features.typescript !== false) return t.pass()
    const { code, stderr } = await cli(project(t, { 'app.ts': PLUGIN }), 'prerender', 'app.ts')
    t.match(stderr, '--import tsx')
    t.equal(code, 2)
  })
})

test('the app gets what fastify start would give it', async t => {
  await t.test('options after --', async t => {
    const result = await cli(project(t, { 'app.js': PLUGIN }), 'prerender', 'app.js', '--json', '--',
      '--some-name', 'a', '--flag', '--other=b', '--list', '1', '--list', '2')
    t.same(readEcho(result).value, { someName: 'a', flag: true, other: 'b', list: ['1', '2'] })
  })

  await t.test('the exported options with -o, for the server and the plugin', async t => {
    const files = {
      'app.js': `
        import { attach, echo } from './fake.js'
        export const options = { bodyLimit: 123, logger: { level: 'info' }, mine: 1 }
        export default async function (app, opts) {
          attach(app, echo({ bodyLimit: app.initialConfig.bodyLimit, mine: opts.mine, level: app.log.level }))
        }`
    }
    const dir = project(t, files)
    t.same(readEcho(await cli(dir, 'prerender', 'app.js', '--json', '-o')).value, { bodyLimit: 123, mine: 1, level: 'warn' })
    t.same(readEcho(await cli(dir, 'prerender', 'app.js', '--json', '-o', '-l', 'warn', '--', '--mine', '2')).value,
      { bodyLimit: 123, mine: '2', level: 'warn' })
    t.same(readEcho(await cli(dir, 'prerender', 'app.js', '--json')).value, { bodyLimit: 1048576, level: 'warn' })
  })

  await t.test('the same from { default, options }', async t => {
    const dir = project(t, {
      'app.cjs': `module.exports = {
        default: async function (app, opts) {
          const { attach, echo } = await import('./fake.js')
          attach(app, echo({ bodyLimit: app.initialConfig.bodyLimit }))
        },
        options: { bodyLimit: 123 }
      }`
    })
    t.same(readEcho(await cli(dir, 'prerender', 'app.cjs', '--json', '-o')).value, { bodyLimit: 123 })
  })

  await t.test('a prefix, modules loaded before it in order, and the .env file', async t => {
    const dir = project(t, {
      '.env': 'FROM_FILE=yes\nFASTIFY_IMPORT=./third.js\n',
      'first.cjs': 'globalThis.order = ["first"]',
      'second.js': 'await new Promise(resolve => setTimeout(resolve, 20)); globalThis.order.push("second")',
      'app.js': `
        import { attach, echo } from './fake.js'
        export default async function (app) { attach(app, echo({ prefix: app.prefix, order: globalThis.order, env: process.env.FROM_FILE })) }`
    })
    const result = await cli(dir, 'prerender', 'app.js', '--json', '-x', '/pre', '-r', './first.cjs', '-i', './second.js')
    t.same(readEcho(result).value, { prefix: '/pre', order: ['first', 'second'], env: 'yes' })
  })

  await t.test('a package imported first, even one that only exports to import', async t => {
    const dir = project(t, {
      'app.js': `
        import { attach, echo } from './fake.js'
        export default async function (app) { attach(app, echo(globalThis.loaded)) }`
    })
    const nested = path.join(dir, 'node_modules', 'only-esm')
    mkdirSync(nested, { recursive: true })
    writeFileSync(path.join(nested, 'package.json'), '{ "name": "only-esm", "type": "module", "exports": { ".": { "import": "./index.js" } } }')
    writeFileSync(path.join(nested, 'index.js'), 'globalThis.loaded = "only-esm"')
    t.equal(readEcho(await cli(dir, 'prerender', 'app.js', '--json', '-i', 'only-esm')).value, 'only-esm')
  })

  await t.test('settings of fastify-cli in the environment', async t => {
    const dir = project(t, { '.env': 'FASTIFY_PREFIX=/pre', 'app.js': PLUGIN.replace('echo(opts)', 'echo(app.prefix)') })
    t.equal(readEcho(await cli(dir, 'prerender', 'app.js', '--json')).value, '/pre')
  })

  await t.test('its own Fastify', async t => {
    const dir = project(t, { 'app.js': PLUGIN.replace('echo(opts)', 'echo(app.whose)') })
    mkdirSync(path.join(dir, 'node_modules', 'fastify'), { recursive: true })
    writeFileSync(path.join(dir, 'node_modules', 'fastify', 'package.json'), '{ "name": "fastify", "main": "index.cjs" }')
    writeFileSync(path.join(dir, 'node_modules', 'fastify', 'index.cjs'),
      `const fastify = require(${JSON.stringify(path.join(repository, 'node_modules/fastify'))})\n` +
      "module.exports = options => fastify(options).decorate('whose', 'its own')")
    // Started from elsewhere: it is the app that counts.
    t.equal(readEcho(await cli(repository, 'prerender', path.join(dir, 'app.js'), '--json')).value, 'its own')
  })

  await t.test('its package as the one that started the process, and no app that listens', async t => {
    const dir = project(t, {
      'app.js': `
        import { pathToFileURL } from 'node:url'
        import { attach, echo } from './fake.js'
        const isMain = import.meta.url === pathToFileURL(process.argv[1]).href
        const main = process.argv[1]
        export default async function (app) { attach(app, echo({ main, isMain })) }`
    })
    const value = readEcho(await cli(tmpdir(), 'prerender', path.join(dir, 'app.js'), '--json')).value as { main: string, isMain: boolean }
    t.equal(path.dirname(value.main), dir)
    t.equal(value.isMain, false)
  })
})

test('flags become build options', async t => {
  const dir = project(t, { 'app.js': PLUGIN })
  t.same(readEcho(await cli(dir, 'prerender', 'app.js', '--json')).options, {})
  const result = await cli(dir, 'prerender', 'app.js', '--json', '--path', '/a', '--path', '/b?c=d', '--route', '/:e', '--dir', 'out',
    '--base-url', 'https://a.example/', '--sitemap', '--url-style', 'file', '--concurrency', '7', '--crawl', '--fail-fast',
    '--no-compress', '--brotli', '4', '--force')
  t.same(readEcho(result).options, {
    paths: ['/a', '/b?c=d'],
    routes: ['/:e'],
    dir: path.join(dir, 'out'),
    baseUrl: 'https://a.example',
    sitemap: true,
    urlStyle: 'file',
    concurrency: 7,
    crawl: true,
    failFast: true,
    compress: false,
    brotli: 4,
    force: true
  })
  t.match(result.stderr, /--dir: writing to .*out, but the running app reads \/the\/dir/)
})

/** An app whose build does what `body` says; it gets the options of prerender() as `options`. */
function appThatBuilds (body: string, more = ''): Record<string, string> {
  return {
    'app.js': `
      import { attach, report, row } from './fake.js'
      export default async function (app) {
        ${more}
        attach(app, async (options) => { ${body} })
      }`
  }
}

test('exit codes of a build', async t => {
  await t.test('0 and the table when all is good', async t => {
    const dir = project(t, appThatBuilds("return report([row('/about')], { warnings: ['mind the gap'] })"))
    const { code, stdout, stderr } = await cli(dir, 'prerender', 'app.js')
    t.match(stdout, /Path +Status +Size +Brotli +Time +Outcome\n\/about +200 +1\.2 kB +321 B +3 ms +written\n/)
    t.match(stdout, '✔ 1 page in 5 ms: 1 written')
    t.match(stderr, 'mind the gap')
    t.equal(code, 0)
  })

  await t.test('1 when a page failed, even if the last build had it', async t => {
    for (const outcome of ['failed', 'kept']) {
      const dir = project(t, appThatBuilds(`return report([row('/about', { outcome: '${outcome}', error: 'it broke' })])`))
      const { code, stdout, stderr } = await cli(dir, 'prerender', 'app.js')
      t.match(stdout, `1 ${outcome}`)
      t.match(stderr, '/about  it broke')
      t.equal(code, 1)
    }
  })

  await t.test('1 when the report has problems', async t => {
    const dir = project(t, appThatBuilds("return report([], { ok: false, problems: [{ path: '/nope', message: 'it matches no prerender route' }] })"))
    const { code, stderr } = await cli(dir, 'prerender', 'app.js', '--path', '/nope')
    t.match(stderr, '/nope  it matches no prerender route')
    t.equal(code, 1)
  })

  await t.test('1 when the build itself throws, with the stack', async t => {
    const dir = project(t, appThatBuilds("throw Object.assign(new Error('no room'), { code: 'ENOSPC' })"))
    const { code, stderr } = await cli(dir, 'prerender', 'app.js')
    t.match(stderr, /Error: no room \(ENOSPC\)\n +at .*app\.js/)
    t.equal(code, 1)
  })

  await t.test('2 when it was asked for something impossible, without a stack', async t => {
    const dir = project(t, appThatBuilds("throw Object.assign(new Error('a sitemap needs absolute URLs'), { code: 'FST_ISR_ERR_SITEMAP_BASE_URL' })"))
    const { code, stderr } = await cli(dir, 'prerender', 'app.js', '--sitemap')
    t.equal(stderr, 'a sitemap needs absolute URLs (FST_ISR_ERR_SITEMAP_BASE_URL)\n')
    t.equal(code, 2)
  })

  await t.test('2 when the build never ends', async t => {
    const dir = project(t, appThatBuilds('return new Promise(() => {})'))
    const { code, stderr } = await cli(dir, 'prerender', 'app.js')
    t.match(stderr, 'the build never ended')
    t.equal(code, 2)
  })

  await t.test('2 when the app throws outside of everything', async t => {
    const dir = project(t, appThatBuilds("setTimeout(() => { throw new Error('stray') }, 10); await new Promise(resolve => setTimeout(resolve, 1000))"))
    const { code, stderr } = await cli(dir, 'prerender', 'app.js')
    t.match(stderr, 'stray')
    t.equal(code, 2)
  })
})

test('an app that can not be loaded ends with 2 and says why', async t => {
  const cases: [string, Record<string, string>, string[], RegExp][] = [
    ['no plugin', { 'app.js': 'export default async function (app) { app.get("/", async () => "") }' }, [],
      /^app\.js does not register fastify-isr\n.*await app\.register\(isr/],
    ['no prerender route', { 'app.js': "import { attach } from './fake.js'\nexport default async function (app) { attach(app, null, []) }" }, [],
      /^app\.js has no prerender route\n.*await app\.register\(isr/],
    ['nothing exported', { 'app.js': '' }, [], /^app\.js has nothing as its default export\n/],
    ['something else exported', { 'app.js': 'export default { a: 1 }' }, [], /^app\.js has an object as its default export\n/],
    ['an import that throws', { 'app.js': "throw new Error('on import', { cause: new Error('deep down') })" }, [],
      /^Error: on import\n +at .*app\.js:1:7[^]*caused by: Error: deep down/],
    ['a syntax error', { 'app.js': 'export default function (' }, [], /app\.js:1\n[^]*SyntaxError: /],
    ['a syntax error in a module of the app', { 'app.js': "import './part.js'", 'part.js': 'export default function (' }, [], /part\.js:1\n[^]*SyntaxError: /],
    ['a syntax error in a CommonJS module of the app', { 'app.js': "import './part.cjs'", 'part.cjs': 'module.exports = function (' }, [], /(part\.cjs:1\n[^]*SyntaxError: |SyntaxError: [^]*part\.cjs:1\n)/],
    ['an import of what is not exported', { 'app.js': "import { nope } from './part.js'", 'part.js': '' }, [], /SyntaxError: .*'nope'\n[^]*app\.js:1\n/],
    ['a missing package', { 'app.js': "import 'not-installed'" }, [], /Cannot find package 'not-installed'.*ERR_MODULE_NOT_FOUND/],
    ['a missing --import', { 'app.js': '' }, ['-i', 'not-installed'], /Cannot find module 'not-installed'/],
    ['a plugin that throws', { 'app.js': "export default async function () { throw new TypeError('in the plugin') }" }, [],
      /^TypeError: in the plugin\n +at .*app\.js/],
    ['a refusal of this plugin', { 'app.js': "export default async function () { throw Object.assign(new Error('route /: wrong ttl'), { code: 'FST_ISR_ERR_INVALID_POLICY' }) }" }, [],
      /^route \/: wrong ttl \(FST_ISR_ERR_INVALID_POLICY\)\n$/],
    ['an onReady hook that throws', { 'app.js': "export default async function (app) { app.addHook('onReady', async () => { throw new Error('not ready') }) }" }, [],
      /^Error: not ready/],
    ['a plugin that hangs', { 'app.js': 'export default function (app, opts, done) {}' }, ['-T', '200'], /^FastifyError: .*Plugin did not start in time.*\(FST_ERR_PLUGIN_TIMEOUT\)\n$/],
    ['an import that hangs', { 'app.js': 'await new Promise(() => {})' }, ['-T', '100'], /app\.js is still being imported after 300 ms/],
    ['an instance that hangs and has no limit', {
      'app.js': "import Fastify from 'fastify'\nconst app = Fastify({ pluginTimeout: 0 })\napp.register((instance, opts, done) => {})\nexport default app"
    }, ['-T', '100'], /the app is not ready after 300 ms/]
  ]
  for (const [name, files, args, message] of cases) {
    await t.test(name, async t => {
      const { code, stdout, stderr } = await cli(project(t, files), 'prerender', 'app.js', ...args)
      t.match(stderr, message)
      t.equal(stdout, '')
      t.equal(code, 2)
    })
  }
})

test('the process ends', async t => {
  await t.test('with 2 when close hangs, after the report', async t => {
    const dir = project(t, appThatBuilds("return report([row('/about')])", "app.addHook('onClose', () => new Promise(() => {}))"))
    const { code, stdout, stderr } = await cli(dir, 'prerender', 'app.js')
    t.match(stdout, '1 written')
    t.match(stderr, 'the app did not close within 5 s')
    t.equal(code, 2)
  })

  await t.test('with its code when the app leaves something open', async t => {
    const dir = project(t, appThatBuilds("return report([row('/about')])", 'setInterval(() => {}, 1000)'))
    const { code, stderr } = await cli(dir, 'prerender', 'app.js')
    t.match(stderr, 'the app left something open (Timeout)')
    t.equal(code, 0)
  })

  await t.test('with 2 when an app that failed to load leaves something open', async t => {
    const dir = project(t, { 'app.js': "setInterval(() => {}, 1000); throw new Error('halfway')" })
    const { code, stderr } = await cli(dir, 'prerender', 'app.js')
    t.match(stderr, 'halfway')
    t.equal(code, 2)
  })
})

test('output', async t => {
  await t.test('--json: stdout is one document, whatever the app prints', async t => {
    const dir = project(t, {
      'app.js': `
        import Fastify from 'fastify'
        import { attach, report, row } from './fake.js'
        console.log('on import')
        const app = Fastify({ logger: true })
        app.get('/', async () => 'home')
        attach(app, async ({ onProgress }) => {
          app.log.error('through pino')
          process.stdout.write('through stdout')
          await app.inject('/')
          return report([row('/', { outcome: 'failed', error: 'it broke' })])
        })
        export default app`
    })
    const { code, stdout, stderr } = await cli(dir, 'prerender', 'app.js', '--json', '-l', 'info')
    t.match(JSON.parse(stdout), { buildId: 'b1', ok: false, pages: [{ path: '/', error: 'it broke' }] })
    for (const text of ['on import', 'through pino', 'through stdout', 'request completed', 'it broke']) t.match(stderr, text)
    t.equal(code, 1)
  })

  await t.test('--quiet: failures only', async t => {
    const good = project(t, appThatBuilds("return report([row('/about')], { warnings: ['mind the gap'] })"))
    t.match(await cli(good, 'prerender', 'app.js', '--quiet'), { code: 0, stdout: '', stderr: '' })
    const bad = project(t, appThatBuilds("return report([row('/about', { outcome: 'failed', error: 'it broke' })])"))
    const { code, stdout, stderr } = await cli(bad, 'prerender', 'app.js', '--quiet')
    t.equal(stdout, '')
    t.equal(stderr, '\nFailed\n  /about  it broke\n')
    t.equal(code, 1)
  })

  await t.test('warnings of the plugin are part of it', async t => {
    const dir = project(t, appThatBuilds('return report([])', `
      const log = app.log.child({ plugin: 'fastify-isr' })
      log.warn('route GET /a: mind the gap')
      log.warn("there is no build; run 'fastify-isr prerender'")
      app.log.warn('a warning of the app')
      app.log.fatal('the end of the app')`))
    const { stderr } = await cli(dir, 'prerender', 'app.js')
    t.match(stderr, 'Warnings\n  route GET /a: mind the gap\n')
    t.match(stderr, 'the end of the app')
    t.notMatch(stderr, /there is no build|a warning of the app/)
  })

  await t.test('the log of the app is quiet unless it is asked for, and never on stdout', async t => {
    const dir = project(t, appThatBuilds("app.log.info('some info'); return report([])"))
    t.notMatch((await cli(dir, 'prerender', 'app.js')).stderr, 'some info')
    const { stdout, stderr } = await cli(dir, 'prerender', 'app.js', '-l', 'info')
    t.match(stderr, 'some info')
    t.notMatch(stdout, 'some info')
  })
})

interface Started { child: ChildProcess, ended: Promise<{ code: number | null, stderr: string }>, says (text: string): Promise<void> }

/** Starts the command line and leaves it running. */
function start (cwd: string, ...args: string[]): Started {
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  const heard: (() => void)[] = []
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    for (const check of heard) check()
  })
  const ended = new Promise<{ code: number | null, stderr: string }>(resolve => {
    child.on('close', code => resolve({ code, stderr }))
  })
  const says = (text: string) => new Promise<void>(resolve => {
    const check = () => { if (stderr.includes(text)) resolve() }
    heard.push(check)
    check()
  })
  return { child, ended, says }
}

test('signals', async t => {
  const ABORTABLE = `
    console.error('building')
    await new Promise((resolve, reject) => {
      const timer = setInterval(() => {}, 1000)
      options.signal.addEventListener('abort', () => {
        clearInterval(timer)
        reject(Object.assign(new Error('aborted'), { code: 'FST_ISR_ERR_BUILD_ABORTED' }))
      })
    })`

  await t.test('SIGINT stops the build and closes the app: 130', async t => {
    const { child, ended, says } = start(project(t, appThatBuilds(ABORTABLE, "app.addHook('onClose', async () => { console.error('closed') })")), 'prerender', 'app.js')
    await says('building')
    child.kill('SIGINT')
    const { code, stderr } = await ended
    t.match(stderr, /stopping; .*\nstopped; the last build is untouched\nclosed\n$/)
    t.equal(code, 130)
  })

  await t.test('handlers of the app do not get in between', async t => {
    const { child, ended, says } = start(project(t, appThatBuilds(ABORTABLE, "process.on('SIGINT', () => process.exit(0))")), 'prerender', 'app.js')
    await says('building')
    child.kill('SIGINT')
    t.equal((await ended).code, 130)
  })

  await t.test('a second SIGINT does not wait', async t => {
    const { child, ended, says } = start(project(t, appThatBuilds("console.error('building'); await new Promise(resolve => setTimeout(resolve, 20_000))")), 'prerender', 'app.js')
    await says('building')
    child.kill('SIGINT')
    await says('stopping')
    child.kill('SIGINT')
    t.equal((await ended).code, 130)
  })

  await t.test('SIGTERM does the same: 143', async t => {
    const { child, ended, says } = start(project(t, appThatBuilds(ABORTABLE)), 'prerender', 'app.js')
    await says('building')
    child.kill('SIGTERM')
    t.equal((await ended).code, 143)
  })
})

test('link', { skip: process.platform === 'win32' }, async t => {
  /** A project as npm leaves it when fastify-cli has won the bin. */
  function installed (t: Test, withUs = true): string {
    return t.testdir({
      'package.json': '{}',
      deeper: {},
      node_modules: {
        '.bin': { fastify: t.fixture('symlink', '../fastify-cli/cli.js') },
        ...withUs && { 'fastify-isr': t.fixture('symlink', path.relative(path.join(t.testdirName, 'node_modules'), repository)) }
      }
    })
  }

  await t.test('points the bin at us and says so', async t => {
    const dir = installed(t)
    const bin = path.join(dir, 'node_modules/.bin/fastify')
    const { code, stdout } = await cli(path.join(dir, 'deeper'), 'link')
    t.equal(code, 0)
    t.match(stdout, /node_modules\/\.bin\/fastify now runs fastify-isr \(.*main\.js\), before: \.\.\/fastify-cli\/cli\.js\n/)
    t.equal(realpathSync(bin), main)
    t.match(readlinkSync(bin), '../fastify-isr/')
    t.match((await runCommand(bin, ['--version'], dir)).stdout, /^\d+\.\d+\.\d+/)
    t.match((await cli(dir, 'link')).stdout, 'already runs fastify-isr')
  })

  await t.test('replaces the script that pnpm writes', async t => {
    const dir = installed(t)
    const bin = path.join(dir, 'node_modules/.bin/fastify')
    rmSync(bin)
    writeFileSync(bin, '#!/bin/sh\n')
    t.match((await cli(dir, 'link')).stdout, 'before: a script')
    t.ok(lstatSync(bin).isSymbolicLink())
  })

  await t.test('refuses where there is nothing to link', async t => {
    const dir = mkdtempSync(path.join(tmpdir(), 'fastify-isr-cli-'))
    t.teardown(() => rmSync(dir, { recursive: true }))
    const { code, stderr } = await cli(dir, 'link')
    t.match(stderr, 'no node_modules/.bin')
    t.equal(code, 2)
  })

  await t.test('refuses a project that does not have us', async t => {
    const dir = installed(t, false)
    const { code, stderr } = await cli(dir, 'link')
    t.match(stderr, 'fastify-isr is not installed in')
    t.equal(readlinkSync(path.join(dir, 'node_modules/.bin/fastify')), '../fastify-cli/cli.js')
    t.notOk(existsSync(path.join(dir, 'node_modules/.bin/.fastify-isr')))
    t.equal(code, 2)
  })
})
