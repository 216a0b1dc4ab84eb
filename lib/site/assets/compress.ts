import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { BuildCache } from './build-cache.js'
import { digestOf } from './asset-path.js'

const TEXT = /\.(?:css|m?js|svg|json|txt|xml|webmanifest|map|html?|csv|md|wasm)$/i
const SMALLEST = 512
/** Of the plain bytes: less is not worth a second file. */
const WORTHWHILE = 0.95

const ENCODERS = {
  br: async (bytes: Buffer) => await promisify(brotliCompress)(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  }),
  gz: async (bytes: Buffer) => await promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION })
}

export interface Compressed {
  extension: string
  load: () => Promise<Buffer>
}

export async function compress (name: string, bytes: Buffer, cache: BuildCache): Promise<Compressed[]> {
  if (!TEXT.test(name) || bytes.length < SMALLEST) return []
  const { brotli = '', zlib = '' } = process.versions
  const kept: Compressed[] = []
  for (const [extension, encode] of Object.entries(ENCODERS)) {
    const inputs = [extension, brotli, zlib, bytes.length, digestOf(bytes)]
    const compressed = await cache.get(inputs, () => encode(bytes))
    if (compressed.length <= bytes.length * WORTHWHILE) kept.push({ extension: `.${extension}`, load: cache.reader(inputs) })
  }
  return kept
}
