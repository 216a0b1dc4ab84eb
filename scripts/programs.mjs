// Whatever this repository starts that is no npm package, and how to get it. Plain JavaScript,
// because it runs before anything is built.
//
// Usage: node scripts/programs.mjs <name>...
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** By Debian package: where that puts the program, and the environment variable that points elsewhere. */
const programs = {
  chromium: { path: '/usr/bin/chromium', variable: 'CHROMIUM_PATH' },
  'redis-server': { path: '/usr/bin/redis-server', variable: 'REDIS_SERVER_PATH' },
  openssl: { path: '/usr/bin/openssl', variable: 'OPENSSL_PATH' }
}

const pathOf = name => process.env[programs[name].variable] ?? programs[name].path

function isExecutable (path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export function run (command, args, options) {
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
  console.log(`installing ${names.join(', ')}`)
  if (!aptGet(prefix, ['update'])) return
  aptGet(prefix, ['install', '-y', '--no-install-recommends', ...names])
}

/** Installs what is missing where that may be done; otherwise says how, and ends with 1. */
export function ensurePrograms (names) {
  const isMissing = name => !isExecutable(pathOf(name))

  // A path that somebody has set and that is wrong is theirs to mend.
  const installable = names.filter(name => isMissing(name) && !process.env[programs[name].variable])
  if (installable.length > 0) install(installable)

  const missing = names.filter(isMissing)
  for (const name of missing) {
    console.error(`${name} is needed, and ${pathOf(name)} is not there: ` +
      `run 'apt-get install ${name}' on Debian or Ubuntu, or set ${programs[name].variable} to the program`)
  }
  if (missing.length > 0) process.exit(1)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2)
  const unknown = names.find(name => !Object.hasOwn(programs, name))
  if (names.length === 0 || unknown !== undefined) {
    console.error(`usage: node scripts/programs.mjs <${Object.keys(programs).join('|')}>...`)
    process.exit(2)
  }
  ensurePrograms(names)
}
