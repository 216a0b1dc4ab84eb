import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { OrderResult, Target } from '../../types/index.js'
import type { DeclaredRoute } from '../pages/registry.js'
import { readTargets } from '../pages/targets.js'

/**
 * `config.revalidate`: what a 2xx or 3xx answer of a route makes stale. Done
 * before the answer leaves, so that whoever gets it reads what he wrote.
 */
export function attachRevalidate (declared: DeclaredRoute, revalidate: (target: Target) => Promise<OrderResult>, log: FastifyBaseLogger): void {
  const target = declared.config?.revalidate
  if (target === undefined) return
  // A wrong constant target is refused at the route's own line.
  if (typeof target !== 'function') readTargets(target)
  const onSend = async (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> => {
    const status = payload instanceof Response ? payload.status : reply.statusCode
    if (status >= 200 && status < 400) {
      try {
        await revalidate(typeof target === 'function' ? await target(request, reply) : target)
      } catch (err) {
        log.error({ err, route: declared.url }, 'config.revalidate failed; the answer was sent all the same')
      }
    }
    return payload
  }
  declared.onSend = [...[declared.onSend ?? []].flat(), onSend]
}
