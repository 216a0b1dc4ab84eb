import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { spawnGuarded } from './helpers/guarded.js'
import { eventually } from './helpers/site-build.js'

const main = fileURLToPath(new URL('../example-app/cluster/main.js', import.meta.url))
const REDIS = process.env['REDIS_SERVER_PATH'] ?? '/usr/bin/redis-server'

interface Answer { status: number, instance: string | null, renderedBy: string | null, renderedAt: string | null, cacheStatus: string }

class Example {
  output = ''
  readonly #child
  readonly exited: Promise<number | null>

  constructor (env: Record<string, string> = {}) {
    const variables = Object.entries({ PORT: '0', REDIS_SERVER_PATH: REDIS, ...env }).map(([name, value]) => `${name}=${value}`)
    this.#child = spawnGuarded('env', ['-u', 'NODE_OPTIONS', '-u', 'REDIS_URL', ...variables, process.execPath, main], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.on('data', chunk => { this.output += String(chunk) })
    this.exited = once(this.#child, 'close').then(([code]) => code as number | null)
  }

  async listening (): Promise<void> {
    await eventually(`the example runs: ${this.output}`, () => this.output.includes('Ctrl-C'), 20_000)
  }

  get url (): string {
    return /http:\/\/\S+/.exec(this.output)?.[0] as string
  }

  get socket (): string {
    return /\S+\.sock/.exec(this.output)?.[0] as string
  }

  get processes (): number[] {
    return [...this.output.matchAll(/process (\d+)/g)].map(([, pid]) => Number(pid))
  }

  stop (signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async get (): Promise<Answer> {
    const { status, headers } = await fetch(`${this.url}/page`)
    return {
      status,
      instance: headers.get('x-instance'),
      renderedBy: headers.get('x-rendered-by'),
      renderedAt: headers.get('x-rendered-at'),
      cacheStatus: headers.get('cache-status') ?? ''
    }
  }

  async post (path: string, headers: Record<string, string> = {}): Promise<Response> {
    return await fetch(`${this.url}${path}`, { method: 'POST', redirect: 'manual', headers })
  }

  /** Answers of as many requests, at the same time. */
  async ask (times: number): Promise<Answer[]> {
    return await Promise.all(Array.from({ length: times }, () => this.get()))
  }
}

async function start (t: Test, env: Record<string, string> = {}): Promise<Example> {
  const example = new Example(env)
  t.teardown(async () => {
    example.stop('SIGTERM')
    await example.exited
  })
  await example.listening()
  return example
}

function distinct<Name extends keyof Answer> (answers: readonly Answer[], name: Name): Answer[Name][] {
  return [...new Set(answers.map(answer => answer[name]))].sort()
}

function isRunning (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

t.test('several instances answer with what one has rendered, and an order reaches all', async t => {
  const example = await start(t)
  const answers = await example.ask(9)
  t.same(distinct(answers, 'status'), [200])
  t.same(distinct(answers, 'instance'), ['a', 'b', 'c'])
  t.equal(distinct(answers, 'renderedAt').length, 1, 'one render')

  t.equal((await example.post('/purge', { 'sec-fetch-site': 'cross-site' })).status, 403)
  const purged = await example.post('/purge')
  t.match({ status: purged.status, to: purged.headers.get('location') }, { status: 303, to: '/?done=purge' })
  const old = answers[0]?.renderedAt
  await eventually('no instance has the old page', async () => (await example.ask(9)).every(({ renderedAt }) => renderedAt !== old))
  const renewed = await example.ask(9)
  t.equal(distinct(renewed, 'renderedAt').length, 1)
  t.same(distinct(renewed, 'instance'), ['a', 'b', 'c'])

  const page = await (await fetch(`${example.url}/?done=purge`)).text()
  t.match(page, 'Ordered: purge')
  t.match(page, renewed[0]?.renderedAt as string)
  t.match(page, /<td>connected<\/td>/)
})

t.test('the front drops nothing when an instance dies, and the instance comes back', async t => {
  const example = await start(t)
  await example.ask(3)
  const [victim] = example.processes as [number]
  process.kill(victim, 'SIGKILL')
  t.same(distinct(await example.ask(30), 'status'), [200])
  const orders = await Promise.all(Array.from({ length: 6 }, () => example.post('/revalidate')))
  t.same(new Set(orders.map(({ status }) => status)), new Set([303]))
  await eventually('it is back', async () => distinct(await example.ask(6), 'instance').includes('a'))
})

t.test('without Redis pages go on and orders are not acknowledged; with it they reach all', async t => {
  const example = await start(t)
  await example.ask(3)
  t.equal((await example.post('/redis/kill')).status, 303)
  await eventually('all instances say so', async () => (await example.ask(6)).every(({ status, cacheStatus }) => status === 200 && cacheStatus.includes('detail=disconnected')))
  t.match(await (await fetch(example.url)).text(), 'Start Redis')
  const before = await example.get()
  t.equal((await example.post('/purge')).headers.get('location'), '/?kept=purge')
  t.equal((await example.post('/redis/start')).status, 303)
  await eventually('they are connected', async () => (await example.ask(6)).every(({ cacheStatus }) => !cacheStatus.includes('disconnected')), 20_000)
  await eventually('the order has reached all', async () => {
    const answers = await example.ask(6)
    return distinct(answers, 'renderedAt').length === 1 && answers[0]?.renderedAt !== before.renderedAt
  })
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} leaves nothing behind`, async t => {
    const example = await start(t)
    const visitors = example.ask(6)
    await eventually('the page is being rendered', async () => (await (await fetch(`${example.url}/health`)).json() as { renders: number }).renders > 0)
    t.equal(example.processes.length, 4)
    t.same(example.processes.filter(isRunning), example.processes)
    example.stop(signal)
    t.same(distinct(await visitors, 'status'), [200], 'who was there is answered')
    t.equal(await example.exited, 0)
    t.same(example.processes.filter(isRunning), [])
    t.notOk(existsSync(path.dirname(example.socket)))
    await t.rejects(fetch(example.url))
  })
}

t.test('without a redis-server it says how to get one', async t => {
  const example = new Example({ REDIS_SERVER_PATH: '/nowhere/redis-server' })
  t.equal(await example.exited, 1)
  for (const hint of ['apt-get install redis-server', 'brew install redis', 'docker run', 'REDIS_SERVER_PATH']) t.match(example.output, hint)
})

t.test('a port that is taken is named', async t => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const { port } = server.address() as AddressInfo
  const example = new Example({ PORT: `${port}` })
  t.equal(await example.exited, 1)
  t.match(example.output, `Can't listen on port ${port}`)
})
