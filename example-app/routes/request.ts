import type { FastifyInstance } from 'fastify'
import { html, sendPage, table } from '../layout.js'

export default async function request (app: FastifyInstance) {
  app.get('/request', { config: { mode: 'dynamic' } }, async (request, reply) => {
    const { headers } = request
    // It is about one visitor, so it must not be kept on the way either.
    reply.header('cache-control', 'no-store')

    return sendPage(request, reply, {
      title: 'Your request',
      description: 'A dynamic page: rendered for each request, because it is about the request.',
      lead: 'This page is about you, so it cannot be shared and is never kept. Its route has no flag.',
      body: html`
<section aria-labelledby="sent">
<h2 id="sent">What your browser sent</h2>
${table('Taken from your request, a moment ago', ['Part', 'Value'], [
  ['Request', html`<code>${request.id}</code>`],
  ['Method and address', html`<code>${request.method} ${request.url}</code>`],
  ['HTTP version', html`<code>${request.raw.httpVersion}</code>`],
  ['User-Agent', html`<code>${headers['user-agent'] ?? 'none'}</code>`],
  ['Accept-Language', html`<code>${headers['accept-language'] ?? 'none'}</code>`],
  ['Accept-Encoding', html`<code>${String(headers['accept-encoding'] ?? 'none')}</code>`]
])}
</section>

<section aria-labelledby="why">
<h2 id="why">Why it has no flag</h2>
<p>If it had one, the page would not show your request but the anonymous internal one that rendered it. No cookie, address or header of a visitor reaches a page that others will see. That is on purpose: a page built from one visitor’s request and shown to the next is the classic accident of a page cache.</p>
<p>Often the personal part is small. Then prerender the page and let the browser fetch the small part: <a href="/guides/pages-are-anonymous">Pages are anonymous</a> shows how.</p>
</section>`
    })
  })
}
