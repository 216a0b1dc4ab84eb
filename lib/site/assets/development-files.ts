import { readFileSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { urlOf } from './asset-path.js'
import type { AssetFiles } from './assets.js'
import { imageSize } from './image-size/index.js'
import { isPart, publicName, sourceNames } from './kinds.js'
import type { ImageMeta } from './manifest.js'

/** Looks at the disk whenever it is asked: a file is there as soon as it is saved. */
export class DevelopmentFiles implements AssetFiles {
  readonly #root: string
  readonly #prefix: string
  readonly #metas = new Map<string, { stamp: string, meta: ImageMeta | null }>()

  constructor (root: string | URL, prefix: string) {
    this.#root = path.resolve(root instanceof URL ? fileURLToPath(root) : root)
    this.#prefix = prefix
  }

  find (name: string): string | null {
    return this.locate(name) === null ? null : urlOf(this.#prefix, name.slice(this.#prefix.length))
  }

  meta (name: string): ImageMeta | null {
    const file = this.locate(name)
    if (file === null) return null
    const { mtimeMs, size } = statSync(file)
    const stamp = `${mtimeMs} ${size}`
    const known = this.#metas.get(file)
    if (known?.stamp === stamp) return known.meta
    const meta = this.#read(name, file)
    this.#metas.set(file, { stamp, meta })
    return meta
  }

  similar (): string | null {
    return null
  }

  isImmutable (): boolean {
    return false
  }

  /** The file that a visitor gets under a name, or what it is made of. */
  locate (name: string): string | null {
    // 'app.scss' is no name that the build would know.
    return this.#locate(name, (source, asked) => !isPart(source) && publicName(source) === asked)
  }

  /** The same, with those that others import. */
  locateSource (name: string): string | null {
    return this.#locate(name, () => true)
  }

  /** Never a file outside of the folder, nor one whose name begins with a dot. */
  #locate (name: string, isWanted: (source: string, asked: string) => boolean): string | null {
    if (!name.startsWith(this.#prefix) || name.includes('\0')) return null
    const below = name.slice(this.#prefix.length)
    if (below.split('/').some(part => part === '' || part.startsWith('.'))) return null
    for (const source of sourceNames(below)) {
      const file = path.join(this.#root, source)
      if (isWanted(source, below) && this.#isInside(file)) return file
    }
    return null
  }

  #isInside (file: string): boolean {
    if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return false
    const inRoot = path.relative(realpathSync(this.#root), realpathSync(file))
    return inRoot !== '..' && !inRoot.startsWith(`..${path.sep}`) && !path.isAbsolute(inRoot)
  }

  #read (name: string, file: string): ImageMeta | null {
    const size = imageSize(readFileSync(file))
    if (size === null) return null
    const url = urlOf(this.#prefix, name.slice(this.#prefix.length))
    return { path: url, width: size.width, height: size.height, variants: { fallback: [] } }
  }
}
