// What the image starts: puts its build in force in the cache directory (PAGES_DIR), then is the server.
import { fileURLToPath } from 'node:url'
import { takeBuild } from './take-build.js'

const built = fileURLToPath(new URL('../../../.prerender', import.meta.url))
const dir = process.env['PAGES_DIR']

if (dir !== undefined) {
  try {
    await takeBuild(built, dir)
  } catch (error) {
    // A full disk is no reason to answer nobody: the pages of the image need none.
    console.error(`${(error as Error).message}: pages are served from the image, and what is rendered anew stays in memory`)
    delete process.env['PAGES_DIR']
  }
}

await import('../server.js')
