import { turned } from './exif.js'
import type { Dimensions } from './index.js'

interface Box {
  type: string
  /** Behind its size and type. */
  start: number
  end: number
}

/**
 * The size of the item that is shown. A file holds more of them (tiles,
 * thumbnails, the alpha plane), each with a size of its own.
 */
export function avifSize (bytes: Buffer): Dimensions | null {
  const top = boxes(bytes, 0, bytes.length)
  const kind = top.next().value
  if (kind?.type !== 'ftyp' || !/avi[fs]/.test(bytes.toString('latin1', kind.start, kind.end))) return null

  const meta = find(top, 'meta')
  if (meta === null) return null
  // Version and flags come first, as in all boxes that have them.
  const inMeta = [...boxes(bytes, meta.start + 4, meta.end)]
  const primary = find(inMeta, 'pitm')
  const properties = find(inMeta, 'iprp')
  if (primary === null || properties === null) return null

  const item = bytes.readUInt8(primary.start) === 0 ? bytes.readUInt16BE(primary.start + 4) : bytes.readUInt32BE(primary.start + 4)
  return sizeOfItem(bytes, item, [...boxes(bytes, properties.start, properties.end)])
}

function sizeOfItem (bytes: Buffer, item: number, properties: Box[]): Dimensions | null {
  const container = find(properties, 'ipco')
  const associations = find(properties, 'ipma')
  if (container === null || associations === null) return null
  const all = [...boxes(bytes, container.start, container.end)]
  const own = associatedWith(bytes, item, associations).map(index => all[index - 1])

  const extent = own.find(box => box?.type === 'ispe')
  if (extent === undefined) return null
  const rotation = own.find(box => box?.type === 'irot')
  const isSideways = rotation !== undefined && bytes.readUInt8(rotation.start) % 2 === 1
  return turned({ width: bytes.readUInt32BE(extent.start + 4), height: bytes.readUInt32BE(extent.start + 8) }, isSideways)
}

/** Numbers of the properties of an item, from 1. */
function associatedWith (bytes: Buffer, item: number, { start, end }: Box): number[] {
  const version = bytes.readUInt8(start)
  const isLong = (bytes.readUInt8(start + 3) & 1) === 1
  const idBytes = version < 1 ? 2 : 4
  for (let at = start + 8; at < end;) {
    const id = bytes.readUIntBE(at, idBytes)
    const count = bytes.readUInt8(at + idBytes)
    at += idBytes + 1
    if (id === item) {
      return Array.from({ length: count }, (_, index) =>
        isLong ? bytes.readUInt16BE(at + index * 2) & 0x7fff : bytes.readUInt8(at + index) & 0x7f)
    }
    at += count * (isLong ? 2 : 1)
  }
  return []
}

function find (boxes: Iterable<Box>, type: string): Box | null {
  for (const box of boxes) if (box.type === type) return box
  return null
}

function * boxes (bytes: Buffer, start: number, end: number): Generator<Box, undefined> {
  for (let at = start; at + 8 <= end;) {
    const type = bytes.toString('latin1', at + 4, at + 8)
    const short = bytes.readUInt32BE(at)
    const head = short === 1 ? 16 : 8
    // 0: to the end. 1: too long for 32 bits.
    const length = short === 0 ? end - at : short === 1 ? Number(bytes.readBigUInt64BE(at + 8)) : short
    if (length < head) return
    yield { type, start: at + head, end: Math.min(at + length, end) }
    at += length
  }
}
