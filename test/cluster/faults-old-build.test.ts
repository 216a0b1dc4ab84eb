import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import isr from '../../lib/index.js'
import { eventually } from '../helpers/links.js'
import { startRedis } from '../helpers/redis-server.js'
import { buildOnce } from '../helpers/site-build.js'

/** Two directories with the same build, and a page that the origin may change or lose. */
async function startSite (t: Test): Promise<{ origin: { version: number, isGone: boolean }, start: (name: string) => Promise<FastifyInstance>, command: (...args: string[]) => Promise<unknown> }> {
  const server = await startRedis(t)
  const dir = t.testdir({})
  const origin = { version: 1, isGone: false }
  const declare = (app: FastifyInstance): void => {
    app.get('/about', { config: { prerender: true } }, async (_request, reply) => {
      if (origin.isGone) return await reply.code(404).send('gone')
      return await reply.type('text/html; charset=utf-8').send(`about v${origin.version}`)
    })
  }
  for (const name of ['live', 'new']) await buildOnce(t, `${dir}/${name}`, declare, {}, { isr: { buildId: 'b1' } })
  return {
    origin,
    command: async (...args) => await server.command(...args),
    async start (name) {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(isr, { dir: `${dir}/${name}`, buildId: 'b1', redis: { client: new Redis({ port: server.port, host: '127.0.0.1', lazyConnect: true }), heartbeat: 100, commandTimeout: 5000 } })
      declare(app)
      await app.ready()
      await eventually('it is connected', () => app.isr.health().redis === 'connected')
      return app
    }
  }
}

t.test('a new instance with an old build on disk, after the page was refreshed elsewhere: it does not go on serving less than what the cluster has', async (t) => {
  const { origin, start } = await startSite(t)
  const live = await start('live')
  origin.version = 2
  await live.isr.refresh({ path: '/about' })
  const fresh = await start('new')
  // The first visitors may get what is on disk; Redis is asked behind.
  const deadline = performance.now() + 3000
  let body = ''
  while (body !== 'about v2' && performance.now() < deadline) {
    body = (await fresh.inject('/about')).body
    await new Promise(resolve => { setTimeout(resolve, 20) })
  }
  t.equal(body, 'about v2')
  t.equal((await live.inject('/about')).body, 'about v2')
  for (const app of [fresh, live]) await app.close()
})

t.test('a new instance with an old build on disk, after the page was found gone: it does not bring it back for all', async (t) => {
  const { origin, start, command } = await startSite(t)
  const live = await start('live')
  // What stands for a page that is gone has a key as well, and holds no page.
  const isSeeded = async (): Promise<boolean> => {
    const [key] = await command('keys', 'isr:b1:page:*') as string[]
    return key !== undefined && String(await command('hget', key, 'bytes')).includes('about v1')
  }
  await eventually('the build is in Redis', isSeeded)
  origin.isGone = true
  t.match(await live.isr.refresh({ path: '/about' }), { pages: [{ outcome: 'dropped' }] })
  t.equal((await live.inject('/about')).statusCode, 404)
  const fresh = await start('new')
  // Its directory was built at another moment: the right to seed that one is still free.
  await new Promise(resolve => { setTimeout(resolve, 500) })
  t.notOk(await isSeeded(), 'the dropped page is not put into Redis again')
  for (const app of [fresh, live]) await app.close()
})
