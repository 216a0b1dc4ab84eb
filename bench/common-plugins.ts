import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'

/** What many apps have, and what puts hooks on every route. */
export async function registerCommonPlugins (app: FastifyInstance): Promise<void> {
  await app.register(cookie)
  await app.register(cors)
  await app.register(helmet)
}
