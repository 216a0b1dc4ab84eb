import { isSideways, turned, withoutPrefix } from './exif.js'
import type { Dimensions } from './index.js'

const FIRST_CHUNK = 12

export function webpSize (bytes: Buffer): Dimensions | null {
  if (bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WEBP') return null
  switch (bytes.toString('latin1', FIRST_CHUNK, FIRST_CHUNK + 4)) {
    case 'VP8 ': return lossySize(bytes)
    case 'VP8L': return losslessSize(bytes)
    case 'VP8X': return extendedSize(bytes)
    default: return null
  }
}

function lossySize (bytes: Buffer): Dimensions | null {
  if (bytes.readUIntBE(23, 3) !== 0x9d012a) return null
  // The two upper bits are a scale that nobody uses.
  return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff }
}

function losslessSize (bytes: Buffer): Dimensions | null {
  if (bytes.readUInt8(20) !== 0x2f) return null
  const bits = bytes.readUInt32LE(21)
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 }
}

function extendedSize (bytes: Buffer): Dimensions {
  const size = { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 }
  const exif = exifOf(bytes)
  return turned(size, exif !== null && isSideways(withoutPrefix(exif)))
}

function exifOf (bytes: Buffer): Buffer | null {
  for (let at = FIRST_CHUNK; at + 8 <= bytes.length;) {
    const length = bytes.readUInt32LE(at + 4)
    if (bytes.toString('latin1', at, at + 4) === 'EXIF') return bytes.subarray(at + 8, at + 8 + length)
    at += 8 + length + length % 2
  }
  return null
}
