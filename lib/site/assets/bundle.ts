import path from 'node:path'
import type { BuildFailure, BuildOptions, BuildResult, Message } from 'esbuild'
import { BundleFailed } from '../errors.js'
import { extensionOf } from './asset-path.js'
import { isElsewhere, referencePlugin, type FindAsset } from './bundle-references.js'
import { transformPlugin, type CssTransform } from './css-transform.js'
import { publicName } from './kinds.js'
import { moduleUrlPlugin } from './module-urls.js'
import type { SourceFile } from './source-files.js'

export interface BundleOptions {
  esbuild: Pick<typeof import('esbuild'), 'build'>
  /** The folder of assets, without symbolic links. */
  root: string
  prefix: string
  targets: readonly string[]
  find: FindAsset
  transform?: CssTransform | undefined
  minify: boolean
}

export interface Bundle {
  /** Public name of the file. */
  name: string
  bytes: Buffer
}

/**
 * One file for each entry, with all that it imports in it.
 *
 * @throws FST_ISR_ERR_SITE_BUNDLE, for warnings as well
 */
export async function bundle (entries: readonly SourceFile[], options: BundleOptions): Promise<Bundle[]> {
  if (entries.length === 0) return []
  const result = await options.esbuild.build(toEsbuild(entries, options)).catch((cause: BuildFailure) => {
    throw failure(cause.errors?.[0], cause)
  })
  if (result.warnings[0] !== undefined) throw failure(result.warnings[0])
  return named(entries, result)
}

function toEsbuild (entries: readonly SourceFile[], { root, prefix, targets, find, transform, minify }: BundleOptions): BuildOptions & { write: false } {
  return {
    // Numbers instead of names: a.js and a.mjs would have the same.
    entryPoints: entries.map(({ file }, index) => ({ in: file, out: String(index) })),
    // Messages name files relative to it.
    absWorkingDir: root,
    outdir: root,
    bundle: true,
    format: 'esm',
    target: [...targets],
    minify,
    sourcemap: minify ? false : 'inline',
    write: false,
    logLevel: 'silent',
    plugins: [referencePlugin({ root, prefix, find }), moduleUrlPlugin({ root, prefix, find }), ...transform === undefined ? [] : [transformPlugin(root, transform)]]
  }
}

function named (entries: readonly SourceFile[], { outputFiles = [] }: BuildResult): Bundle[] {
  return outputFiles.map(output => {
    const { name, ext } = path.parse(output.path)
    const entry = publicName((entries[Number(name)] as SourceFile).name)
    // A script that imports a style sheet makes one beside itself.
    const own = ext === '.css' ? '.css' : extensionOf(entry)
    if (ext === '.css') checkImageSets((entries[Number(name)] as SourceFile).name, output.text)
    return { name: entry.slice(0, -extensionOf(entry).length) + own, bytes: Buffer.from(output.contents) }
  })
}

/** Strings are URLs there, which esbuild does not take for such. */
function checkImageSets (file: string, css: string): void {
  for (const [, images = ''] of css.matchAll(/\bimage-set\(((?:[^()"']|"[^"]*"|'[^']*'|\([^()]*\))*)\)/g)) {
    for (const [, reference = ''] of images.replace(/\([^()]*\)/g, '').matchAll(/["']([^"']*)["']/g)) {
      if (!isElsewhere(reference)) throw new BundleFailed(file, `image-set() names '${reference}' by a string, which is not looked up: write url('${reference}')`)
    }
  }
}

function failure (message: Message | undefined, cause?: Error): Error {
  if (message === undefined) return cause ?? new Error('esbuild failed without a message')
  const { location, text, detail } = message
  const where = location === null ? 'assets' : `${location.file}:${location.line}:${location.column + 1}`
  const hint = /^No loader is configured for "\.(?:s[ac]ss|less|styl|pcss)"/.test(text)
    ? "; set the option 'css.transform', which makes CSS of it"
    : message.notes.map(note => `; ${note.text}`).join('')
  return new BundleFailed(where, text + hint, { cause: detail instanceof Error ? detail : cause })
}
