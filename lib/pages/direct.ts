import type { FastifyInstance, FastifyReply } from 'fastify'
import { isOfFastify, stateOf } from './express-terms.js'
import { isOwnHook, type Registry } from './registry.js'

/**
 * Notes which routes have no onSend hook but the plugin's own, and no
 * onResponse hook that may ask the reply for its headers: what is sent there
 * need not take the way through Fastify's reply. When all hooks are known; a
 * Fastify that looks different has no such routes.
 */
export function findDirectRoutes (root: FastifyInstance, registry: Registry): void {
  const fastify = stateOf(root)
  if (fastify === null) return
  for (const route of registry.routes) {
    const hooks = route.declarations.map(({ instance, declared }) =>
      [...fastify.hooksOf(instance).onSend, ...[declared.onSend ?? []].flat() as (() => unknown)[]].filter(hook => !isOfFastify(hook)))
    const isWatched = route.declarations.some(({ instance, declared }) => [...fastify.hooksOf(instance).onResponse, ...[declared.onResponse ?? []].flat()].length > 0)
    route.isDirect = !isWatched && hooks.every(onSend => onSend.every(isOwnHook))
  }
}

/** Nobody has set a header for this answer. */
export function isBare (reply: FastifyReply): boolean {
  return Object.keys(reply.getHeaders()).length === 0
}

/** Writes an answer that is made already. Earlier hooks have run, and onResponse hooks will. */
export function sendDirectly (reply: FastifyReply, status: number, body: Buffer | null, lines: string[]): void {
  const { raw } = reply.hijack()
  raw.writeHead(status, lines)
  if (body === null) raw.end()
  else raw.end(body)
}
