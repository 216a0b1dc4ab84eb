import { AssetClash } from '../errors.js'
import { beforeExtension, urlOf, withDigest } from './asset-path.js'
import type { Compressed } from './compress.js'
import type { EncodedImage, EncodedVariant } from './image-encoder.js'
import type { ImageMeta, ImageVariant, Manifest, ManifestMeta } from './manifest.js'

export interface OutputFile {
  /** Below the folder of built assets, with slashes. */
  name: string
  load: () => Promise<Buffer>
  /** Its name says what it contains: it is written once and never again. */
  isDigested: boolean
}

/** What a build will publish, by the names that templates use. */
export class Output {
  readonly manifest: Manifest = {}
  readonly meta: ManifestMeta = {}
  readonly prefix: string
  readonly #isUndigested: (name: string) => boolean
  readonly #files = new Map<string, OutputFile>()
  /** Name ignoring case → name. */
  readonly #names = new Map<string, string>()

  constructor (prefix: string, isUndigested: (name: string) => boolean) {
    this.prefix = prefix
    this.#isUndigested = isUndigested
  }

  get files (): OutputFile[] {
    return [...this.#files.values()]
  }

  /** URL of a file that has been added; null: there is none of that name. */
  find (name: string): string | null {
    return this.manifest[this.prefix + name] ?? null
  }

  /** Returns the URL. */
  add (name: string, digest: string, load: () => Promise<Buffer>, compressed: readonly Compressed[]): string {
    const known = this.#names.get(name.toLowerCase())
    if (known !== undefined) throw new AssetClash(known, name)
    this.#names.set(name.toLowerCase(), name)

    const isDigested = !this.#isUndigested(name)
    const file = isDigested ? withDigest(name, digest) : name
    this.#put({ name: file, load, isDigested })
    // Under a lasting name, the old one of the two might stand beside the new other.
    if (isDigested) for (const { extension, load } of compressed) this.#put({ name: file + extension, load, isDigested })
    const url = urlOf(this.prefix, file)
    this.manifest[this.prefix + name] = url
    return url
  }

  /** The image itself must have been added. */
  addImage (name: string, bytes: number, image: EncodedImage): void {
    const path = this.find(name) as string
    const { width, height, fallback, formats } = image
    const meta: ImageMeta = { path, width, height, variants: { fallback: [...fallback.map(variant => this.#variant(name, variant)), { width, path, bytes }] } }
    for (const [format, variants] of formats) {
      meta.variants[format] = variants.map(variant => this.#variant(name, variant, format))
    }
    this.meta[this.prefix + name] = meta
  }

  #variant (name: string, { width, bytes, digest, load }: EncodedVariant, format?: string): ImageVariant {
    const file = beforeExtension(name, `.w${width}.${digest}`, format === undefined ? undefined : `.${format}`)
    this.#put({ name: file, load, isDigested: true })
    return { width, path: urlOf(this.prefix, file), bytes }
  }

  #put (file: OutputFile): void {
    this.#files.set(file.name, file)
  }
}
