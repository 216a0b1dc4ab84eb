import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type { Encoding } from '../../types/index.js'
import type { EncodedBody } from '../cache/entry.js'

const brotli = promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliCompress)
const gzip = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip)

/** Smaller bodies fit into the packet that carries the headers. */
const LEAST_BYTES = 1024
/** A variant that saves less is not worth its memory. */
const MOST_RATIO = 0.95
/** Up to here both encodings together take some tenths of a millisecond at most. */
const QUICK_BYTES = 32 * 1024
/** Quality while visitors wait; builds take their time. */
const ONLINE = { brotli: 5, gzip: 6 }

/** Null leaves an encoding out. */
export interface Quality {
  brotli: number | null
  gzip: number | null
}

const COMPRESSIBLE = /^(?:text\/|application\/(?:[\w.+-]+\+)?(?:json|xml|javascript|x-javascript|ecmascript|wasm|manifest\+json|ld\+json)|image\/svg\+xml|font\/(?:ttf|otf)|image\/(?:bmp|x-icon|vnd\.microsoft\.icon))/i

/** The body and those encodings of it that are worth keeping. */
export async function encodeBodies (body: Buffer, contentType: string, encodings: readonly Encoding[], quality: Quality = ONLINE): Promise<EncodedBody[]> {
  const identity: EncodedBody = { encoding: 'identity', bytes: body }
  if (!isWorthEncoding(body, contentType)) return [identity]
  const encoded = await Promise.all(encodings.map(encoding => encodeAs(encoding, body, quality)))
  return [identity, ...encoded.filter(variant => variant !== null).filter(variant => variant.bytes.length <= body.length * MOST_RATIO)]
}

/** Whether these are the encodings that would be prepared now. False in doubt: one may have been left out for saving too little. */
export function isEncodedAsWanted (bodies: readonly EncodedBody[], contentType: string, encodings: readonly Encoding[], quality: Quality): boolean {
  const [first, ...variants] = bodies
  if (first?.encoding !== 'identity') return true
  const prepared = encodings.filter(encoding => (encoding === 'br' ? quality.brotli : quality.gzip) !== null)
  const wanted = isWorthEncoding(first.bytes, contentType) ? prepared : []
  return variants.map(variant => variant.encoding).join() === wanted.join()
}

function isWorthEncoding (body: Buffer, contentType: string): boolean {
  return body.length >= LEAST_BYTES && COMPRESSIBLE.test(contentType)
}

async function encodeAs (encoding: Encoding, body: Buffer, quality: Quality): Promise<EncodedBody | null> {
  if (encoding === 'br') return quality.brotli === null ? null : { encoding, bytes: await smallestBrotli(body, quality.brotli) }
  if (quality.gzip === null) return null
  const options = { level: quality.gzip }
  const isQuick = isQuicklyEncoded(body, quality)
  return { encoding, bytes: isQuick ? zlib.gzipSync(body, options) : await gzip(body, options) }
}

/** Quality 11 is larger than 5 on some pages, for all its work. */
async function smallestBrotli (body: Buffer, quality: number): Promise<Buffer> {
  if (isQuicklyEncoded(body, { brotli: quality })) return zlib.brotliCompressSync(body, brotliOptions(body, quality))
  const slow = await brotli(body, brotliOptions(body, quality))
  if (quality <= ONLINE.brotli) return slow
  const fast = await brotli(body, brotliOptions(body, ONLINE.brotli))
  return fast.length < slow.length ? fast : slow
}

/** Where the way to the thread pool and back takes this thread longer than the work itself. */
function isQuicklyEncoded (body: Buffer, quality: Pick<Quality, 'brotli'>): boolean {
  return body.length <= QUICK_BYTES && (quality.brotli ?? 0) <= ONLINE.brotli
}

function brotliOptions (body: Buffer, quality: number): zlib.BrotliOptions {
  return {
    params: {
      [zlib.constants.BROTLI_PARAM_QUALITY]: quality,
      [zlib.constants.BROTLI_PARAM_MODE]: zlib.constants.BROTLI_MODE_TEXT,
      [zlib.constants.BROTLI_PARAM_SIZE_HINT]: body.length
    }
  }
}
