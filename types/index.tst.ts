/*
 * Type tests of the public contract: this file only has to compile. Lines under
 * @ts-expect-error must not.
 */
import Fastify, { type FastifyPluginAsync, type FastifyReply, type FastifyRequest } from 'fastify'
import isr, { fastifyIsr, plugin, type BuildReport, type CachedContext, type Inspection, type IsrOptions, type OrderResult, type RoutePolicy, type Target } from '../types/index.js'
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
  await app.register(isr, { expressLane: true })
  await app.register(isr, { expressLane: { ignoreHooks: true } })
  // @ts-expect-error it has one option
  await app.register(isr, { expressLane: { hooks: false } })
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

interface Post { title: string, tags: string[] }

export async function cachedFunctions (): Promise<void> {
  const app = Fastify()
  const post = app.isr.cached('post', async (id: number, options: { draft: boolean }, context: CachedContext): Promise<Post> => {
    same<typeof context.signal, AbortSignal>()
    return { title: `${id} ${String(options.draft)}`, tags: [] }
  }, {
    key: (id, options) => { same<[typeof id, typeof options], [number, { draft: boolean }]>(); return { id } },
    tags: (value, id) => { same<[typeof value, typeof id], [Post, number]>(); return value.tags }
  })
  same<Parameters<typeof post>, [id: number, options: { draft: boolean }]>()
  same<ReturnType<typeof post>, Promise<Post>>()
  same<ReturnType<typeof post.refresh>, Promise<Post>>()
  same<Parameters<typeof post.revalidate>, Parameters<typeof post>>()
  same<ReturnType<typeof post.purge>, Promise<OrderResult>>()
  // @ts-expect-error an argument is missing
  await post(7)
  // @ts-expect-error an id is a number
  await post('7', { draft: true })
  // @ts-expect-error the context is the engine's
  await post(7, { draft: true }, {})
  // @ts-expect-error orders take the same arguments
  await post.purge('7')

  const sync = app.isr.cached('sync', (id: string) => id.length)
  same<ReturnType<typeof sync>, Promise<number>>()
  const none = app.isr.cached('none', async () => null)
  same<Parameters<typeof none>, []>()
  same<ReturnType<typeof none>, Promise<null>>()
  const contextOnly = app.isr.cached('context-only', async (context: CachedContext) => context.signal.aborted)
  same<Parameters<typeof contextOnly>, []>()
  const optional = app.isr.cached('optional', async (id?: string) => id ?? '')
  same<Parameters<typeof optional>, [id?: string | undefined]>()
  const optionalContext = app.isr.cached('optional-context', async (id: string, context?: CachedContext) => context === undefined ? 0 : id.length)
  same<Parameters<typeof optionalContext>, [id: string]>()
  const renewed = app.isr.cached('renewed', async (id: number, context: CachedContext) => id > 1 ? context.notModified() : { id })
  same<ReturnType<typeof renewed>, Promise<{ id: number }>>()
  // Not an engine's context, only something that could be one.
  const unknownArgument = app.isr.cached('unknown-argument', async (_query: unknown) => 1)
  same<Parameters<typeof unknownArgument>, [_query: unknown]>()
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what users write
  const anyArgument = app.isr.cached('any-argument', async (_query: any) => 1)
  same<Parameters<typeof anyArgument>['length'], 1>()

  await Promise.all([sync('a'), none(), contextOnly(), optional(), optionalContext('a'), renewed(1), unknownArgument(1), anyArgument(1)])

  // @ts-expect-error a ttl is a number
  app.isr.cached('wrong', async () => 1, { ttl: '60' })
  // @ts-expect-error no such option
  app.isr.cached('wrong', async () => 1, { maxAge: 60 })
  // @ts-expect-error tags are strings
  app.isr.cached('wrong', async () => 1, { tags: () => [1] })
}

export function dataHooks (): void {
  const app = Fastify()
  const flags = app.isr.data({
    name: 'flags',
    extract: request => request.headers.host ?? '',
    key: host => { same<typeof host, string>(); return host.toLowerCase() },
    fetch: async (host, { signal }) => { same<[typeof host, typeof signal], [string, AbortSignal]>(); return { dark: host === 'dark' } },
    apply: (request, reply, value) => { same<[typeof request, typeof reply, typeof value], [FastifyRequest, FastifyReply, { dark: boolean }]>() },
    onError: (_request, reply, error) => { same<typeof error, Error>(); reply.code(503).send() },
    tags: value => [String(value.dark)]
  })
  const simple = app.isr.data({ name: 'simple', fetch: async () => 5, apply: (_request, _reply, value) => { same<typeof value, number>() } })
  app.get('/', { onRequest: flags, preParsing: simple, preValidation: [flags, simple], preHandler: simple }, async () => 'a')
  app.addHook('onRequest', simple)
  app.addHook('preHandler', flags)
  // @ts-expect-error apply is missing
  app.isr.data({ name: 'wrong', fetch: async () => 5 })
  // @ts-expect-error a name is missing
  app.isr.data({ fetch: async () => 5, apply () {} })
  // @ts-expect-error the value is a number
  app.isr.data({ name: 'wrong', fetch: async () => 5, apply: (_request, _reply, value: string) => value })
}

export const policy: RoutePolicy = { ttl: Infinity, sitemap: { changefreq: 'daily', priority: 0.5 } }
export const target: Target = { all: true }
// @ts-expect-error `all` is only ever true
export const wrong: Target = { all: false }
