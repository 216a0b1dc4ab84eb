import t, { type Test } from 'tap'
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { decode } from '../../lib/cache/codec.js'
import { entryFile } from '../../lib/cache/disk-tier.js'
import { renderOf, type Command, type Message } from '../helpers/cluster-worker.js'
import { eventually } from '../helpers/site-build.js'

/*
 * Real workers of node:cluster behind one port, with one directory and no
 * Redis. PM2's cluster mode is the same mechanism.
 */

type Done = Extract<Message, { type: 'done' }>

interface Sibling {
  readonly worker: Worker
  readonly port: number
  tell (what: Command['what'], path: string): Promise<Done>
  /** Resolves with the render that the visitor saw. */
  visit (path: string): Promise<string>
}

class Site {
  readonly dir: string
  readonly #renders = new Map<string, number>()
  readonly siblings: Sibling[] = []

  constructor (dir: string) {
    this.dir = dir
  }

  /** Of the whole cluster. */
  renders (path: string): number {
    return this.#renders.get(path) ?? 0
  }

  async add (): Promise<Sibling> {
    cluster.setupPrimary({ exec: fileURLToPath(new URL('../helpers/cluster-worker.js', import.meta.url)), execArgv: [] })
    // Without the loaders of the test runner.
    const worker = cluster.fork({ ISR_DIR: this.dir, NODE_OPTIONS: '' })
    const waiting = new Map<number, (done: Done) => void>()
    let next = 0
    worker.on('message', (message: Message) => {
      if (message.type === 'render') this.#renders.set(message.path, this.renders(message.path) + 1)
      if (message.type === 'done') waiting.get(message.id)?.(message)
    })
    const [{ port }] = await once(worker, 'message') as [Extract<Message, { type: 'listening' }>]
    const tell = (what: Command['what'], path: string): Promise<Done> => new Promise((resolve) => {
      const id = next++
      waiting.set(id, resolve)
      worker.send({ id, what, path } satisfies Command)
    })
    const sibling: Sibling = {
      worker,
      port,
      tell,
      async visit (path) {
        const { status, body } = await tell('visit', path)
        if (status !== 200) throw new Error(`${path}: ${status} ${body}`)
        return renderOf(body)
      }
    }
    this.siblings.push(sibling)
    return sibling
  }

  /** Waits until a render has reached the disk. */
  async onDisk (key: string, render: string): Promise<void> {
    await eventually(`${render} of ${key} is on disk`, async () => await this.readDisk(key) === render)
  }

  async readDisk (key: string): Promise<string | null> {
    try {
      const bytes = await fs.readFile(path.join(this.dir, '.isr', entryFile('one', key)))
      return renderOf(decode(bytes, { key, buildId: 'one' }).bodies[0]?.bytes.toString() ?? '')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  async close (): Promise<void> {
    await Promise.all(this.siblings.map(async ({ worker }) => {
      if (worker.isDead()) return
      const exited = once(worker, 'exit')
      worker.process.kill('SIGKILL')
      await exited
    }))
  }
}

async function startSite (t: Test): Promise<{ site: Site, siblings: [Sibling, Sibling, Sibling] }> {
  const site = new Site(t.testdir())
  t.teardown(() => site.close())
  return { site, siblings: await Promise.all([site.add(), site.add(), site.add()]) }
}

function get (port: number, path: string): Promise<{ status: number, body: string }> {
  return new Promise((resolve, reject) => {
    // A connection of its own each time: they go to the workers in turn.
    http.get({ port, path, host: '127.0.0.1', agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => { body += text })
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, body }) })
      response.on('error', reject)
    }).on('error', reject)
  })
}

t.test('workers of one cluster', async (t) => {
  const { site, siblings: [a, b, c] } = await startSite(t)

  await t.test('share one port', async (t) => {
    t.equal(new Set(site.siblings.map(({ port }) => port)).size, 1)
  })

  await t.test('render a page once: the others find it on disk', async (t) => {
    const first = await a.visit('/cold')
    await site.onDisk('/cold', first)
    t.same(await Promise.all([b.visit('/cold'), c.visit('/cold'), a.visit('/cold')]), [first, first, first])
    t.equal(site.renders('/cold'), 1)
  })

  await t.test('regenerate a page once after an order to one of them', async (t) => {
    const first = await a.visit('/news')
    await site.onDisk('/news', first)
    await Promise.all([b.visit('/news'), c.visit('/news')])
    await a.tell('revalidate', '/news')
    t.equal(await a.visit('/news'), first, 'stale, regenerated behind')
    let second = first
    await eventually('a shows the new page', async () => {
      second = await a.visit('/news')
      return second !== first
    })
    await site.onDisk('/news', second)
    for (const sibling of [b, c]) await eventually('the others show it, too', async () => await sibling.visit('/news') === second)
    t.equal(site.renders('/news'), 2)
  })

  await t.test('hear of a purge within a heartbeat, and leave the page alone that has been rendered since', async (t) => {
    const first = await b.visit('/gone')
    await site.onDisk('/gone', first)
    await Promise.all([a.visit('/gone'), c.visit('/gone')])
    await b.tell('purge', '/gone')
    const purgedAt = performance.now()
    const second = await b.visit('/gone')
    t.not(second, first)
    await site.onDisk('/gone', second)
    for (const sibling of [a, c]) await eventually('no old page', async () => await sibling.visit('/gone') !== first)
    // A heartbeat, and what a busy machine adds.
    t.ok(performance.now() - purgedAt < 3000)
    t.same(await Promise.all([a, b, c].map(sibling => sibling.visit('/gone'))), [second, second, second])
    t.equal(await site.readDisk('/gone'), second)
    t.equal(site.renders('/gone'), 2)
  })

  await t.test('render a cold page at most once each, however many ask', async (t) => {
    const answers = await Promise.all(Array.from({ length: 60 }, () => get(a.port, '/burst')))
    const seen = new Set(answers.map(({ body }) => renderOf(body)))
    t.same([...new Set(answers.map(({ status }) => status))], [200])
    t.ok(seen.size <= 3 && site.renders('/burst') <= 3, `${site.renders('/burst')} renders`)
  })
})

t.test('a worker killed in mid write leaves whole pages, and the others go on', async (t) => {
  const { site, siblings: [a, b, c] } = await startSite(t)
  const rounds = 4
  let victim = c
  for (let round = 0; round < rounds; round++) {
    const before = site.renders('/busy')
    void victim.tell('refresh-on-and-on', '/busy')
    await eventually('it writes', () => site.renders('/busy') > before + 2 + round % 3, 5000)
    const exited = once(victim.worker, 'exit')
    victim.worker.process.kill('SIGKILL')
    await exited
    await site.readDisk('/busy')
    const renders = new Set(await Promise.all([a.visit('/busy'), b.visit('/busy')]))
    const answers = await Promise.all(Array.from({ length: 6 }, () => get(a.port, '/busy')))
    for (const { status, body } of answers) if (status !== 200 || renderOf(body) === '') t.fail(`${status}`)
    t.ok(renders.size <= 2)
    victim = await site.add()
  }
  await a.tell('refresh', '/busy')
  const last = await a.visit('/busy')
  await site.onDisk('/busy', last)
  t.equal(await (await site.add()).visit('/busy'), last, 'a new worker begins with it')
})
