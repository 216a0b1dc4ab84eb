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

/** What leads to another machine, or to the same document. */
export function isElsewhere (reference: string): boolean {
  return ELSEWHERE.test(reference)
}

/** What a path means that stands in a file of `folder`; null: there is no such asset. */
export function assetAt (reference: string, folder: string, { root, prefix, find }: ReferenceOptions): ReturnType<FindAsset> {
  for (const reading of readingsOf(reference)) {
    const name = reference.startsWith('/') ? below(prefix, reading.path) : belowFolder(root, path.join(folder, reading.path))
    const asset = name === null ? null : findSource(find, name)
    if (asset !== null) return asset.url === null ? asset : { ...asset, url: asset.url + reading.suffix }
  }
  return null
}

function resolve (args: OnResolveArgs, options: ReferenceOptions): OnResolveResult | undefined {
  const { prefix } = options
  const { kind, path: reference } = args
  if (kind === 'entry-point') return undefined
  const isUrl = kind === 'url-token'
  const isAbsolute = reference.startsWith('/')
  if (isElsewhere(reference)) return reference.startsWith('#') ? { path: reference, external: true } : undefined
  // Of the app, perhaps.
  if (isUrl && isAbsolute && !reference.startsWith(prefix)) return { path: reference, external: true }
  // Packages, and modules beside the importing one, are esbuild's affair.
  if (!isUrl && !isAbsolute && (!reference.startsWith('.') || isModule(reference))) return undefined

  const asset = assetAt(reference, args.resolveDir, options)
  if (asset !== null && !isUrl && isModule(asset.file)) return { path: asset.file }
  if (asset?.url != null) return isUrl ? { path: asset.url, external: true } : { path: asset.url, namespace: URL_OF }
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
