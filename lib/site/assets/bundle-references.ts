import path from 'node:path'
import type { OnResolveArgs, OnResolveResult, Plugin } from 'esbuild'
import { extensionOf, readingsOf } from './asset-path.js'
import { kindOf, sourceNames } from './kinds.js'

/** Of a file of the site: its URL, if it has one, and where it is. */
export type FindAsset = (name: string) => { url: string | null, file: string } | null

export interface ReferenceOptions {
  root: string
  prefix: string
  find: FindAsset
}

/** What leads to another machine, or to the same document. */
const ELSEWHERE = /^(?:[a-z][a-z\d+.-]*:|\/\/|#)/i
const URL_OF = 'asset-url'

/**
 * Puts the URLs of assets where style sheets and scripts name them:
 * `url(/static/img/a.png)`, `url(../img/a.png)`, `import logo from '../img/logo.svg'`.
 */
export function referencePlugin (options: ReferenceOptions): Plugin {
  return {
    name: 'assets',
    setup (build) {
      build.onResolve({ filter: /./ }, args => resolve(args, options))
      build.onLoad({ filter: /./, namespace: URL_OF }, ({ path }) => ({ contents: `export default ${JSON.stringify(path)}`, loader: 'js' }))
    }
  }
}

function resolve (args: OnResolveArgs, { root, prefix, find }: ReferenceOptions): OnResolveResult | undefined {
  const { kind, path: reference } = args
  if (kind === 'entry-point') return undefined
  const isUrl = kind === 'url-token'
  const isAbsolute = reference.startsWith('/')
  if (ELSEWHERE.test(reference)) return reference.startsWith('#') ? { path: reference, external: true } : undefined
  // Of the app, perhaps.
  if (isUrl && isAbsolute && !reference.startsWith(prefix)) return { path: reference, external: true }
  // Packages, and modules beside the importing one, are esbuild's affair.
  if (!isUrl && !isAbsolute && (!reference.startsWith('.') || isModule(reference))) return undefined

  for (const reading of readingsOf(reference)) {
    const name = isAbsolute ? below(prefix, reading.path) : belowFolder(root, path.join(args.resolveDir, reading.path))
    const asset = name === null ? null : findSource(find, name)
    if (asset === null) continue
    if (!isUrl && isModule(asset.file)) return { path: asset.file }
    if (asset.url !== null) return isUrl ? { path: asset.url + reading.suffix, external: true } : { path: asset.url + reading.suffix, namespace: URL_OF }
  }
  return { errors: [{ text: explain(reference, isAbsolute, prefix) }] }
}

function explain (reference: string, isAbsolute: boolean, prefix: string): string {
  const rule = isAbsolute ? `paths of assets begin with ${prefix}` : 'a relative path starts at the file that names it, and stays in the folder of assets'
  return `there is no asset '${reference}' (${rule})`
}

function findSource (find: FindAsset, name: string): ReturnType<FindAsset> {
  for (const source of sourceNames(name)) {
    const asset = find(source)
    if (asset !== null) return asset
  }
  return null
}

function isModule (reference: string): boolean {
  const kind = kindOf(reference)
  return kind === 'style' || kind === 'script' || ['', '.json', '.cjs', '.cts'].includes(extensionOf(reference))
}

function below (prefix: string, reference: string): string | null {
  return reference.startsWith(prefix) ? reference.slice(prefix.length) : null
}

function belowFolder (root: string, file: string): string | null {
  const name = path.relative(root, file).split(path.sep).join('/')
  return name.startsWith('../') ? null : name.normalize()
}
