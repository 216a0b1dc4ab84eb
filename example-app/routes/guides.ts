import type { FastifyInstance } from 'fastify'

export default async function guides (app: FastifyInstance) {
  const all = () => app.site.collection('guides')

  // The list of them is a file: pages/guides.html.
  app.get<{ Params: { slug: string } }>('/guides/:slug', { config: { prerender: { paths: () => all().urls() } } }, async (request, reply) => {
    const { slug } = request.params
    const guide = all().bySlug(slug)
    if (guide === null) return reply.callNotFound()
    // Behind the last comes the first.
    return reply.page('views/guide.html', { guide, next: all().around(slug).next ?? all().all()[0] })
  })
}
