import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import type { FastifyInstance, FastifyReply } from 'fastify'

/**
 * Patterns, so that a route of the app named `/sitemap.xml` goes before them.
 * Two, for the router takes a repetition in an optional group for an unsafe
 * regular expression.
 */
const WHOLE = '/:sitemap(^sitemap\\.xml$)'
const PART = '/sitemap-:part(^\\d+\\.xml$)'

/** Serves the built sitemap and its parts. */
export function addSitemapRoute (app: FastifyInstance, dir: string): void {
  const serve = async (name: string, reply: FastifyReply): Promise<unknown> => {
    const content = await readIfThere(path.join(dir, name))
    if (content !== null) return await reply.type('application/xml; charset=utf-8').header('cache-control', 'public, max-age=0, must-revalidate').send(content)
    reply.callNotFound()
    return reply
  }
  app.get(WHOLE, async (request, reply) => await serve('sitemap.xml', reply))
  app.get<{ Params: { part: string } }>(PART, async (request, reply) => await serve(`sitemap-${request.params.part}`, reply))
}

async function readIfThere (name: string): Promise<Buffer | null> {
  try {
    const file = await open(name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      return await file.readFile()
    } finally {
      await file.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return null
  }
}
