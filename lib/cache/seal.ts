import { createHmac, timingSafeEqual } from 'node:crypto'
import { BadEntry } from '../errors.js'

/*
 * For a place that others can write to:
 *
 *   'FISS' | version u8 | HMAC-SHA256 | entry
 *
 * The HMAC comes first, so that nothing of a forged entry is ever parsed, and
 * covers what the entry was asked for as: no entry passes for another one.
 */
const MAGIC = Buffer.from('FISS\x01')
const HMAC = 32

/** Bytes that a seal adds. */
export const SEAL_BYTES = MAGIC.length + HMAC

export interface Sealed {
  readonly key: string
  readonly buildId: string
}

export function seal (bytes: Buffer, what: Sealed, secret: string): Buffer {
  return Buffer.concat([MAGIC, hmac(bytes, what, secret), bytes])
}

export function isSealed (bytes: Buffer): boolean {
  return bytes.length >= SEAL_BYTES && bytes.subarray(0, MAGIC.length).equals(MAGIC)
}

/**
 * The entry inside, proven to be written by somebody with the secret.
 *
 * @throws FST_ISR_ERR_BAD_ENTRY
 */
export function unseal (bytes: Buffer, what: Sealed, secret: string): Buffer {
  if (!isSealed(bytes)) throw new BadEntry('not sealed')
  const entry = bytes.subarray(SEAL_BYTES)
  if (!timingSafeEqual(bytes.subarray(MAGIC.length, SEAL_BYTES), hmac(entry, what, secret))) throw new BadEntry('sealed with another secret, or altered')
  return entry
}

function hmac (bytes: Buffer, { key, buildId }: Sealed, secret: string): Buffer {
  // As JSON, so that no part can borrow from the next.
  return createHmac('sha256', secret).update(MAGIC).update(`${JSON.stringify([buildId, key])}\n`).update(bytes).digest()
}
