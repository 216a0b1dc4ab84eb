import { createServer, type IncomingMessage } from 'node:http'
import { duplexPair, type Duplex } from 'node:stream'
import { composeHead, connectionLines } from './head.js'
import { parserOf, type HttpServer, type HttpSocket } from './node-http.js'

/** Milliseconds; it takes a few. */
const PATIENCE = 2000
const HEADERS = { 'x-isr': 'a', 'content-type': 'text/html', 'content-length': '4', date: 'Thu, 01 Jan 1970 00:00:00 GMT' }
const ANSWER = Buffer.from(`${composeHead(200, HEADERS, connectionLines(5000))}page`)
/** Two for the lane, one for a handler, and one behind it that the handler's answer holds up. */
const PATHS = ['/lane', '/lane', '/handler', '/lane']

/**
 * Tries, on a connection that is none, whether this Node's HTTP server lets
 * requests be answered before there is a response, keeps answers in order, and
 * writes heads as we do. Resolves with what is different, or null.
 */
export async function probeNode (): Promise<string | null> {
  const server: HttpServer = createServer({ keepAliveTimeout: 5000 })
  const [client, socket] = duplexPair()
  try {
    return await Promise.race([converse(server, client, socket as Duplex & HttpSocket), patience()])
  } catch (error) {
    return (error as Error).message
  } finally {
    client.destroy()
    socket.destroy()
  }
}

async function converse (server: HttpServer, client: Duplex, socket: Duplex & HttpSocket): Promise<string | null> {
  const taken: string[] = []
  const handled: string[] = []
  server.on('request', (request, response) => {
    handled.push(`${request.url ?? ''} ${socket._httpMessage === response ? 'first' : 'queued'}`)
    // Later, so that the next request comes while it is open.
    setImmediate(() => {
      response.writeHead(200, HEADERS)
      response.end('page')
    })
  })
  server.emit('connection', socket)
  const parser = parserOf(socket)
  if (parser === null) return 'its parser looks different'
  const { onIncoming } = parser
  parser.onIncoming = (request: IncomingMessage, keepAlive) => {
    if (request.url !== '/lane' || !keepAlive || socket._httpMessage) return onIncoming.call(parser, request, keepAlive)
    taken.push(`${request.method ?? ''} ${request.httpVersionMajor}.${request.httpVersionMinor} ${request.rawHeaders.join()} ${String(parser.incoming === request)}`)
    parser.incoming = null
    socket.write(ANSWER)
    return 0
  }
  client.write(PATHS.map(path => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
  let received = Buffer.alloc(0)
  for await (const chunk of client) {
    received = Buffer.concat([received, chunk as Buffer])
    if (received.length >= ANSWER.length * PATHS.length) break
  }
  if (!received.equals(Buffer.concat(PATHS.map(() => ANSWER)))) return 'it writes other answers'
  if (taken.some(seen => seen !== 'GET 1.1 Host,x true')) return 'its requests look different'
  const isInOrder = taken.length === 2 && handled.join() === '/handler first,/lane queued'
  return isInOrder && !socket.destroyed ? null : 'it keeps responses in another order'
}

async function patience (): Promise<string> {
  return await new Promise((resolve) => { setTimeout(resolve, PATIENCE, 'it did not answer').unref() })
}
