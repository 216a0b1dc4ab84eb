import type { Dimensions } from './index.js'

export function gifSize (bytes: Buffer): Dimensions | null {
  if (!/^GIF8[79]a$/.test(bytes.toString('latin1', 0, 6))) return null
  return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) }
}
