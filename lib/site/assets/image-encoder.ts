import { createHash } from 'node:crypto'
import type { Sharp, SharpOptions } from 'sharp'
import { AssetBroken } from '../errors.js'
import { digestOf, extensionOf } from './asset-path.js'
import type { BuildCache } from './build-cache.js'
import { imageSize, type Dimensions, type ImageSize } from './image-size/index.js'
import { isAnimatedPng } from './image-size/png.js'
import { isSmaller, withoutUseless } from './variants.js'

export type ImageFormat = 'webp' | 'avif'
type SharpModule = typeof import('sharp')['default']
type Raster = 'png' | 'jpeg'
type Encoding = ImageFormat | Raster

export interface EncodedVariant {
  width: number
  bytes: number
  digest: string
  load: () => Promise<Buffer>
}

export interface EncodedImage extends Dimensions {
  /** Narrower than the image itself, which is not among them. */
  fallback: EncodedVariant[]
  /** Only those that are worth their request. */
  formats: Map<ImageFormat, EncodedVariant[]>
}

export interface ImageEncoderOptions {
  cache: BuildCache
  widths: readonly number[]
  formats: readonly ImageFormat[]
  maxPixels: number
}

/** Enters the key of what is cached: to be raised when the steps below change. */
const STEPS = 1
/** Pixels of one side: neither WebP nor AVIF can hold more. */
const LONGEST_SIDE = 16_383
const AVIF = [{ quality: 55, effort: 3 }]
/** The smallest of several is taken: what suits a photo does not suit a screenshot, and both may be PNGs. */
const CHOICES: Readonly<Record<Raster, Partial<Record<Encoding, readonly object[]>>>> = {
  jpeg: { jpeg: [{ quality: 80, mozjpeg: true }], webp: [{ quality: 80 }], avif: AVIF },
  png: {
    png: [{ compressionLevel: 9 }, { compressionLevel: 9, palette: true, quality: 90 }],
    webp: [{ quality: 82 }, { nearLossless: true, quality: 80 }, { lossless: true }],
    avif: AVIF
  }
}

/** Makes what browsers may choose from. Broken images, also those that browsers would show in part, are refused. */
export class ImageEncoder {
  readonly #sharp: SharpModule
  readonly #options: ImageEncoderOptions

  constructor (sharp: SharpModule, options: ImageEncoderOptions) {
    this.#sharp = sharp
    this.#options = options
  }

  /** @throws FST_ISR_ERR_SITE_ASSET_BROKEN */
  async encode (name: string, bytes: Buffer): Promise<EncodedImage> {
    const size = this.#checkHead(name, bytes)
    const source = isRaster(size) && !isAnimatedPng(bytes) ? size.type : null
    if (source === null) {
      if (size.type !== 'svg') await this.#checkPixels(name, bytes)
      return { width: size.width, height: size.height, fallback: [], formats: new Map() }
    }
    return await this.#variants(name, bytes, { ...size, type: source })
  }

  #checkHead (name: string, bytes: Buffer): ImageSize {
    const size = imageSize(bytes)
    if (size === null) throw new AssetBroken(name, 'its size can\'t be read: it is broken, no image that browsers show, or an SVG without width, height and viewBox')
    const extension = extensionOf(name).slice(1).toLowerCase()
    if ((extension === 'jpg' ? 'jpeg' : extension) !== size.type) throw new AssetBroken(name, `its content is ${size.type}: rename it, or convert it`)
    const pixels = size.width * size.height
    if (size.type !== 'svg' && pixels > this.#options.maxPixels) {
      throw new AssetBroken(name, `it has ${size.width} x ${size.height} pixels, more than 'maxPixels' (${this.#options.maxPixels}): make it smaller, or raise the option`)
    }
    return size
  }

  async #variants (name: string, bytes: Buffer, { type, width, height }: { type: Raster } & Dimensions): Promise<EncodedImage> {
    const hash = createHash('sha256').update(bytes).digest('hex')
    const narrower = this.#options.widths.filter(one => one < width)
    const make = async (encoding: Encoding, to: number): Promise<EncodedVariant> =>
      await this.#variant(name, bytes, hash, { encoding, choices: CHOICES[type][encoding] ?? [], width: to === width ? null : to, is: to })

    const original: EncodedVariant = { width, bytes: bytes.length, digest: '', load: async () => bytes }
    const fallback = withoutUseless([...await inTurn(narrower, to => make(type, to)), original])
    // A format without the full width would show less than the image itself does.
    const wanted = Math.max(width, height) > LONGEST_SIDE ? [] : this.#options.formats
    const formats = new Map<ImageFormat, EncodedVariant[]>()
    // Browsers take the first that they know: each must be smaller than what comes behind it.
    let best: readonly EncodedVariant[] = fallback
    for (const format of ['webp', 'avif'] as const) {
      if (!wanted.includes(format)) continue
      const variants = withoutUseless(await inTurn([...narrower, width], to => make(format, to)))
      if (!isSmaller(variants, best, [...narrower, width])) continue
      formats.set(format, variants)
      best = variants
    }
    // Nothing has looked at its pixels yet.
    if (narrower.length === 0 && wanted.length === 0) await this.#checkPixels(name, bytes)
    return { width, height, fallback: fallback.filter(variant => variant !== original), formats }
  }

  async #variant (name: string, bytes: Buffer, hash: string, step: { encoding: Encoding, choices: readonly object[], width: number | null, is: number }): Promise<EncodedVariant> {
    const { encoding, choices, width } = step
    const { cache } = this.#options
    const inputs = this.#inputs(hash, encoding, choices, width)
    const image = await cache.get(inputs, async () => {
      const images = await inTurn(choices, async choice => {
        const upright = this.#open(bytes).autoOrient()
        return await pixelsOf(name, () => (width === null ? upright : upright.resize({ width })).toFormat(encoding, choice).toBuffer())
      })
      return images.reduce((a, b) => b.length < a.length ? b : a)
    })
    return { width: step.is, bytes: image.length, digest: digestOf(image), load: cache.reader(inputs) }
  }

  async #checkPixels (name: string, bytes: Buffer): Promise<void> {
    const hash = createHash('sha256').update(bytes).digest('hex')
    await this.#options.cache.get(this.#inputs(hash, 'checked'), async () => {
      // A frame has been measured already; all frames of a film together may be many pixels.
      await pixelsOf(name, () => this.#open(bytes, { animated: true, limitInputPixels: false }).stats())
      return Buffer.alloc(0)
    })
  }

  #open (bytes: Buffer, options: SharpOptions = {}): Sharp {
    return this.#sharp(bytes, { failOn: 'error', limitInputPixels: this.#options.maxPixels, ...options })
  }

  #inputs (...step: unknown[]): unknown[] {
    const { sharp, vips } = this.#sharp.versions
    return ['image', STEPS, sharp ?? '', vips, ...step]
  }
}

function isRaster (size: ImageSize): size is ImageSize & { type: Raster } {
  return size.type === 'png' || size.type === 'jpeg'
}

async function pixelsOf<T> (name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new AssetBroken(name, `its pixels can't be read, export it again: ${(cause as Error).message}`, { cause })
  }
}

/** One after the other: each takes all the memory that its pixels need. */
async function inTurn<Item, Result> (items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = []
  for (const item of items) results.push(await work(item))
  return results
}
