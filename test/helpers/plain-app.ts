// An app that knows nothing of this package.
import type { FastifyInstance } from 'fastify'

export default async function plainApp (app: FastifyInstance): Promise<void> {
  app.get('/page', async () => 'page')
}
