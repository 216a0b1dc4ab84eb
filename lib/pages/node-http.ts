import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

// What the express lane uses of Node's HTTP server besides its public API.
// probeNode() sees to it that it is still so.

/** llhttp and what Node wraps around it; one per connection. */
export interface NodeParser {
  /** Called with the head of each request, before there is a ServerResponse. */
  onIncoming: ((request: IncomingMessage, keepAlive: boolean) => number) | null
  /** The request that body and end belong to; null: nobody wants them. */
  incoming: IncomingMessage | null
  socket: unknown
  maxHeaderPairs?: number
}

export interface HttpSocket extends Socket {
  parser?: NodeParser | null
  /** The response whose turn it is. */
  _httpMessage?: object | null
}

export interface HttpServer extends Server {
  /** What Node 22 and later add to `keepAliveTimeout`. */
  keepAliveTimeoutBuffer?: number
}

/** Milliseconds that Node keeps an idle connection beyond `keepAliveTimeout`, unless it says otherwise. */
const KEEP_ALIVE_BUFFER = 1000

/** How long a connection may be idle between two requests; 0: for ever. */
export function idleTimeout (server: HttpServer): number {
  const { keepAliveTimeout, keepAliveTimeoutBuffer = KEEP_ALIVE_BUFFER } = server
  return keepAliveTimeout > 0 ? keepAliveTimeout + keepAliveTimeoutBuffer : 0
}

/** The parser of a connection of Node's HTTP server, if it is one as we know it. */
export function parserOf (socket: HttpSocket): (NodeParser & { onIncoming: NonNullable<NodeParser['onIncoming']> }) | null {
  const { parser } = socket
  if (typeof parser !== 'object' || parser === null) return null
  const isKnown = typeof parser.onIncoming === 'function' && parser.socket === socket && 'incoming' in parser
  return isKnown ? parser as NodeParser & { onIncoming: NonNullable<NodeParser['onIncoming']> } : null
}
