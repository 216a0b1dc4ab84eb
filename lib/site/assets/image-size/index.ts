import { avifSize } from './avif.js'
import { gifSize } from './gif.js'
import { jpegSize } from './jpeg.js'
import { pngSize } from './png.js'
import { svgSize } from './svg.js'
import { webpSize } from './webp.js'

export type ImageType = 'png' | 'jpeg' | 'gif' | 'webp' | 'avif' | 'svg'

/** In pixels of CSS, as a browser shows it: a photo that lies on its side is turned. */
export interface Dimensions { width: number, height: number }

export interface ImageSize extends Dimensions { type: ImageType }

const READERS: readonly [ImageType, (bytes: Buffer) => Dimensions | null][] = [
  ['png', pngSize],
  ['jpeg', jpegSize],
  ['gif', gifSize],
  ['webp', webpSize],
  ['avif', avifSize],
  // The last, because it has no signature that others could not contain.
  ['svg', svgSize]
]

/** Reads no more than headers, so a size says nothing about the pixels. Null: no image, or a broken one. */
export function imageSize (bytes: Buffer): ImageSize | null {
  for (const [type, read] of READERS) {
    const size = orNull(() => read(bytes))
    if (size !== null && size.width > 0 && size.height > 0) return { type, width: size.width, height: size.height }
  }
  return null
}

/** A header that points beyond the end of the file is none. */
function orNull<T> (read: () => T | null): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}
