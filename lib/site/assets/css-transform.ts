import path from 'node:path'
import type { Plugin } from 'esbuild'
import { kindOf } from './kinds.js'
import { readWhole } from './source-files.js'

/** What makes CSS of a style sheet of the site: Sass, Tailwind CSS, lightningcss. `path` is absolute. */
export type CssTransform = (source: string, path: string) => string | Promise<string>

/** Runs `transform` on style sheets of the site, before esbuild reads them; those of packages are CSS already. */
export function transformPlugin (root: string, transform: CssTransform): Plugin {
  return {
    name: 'css-transform',
    setup (build) {
      build.onLoad({ filter: /\.\w+$/, namespace: 'file' }, async ({ path: file }) => {
        const name = path.relative(root, file)
        if (kindOf(file) !== 'style' || name.startsWith('..') || name.split(path.sep).includes('node_modules')) return undefined
        const source = (await readWhole({ name, file })).toString('utf8')
        try {
          const contents: unknown = await transform(source, file)
          if (typeof contents === 'string') return { contents, loader: 'css', resolveDir: path.dirname(file) }
          return { errors: [{ text: `css.transform must return a string, got ${typeof contents}`, location: { file: name } }] }
        } catch (cause) {
          return { errors: [{ text: `css.transform failed: ${(cause as Error).message}`, location: { file: name }, detail: cause }] }
        }
      })
    }
  }
}
