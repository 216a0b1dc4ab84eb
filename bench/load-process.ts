// The load, in a process of its own, so that it has a core of its own.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import autocannon, { type Result } from 'autocannon'
import type { Load, LoadResult } from './load.js'
import { summariseLatencies } from './statistics.js'

async function cannon ({ origin, request, connections, seconds }: Load): Promise<LoadResult> {
  const { headers, paths, status } = request
  const latencies: number[] = []
  const startedAt = performance.now()
  let wrong = 0

  const { errors } = await new Promise<Result>((resolve, reject) => {
    const run = autocannon({
      url: origin + (paths[0] ?? '/'),
      duration: seconds,
      connections,
      headers,
      ...paths.length > 1 && { requests: paths.map(path => ({ path })) }
    }, (error, result) => { error ? reject(error) : resolve(result) })
    // autocannon's own histogram has whole milliseconds, which is too coarse for these answers.
    run.on('response', (client, statusCode, bytes, milliseconds) => {
      latencies.push(milliseconds)
      if (statusCode !== status) wrong++
    })
  })

  return {
    requests: latencies.length,
    seconds: (performance.now() - startedAt) / 1000,
    errors: errors + wrong,
    ...summariseLatencies(latencies)
  }
}

const END = '\r\n\r\n'

/** Neither autocannon nor wrk know that the answer to HEAD has no body: this client knows nothing else. */
async function heads ({ origin, request, connections, seconds }: Load): Promise<LoadResult> {
  const { hostname, port, host } = new URL(origin)
  const lines = Object.entries({ host, ...request.headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  const text = `HEAD ${request.paths[0] ?? '/'} HTTP/1.1\r\n${lines.join('')}\r\n`
  const expected = `HTTP/1.1 ${request.status} `
  const latencies: number[] = []
  let errors = 0
  let isOver = false

  function visit (): void {
    let sentAt = 0
    let received = ''
    const socket = connect(Number(port), hostname)
    const send = (): void => {
      sentAt = performance.now()
      socket.write(text)
    }
    socket.setNoDelay(true).setEncoding('latin1')
    socket.on('connect', send)
    socket.on('data', chunk => {
      received += String(chunk)
      if (!received.endsWith(END)) return
      latencies.push(performance.now() - sentAt)
      if (!received.startsWith(expected)) errors++
      received = ''
      isOver ? socket.destroy() : send()
    })
    socket.on('error', () => { errors++ })
    socket.on('close', () => { if (!isOver) errors++ })
  }

  const startedAt = performance.now()
  for (let nth = 0; nth < connections; nth++) visit()
  await sleep(seconds * 1000)
  isOver = true
  const elapsed = (performance.now() - startedAt) / 1000
  return { requests: latencies.length, seconds: elapsed, errors, ...summariseLatencies(latencies) }
}

process.on('message', async (load: Load) => {
  try {
    process.send?.(await (load.request.method === 'HEAD' ? heads : cannon)(load))
  } catch (error) {
    process.send?.({ failed: String(error) })
  }
})
process.on('disconnect', () => { process.exit() })
