import path from 'node:path'
import type { Loader, PartialMessage, Plugin } from 'esbuild'
import { extensionOf } from './asset-path.js'
import { assetAt, isElsewhere, type ReferenceOptions } from './bundle-references.js'
import { kindOf } from './kinds.js'
import { readWhole } from './source-files.js'

/** `new URL('../img/a.png', import.meta.url)`: the one way to name a file that is not imported, such as a worker. */
const MODULE_URL = /(\bnew\s+URL\(\s*)("[^"\\\n]*"|'[^'\\\n]*')(?=\s*,\s*import\.meta\.url\s*\))/g

/**
 * Puts URLs of assets into `new URL(…, import.meta.url)`, which esbuild leaves
 * alone: in a bundle under another name, in another folder, it would lead
 * nowhere.
 */
export function moduleUrlPlugin (options: ReferenceOptions): Plugin {
  return {
    name: 'module-urls',
    setup (build) {
      build.onLoad({ filter: /\.\w+$/, namespace: 'file' }, async ({ path: file }) => {
        const name = path.relative(options.root, file)
        if (kindOf(file) !== 'script' || name.startsWith('..') || name.split(path.sep).includes('node_modules')) return undefined
        const source = (await readWhole({ name, file })).toString('utf8')
        const errors: PartialMessage[] = []
        const contents = source.replace(MODULE_URL, (all, start: string, quoted: string, at: number) => {
          const reference = quoted.slice(1, -1)
          if (isElsewhere(reference) || (reference.startsWith('/') && !reference.startsWith(options.prefix))) return all
          const asset = assetAt(reference, path.dirname(file), options)
          if (asset?.url == null) errors.push({ text: asset === null ? `there is no asset '${reference}'` : explain(reference), location: locationOf(source, at + start.length, name, quoted.length) })
          return asset?.url == null ? all : start + JSON.stringify(asset.url)
        })
        if (errors.length > 0) return { errors }
        return contents === source ? undefined : { contents, loader: extensionOf(file).slice(1).replace(/^[cm]/, '') as Loader, resolveDir: path.dirname(file) }
      })
    }
  }
}

function explain (reference: string): string {
  return `'${reference}' is a script, whose digest depends on what it refers to: add its name to the option 'undigested', so that it has a URL that lasts`
}

function locationOf (source: string, at: number, file: string, length: number): NonNullable<PartialMessage['location']> {
  const lines = source.slice(0, at).split('\n')
  const line = lines.length
  return { file, line, column: (lines.at(-1) ?? '').length, length, lineText: source.split('\n')[line - 1] ?? '' }
}
