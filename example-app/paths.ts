import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = packageRoot(here)

/** The README and other files that the documentation leads to lie here. */
export const repositoryFolder = root
/** The documentation of this project, which is part of the site. */
export const docsFolder = join(root, 'docs')

/** Pages, partials, content and sources of assets: files as they are, which no compiler copies. */
export const siteRoot = join(root, 'example-app/site')
/** Where `fastify-isr site build` writes what browsers get. */
export const builtAssets = join(root, '.static')

/** The sources and the compiled files lie at different depths; package.json is above both. */
function packageRoot (directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory
  const parent = dirname(directory)
  if (parent === directory) throw new Error(`no package.json above ${here}`)
  return packageRoot(parent)
}
