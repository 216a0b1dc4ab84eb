import type { FastifyInstance } from 'fastify'
import { SafeHtml, type CollectionItem } from 'fastify-isr/site'
import { inReadingOrder } from '../collections.js'
import { sectionsOf } from '../sections.js'

/** Its tables would be found by every number. */
const NOT_SEARCHED = new Set(['benchmarks', 's3-tier'])
/** What the pages are made of: the plugin can't know it of lists that are made here. */
const TAGS = ['collection:docs', 'collection:repository']

export default async function docs (app: FastifyInstance) {
  const all = (): CollectionItem[] => inReadingOrder([app.site.collection('docs').all(), app.site.collection('repository').all()])

  app.get('/docs', { config: { prerender: true } }, async (_request, reply) => {
    reply.isr.tags(...TAGS)
    return reply.page('views/docs.html', { docs: all() })
  })

  // What the browser searches: made when the documentation changes, the same for everybody.
  app.get('/docs/search.json', { config: { prerender: true } }, async (_request, reply) => {
    reply.isr.tags(...TAGS)
    return all().filter(({ slug }) => !NOT_SEARCHED.has(slug)).flatMap(sectionsOf)
  })

  app.get<{ Params: { name: string } }>('/docs/:name', {
    config: { prerender: { paths: () => all().map(({ url }) => url) } }
  }, async (request, reply) => {
    const docs = all()
    const nth = docs.findIndex(({ slug }) => slug === request.params.name)
    const doc = docs[nth]
    if (doc === undefined) return reply.callNotFound()
    // The neighbours change when one comes between.
    reply.isr.tags(...TAGS)
    return reply.page('views/doc.html', {
      doc,
      // The layout shows the title already.
      body: new SafeHtml(String(doc.html).replace(/^\s*<h1\b[^]*?<\/h1>\s*/, '')),
      contents: doc.toc.filter(({ level }) => level === 2),
      previous: docs[nth - 1],
      next: docs[nth + 1]
    })
  })
}
