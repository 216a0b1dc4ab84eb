// An object store with the conditional requests of S3, in memory.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

interface StoredObject {
  readonly body: Buffer
  /** As S3 does: of the bytes alone, whatever the metadata. */
  readonly etag: string
  readonly metadata: Readonly<Record<string, string>>
}

export interface ObjectStore {
  readonly url: string
  readonly objects: Map<string, StoredObject>
  /** Every request is answered with this status. */
  failing: number | null
  /** Every request is accepted and never answered. */
  isHanging: boolean
  readonly requests: { method: string, path: string, headers: IncomingHttpHeaders, status: number }[]
}

export async function startObjectStore (t: Test): Promise<ObjectStore> {
  const server = createServer((request, response) => {
    void answer(store, request, response).catch(() => { response.destroy() })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const store: ObjectStore = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/bucket`,
    objects: new Map(),
    failing: null,
    isHanging: false,
    requests: []
  }
  return store
}

async function answer (store: ObjectStore, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(request)
  // Requests overtake each other.
  await sleep(Math.random() * 3)
  if (store.isHanging) return
  const method = request.method ?? ''
  const path = new URL(request.url ?? '/', store.url).pathname
  const status = store.failing ?? act(store, method, path, request.headers, body, response)
  store.requests.push({ method, path, headers: request.headers, status })
  response.statusCode = status
  const object = method === 'GET' && status === 200 ? store.objects.get(path) : undefined
  response.end(object?.body)
}

/** In one turn of the event loop, so that nothing comes between a condition and what depends on it. */
function act ({ objects }: ObjectStore, method: string, path: string, headers: IncomingHttpHeaders, body: Buffer, response: ServerResponse): number {
  const object = objects.get(path)
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (method === 'GET' || method === 'HEAD') {
    if (object === undefined) return 404
    response.setHeader('etag', object.etag)
    response.setHeader('content-length', object.body.length)
    for (const [name, value] of Object.entries(object.metadata)) response.setHeader(name, value)
    return 200
  }
  if (ifMatch !== undefined && object === undefined) return 404
  if (ifMatch !== undefined && ifMatch !== object?.etag) return 412
  if (method === 'DELETE') {
    objects.delete(path)
    return 204
  }
  if (method !== 'PUT') return 405
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') return 501
  if (ifNoneMatch === '*' && object !== undefined) return 412
  const etag = `"${createHash('md5').update(body).digest('hex')}"`
  const metadata = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-')).map(([name, value]) => [name, String(value)]))
  objects.set(path, { body, etag, metadata })
  response.setHeader('etag', etag)
  return 200
}
