import { ServerResponse, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'

// What is used of Node's HTTP server besides its public API, and only after it
// was tried out: probeNode() for the express lane, probeHeads() for prebuilt heads.

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

/** A response as Node's server makes it. */
export interface NodeResponse extends ServerResponse {
  /** What is written before the body; null until `writeHead` has made it. */
  _header: string | null
  /** It need not be written any more. */
  _headerSent: boolean
  _hasBody: boolean
  _defaultKeepAlive: boolean
  /** Milliseconds, for the hint to the client. */
  _keepAliveTimeout: number
  /** 0 or null: no limit. */
  _maxRequestsPerSocket?: number | null
}

const { writeHead, end } = ServerResponse.prototype

/**
 * Whether a response is one that Node itself would end with the same head for
 * everybody: nothing was written or wrapped, and the connection stays open.
 */
export function takesHead (raw: ServerResponse): raw is NodeResponse {
  const response = raw as NodeResponse
  return response.writeHead === writeHead && response.end === end && response._header === null &&
    response.shouldKeepAlive && response._defaultKeepAlive && !response._maxRequestsPerSocket &&
    response.req.httpVersionMinor === 1 && response.statusMessage === undefined
}

/** Ends a response with a head that is made already. `whole`: head and body in one piece. */
export function endWithHead (response: NodeResponse, status: number, head: string, body: Buffer | null, whole: Buffer | null): void {
  response.statusCode = status
  response._header = head
  if (whole !== null) {
    response._headerSent = true
    response.end(whole)
  } else if (body !== null) response.end(body)
  else {
    response._hasBody = false
    response.end()
  }
}
