/*
 * Type tests of the public contract of fastify-isr/site: this file only has to
 * compile. Lines under @ts-expect-error must not.
 */
import Fastify, { type FastifyPluginAsync } from 'fastify'
import type { MarkdownIt } from 'markdown-it'
import isr from '../types/index.js'
import site, { fileSource, memorySource, plugin, SafeHtml, type Collection, type CollectionItem, type Site, type SiteChange, type SiteOptions, type Source } from '../types/site.js'
import built, * as module from '../lib/site/index.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
function same<A, B> (..._: Equal<A, B> extends true ? [] : [never]): void {}

// What is built is what is promised.
same<typeof built, typeof site>()
same<typeof plugin, FastifyPluginAsync<SiteOptions>>()
same<typeof module.memorySource, typeof memorySource>()
export const safe: SafeHtml = new module.SafeHtml('<b>')

export async function options (): Promise<void> {
  const app = Fastify()
  await app.register(isr)
  await app.register(site)
  await app.register(site, {
    root: new URL('file:///srv/site/'),
    dev: { poll: 300 },
    static: false,
    collections: { posts: { dir: 'content/blog', url: post => `/blog/${post.slug}`, schema: { date: 'date' } } },
    filters: { upper: value => String(value).toUpperCase() }
  })
  // @ts-expect-error an unknown type
  await app.register(site, { collections: { posts: { dir: 'content/blog', url: () => '/', schema: { date: 'day' } } } })
  // @ts-expect-error no such option
  await app.register(site, { folder: 'site' })
  await app.register(site, { source: memorySource({ 'pages/index.html': '' }) })
  await app.register(site, {
    collections: { docs: { dir: 'docs', source: fileSource(new URL('file:///srv/docs/')), url: doc => `/docs/${doc.slug}` } },
    markdown: { link: (href, file) => file === 'docs/a.md' ? href : undefined, use: (markdown: MarkdownIt) => { markdown.enable('table') } }
  })
}

export async function use (): Promise<void> {
  const app = Fastify()
  app.get('/blog/:slug', { config: { prerender: { paths: () => app.site.collection('posts').urls() } } }, async (request, reply) => {
    const post = app.site.collection('posts').bySlug('a')
    return post === null ? reply.callNotFound() : reply.page('post.html', { post })
  })
  same<typeof app.site, Site>()
  const posts: Collection = app.site.collection('posts')
  const items: readonly CollectionItem[] = posts.page(1, 10).items
  const title: string | undefined = items[0]?.title
  const stop: () => void = app.site.on('change', (change: SiteChange) => change.changed.includes(title ?? ''))
  stop()
  // @ts-expect-error there is one event
  app.site.on('changed', () => {})
  const p95: number | undefined = app.site.admin.timings()?.paths['/']?.p95
  console.log(p95, (await app.site.invalidate()).errors)
  const source: Source = memorySource({})
  console.log(source)
}
