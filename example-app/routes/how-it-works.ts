import type { FastifyInstance } from 'fastify'
import { code, html, sendPage, table, trusted } from '../layout.js'

export default async function howItWorks (app: FastifyInstance) {
  app.get('/how-it-works', { config: { mode: 'prerendered', prerender: true } }, async (request, reply) => sendPage(request, reply, {
    title: 'How it works',
    description: 'The way of a request through memory, disk and render, the life of a page, and what happens when rendering fails.',
    lead: 'Everything is prepared when a page is stored, so that serving it is a look-up and a write.',
    body: html`
<section aria-labelledby="request">
<h2 id="request">The way of a request</h2>
<ol class="way">
<li><h3>Your hooks</h3><p>Every <code>onRequest</code> hook of the app runs first: authentication, CORS, rate limits. A page in memory is no way around them.</p></li>
<li><h3>The key</h3><p>The path, plus the query parameters the route allows, names the page. A request with <code>Authorization</code>, or one your <code>bypass</code> option names, goes straight to the handler.</p></li>
<li><h3>Memory</h3><p>Is the page here and fresh? Then its bytes go out, already compressed, with headers and <code>ETag</code> ready. Nearly all requests end here.</p></li>
<li><h3>Disk</h3><p>What the build wrote, and what was rendered since. An index in memory knows what is there, so no time is lost looking for what is not. A page found here moves up into memory.</p></li>
<li><h3>Render</h3><p>Only for a page that does not exist yet. A hundred visitors who arrive together wait for one render, not for a hundred.</p></li>
</ol>
</section>

<section aria-labelledby="page">
<h2 id="page">How a page is made</h2>
<p>There is one way to make a page, at build time and afterwards: an internal request to the route itself, through every hook. It carries no cookie, no address, nothing of any visitor. <strong>A page is a function of its key</strong>, and so it can be shown to anybody.</p>
<p>Before it is stored it gets its <code>ETag</code>, its gzip and its brotli form. What a shared page must never hold is refused: an answer that sets a cookie, or says <code>private</code> or <code>no-store</code>, is delivered and forgotten.</p>
${code('The headers of a page served from memory', trusted(`HTTP/1.1 200 OK
content-type: text/html; charset=utf-8
content-encoding: br
vary: Accept-Encoding
etag: "Vb1u…-br"
cache-control: public, max-age=0, must-revalidate
age: 12
<b>cache-status: fastify-isr; hit; ttl=48</b>`))}
</section>

<section aria-labelledby="time">
<h2 id="time">How a page grows old</h2>
<p>Three windows follow each other, counted in seconds from the moment of the render. A restart renews nothing.</p>
${table('The windows of a page', ['State', 'A visitor gets', 'Behind the scenes'], [
  [html`<span class="state" data-state="fresh">fresh</span>`, 'the page, at once', 'nothing'],
  [html`<span class="state" data-state="stale">stale</span>`, 'the old page, at once', 'one render for all'],
  [html`<span class="state" data-state="stale-if-error">stale-if-error</span>`, 'a new page after a wait; the old one if rendering fails', 'that render'],
  [html`<span class="state" data-state="expired">expired</span>`, 'a new page after a wait; the error if rendering fails', 'that render']
])}
<p><a href="/freshness">Drag a page through its windows</a></p>
</section>

<section aria-labelledby="failure">
<h2 id="failure">When rendering fails</h2>
<p>A database is restarted, a service times out, a deploy goes wrong. A visitor should not notice as long as a good page exists. A render has four possible outcomes:</p>
${table('Outcomes of a render', ['Outcome', 'For example', 'What happens to the old page'], [
  ['A new page', 'status 200', 'It is replaced.'],
  ['The same bytes', 'nothing has changed', 'It is fresh again; nothing is written but its time.'],
  ['Good, but not to be shared', '404, 410, a cookie is set', 'It goes. Visitors get the live answer.'],
  ['A failure', 'an exception, a timeout, 5xx, 429', 'It stays. The next try waits: 1 second, then longer, at most 30.']
])}
<p><a href="/outage">Cut the source of a page and watch it survive</a></p>
</section>`
  }))
}
