import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** How old a signed request may be, or how far in the future (seconds). */
const WINDOW = 300
const SIGNATURE = /^sha256=([0-9a-f]{64})$/
const TIMESTAMP = /^\d{1,12}$/

/**
 * Shared secrets, several of them while one is being replaced. Compared by
 * their hashes, in constant time: neither content nor length shows in it.
 */
export class Credentials {
  readonly #secrets: readonly string[]
  readonly #hashes: readonly Buffer[]

  constructor (secrets: readonly string[]) {
    this.#secrets = secrets
    this.#hashes = secrets.map(hashOf)
  }

  /** `Authorization: Bearer <secret>` */
  hasBearer (authorization: string | undefined): boolean {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    if (token === undefined) return false
    const hash = hashOf(token)
    // Every one is compared, whichever fits.
    return this.#hashes.map(known => timingSafeEqual(known, hash)).includes(true)
  }

  hasSignature ({ timestamp, signature, body, now }: { timestamp: string | undefined, signature: string | undefined, body: Buffer, now: number }): boolean {
    const given = SIGNATURE.exec(signature ?? '')?.[1]
    if (given === undefined || timestamp === undefined || !TIMESTAMP.test(timestamp)) return false
    const isInTime = Math.abs(now / 1000 - Number(timestamp)) <= WINDOW
    const bytes = Buffer.from(given, 'hex')
    const isRight = this.#secrets.map(secret => timingSafeEqual(sign(secret, timestamp, body), bytes)).includes(true)
    return isRight && isInTime
  }
}

/** HMAC-SHA256 over `timestamp.body`. */
export function sign (secret: string, timestamp: string, body: Buffer): Buffer {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest()
}

function hashOf (secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
