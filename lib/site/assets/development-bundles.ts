import { realpathSync } from 'node:fs'
import { loadPeer } from '../peer.js'
import { TARGETS } from './build-options.js'
import { bundle, type Bundle } from './bundle.js'
import type { CssTransform } from './css-transform.js'
import type { DevelopmentFiles } from './development-files.js'
import { kindOf } from './kinds.js'

export interface DevelopmentBundle extends Bundle {
  type: string
}

const TYPES = { style: 'text/css; charset=utf-8', script: 'text/javascript; charset=utf-8' }

/** Style sheets and scripts as the build makes them, but readable and with their sources' own names in it. */
export class DevelopmentBundles {
  readonly #files: DevelopmentFiles
  readonly #options: { root: string, prefix: string, transform: CssTransform | undefined }

  constructor (files: DevelopmentFiles, options: { root: string, prefix: string, transform: CssTransform | undefined }) {
    this.#files = files
    this.#options = options
  }

  /**
   * Null: no name of a style sheet or a script.
   *
   * @throws FST_ISR_ERR_SITE_BUNDLE | FST_ISR_ERR_SITE_PEER
   */
  async get (name: string): Promise<DevelopmentBundle | null> {
    const kind = kindOf(name)
    const file = kind === 'style' || kind === 'script' ? this.#files.locate(name) : null
    if (file === null) return null
    const { prefix, root, transform } = this.#options
    const esbuild = await loadPeer('esbuild', `bundling '${name}'`, async () => await import('esbuild'))
    const bundles = await bundle([{ name: name.slice(prefix.length), file }], {
      esbuild,
      root: realpathSync(root),
      prefix,
      targets: TARGETS,
      find: one => this.#find(one),
      transform,
      minify: false
    })
    const own = bundles.find(one => prefix + one.name === name)
    return own === undefined ? null : { ...own, type: TYPES[kind as keyof typeof TYPES] }
  }

  #find (name: string): { url: string | null, file: string } | null {
    const path = this.#options.prefix + name
    const file = this.#files.locateSource(path)
    return file === null ? null : { url: this.#files.find(path), file }
  }
}
