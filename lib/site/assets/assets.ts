import path from 'node:path'
import { AssetUnknown, AssetsMissing, ImageSizeUnknown, NotAnImage } from '../errors.js'
import { similarName } from '../template/similar.js'
import { IMAGE_FILE, readingsOf } from './asset-path.js'
import { DevelopmentFiles } from './development-files.js'
import { checkAttributes, imageTag, unknownImageTag, type ImageAttributes } from './image-tag.js'
import { readManifests, type ImageMeta } from './manifest.js'

/** Where assets are looked up: in what a build wrote, or among the files of their author. */
export interface AssetFiles {
  /** URL; null: there is none of that name. */
  find (path: string): string | null
  /** Null: not an image, or one whose size can't be read. */
  meta (path: string): ImageMeta | null
  /** A name that was probably meant. */
  similar (path: string): string | null
  /** Whether a URL, not encoded, belongs to one content for ever. */
  isImmutable (url: string): boolean
}

/** What templates ask for: `{{+ /static/…}}` and `<% img %>`. */
export class Assets {
  readonly #files: AssetFiles

  private constructor (files: AssetFiles) {
    this.#files = files
  }

  /**
   * What a build wrote.
   *
   * @throws FST_ISR_ERR_SITE_ASSETS_MISSING | FST_ISR_ERR_SITE_ASSETS_UNREADABLE
   */
  static async load (dir: string): Promise<Assets> {
    const manifests = await readManifests(dir)
    if (manifests === null) throw new AssetsMissing(path.resolve(dir))
    return new Assets(new BuiltFiles(new Map(Object.entries(manifests.manifest)), new Map(Object.entries(manifests.meta))))
  }

  /** The files of their author, under their own names: needs no build, and neither sharp nor esbuild. */
  static development (sourceDir: string, { prefix = '/static/' } = {}): Assets {
    return new Assets(new DevelopmentFiles(sourceDir, prefix))
  }

  /**
   * The URL of an asset. `?query` and `#fragment` are kept.
   *
   * @throws FST_ISR_ERR_SITE_ASSET_UNKNOWN
   */
  resolve (path: string): string {
    for (const reading of readingsOf(path)) {
      const url = this.#files.find(reading.path)
      if (url !== null) return url + reading.suffix
    }
    throw this.#unknown(path)
  }

  /**
   * HTML of an image.
   *
   * @throws FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES | FST_ISR_ERR_SITE_IMAGE_SRC |
   * FST_ISR_ERR_SITE_ASSET_UNKNOWN | FST_ISR_ERR_SITE_IMAGE_SIZE
   */
  image (attributes: ImageAttributes): string {
    checkAttributes(attributes)
    const src = attributes['src'] as string
    const isImage = [...readingsOf(src)].some(reading => IMAGE_FILE.test(reading.path))
    if (!isImage || !src.startsWith('/') || src.startsWith('//')) throw new NotAnImage(src)
    const { meta, suffix } = this.#imageMeta(src)
    return imageTag(attributes, { ...meta, path: meta.path + suffix })
  }

  /** Null: there is none of that name, or its size can't be read. */
  meta (path: string): ImageMeta | null {
    for (const reading of readingsOf(path)) {
      const meta = this.#files.meta(reading.path)
      if (meta !== null) return meta
    }
    return null
  }

  /** Whether what a URL answers, its escapes undone, never changes. */
  isImmutable (url: string): boolean {
    return this.#files.isImmutable(url)
  }

  #imageMeta (src: string): { meta: ImageMeta, suffix: string } {
    for (const { path, suffix } of readingsOf(src)) {
      const meta = this.#files.meta(path)
      if (meta !== null) return { meta, suffix }
      if (this.#files.find(path) !== null) throw new ImageSizeUnknown(src)
    }
    throw this.#unknown(src)
  }

  #unknown (path: string): Error {
    const similar = [...readingsOf(path)].map(reading => this.#files.similar(reading.path)).find(name => name !== null)
    return new AssetUnknown(path, similar === undefined ? '' : `; did you mean '${similar}'?`)
  }
}

/**
 * The same for pages that have to be answered: an asset that is not there is
 * told to `report`, and the page gets the path as it was written.
 */
export function lenient (assets: Assets, report: (error: Error) => void): Pick<Assets, 'resolve' | 'image'> {
  const orElse = (attempt: () => string, instead: () => string): string => {
    try {
      return attempt()
    } catch (error) {
      if (!(error instanceof AssetUnknown || error instanceof ImageSizeUnknown)) throw error
      report(error)
      return instead()
    }
  }
  return {
    resolve: path => orElse(() => assets.resolve(path), () => path),
    image: attributes => orElse(() => assets.image(attributes), () => unknownImageTag(attributes))
  }
}

class BuiltFiles implements AssetFiles {
  readonly #urls: ReadonlyMap<string, string>
  readonly #images: ReadonlyMap<string, ImageMeta>
  readonly #immutable = new Set<string>()

  constructor (urls: ReadonlyMap<string, string>, images: ReadonlyMap<string, ImageMeta>) {
    this.#urls = urls
    this.#images = images
    // What a build was told to leave its name answers under that name whatever comes next.
    for (const [path, url] of urls) if (decodeURIComponent(url) !== path) this.#immutable.add(decodeURIComponent(url))
    for (const { variants } of images.values()) {
      for (const { path } of Object.values(variants).flat()) if (!urls.has(decodeURIComponent(path))) this.#immutable.add(decodeURIComponent(path))
    }
  }

  find (path: string): string | null {
    return this.#urls.get(path) ?? null
  }

  meta (path: string): ImageMeta | null {
    return this.#images.get(path) ?? null
  }

  similar (path: string): string | null {
    return similarName(path, this.#urls.keys())
  }

  isImmutable (url: string): boolean {
    return this.#immutable.has(url)
  }
}
