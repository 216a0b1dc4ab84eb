import { once } from 'node:events'
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'

/** What is needed of a test: tap's `t` fits. */
interface Test {
  teardown (fn: () => unknown): void
}

export interface StreamEvent {
  id: string
  event: string
  /** Parsed. */
  data: unknown
}

/** A client of server-sent events that hides nothing. */
export interface EventStream {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Of the `retry` field, in milliseconds; 0 when there was none. */
  readonly retry: number
  /** The next one that nobody has taken; rejects when the stream has ended. */
  next (): Promise<StreamEvent>
  /** Resolves when the server has ended it. */
  ended: Promise<void>
  close (): void
}

export async function openStream (t: Test, url: string, headers: Record<string, string> = {}): Promise<EventStream> {
  const request = get(url, { headers, agent: false })
  t.teardown(() => { request.destroy() })
  const [response] = await once(request, 'response') as [IncomingMessage]
  // Closing it is an error to Node, too.
  request.on('error', () => {})
  response.on('error', () => {})

  const events: StreamEvent[] = []
  let text = ''
  let retry = 0
  let isOver = false
  let wake = (): void => {}
  const ended = new Promise<void>(resolve => {
    response.on('close', () => {
      isOver = true
      wake()
      resolve()
    })
  })
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const fields = new Map(text.slice(0, end).split('\n').map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]))
      text = text.slice(end + 2)
      retry = Number(fields.get('retry') ?? retry)
      const data = fields.get('data')
      if (data !== undefined) events.push({ id: fields.get('id') ?? '', event: fields.get('event') ?? 'message', data: JSON.parse(data) as unknown })
    }
    wake()
  })

  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    get retry () { return retry },
    async next () {
      while (events.length === 0) {
        if (isOver) throw new Error('the stream has ended')
        await new Promise<void>(resolve => { wake = resolve })
      }
      return events.shift() as StreamEvent
    },
    ended,
    close () { request.destroy() }
  }
}
