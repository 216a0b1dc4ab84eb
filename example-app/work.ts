import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds that a database would take. */
const databaseTakes = 50
const rows = 64
const roundsPerRow = 48

/** The work of a page with a few queries and templates. */
export async function fingerprints (): Promise<string[]> {
  await delay(databaseTakes)
  let link: Buffer = Buffer.from('fastify-isr')
  return Array.from({ length: rows }, () => {
    // Each round needs the result of the one before: it can't be skipped.
    for (let round = 0; round < roundsPerRow; round++) link = createHash('sha256').update(link).digest()
    return link.toString('hex').slice(0, 16)
  })
}
