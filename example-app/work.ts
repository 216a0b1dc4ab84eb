import { createHash } from 'node:crypto'
import { html, type Html } from './layout.js'

const rows = 64
/** About 30 ms for the whole table on one core of a small server, the work of a page with a few queries and templates. */
const roundsPerRow = 480

/** Work that cannot be skipped: each round needs the result of the one before. */
export function fingerprints (): Html {
  let link = Buffer.from('fastify-isr')
  return html`<ol class="fingerprints">${Array.from({ length: rows }, () => {
    for (let round = 0; round < roundsPerRow; round++) link = createHash('sha256').update(link).digest()
    return html`
<li><code>${link.toString('hex').slice(0, 16)}</code></li>`
  })}
</ol>`
}
