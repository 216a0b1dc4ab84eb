// npm run example:cluster: a Redis server, three instances and a front, all on this machine only.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { handOn, type Backend } from './front.js'
import { RedisServer, WITHOUT_REDIS } from './redis.js'
import { makeStatus } from './status.js'

const names = ['a', 'b', 'c']
const program = fileURLToPath(new URL('instance.js', import.meta.url))
const children = new Map<string, ChildProcess>()
const ports = new Map<string, number>()
let isClosing = false
const backends = (): Backend[] => names.flatMap(name => {
  const port = ports.get(name)
  return port === undefined ? [] : [{ name, port }]
})

const front = createServer((request, response) => {
  const isOwn = /^\/(?:redis\/\w+)?(?:\?|$)/.test(request.url ?? '')
  // Another name that leads here is another site's, whatever the browser believes.
  if (!/^(?:127\.0\.0\.1|localhost)(?::\d+)?$/.test(request.headers.host ?? '')) response.writeHead(421).end()
  else if (isOwn && status !== null) status.routing(request, response)
  else handOn(request, response, backends())
})
let status: FastifyInstance | null = null
const port = Number(process.env.PORT ?? 3000)
try {
  front.listen(port, '127.0.0.1')
  await once(front, 'listening')
} catch (error) {
  process.stderr.write(`Can't listen on port ${port}: ${(error as Error).message}. Set PORT to another one.\n`)
  process.exit(1)
}
const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`

const redis = process.env.REDIS_URL === undefined ? await RedisServer.start() : null
const redisUrl = process.env.REDIS_URL ?? redis?.socket
if (redisUrl === undefined) {
  process.stderr.write(WITHOUT_REDIS)
  process.exit(1)
}

process.on('exit', () => {
  for (const child of children.values()) child.kill('SIGKILL')
  redis?.closeNow()
})
let closingSince = 0
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Whoever presses Ctrl-C a second time wants out at once; one press may come twice, by way of npm.
    if (isClosing && performance.now() - closingSince > 500) process.exit(130)
    if (isClosing) return
    isClosing = true
    closingSince = performance.now()
    void close()
  })
}

status = await makeStatus({ url, backends, redis })
await Promise.all(names.map(startInstance))
if (!isClosing) {
  process.stdout.write([
    '',
    '  fastify-isr example, three instances behind one front',
    '',
    `  ${url}`,
    '',
    ...names.map(name => `  instance ${name}   process ${children.get(name)?.pid}`),
    `  Redis        ${redis === null ? redisUrl : `process ${redis.pid}, ${redis.socket}`}`,
    '',
    '  Ctrl-C to stop',
    '',
    ''
  ].join('\n'))
}

/** Resolves when it listens; one that dies is started again. */
async function startInstance (name: string): Promise<void> {
  const child = fork(program, { env: { ...process.env, INSTANCE: name, REDIS_URL: redisUrl, BASE_URL: url } })
  children.set(name, child)
  const exited = new Promise<void>(resolve => {
    child.once('exit', () => {
      children.delete(name)
      ports.delete(name)
      resolve()
      if (!isClosing) setTimeout(() => { if (!isClosing) void startInstance(name) }, 500)
    })
  })
  const listening = new Promise<void>(resolve => {
    child.once('message', port => {
      ports.set(name, Number(port))
      resolve()
    })
  })
  await Promise.race([listening, exited])
}

async function close (): Promise<void> {
  front.close()
  // Browsers keep connections open, those of the last answers as well.
  setInterval(() => { front.closeIdleConnections() }, 50).unref()
  await Promise.race([once(front, 'close'), delay(5000, undefined, { ref: false })])
  await Promise.all([...children.values()].map(async child => {
    const exited = once(child, 'exit')
    if (child.connected) child.disconnect()
    await exited
  }))
  await status?.close()
  await redis?.close()
  process.exit(0)
}
