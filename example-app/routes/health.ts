import type { FastifyInstance, FastifyReply } from 'fastify'

/** For those who start and stop this process: neither is ever cached, logged at length, or asks anything of others. */
export default async function health (app: FastifyInstance) {
  const live = { logLevel: 'warn', config: { prerender: false } } as const
  const noStore = (reply: FastifyReply): FastifyReply => reply.header('cache-control', 'no-store')

  /** The process is alive, and that is all. */
  app.get('/health', live, async (_request, reply) => noStore(reply).send({ status: 'ok' }))

  /**
   * Whether to send visitors here: an app that is not ready yet does not listen, and one that closes has Fastify answer
   * 503. Without Redis it goes on by what it has: taking all instances out because Redis is gone would make an outage
   * of it.
   */
  app.get('/ready', live, async (_request, reply) => noStore(reply).send({ status: 'ready', ...app.isr.health() }))
}
