/*
 * Type tests of the public contract: this file only has to compile. Lines under
 * @ts-expect-error must not.
 */
import Fastify, { type FastifyPluginAsync } from 'fastify'
import isr, { fastifyIsr, plugin, type BuildReport, type Inspection, type IsrOptions, type OrderResult, type RoutePolicy, type Target } from '../types/index.js'
import built from '../lib/index.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
function same<A, B> (..._: Equal<A, B> extends true ? [] : [never]): void {}

// What is built is what is promised.
same<typeof built, typeof isr>()
same<typeof plugin, FastifyPluginAsync<IsrOptions>>()
same<typeof fastifyIsr, typeof plugin>()

export async function options (): Promise<void> {
  const app = Fastify()
  await app.register(isr)
  await app.register(isr, { dir: 'out', urlStyle: 'file', encodings: ['gzip'], disk: false, bypass: request => request.headers.cookie !== undefined })
  // @ts-expect-error an unknown style
  await app.register(isr, { urlStyle: 'flat' })
  // @ts-expect-error seconds are numbers
  await app.register(isr, { defaults: { ttl: '60' } })
  // @ts-expect-error no such option
  await app.register(isr, { cache: true })

  app.get('/a', { config: { prerender: true } }, async () => 'a')
  app.get('/b', { config: { prerender: { ttl: page => page.body.length, tags: params => [`slug:${params.slug ?? ''}`], statuses: { 404: 10 } } } }, async (request, reply) => {
    reply.isr.tags('a', 'b')
    reply.isr.ttl(5)
    reply.isr.noStore()
    same<typeof request.isrRender, { readonly route: string, readonly path: string, readonly key: string, readonly reason: 'build' | 'miss' | 'ttl' | 'revalidate' | 'refresh' | 'disabled' } | null>()
    return request.isrRender?.path
  })
  // @ts-expect-error a ttl is a number or a function
  app.get('/c', { config: { prerender: { ttl: '60' } } }, async () => 'c')
  app.get('/e/:slug', { config: { prerender: { paths: async function * () { yield { slug: 'x' } } } } }, async () => 'e')
  app.get('/f', { config: { prerender: { vary: { 'accept-language': { values: ['en', 'de'], select: header => header ?? 'en' } } } } }, async () => 'f')

  app.post('/a', { config: { revalidate: { path: '/a' } } }, async () => 'a')
  app.post('/b', { config: { revalidate: request => [{ path: request.url }, { route: '/b' }] } }, async () => 'b')
  // @ts-expect-error a target names what it means
  app.post('/c', { config: { revalidate: '/c' } }, async () => 'c')

  app.prerender({ ttl: 300 }, async (instance) => { instance.get('/g', async () => 'g') })
}

export async function handle (): Promise<void> {
  const app = Fastify()
  await app.register(isr)
  same<ReturnType<typeof app.isr.prerender>, Promise<BuildReport>>()
  same<ReturnType<typeof app.isr.revalidate>, Promise<OrderResult>>()
  same<ReturnType<typeof app.isr.inspect>, Promise<Inspection>>()
  await app.isr.revalidate([{ path: '/a' }, { all: true }], { expire: 0 })
  await app.isr.purge({ route: '/b/:slug' }, { dryRun: true })
  await app.isr.refresh({ all: true }, { concurrency: 2 })
  // @ts-expect-error not a target
  await app.isr.purge({ path: 1 })
  // @ts-expect-error building is read-only
  app.isr.building = true
}

export const policy: RoutePolicy = { ttl: Infinity, sitemap: { changefreq: 'daily', priority: 0.5 } }
export const target: Target = { all: true }
// @ts-expect-error `all` is only ever true
export const wrong: Target = { all: false }
