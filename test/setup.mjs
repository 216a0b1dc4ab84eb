// Runs before the tests are compiled (see "pretest" in package.json) and makes sure that what
// npm can't install is there. Plain JavaScript, because nothing is built yet.
import { readFileSync } from 'node:fs'
import { ensurePrograms, run } from '../scripts/programs.mjs'

// tap generates its test class from the plugins in .taprc. It notices a changed list by itself,
// but only after it has started with the old one, whose TypeScript plugin we leave out on purpose.
function buildTap () {
  const built = new URL('../node_modules/@tapjs/test/test-built/dist/esm/index.js', import.meta.url)
  const signature = /export const signature = `([^`]*)`/.exec(readFileSync(built, 'utf8'))
  if (signature !== null && !signature[1].includes('@tapjs/typescript')) return
  if (!run('npx', ['--no-install', 'tap', 'build'])) process.exit(1)
}

ensurePrograms(['chromium', 'redis-server', 'openssl'])
buildTap()
