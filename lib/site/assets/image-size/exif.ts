import type { Dimensions } from './index.js'

const ORIENTATION = 0x0112
const SHORT = 3
/** From this orientation on, width and height change places. */
const FIRST_SIDEWAYS = 5
const LAST_SIDEWAYS = 8

/** `tiff` begins with the byte order, as it does in every format once its own prefix is gone. */
export function isSideways (tiff: Buffer): boolean {
  try {
    const orientation = orientationOf(tiff)
    return orientation >= FIRST_SIDEWAYS && orientation <= LAST_SIDEWAYS
  } catch (error) {
    // What a camera wrote wrongly turns nothing.
    if (error instanceof RangeError) return false
    throw error
  }
}

export function turned ({ width, height }: Dimensions, sideways: boolean): Dimensions {
  return sideways ? { width: height, height: width } : { width, height }
}

/** Without the prefix that JPEG always has and WebP sometimes. */
export function withoutPrefix (exif: Buffer): Buffer {
  return exif.toString('latin1', 0, 6) === 'Exif\0\0' ? exif.subarray(6) : exif
}

function orientationOf (tiff: Buffer): number {
  const order = tiff.toString('latin1', 0, 2)
  if (order !== 'II' && order !== 'MM') return 1
  const uint16 = (at: number): number => order === 'II' ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at)
  const uint32 = (at: number): number => order === 'II' ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at)

  const directory = uint32(4)
  const count = uint16(directory)
  for (let entry = directory + 2; entry < directory + 2 + count * 12; entry += 12) {
    if (uint16(entry) === ORIENTATION && uint16(entry + 2) === SHORT) return uint16(entry + 8)
  }
  return 1
}
