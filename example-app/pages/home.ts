import type { FastifyInstance } from 'fastify'
import { code, glyph, html, sendPage, table, trusted, type Html } from '../layout.js'
import { modes, type Mode } from '../modes.js'
import { timeline } from '../timeline.js'

interface Example {
  mode: Mode
  path: string
  flag: string
  text: string
}

const examples: Example[] = [
  {
    mode: 'prerendered',
    path: '/how-it-works',
    flag: 'prerender: true',
    text: 'For what changes when you deploy: an about page, documentation, terms.'
  },
  {
    mode: 'hydrated',
    path: '/freshness',
    flag: 'prerender: true',
    text: 'For pages whose words stand still while a part of them moves: a clock, a widget, a chart.'
  },
  {
    mode: 'isr',
    path: '/pulse',
    flag: 'prerender: { ttl: 5 }',
    text: 'For what changes by itself and may be a little old: prices, lists, front pages.'
  },
  {
    mode: 'dynamic',
    path: '/request',
    flag: 'no flag',
    text: 'For what belongs to one visitor: a basket, an account, a search.'
  }
]

export default async function home (app: FastifyInstance) {
  app.get('/', { config: { mode: 'prerendered', prerender: true } }, async (request, reply) => sendPage(request, reply, {
    title: 'Render once, serve at once, refresh behind',
    description: 'What incremental static regeneration is, and how fastify-isr brings it to any Fastify app.',
    lead: html`Most pages are the same for everybody, yet most servers render them again for each visitor. <strong>fastify-isr</strong> renders them when you build, serves them from memory, and renders them again in the background when they grow old.`,
    scripts: ['home.js'],
    body: html`
<section aria-labelledby="modes">
<h2 id="modes">Four ways to answer</h2>
<p>Each of these pages lives in this app, and the decision is one line in its route. The readings come from your browser: it just asked each page for its headers.</p>
<ul class="cards">${examples.map(card)}
</ul>
</section>

<section aria-labelledby="what">
<h2 id="what">What incremental static regeneration is</h2>
<p>A static site is fast because its pages are finished before anybody asks. A rendering server is current because it makes each page when somebody asks. Incremental static regeneration, ISR for short, keeps the finished pages and replaces them one by one, while visitors go on reading the old ones.</p>
${timeline({ ttl: 60, staleWhileRevalidate: 120, staleIfError: 240 }, 75)}
<p>That is the life of one page. While it is fresh, nobody renders. While it is stale, visitors get it at once and one render runs behind. After that it is kept for the case that rendering fails. <a href="/freshness">Drag the marker yourself</a></p>
${table('Who does the work, and who waits for it', ['Aspect', 'Static site', 'Rendered per request', 'ISR'], [
  ['Rendered', 'at build time', 'at each request', 'at build time, then once per refresh'],
  ['A visitor waits for rendering', 'never', 'always', 'only for a page that does not exist yet'],
  ['New content shows', 'after the next build', 'at once', 'after its ttl, or when you say so'],
  ['When the database is down', 'nothing happens', 'error pages', 'the last good page stays'],
  ['A hundred visitors at once', 'no render', 'a hundred renders', 'at most one render']
])}
</section>

<section aria-labelledby="code">
<h2 id="code">In your app</h2>
<p>Register the plugin, then put a flag on the routes that are the same for everybody. Handlers stay as they are: a template engine, a database, hooks and decorators all keep working, because a page is rendered by the route itself.</p>
${code('Registering the plugin and flagging routes', trusted(`import isr from 'fastify-isr'

export default async function (app) {
  await app.register(isr, { baseUrl: 'https://example.com' })

  app.get('/about', { config: { <b>prerender: true</b> } }, about)
  app.get('/prices', { config: { <b>prerender: { ttl: 300 }</b> } }, prices)
  app.get('/basket', basket)
}`))}
<p>The build renders every flagged route through the app. Then start the app as always:</p>
${code('Building and starting', trusted(`npx fastify-isr prerender app.js
npx fastify start app.js`))}
</section>

<section aria-labelledby="next">
<h2 id="next">Where to go from here</h2>
<ul class="doors">
<li><a href="/compare">See it measured</a> <span>One handler under four modes, timed by your own browser.</span></li>
<li><a href="/how-it-works">Follow a request</a> <span>Memory, disk, render; and what happens when rendering fails.</span></li>
<li><a href="/freshness">Move through time</a> <span>Drag a page from fresh to expired and see who gets what.</span></li>
<li><a href="/stock">Change a datum</a> <span>The pages that were made of it follow, though no route names them.</span></li>
<li><a href="/tenants/harbour">Break a source of data</a> <span>Settings per tenant: kept, refreshed behind, and defaults when there is nothing.</span></li>
<li><a href="/guides/when-not-to-use-it">When not to use it</a> <span>Some pages must not be shared. How to tell.</span></li>
</ul>
</section>`
  }))
}

function card ({ mode, path, flag, text }: Example): Html {
  return html`
<li class="card" data-mode="${mode}">
<h3>${glyph(mode)}<a href="${path}">${modes[mode].name}</a></h3>
<p>${text}</p>
<p class="flag"><code>${flag}</code></p>
<p class="reading" data-reading="${path}"><span class="wire">${path}</span></p>
</li>`
}
