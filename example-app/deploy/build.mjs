// Makes the folder that the image of the example holds: the compiled example, the packed library,
// run-time dependencies, built assets and prerendered pages. The Dockerfile and its test run this,
// so that the test proves what the image does. Needs what "npm install && npm run build && npx tsc
// -p tsconfig.example.json" leave behind.
//
// Usage: node example-app/deploy/build.mjs <work folder>
//
// <work folder>/app is what ships. Beside it, where Node still finds them, lie the native tools of
// the build, which therefore can't get into the image.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** All that the running example imports, besides this library. */
const RUN_TIME = ['@fastify/basic-auth', '@fastify/static', 'fastify', 'highlight.js', 'ioredis', 'markdown-it']
const TOOLS = ['esbuild', 'sharp']
/** What pages are made of, read at run time. */
const READ = ['README.md', 'SECURITY.md', 'bench/README.md', 'docs', 'example-app/s3-tier.ts', 'example-app/site']

const root = fileURLToPath(new URL('../..', import.meta.url))
const [given] = process.argv.slice(2)
if (given === undefined) {
  console.error('usage: node example-app/deploy/build.mjs <work folder>')
  process.exit(2)
}
const work = resolve(given)
const app = join(work, 'app')

/** Whatever fails ends the build with its exit code. */
function run (command, args, cwd, env = {}) {
  console.log(`> ${[command, ...args].join(' ')}`)
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit', env: { ...process.env, ...env } })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

function writeManifest () {
  const { version, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  writeFileSync(join(app, 'package.json'), JSON.stringify({
    name: 'fastify-isr-example',
    version,
    private: true,
    type: 'module',
    dependencies: {
      'fastify-isr': `file:../fastify-isr-${version}.tgz`,
      ...Object.fromEntries(RUN_TIME.map(name => [name, devDependencies[name]]))
    }
  }, null, 2) + '\n')
}

function copySources () {
  cpSync(join(root, '.build/example-app'), join(app, '.build/example-app'), { recursive: true, filter: name => !name.endsWith('.map') })
  for (const name of READ) cpSync(join(root, name), join(app, name), { recursive: true })
}

/** Without its scripts: dist/ has been built, and somebody may be using it. */
function packLibrary () {
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', work], root)
}

function installRunTime () {
  run('npm', ['install', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-package-lock', '--no-audit', '--no-fund'], app)
}

function linkTools () {
  mkdirSync(join(work, 'node_modules'))
  for (const name of TOOLS) symlinkSync(join(root, 'node_modules', name), join(work, 'node_modules', name))
}

function fastifyIsr (...args) {
  run('fastify-isr', [...args, '.build/example-app/app.js'], app, {
    NODE_ENV: 'production',
    PATH: `${join(app, 'node_modules/.bin')}${delimiter}${process.env.PATH}`
  })
}

/** Entries are for the user who built them; here that is not the one who serves them. */
function makeReadable (folder) {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) makeReadable(path)
    else chmodSync(path, 0o644)
  }
}

mkdirSync(app, { recursive: true })
writeManifest()
copySources()
packLibrary()
installRunTime()
linkTools()
fastifyIsr('site', 'build')
fastifyIsr('prerender')
// What a second build of the assets would be quicker with.
rmSync(join(app, 'node_modules/.cache'), { recursive: true, force: true })
makeReadable(join(app, '.prerender'))
