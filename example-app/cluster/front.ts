import { request, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'

export interface Backend {
  name: string
  port: number
}

/** Headers that are about one connection. */
const OF_ONE_CONNECTION = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade'])

let turn = 0

/** Hands a request to the next instance, or to the one after it if that one is gone. */
export function handOn (incoming: IncomingMessage, outgoing: ServerResponse, backends: readonly Backend[], tries = 0, first = turn++): void {
  const backend = backends[(first + tries) % backends.length]
  if (backend === undefined || tries === backends.length) {
    outgoing.writeHead(503, { 'retry-after': '1' }).end('No instance answers.\n')
    return
  }
  const { method, url, headers } = incoming
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
  const isRepeatable = (method === 'GET' || method === 'HEAD') && !hasBody
  let mayHaveArrived = false

  const onward = request({
    host: '127.0.0.1',
    port: backend.port,
    method,
    path: url,
    headers: { ...headers, connection: 'close' },
    agent: false
  })
  onward.once('socket', socket => socket.once('connect', () => {
    mayHaveArrived = true
    // Not before: what has been read can't be sent to another instance.
    if (hasBody) incoming.pipe(onward)
    else onward.end()
  }))
  onward.once('response', response => {
    const kept = Object.entries(response.headersDistinct).filter(([name]) => !OF_ONE_CONNECTION.has(name))
    outgoing.writeHead(response.statusCode ?? 502, Object.fromEntries(kept))
    pipeline(response, outgoing, () => {})
  })
  onward.once('error', () => {
    if (outgoing.destroyed || outgoing.headersSent) outgoing.destroy()
    else if (isRepeatable || !mayHaveArrived) handOn(incoming, outgoing, backends, tries + 1, first)
    else outgoing.writeHead(502).end('The instance was lost on the way.\n')
  })
  outgoing.once('close', () => { onward.destroy() })
}
