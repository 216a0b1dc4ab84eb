// Runs before the tests are compiled (see "pretest" in package.json) and makes sure that what
// npm can't install is there. Plain JavaScript, because nothing is built yet.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'

// Whatever the tests start that is no npm package: its Debian package, where that puts it, and
// the environment variable that points elsewhere.
const programs = [
  { name: 'chromium', path: '/usr/bin/chromium', variable: 'CHROMIUM_PATH' },
  { name: 'redis-server', path: '/usr/bin/redis-server', variable: 'REDIS_SERVER_PATH' },
  { name: 'openssl', path: '/usr/bin/openssl', variable: 'OPENSSL_PATH' }
]

function isExecutable (path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function run (command, args, options) {
  return spawnSync(command, args, { stdio: 'inherit', ...options }).status === 0
}

function canRun (command, args) {
  return run(command, args, { stdio: 'ignore' })
}

/** What to put before apt-get, or null if packages can't be installed from here. */
function aptPrefix () {
  if (!canRun('apt-get', ['--version'])) return null
  if (process.getuid?.() === 0) return []
  if (canRun('sudo', ['-n', 'true'])) return ['sudo', '-n']
  return null
}

function aptGet (prefix, args) {
  const [command, ...rest] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args]
  return run(command, rest)
}

function install (names) {
  const prefix = aptPrefix()
  if (prefix === null) return
  console.log(`installing ${names.join(', ')} for the tests`)
  if (!aptGet(prefix, ['update'])) return
  aptGet(prefix, ['install', '-y', '--no-install-recommends', ...names])
}

function ensurePrograms () {
  const isMissing = ({ path, variable }) => !isExecutable(process.env[variable] ?? path)

  // A path that somebody has set and that is wrong is theirs to mend.
  const installable = programs.filter(program => isMissing(program) && !process.env[program.variable])
  if (installable.length > 0) install(installable.map(({ name }) => name))

  const missing = programs.filter(isMissing)
  for (const { name, path, variable } of missing) {
    console.error(`the tests need ${name}, and ${process.env[variable] ?? path} is not there: ` +
      `run 'apt-get install ${name}' on Debian or Ubuntu, or set ${variable} to the program`)
  }
  if (missing.length > 0) process.exit(1)
}

// tap generates its test class from the plugins in .taprc. It notices a changed list by itself,
// but only after it has started with the old one, whose TypeScript plugin we leave out on purpose.
function buildTap () {
  const built = new URL('../node_modules/@tapjs/test/test-built/dist/esm/index.js', import.meta.url)
  const signature = /export const signature = `([^`]*)`/.exec(readFileSync(built, 'utf8'))
  if (signature !== null && !signature[1].includes('@tapjs/typescript')) return
  if (!run('npx', ['--no-install', 'tap', 'build'])) process.exit(1)
}

ensurePrograms()
buildTap()
