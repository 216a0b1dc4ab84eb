import t from 'tap'
import { connected, eventually, forkedClient, makeGate, Pages, startNode, startNodes, type Answered } from '../helpers/cluster-nodes.js'
import { PATIENT } from '../helpers/links.js'
import { startRedis } from '../helpers/redis-server.js'
import { startProxy } from '../helpers/tcp-proxy.js'

/** So many requests hold up the event loop: a deadline that passes meanwhile would be a fault of the test's. */
const redis = { commandTimeout: PATIENT, leaseTtl: PATIENT }
const VISITORS = 200

t.test('a thundering herd on a cold page: one render, everyone gets the same bytes', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  pages.delay = 50
  const nodes = await startNodes(t, 8, { pages, port: server.port, redis })
  for (const id of ['1', '2', '3']) {
    const answers = await Promise.all(nodes.flatMap(node => Array.from({ length: VISITORS }, async () => await node.get(id))))
    t.equal(answers.length, 1600)
    t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
    t.equal(new Set(answers.map(({ body }) => body)).size, 1, 'the same bytes')
    t.equal(pages.rendersOf(id), 1, 'one render')
    t.comment(`${answers.length} visitors of 8 instances: ${pages.rendersOf(id)} render, slowest ${Math.round(Math.max(...answers.map(({ ms }) => ms)))} ms`)
  }
})

t.test('fifty instances with a hundred visitors each on a cold page: one render, everyone gets the same bytes', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  pages.delay = 50
  const nodes = await startNodes(t, 50, { pages, port: server.port, redis })
  const answers = await Promise.all(nodes.flatMap(node => Array.from({ length: 100 }, async () => await node.get(1))))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(new Set(answers.map(({ body }) => body)).size, 1, 'the same bytes')
  t.equal(pages.rendersOf(1), 1, 'one render')
  t.comment(`${answers.length} visitors of ${nodes.length} instances: ${pages.rendersOf(1)} render`)
})

t.test('the end of a render elsewhere is heard even when it is told before the answer that there is one', async (t) => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server)
  const pages = new Pages()
  const options = { pages, redis: { commandTimeout: PATIENT, leaseTtl: 60_000 } }
  const holder = await startNode(t, { ...options, name: 'a', port: server.port })
  const late = await startNode(t, { ...options, name: 'b', port: proxy.port, client: forkedClient(proxy.port, server.port) })
  await connected(holder, late)
  const gate = makeGate()
  pages.gate = gate
  const first = holder.get(1)
  await eventually('it renders', () => pages.rendersOf(1) === 1)
  proxy.delay(300, 'toClient')
  const second = late.get(1)
  await eventually('it asks for the lease', async () => /calls=[1-9]/.test((await server.info('commandstats'))['cmdstat_pttl'] ?? ''))
  gate.open()
  t.equal((await first).status, 200)
  const { page, ms } = await second
  t.equal(page?.instance, 'a')
  t.ok(ms < 6000, `after ${ms} ms, not when the render may take no longer`)
  t.equal(pages.rendersOf(1), 1)
})

for (const kind of ['revalidate', 'purge'] as const) {
  t.test(`a herd after a ${kind}: one render`, async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 8, { pages, port: server.port, redis })
    for (const node of nodes) await node.get(1)
    t.equal(pages.rendersOf(1), 1)
    pages.version = 2
    pages.delay = 50
    const { epoch } = await nodes[0]!.app.isr[kind]({ tag: 'p1' })
    await eventually('all have heard', () => nodes.every(node => node.app.isr.health().epoch === epoch && node.app.isr.health().lag === 0))
    const answers = await Promise.all(nodes.flatMap(node => Array.from({ length: VISITORS }, async () => await node.get(1))))
    t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
    if (kind === 'purge') t.same(new Set(answers.map(({ page }) => page?.version)), new Set([2]), 'nobody gets the purged page')
    await eventually('all have the new page', async () => (await Promise.all(nodes.map(async node => await node.get(1)))).every(({ page }) => page?.version === 2))
    t.equal(pages.rendersOf(1), 2, 'one render more')
    t.comment(`${answers.length} visitors of 8 instances after a ${kind}: ${pages.rendersOf(1) - 1} render`)
  })
}

t.test('a herd on a page that is stale by time: one render', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  let now = 1_700_000_000_000
  const nodes = await startNodes(t, 8, { pages, port: server.port, redis, isr: { clock: () => now } })
  for (const node of nodes) await node.get(1)
  now += 61_000
  pages.version = 2
  pages.delay = 50
  const answers = await Promise.all(nodes.flatMap(node => Array.from({ length: VISITORS }, async () => await node.get(1))))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  await eventually('all have the new page', async () => (await Promise.all(nodes.map(async node => await node.get(1)))).every(({ page }) => page?.version === 2))
  t.equal(pages.rendersOf(1), 2, 'one render more')
  t.comment(`${answers.length} visitors of 8 instances on a stale page: ${pages.rendersOf(1) - 1} render`)
})

t.test('mass expiry, 10,000 pages at once: renders stay within render.concurrency, hits keep their latency', async (t) => {
  const COUNT = 10_000
  const server = await startRedis(t)
  const pages = new Pages()
  let now = 1_700_000_000_000
  const [node] = await startNodes(t, 1, { pages, port: server.port, redis, isr: { clock: () => now, memory: { maxBytes: 256 * 1024 * 1024 }, render: { concurrency: 4 }, encodings: [] } })
  const visitAll = async (): Promise<Answered[]> => {
    const answers: Answered[] = []
    for (let id = 0; id < COUNT; id += 50) answers.push(...await Promise.all(Array.from({ length: 50 }, async (_, more) => await node!.get(id + more))))
    return answers
  }
  const fresh = percentiles((await visitAll(), await visitAll()))
  t.equal(pages.renders.length, COUNT)
  now += 61_000
  const gate = makeGate()
  pages.gate = gate
  const stale = await visitAll()
  t.same(new Set(stale.map(({ status }) => status)), new Set([200]), 'nobody waits for a render')
  await eventually('all slots are taken', () => pages.running['a'] === 4)
  pages.gate = null
  gate.open()
  await eventually('what was queued is rendered', () => {
    const { running, queued } = node!.app.isr.stats().renders
    return running === 0 && queued === 0
  })
  t.equal(pages.mostRunning['a'], 4)
  t.comment(`10,000 expired pages: at most ${pages.mostRunning['a']} renders at a time, ${pages.renders.length - COUNT} in all; ms of 50 hits at once: fresh ${fresh}, stale ${percentiles(stale)}`)
})

function percentiles (answers: readonly Answered[]): string {
  const sorted = answers.map(({ ms }) => ms).sort((a, b) => a - b)
  return [0.5, 0.99, 1].map(share => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]?.toFixed(1)).join(' / ')
}
