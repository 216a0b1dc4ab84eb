import type { FastifyInstance } from 'fastify'
import { code, html, sendPage, table, trusted } from '../layout.js'
import { sameOrigin } from '../same-origin.js'

/** It mends itself: nobody should find the example broken because somebody else left it that way. */
const longest = 120_000

export default async function outage (app: FastifyInstance) {
  let downUntil = 0
  let renders = 0

  function headline (): string {
    if (Date.now() < downUntil) throw new Error('the source of /outage is switched off')
    return `Good news number ${++renders}`
  }

  app.get('/outage', {
    config: { mode: 'isr', prerender: { ttl: 5, staleWhileRevalidate: 5, staleIfError: 3600 } }
  }, async (request, reply) => {
    const news = headline()

    return sendPage(request, reply, {
      title: 'A page that survives its source',
      description: 'Switch off the source of this page and watch the last good page stay.',
      lead: 'The headline below comes from a source that you can switch off. While it is off, every render of this page fails. The page stays.',
      scripts: ['outage.js'],
      body: html`
<section aria-labelledby="headline">
<h2 id="headline">From the source</h2>
<p class="headline" data-headline>${news}</p>
<form method="post" action="/outage" class="switch">
<p role="status" data-source>The source is switched on unless somebody has switched it off in the last two minutes.</p>
<div class="actions">
<button type="submit" name="source" value="off">Switch the source off</button>
<button type="submit" name="source" value="on" class="quiet">Switch it on</button>
<a class="button quiet" href="/outage">Load the page again</a>
</div>
</form>
</section>

<section aria-labelledby="see">
<h2 id="see">What you will see</h2>
${table('While the source is off', ['Age of the page', 'What you get', 'In Cache-Status'], [
  ['under 5 s', 'the page: it is fresh, nobody tries to render', html`<code>hit</code>`],
  ['5 to 10 s', 'the page at once; behind it a render is tried and fails', html`<code>hit; detail=stale</code>`],
  ['10 s to an hour', 'the page: the render was tried, failed, and the old page stands in', html`<code>detail=stale-if-error</code>`],
  ['over an hour', 'the error, at last', html`<code>fwd-status=500</code>`]
])}
<p>The windows are those of the route. Left alone, both windows after the ttl are endless: a page that was good once is never replaced by an error.</p>
${code('The policy of this page', trusted(`app.get('/outage', { config: { prerender: {
  <b>ttl: 5, staleWhileRevalidate: 5, staleIfError: 3600</b>
} } }, outage)`))}
</section>`
    })
  })

  // The page itself is shared and may be old, so the state of the switch has an address of its own.
  app.get('/outage/source', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return { secondsOff: Math.max(0, Math.ceil((downUntil - Date.now()) / 1000)) }
  })

  app.post('/outage', { preHandler: sameOrigin }, async (request, reply) => {
    const off = typeof request.body === 'object' && request.body !== null && 'source' in request.body && request.body.source === 'off'
    downUntil = off ? Date.now() + longest : 0
    return reply.redirect('/outage', 303)
  })
}
