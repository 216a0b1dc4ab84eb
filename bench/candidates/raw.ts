import { createServer } from 'node:http'
import type { Candidate } from '../candidate.js'
import { productsOf, renderPage } from '../page.js'

// The reference of what serves: nothing but Node, the way that is fastest without private parts.
const raw: Candidate = {
  title: 'raw node:http',
  async createApp ({ kilobytes }) {
    const page = Buffer.from(renderPage(productsOf(kilobytes)))
    const headers = [
      'content-type', 'text/html; charset=utf-8',
      'content-length', String(page.byteLength),
      'etag', '"1a2b3c4d5e6f"',
      'cache-control', 'public, max-age=0, must-revalidate',
      'vary', 'accept-encoding'
    ]
    return createServer((request, response) => {
      response.writeHead(200, headers)
      response.end(page)
    })
  }
}

export default raw
