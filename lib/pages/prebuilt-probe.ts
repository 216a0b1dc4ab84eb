import { createServer, type ServerResponse } from 'node:http'
import { duplexPair, type Duplex } from 'node:stream'
import { composeHead, connectionLines } from './head.js'
import { endWithHead, takesHead } from './node-http.js'

/** Milliseconds; it takes a few. */
const PATIENCE = 2000
const HEADERS = { 'x-isr': 'a', 'content-type': 'text/html', 'content-length': '4', date: 'Thu, 01 Jan 1970 00:00:00 GMT' }
const KEEP_ALIVE = 5000

type Form = (response: ServerResponse, isPrebuilt: boolean) => void

/** The forms in which heads are written, each beside what Node makes of the same. */
const FORMS: Record<string, Form> = {
  'GET /page': (response, isPrebuilt) => { answer(response, 200, isPrebuilt, false) },
  'GET /whole': (response, isPrebuilt) => { answer(response, 200, isPrebuilt, true) },
  'GET /notModified': (response, isPrebuilt) => { answer(response, 304, isPrebuilt, false) },
  'HEAD /head': (response, isPrebuilt) => { answer(response, 200, isPrebuilt, false) }
}

function answer (response: ServerResponse, status: number, isPrebuilt: boolean, isWhole: boolean): void {
  const hasBody = status === 200 && response.req.method === 'GET'
  if (!isPrebuilt) {
    response.writeHead(status, HEADERS)
    response.end(hasBody ? 'page' : undefined)
    return
  }
  if (!takesHead(response)) throw new Error('its responses look different')
  const head = composeHead(status, HEADERS, connectionLines(response._keepAliveTimeout))
  endWithHead(response, status, head, hasBody ? Buffer.from('page') : null, isWhole ? Buffer.from(`${head}page`) : null)
}

/**
 * Tries, on a connection that is none, whether this Node's responses take a
 * head that is made already, and end as usual. Resolves with what is different,
 * or null.
 */
export async function probeHeads (): Promise<string | null> {
  try {
    const [made, prebuilt] = await Promise.all([false, true].map(async isPrebuilt => await Promise.race([converse(isPrebuilt), patience()])))
    if (made?.finished.join() !== prebuilt?.finished.join()) return 'its responses end in another way'
    return made?.received === prebuilt?.received ? null : 'it writes other answers'
  } catch (error) {
    return (error as Error).message
  }
}

interface Conversation { received: string, finished: string[] }

async function converse (isPrebuilt: boolean): Promise<Conversation> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE })
  const [client, socket] = duplexPair()
  const finished: string[] = []
  const requests = Object.keys(FORMS)
  try {
    const ended = new Promise<void>((resolve, reject) => {
      server.on('request', (request, response) => {
        const name = `${request.method ?? ''} ${request.url ?? ''}`
        response.on('finish', () => {
          finished.push(`${name} ${response.statusCode} ${String(response.headersSent)}`)
          if (finished.length === requests.length) resolve()
        })
        try {
          FORMS[name]?.(response, isPrebuilt)
        } catch (error) {
          reject(error as Error)
        }
      })
    })
    server.emit('connection', socket)
    let received = ''
    client.setEncoding('latin1').on('data', (chunk: string) => { received += chunk })
    // At once: the later ones have to wait for the earlier ones.
    client.write(requests.map(name => `${name} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
    await ended
    await drained(client, socket)
    return { received, finished }
  } finally {
    client.destroy()
    socket.destroy()
  }
}

async function drained (client: Duplex, socket: Duplex): Promise<void> {
  await new Promise<void>((resolve) => {
    client.once('end', resolve)
    socket.end()
  })
}

async function patience (): Promise<never> {
  return await new Promise((_resolve, reject) => { setTimeout(() => { reject(new Error('it did not answer')) }, PATIENCE).unref() })
}
