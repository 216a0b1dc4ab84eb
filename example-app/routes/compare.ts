import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { glyph, html, sendPage } from '../layout.js'
import { modes, type Mode } from '../modes.js'
import { fingerprints } from '../work.js'

export default async function compare (app: FastifyInstance) {
  // One handler, four routes. Only the flags differ.
  app.get('/compare/prerendered', { config: { mode: 'prerendered', prerender: true } }, workload)
  app.get('/compare/hydrated', { config: { mode: 'hydrated', prerender: true } }, workload)
  app.get('/compare/isr', { config: { mode: 'isr', prerender: { ttl: 5 } } }, workload)
  app.get('/compare/dynamic', { config: { mode: 'dynamic' } }, workload)

  app.get('/compare', { config: { mode: 'hydrated', prerender: true } }, async (request, reply) => sendPage(request, reply, {
    title: 'Measured by your browser',
    description: 'One handler with real work, registered under four modes and timed by your own browser.',
    lead: 'The same handler, registered four times. It computes 30,720 SHA-256 rounds, about as much work as a page with a few queries and templates. Only the flag of the route differs.',
    scripts: ['compare.js'],
    body: html`
<section aria-labelledby="result">
<h2 id="result">Time until the page is there</h2>
<div class="actions">
<button type="button" data-measure hidden>Measure again</button>
<p role="status" data-progress>The measurement needs JavaScript.</p>
</div>
<figure class="chart">
<ul class="bars" data-bars aria-hidden="true">${modeNames.map(mode => html`
<li data-mode="${mode}">
<span class="bar-name">${glyph(mode)}${modes[mode].name}</span>
<svg width="100%" height="26"><rect class="bar" y="3" height="20" width="0%"/><line class="p95" x1="0%" x2="0%" y1="0" y2="26"/></svg>
<span class="bar-value" data-bar-value>–</span>
</li>`)}
</ul>
<figcaption>Bars: median. Thin line: 95th percentile, the slowest one in twenty. Shorter is better.</figcaption>
</figure>
</section>

<section aria-labelledby="numbers">
<h2 id="numbers">The same as numbers</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Results as a table"><table data-results>
<caption><span>From the call of <code>fetch</code> to the last byte</span></caption>
<thead><tr><th scope="col">Mode</th><th scope="col">Median</th><th scope="col">95th percentile</th><th scope="col">Against dynamic</th><th scope="col">Cache-Status</th></tr></thead>
<tbody>${modeNames.map(mode => html`
<tr data-mode="${mode}"><th scope="row"><a href="/compare/${mode}">${modes[mode].name}</a></th><td data-cell="median">–</td><td data-cell="p95">–</td><td data-cell="ratio">–</td><td class="wire" data-cell="cache-status">–</td></tr>`)}
</tbody>
</table></div>
</section>

<section aria-labelledby="how">
<h2 id="how">How it is measured</h2>
<p>Your browser fetches each page twenty times with <code>cache: 'no-store'</code>, so that its own cache has no part in it. The modes take turns, so that a slow moment hits all of them alike. One more round before that opens the connection and is not counted.</p>
<p>The ISR page may be rendered again behind the measurement, since its ttl is five seconds. Rendering takes place in the same process, so that one request in the middle may be slow. It shows in the 95th percentile, and so it should.</p>
<p>What remains for a page from memory is the way there and back. Over a real network that way is longer for all four, and the difference stays: the milliseconds of the render.</p>
</section>`
  }))
}

const modeNames = Object.keys(modes) as Mode[]

async function workload (request: FastifyRequest, reply: FastifyReply) {
  return sendPage(request, reply, {
    title: 'A page with real work in it',
    description: 'The workload of the comparison: 64 fingerprints, each the end of a chain of 480 hashes.',
    section: '/compare',
    lead: html`Each line is the end of a chain of 480 SHA-256 hashes that begins where the line above ended. <a href="/compare">Back to the comparison</a>`,
    body: html`<section aria-labelledby="lines">
<h2 id="lines">64 fingerprints</h2>
${fingerprints()}
</section>`
  })
}
