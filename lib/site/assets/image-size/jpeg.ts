import { isSideways, turned, withoutPrefix } from './exif.js'
import type { Dimensions } from './index.js'

const START = 0xd8
const SCAN = 0xda
const EXIF = 0xe1

export function jpegSize (bytes: Buffer): Dimensions | null {
  if (bytes[0] !== 0xff || bytes[1] !== START) return null
  let sideways: boolean | null = null
  for (let at = 2; bytes.readUInt8(at) === 0xff;) {
    const marker = bytes.readUInt8(at + 1)
    if (marker === 0xff) { // padding
      at += 1
      continue
    }
    if (isBare(marker)) {
      at += 2
      continue
    }
    if (marker === SCAN) return null
    const length = bytes.readUInt16BE(at + 2)
    if (isFrame(marker)) {
      return turned({ height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) }, sideways ?? false)
    }
    const body = bytes.subarray(at + 4, at + 2 + length)
    // XMP has the same marker.
    if (marker === EXIF && body.toString('latin1', 0, 6) === 'Exif\0\0') sideways ??= isSideways(withoutPrefix(body))
    at += 2 + length
  }
  return null
}

/** Markers without a length. */
function isBare (marker: number): boolean {
  return marker === 0x01 || (marker >= 0xd0 && marker <= 0xd9)
}

/** SOF0 to SOF15; three of the numbers between have other meanings. */
function isFrame (marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
}
