import { isSideways, turned } from './exif.js'
import type { Dimensions } from './index.js'

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

export function pngSize (bytes: Buffer): Dimensions | null {
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE) || bytes.toString('latin1', 12, 16) !== 'IHDR') return null
  const size = { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
  const exif = chunk(bytes, 'eXIf')
  return turned(size, exif !== null && isSideways(exif))
}

/** Films have the extension of images, and lose their frames when they are encoded as such. */
export function isAnimatedPng (bytes: Buffer): boolean {
  return bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE) && chunk(bytes, 'acTL') !== null
}

function chunk (bytes: Buffer, type: string): Buffer | null {
  for (let at = SIGNATURE.length; at + 8 <= bytes.length;) {
    const length = bytes.readUInt32BE(at)
    if (bytes.toString('latin1', at + 4, at + 8) === type) return bytes.subarray(at + 8, at + 8 + length)
    // Length, type and checksum around the data.
    at += length + 12
  }
  return null
}
