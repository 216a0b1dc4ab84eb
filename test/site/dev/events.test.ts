import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { startDev, type Dev, type DevChange, type DevOptions } from '../../../lib/site/dev/index.js'
import { openStream, type EventStream } from '../../helpers/event-stream.js'

interface LogLine {
  level: number
  msg: string
}

interface Served {
  url: string
  port: number
  dev: Dev
  dir: string
  logs: LogLine[]
  app: ReturnType<typeof Fastify>
  /** Writes a file of the site; its name is its dependency. */
  write (name: string, text: string): Promise<void>
  follow (page: string, query?: Record<string, string>, headers?: Record<string, string>): Promise<EventStream>
}

/** Pages are made of what `deps` says, and a file that holds "broken" can't be used. */
async function serve (t: Test, deps: Record<string, string[]> = {}, options: Partial<DevOptions> = {}, fastify: FastifyServerOptions = {}): Promise<Served> {
  const dir = t.testdir({ 'header.html': 'x', 'item.html': 'x', 'app.css': 'x' })
  const logs: LogLine[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line: string) => { logs.push(JSON.parse(line) as LogLine) } } }, ...fastify })
  t.teardown(() => app.close())
  const pages = new Map(Object.entries(deps).map(([page, names]) => [page, new Set(names)]))
  const dev = await startDev(app, {
    watch: [dir],
    onChange: async paths => ({ changed: paths.map(path => `partial:${relative(dir, path)}`) }),
    depsOf: page => pages.get(page) ?? null,
    ...options
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const url = `http://localhost:${port}`
  return {
    url,
    port,
    dev,
    dir,
    logs,
    app,
    write: (name, text) => writeFile(join(dir, name), text),
    follow: async (page, query = {}, headers = {}) => await openStream(t, `http://127.0.0.1:${port}/__dev/events?${new URLSearchParams({ page, state: 'new', ...query })}`, { host: `localhost:${port}`, ...headers })
  }
}

t.test('a stream says hello, is not held back by anybody, and tells of changes', async t => {
  const { write, follow } = await serve(t, { '/': ['partial:header.html'] })
  const stream = await follow('/')
  t.equal(stream.status, 200)
  t.match(stream.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
  const hello = await stream.next()
  t.match(hello, { event: 'hello', data: /^[\da-f-]{36}$/ })
  t.equal(hello.id, `${String(hello.data)}.0`)
  t.equal(stream.retry, 500)

  await write('header.html', 'y')
  t.same(await stream.next(), { event: 'reload', data: null, id: `${String(hello.data)}.1` })
})

t.test('who connects again hears what it has missed, by the id that browsers send', async t => {
  const { write, follow } = await serve(t, { '/': ['partial:header.html'] })
  const first = await follow('/')
  const hello = await first.next()
  await write('header.html', 'y')
  const { id } = await first.next()

  const byItself = await follow('/', {}, { 'last-event-id': hello.id })
  t.match(await byItself.next(), { event: 'hello', data: hello.data })
  t.match(await byItself.next(), { event: 'reload' })
  const byClient = await follow('/', { state: 'kept', since: hello.id })
  t.match([await byClient.next(), await byClient.next()], [{ event: 'hello' }, { event: 'reload' }])

  // Neither of these has missed anything: they hear of the next change first.
  const knowing = await follow('/', { since: id })
  const ofAnotherServer = await follow('/', { since: 'other.0' })
  for (const stream of [knowing, ofAnotherServer]) t.match(await stream.next(), { event: 'hello' })
  await write('header.html', 'z')
  for (const stream of [knowing, ofAnotherServer]) t.match(await stream.next(), { event: 'reload', id: /\.2$/ })
})

t.test('a page that could not be rendered hears when it can', async t => {
  const { dev, write, follow } = await serve(t, { '/': ['partial:header.html'] })
  const problem = { message: 'no such slot', file: 'item.html', frame: '> 1 | {{x}}' }
  t.equal(dev.failed('/', problem), '<script type="module" async src="/__dev/client.js?failed"></script>')

  const kept = await follow('/', { state: 'kept' })
  t.match([await kept.next(), await kept.next()], [{ event: 'hello' }, { event: 'fail', data: { message: 'item.html\nno such slot', frame: problem.frame } }])
  const errorPage = await follow('/', { state: 'failed' })
  t.match(await errorPage.next(), { event: 'hello' })

  await write('item.html', 'mended')
  for (const stream of [kept, errorPage]) t.match([await stream.next(), await stream.next()], [{ event: 'ok' }, { event: 'reload' }])
})

t.test('a page that is rendered well after all is broken no more', async t => {
  const { dev, write, follow } = await serve(t, { '/': ['partial:header.html'] })
  dev.failed('/', { message: 'the database is down', file: 'item.html', frame: '' })
  const stream = await follow('/', { state: 'new' })
  t.match(await stream.next(), { event: 'hello' })
  await write('header.html', 'y')
  t.match(await stream.next(), { event: 'reload' }, 'no problem in between')
})

t.test('changes that could not be dealt with are shown, and come along with the next ones', async t => {
  const calls: string[][] = []
  const { dir, write, follow, logs } = await serve(t, { '/': ['partial:header.html'] }, {
    onChange: async (paths): Promise<DevChange> => {
      calls.push(paths.map(path => relative(dir, path)))
      if (calls.length === 1) throw new Error('the compiler is out of order')
      return { changed: paths.map(path => `partial:${relative(dir, path)}`) }
    }
  })
  const stream = await follow('/')
  await stream.next()
  await write('header.html', 'y')
  t.match(await stream.next(), { event: 'fail', data: { message: /the compiler is out of order/ } })
  t.match(logs.find(line => line.level === 50)?.msg, /could not be dealt with/)
  await write('item.html', 'y')
  t.match([await stream.next(), await stream.next()], [{ event: 'ok' }, { event: 'reload' }])
  await write('header.html', 'z')
  t.match(await stream.next(), { event: 'reload' })
  t.same(calls, [['header.html'], ['header.html', 'item.html'], ['header.html']])
})

t.test('only this machine may follow, under a name of its own, from its own pages', async t => {
  const { port, follow, app } = await serve(t)
  const statusOf = async (headers: Record<string, string>, hosts = follow): Promise<number> => (await hosts('/', {}, headers)).status

  for (const host of [`localhost:${port}`, 'localhost', 'LOCALHOST', 'my-app.localhost:3000', '127.0.0.1', '127.8.8.8:80', '[::1]:3000']) t.equal(await statusOf({ host }), 200, host)
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', '[::2]', 'localhost@evil.example', 'a b']) t.equal(await statusOf({ host }), 403, host)

  const origin = `http://localhost:${port}`
  t.equal(await statusOf({ origin }), 200)
  t.equal(await statusOf({ 'sec-fetch-site': 'same-origin' }), 200)
  for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { origin: 'http://localhost:1' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]) t.equal(await statusOf(headers), 403, JSON.stringify(headers))
  for (const headers of [{ 'x-forwarded-for': '127.0.0.1' }, { forwarded: 'for=127.0.0.1' }]) t.equal(await statusOf(headers), 403, JSON.stringify(headers))

  const strange = await app.inject({ url: '/__dev/client.js', remoteAddress: '192.0.2.7', headers: { host: 'localhost' } })
  t.equal(strange.statusCode, 403)
  t.match(strange.body, "only this machine may ask: name 'localhost' in the option 'hosts'")
  t.match((await app.inject({ url: '/__dev/client.js', headers: { host: 'evil.example' } })).body, "'evil.example' is no name of this machine")
})

t.test('a proxy that is believed otherwise is not believed here', async t => {
  const { follow } = await serve(t, {}, {}, { trustProxy: true })
  t.equal((await follow('/', {}, { host: 'evil.example', 'x-forwarded-host': 'localhost' })).status, 403)
})

t.test('other machines may follow under the names that the developer gives', async t => {
  const { app } = await serve(t, {}, { hosts: ['Dev.example', 'localhost'] })
  const statusOf = async (host: string, headers = {}) => (await app.inject({ url: '/__dev/client.js', remoteAddress: '192.0.2.7', headers: { host, ...headers } })).statusCode
  t.equal(await statusOf('dev.example:8080'), 200)
  t.equal(await statusOf('localhost:3000', { 'x-forwarded-for': '198.51.100.1' }), 200)
  t.equal(await statusOf('evil.example'), 403)
  t.equal(await statusOf('dev.example', { 'sec-fetch-site': 'cross-site' }), 403)
})

t.test('the client is a small module of the app itself', async t => {
  const { app, dev } = await serve(t)
  t.equal(dev.partial, '<script type="module" async src="/__dev/client.js"></script>')
  const { headers, rawPayload, statusCode } = await app.inject('/__dev/client.js')
  t.equal(statusCode, 200)
  t.match(headers, { 'content-type': 'text/javascript; charset=utf-8', 'cache-control': 'no-store' })
  // As it is published: without comments.
  const { length } = gzipSync(rawPayload.toString().replace(/^ *\/\/.*\n?/gm, ''))
  t.comment(`${length} bytes with gzip`)
  t.ok(length <= 2048)
})

t.test('below a prefix the client is there', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  let dev: Dev | undefined
  await app.register(async instance => {
    dev = await startDev(instance, { watch: [t.testdir()], onChange: async () => ({ changed: [] }), depsOf: () => null })
  }, { prefix: '/docs' })
  t.match(dev?.partial, 'src="/docs/__dev/client.js"')
  t.equal((await app.inject('/docs/__dev/client.js')).statusCode, 200)
})

t.test('the end of the app ends the streams at once, and none is opened any more', async t => {
  const { app, follow } = await serve(t)
  const streams = [await follow('/'), await follow('/about')]
  const ended = Promise.all(streams.map(stream => stream.ended))
  // Waits for connections; would wait for these for ever.
  await app.close()
  await ended
})

t.test('a hundred browsers may follow, and the next one when one of them leaves', async t => {
  const { follow, logs } = await serve(t)
  const streams = await Promise.all(Array.from({ length: 100 }, () => follow('/')))
  t.ok(streams.every(({ status }) => status === 200))
  t.equal((await follow('/')).status, 503)
  t.match(logs.filter(line => line.level === 40).map(line => line.msg), ['live reload: too many browsers follow already; this one does not'])

  streams[0]?.close()
  let status = 503
  while (status === 503) status = (await follow('/')).status
  t.equal(status, 200)
})

t.test('a stream over HTTP/2', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await startDev(app as unknown as FastifyInstance, { watch: [t.testdir()], onChange: async () => ({ changed: [] }), depsOf: () => null })
  const session = connect(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(() => { session.destroy() })
  const stream = session.request({ ':path': '/__dev/events?page=/' })
  const [headers] = await once(stream, 'response') as [Record<string, unknown>]
  t.match(headers, { ':status': 200, 'content-type': 'text/event-stream' })
  const ended = once(stream, 'close')
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
  while (!text.includes('event: hello')) await once(stream, 'data')
  session.close()
  await app.close()
  await ended
})

t.test('HEAD opens no stream', async t => {
  const { port } = await serve(t)
  const head = request({ port, host: '127.0.0.1', method: 'HEAD', path: '/__dev/events', headers: { host: 'localhost' }, agent: false }).end()
  const [response] = await once(head, 'response') as [{ statusCode: number }]
  t.equal(response.statusCode, 404)
})

t.test('what the page is called may be anything', async t => {
  const { follow } = await serve(t)
  const page = `/${'x'.repeat(9000)}?${'é&"<>\n'.repeat(10)}`
  t.equal((await follow(page)).status, 200)
  t.equal((await follow('', { state: '\0', since: '.'.repeat(1000) })).status, 200)
})
