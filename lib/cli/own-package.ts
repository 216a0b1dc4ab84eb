import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where this package lies, its version, and the file that its bins run. */
export function ownPackage (): { root: string, main: string, version: string } {
  const main = fileURLToPath(new URL('./main.js', import.meta.url))
  let root = path.dirname(main)
  while (!existsSync(path.join(root, 'package.json'))) root = path.dirname(root)
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string }
  return { root, main, version }
}
