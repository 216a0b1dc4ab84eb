import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'

/**
 * Serves the built sitemap and its parts. The path is a pattern, so that a
 * route of the app named `/sitemap.xml` goes before it.
 */
export function addSitemapRoute (app: FastifyInstance, dir: string): void {
  app.get<{ Params: { file: string } }>('/:file(^sitemap(?:-\\d+)?\\.xml$)', async (request, reply) => {
    try {
      const file = await open(path.join(dir, request.params.file), constants.O_RDONLY | constants.O_NOFOLLOW)
      try {
        const content = await file.readFile()
        return await reply.type('application/xml; charset=utf-8').header('cache-control', 'public, max-age=0, must-revalidate').send(content)
      } finally {
        await file.close()
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return reply.callNotFound()
    }
  })
}
