import type { FastifyInstance } from 'fastify'
import type { Collection } from 'fastify-isr/site'

const PER_PAGE = 4

export default async function blog (app: FastifyInstance) {
  const posts = (): Collection => app.site.collection('posts')
  const pages = (): number => posts().page(1, PER_PAGE).pages

  app.get('/blog', { config: { prerender: true } }, async (_request, reply) => reply.page('views/blog.html', listOf(1)))

  app.get<{ Params: { number: string } }>('/blog/page/:number', {
    config: { prerender: { paths: () => Array.from({ length: pages() - 1 }, (_, nth) => ({ number: nth + 2 })) } }
  }, async (request, reply) => {
    if (request.params.number === '1') return reply.redirect('/blog', 301)
    const number = /^[1-9]\d{0,5}$/.test(request.params.number) ? Number(request.params.number) : 0
    return number < 2 || number > pages() ? reply.callNotFound() : reply.page('views/blog.html', listOf(number))
  })

  app.get<{ Params: { tag: string } }>('/blog/tag/:tag', {
    config: { prerender: { paths: () => posts().tags().map(tag => ({ tag })) } }
  }, async (request, reply) => {
    const { tag } = request.params
    const tagged = posts().tag(tag)
    return tagged.length === 0 ? reply.callNotFound() : reply.page('views/tag.html', { tag, posts: tagged })
  })

  app.get<{ Params: { slug: string } }>('/blog/:slug', {
    config: { prerender: { paths: () => posts().urls() } }
  }, async (request, reply) => {
    const post = posts().bySlug(request.params.slug)
    return post === null ? reply.callNotFound() : reply.page('views/post.html', { post, around: posts().around(post.slug) })
  })

  /** The links stand in templates: a page is only told which there are. */
  function listOf (number: number): Record<string, unknown> {
    const page = posts().page(number, PER_PAGE)
    const urlOf = (other: number): string | undefined => other < 1 || other > page.pages ? undefined : other === 1 ? '/blog' : `/blog/page/${other}`
    return { posts: page.items, page, tags: posts().tags(), title: number === 1 ? 'Blog' : `Blog, page ${number}`, isLong: page.pages > 1, newer: urlOf(number - 1), older: urlOf(number + 1) }
  }
}
