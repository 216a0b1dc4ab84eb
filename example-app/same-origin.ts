import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * Protects the forms without a token: a token would be different for each visitor, and a page that holds one
 * cannot be shared. Browsers say by themselves where a request comes from.
 */
export async function sameOrigin (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  const site = request.headers['sec-fetch-site']
  if (site === undefined ? isFromHere(request) : site === 'same-origin' || site === 'none') return undefined
  return reply.code(403).type('text/plain; charset=utf-8').send('This form can only be sent from its own page.\n')
}

/** Old browsers, and all of them where there is no TLS, tell no more than the origin. What is no browser tells nothing. */
function isFromHere ({ headers: { origin }, host }: FastifyRequest): boolean {
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host.toLowerCase())
}
