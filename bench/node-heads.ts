import { ServerResponse } from 'node:http'
import type { FastifyServerOptions } from 'fastify'

/** Responses whose `writeHead` somebody has wrapped get no head that is made already. */
class WrappedResponse extends ServerResponse {}
WrappedResponse.prototype.writeHead = function (this: ServerResponse, ...args: unknown[]) {
  return Reflect.apply(ServerResponse.prototype.writeHead, this, args) as ServerResponse
} as typeof ServerResponse.prototype.writeHead

/** Options of a server whose heads Node makes: for what prebuilt heads are worth. */
export function withNodeHeads (): FastifyServerOptions {
  return { http: { ServerResponse: WrappedResponse } } as FastifyServerOptions
}
