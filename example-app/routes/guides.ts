import type { FastifyInstance } from 'fastify'
import { guides } from '../guides.js'
import { html, sendPage } from '../layout.js'

export default async function guidePages (app: FastifyInstance) {
  app.get('/guides', { config: { mode: 'prerendered', prerender: true } }, async (request, reply) => sendPage(request, reply, {
    title: 'Guides',
    description: 'Short guides to choosing windows, revalidating, failing well, and to when not to use ISR at all.',
    lead: html`One route, <code>/guides/:slug</code>, and a list of slugs: the build renders a page for each.`,
    body: html`
<ul class="doors">${guides.map(({ slug, title, summary }) => html`
<li><a href="/guides/${slug}">${title}</a> <span>${summary}</span></li>`)}
</ul>`
  }))

  app.get<{ Params: { slug: string } }>('/guides/:slug', {
    config: {
      mode: 'prerendered',
      prerender: { paths: () => guides.map(({ slug }) => ({ slug })) }
    }
  }, async (request, reply) => {
    const index = guides.findIndex(({ slug }) => slug === request.params.slug)
    const guide = guides[index]
    if (guide === undefined) return reply.callNotFound()
    const next = guides[(index + 1) % guides.length]

    return sendPage(request, reply, {
      title: guide.title,
      description: guide.summary,
      section: '/guides',
      lead: guide.summary,
      body: html`
<article class="prose">
${guide.body}
</article>
<p class="onward"><a href="/guides">All guides</a>${next && html` <a href="/guides/${next.slug}" rel="next">Next: ${next.title}</a>`}</p>`
    })
  })
}
