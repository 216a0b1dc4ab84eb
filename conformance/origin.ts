import { createServer, type Server } from 'node:http'
import type { Suite } from './suite.js'

/** The suite's origin on a loopback port: its own server listens on every address and writes a pid file. */
export function createOrigin (suite: Suite): Server {
  return createServer((request, response) => {
    const [name = '', ...path] = new URL(request.url ?? '/', 'http://origin').pathname.slice(1).split('/')
    if (Object.hasOwn(suite.origin, name)) return suite.origin[name as keyof Suite['origin']](path, request, response)
    response.writeHead(404).end()
  })
}
