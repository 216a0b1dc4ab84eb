import type { FastifyInstance } from 'fastify'
import { modes } from '../modes.js'

export default async function request (app: FastifyInstance) {
  app.get('/request', async (request, reply) => {
    const { id, method, url, headers, raw } = request
    // It is about one visitor, so it must not be kept on the way either.
    reply.header('cache-control', 'no-store')
    return reply.page('views/request.html', {
      mode: modes.dynamic,
      sent: {
        id,
        method,
        url,
        httpVersion: raw.httpVersion,
        userAgent: headers['user-agent'] ?? 'none',
        language: headers['accept-language'] ?? 'none',
        encoding: String(headers['accept-encoding'] ?? 'none')
      }
    })
  })
}
