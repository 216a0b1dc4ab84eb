import { fileSource, type CollectionItem, type SiteOptions } from 'fastify-isr/site'
import { docsFolder, repositoryFolder } from './paths.js'
import { repositorySource } from './repository.js'

/** The documentation in the order in which it is read; what is not named here comes last. */
const READING = ['readme', 'performance', 'cluster', 'one-machine', 'tiers', 'security', 'site', 'templates', 'content', 'assets', 'live-reload', 'deploy', 'errors', 'cluster-scale', 'benchmarks', 'bench', 's3-tier', 'reporting']

/** Files that belong together, for the option `collections`. */
export const collections: NonNullable<SiteOptions['collections']> = {
  guides: {
    dir: 'content/guides',
    url: ({ slug }) => `/guides/${slug}`,
    schema: { title: 'text', summary: 'text', order: 'number' },
    sort: (a, b) => orderOf(a) - orderOf(b)
  },
  posts: {
    dir: 'content/blog',
    url: ({ slug }) => `/blog/${slug}`,
    schema: { title: 'text', date: 'date', summary: 'text', tags: 'list' }
  },
  // This project's own documentation, where it is.
  docs: { dir: 'docs', source: fileSource(docsFolder), url: ({ slug }) => `/docs/${slug}`, sort: asRead },
  // What it leads to: the README and a few others.
  repository: { dir: 'repository', source: repositorySource(repositoryFolder), url: ({ slug }) => `/docs/${slug}`, sort: asRead }
}

/** Several collections of documentation as one. */
export function inReadingOrder (lists: ReadonlyArray<readonly CollectionItem[]>): CollectionItem[] {
  return lists.flat().sort(asRead)
}

function asRead (a: CollectionItem, b: CollectionItem): number {
  return rank(a) - rank(b) || (a.slug < b.slug ? -1 : 1)
}

function rank ({ slug }: CollectionItem): number {
  const nth = READING.indexOf(slug)
  return nth === -1 ? READING.length : nth
}

function orderOf ({ order }: CollectionItem): number {
  return Number(order)
}
