import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { code, html, sendPage, time, trusted } from '../layout.js'
import { sameOrigin } from '../same-origin.js'

const longest = 120
const kept = 5

interface Notice {
  text: string
  at: Date
}

export default async function notice (app: FastifyInstance) {
  const notices: Notice[] = []

  app.get('/notice', { config: { mode: 'prerendered', prerender: true } }, async (request, reply) => sendPage(request, reply, {
    title: 'The notice board',
    description: 'A prerendered page without a ttl that changes when somebody pins a notice.',
    lead: 'This page has no ttl. It stays as it is until somebody pins a notice, because that request says which page it changes.',
    body: html`
<p class="flash" id="pinned">Pinned. This may still be the page from before: revalidating makes nobody wait, so the visitor who comes first gets the old page while the new one is rendered. <a href="/notice">Load the page again</a> to see your notice.</p>
<p class="flash" id="pinned-at-once">Pinned, and the old page was not served again: you waited for this render.</p>

<section aria-labelledby="board">
<h2 id="board">On the board</h2>
${notices.length === 0
  ? html`<p class="notices-none">The board is empty. Pin the first notice.</p>`
  : html`<ol class="notices">${notices.map(({ text, at }) => html`
<li><p>${text}</p><p class="notice-time">${time(at)}</p></li>`)}
</ol>`}
</section>

<section aria-labelledby="pin">
<h2 id="pin">Pin a notice</h2>
<form method="post" action="/notice">
<label for="text">Your notice <span class="hint">up to ${longest} characters; markup is shown, not obeyed</span></label>
<input id="text" name="text" type="text" maxlength="${longest}" autocomplete="off" required>
<div class="actions">
<button type="submit">Pin it</button>
<button type="submit" formaction="/notice/at-once" class="quiet">Pin it and wait for the page</button>
</div>
</form>
</section>

<section aria-labelledby="how">
<h2 id="how">The two buttons</h2>
<p>The first sends a form to a route that names the page it changes. After a successful answer the page is marked stale:</p>
${code('A route that revalidates a page', trusted(`app.post('/notice', {
  config: { <b>revalidate: { path: '/notice' }</b> }
}, pin)`))}
<p>The second does the same by hand and is stricter. The old page may live zero seconds longer, so the next visitor waits for the new one:</p>
${code('Revalidating by hand', html`<b>await app.isr.revalidate({ path: '/notice' }, { expire: 0 })</b>`)}
</section>`
  }))

  app.post('/notice', {
    preHandler: sameOrigin,
    config: { revalidate: { path: '/notice' } }
  }, async (request, reply) => {
    if (!pin(request.body)) return refuse(request, reply)
    return reply.redirect('/notice#pinned', 303)
  })

  app.post('/notice/at-once', { preHandler: sameOrigin }, async (request, reply) => {
    if (!pin(request.body)) return refuse(request, reply)
    await app.isr.revalidate({ path: '/notice' }, { expire: 0 })
    return reply.redirect('/notice#pinned-at-once', 303)
  })

  function pin (body: unknown): boolean {
    const text = textOf(body)
    if (text === '') return false
    notices.unshift({ text, at: new Date() })
    notices.length = Math.min(notices.length, kept)
    return true
  }
}

/** Not a redirect: only a 2xx or 3xx answer revalidates, and nothing has changed. */
function refuse (request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendPage(request, reply.code(422), {
    title: 'An empty notice is no notice',
    description: 'The notice was empty.',
    section: '/notice',
    lead: 'Nothing was pinned, and the board is as it was.',
    body: html`<p><a href="/notice">Back to the notice board</a></p>`
  })
}

function textOf (body: unknown): string {
  if (typeof body !== 'object' || body === null || !('text' in body) || typeof body.text !== 'string') return ''
  return body.text.trim().slice(0, longest)
}
