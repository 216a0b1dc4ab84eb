// Removes compiled files whose source is gone: tsc never does, and a renamed test would go on
// running and a deleted module would go on being published. Deleting the whole folder instead
// would pull it from under whatever runs from it at the moment.
//
// Usage: node scripts/prune.mjs <compiled folder> <source folder>
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'

const [compiled, source] = process.argv.slice(2)
if (compiled === undefined || source === undefined) {
  console.error('usage: node scripts/prune.mjs <compiled folder> <source folder>')
  process.exit(2)
}

const OUTPUT = /(?:\.d\.([cm]?)ts|\.([cm]?)js)(?:\.map)?$/

for (const entry of readdirSync(compiled, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !OUTPUT.test(entry.name)) continue
  const file = join(entry.parentPath, entry.name)
  const origin = join(source, relative(compiled, file)).replace(OUTPUT, '.$1$2ts')
  if (!existsSync(origin)) rmSync(file)
}
