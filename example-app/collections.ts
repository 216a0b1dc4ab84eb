import type { CollectionItem, SiteOptions } from 'fastify-isr/site'

/** Files that belong together, for the option `collections`. */
export const collections: NonNullable<SiteOptions['collections']> = {
  guides: {
    dir: 'content/guides',
    url: ({ slug }) => `/guides/${slug}`,
    schema: { title: 'text', summary: 'text', order: 'number' },
    sort: (a, b) => orderOf(a) - orderOf(b)
  }
}

function orderOf ({ order }: CollectionItem): number {
  return Number(order)
}
