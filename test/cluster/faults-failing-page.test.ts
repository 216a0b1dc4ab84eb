import t from 'tap'
import { connected, eventually, Pages, startNodes, type ClusterNode } from '../helpers/cluster-nodes.js'
import { PATIENT } from '../helpers/links.js'
import { startRedis } from '../helpers/redis-server.js'

const redis = { commandTimeout: PATIENT, leaseTtl: PATIENT }

/** Visitors of all instances, all the time. Returns how they were answered. */
async function besiege (nodes: readonly ClusterNode[], ms: number, isOver: () => boolean = () => false): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  const end = performance.now() + ms
  while (performance.now() < end && !isOver()) {
    for (const { status } of await Promise.all(nodes.flatMap(node => [node.get(1), node.get(1)]))) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    await new Promise(resolve => { setTimeout(resolve, 10) })
  }
  return statuses
}

function sum (statuses: ReadonlyMap<number, number>): number {
  return [...statuses.values()].reduce((total, count) => total + count, 0)
}

function gapsOf (pages: Pages): number[] {
  const begun = pages.renders.map(({ beganAt }) => beganAt)
  return begun.slice(1).map((at, index) => Math.round(at - begun[index]!))
}

t.test('a page that always fails: back-off, one probe per step in the cluster', async (t) => {
  t.test('nobody has an older one: all get the failure, and the first render that works', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    pages.fails = () => true
    const nodes = await startNodes(t, 4, { pages, port: server.port, redis })
    const statuses = await besiege(nodes, 4500)
    t.ok([...statuses.keys()].every(status => status >= 500), [...statuses.keys()].join())
    const gaps = gapsOf(pages)
    // Steps of 1, 2, 4 s, of which half is jitter; timers and clocks differ a little.
    for (const [step, gap] of gaps.entries()) t.ok(gap > 500 * 2 ** step - 50, `probe ${step + 2} came after ${gap} ms`)
    t.ok(pages.renders.length >= 2 && pages.renders.length <= 4, `${pages.renders.length} probes`)
    t.comment(`4 instances, ${sum(statuses)} visitors in 4.5 s: ${pages.renders.length} probes, ${gaps.join(', ')} ms apart`)
    pages.fails = () => false
    // A new mark is worth a try at once.
    const { epoch } = await nodes[0]!.app.isr.revalidate({ tag: 'p1' })
    await eventually('all have heard', () => nodes.every(node => node.app.isr.health().epoch === epoch))
    for (const node of nodes) t.equal((await node.get(1)).status, 200, 'no back-off outlives the recovery')
  })

  t.test('an older one is served inside its window', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    let offset = 0
    const nodes = await startNodes(t, 4, { pages, port: server.port, redis, isr: { clock: () => Date.now() + offset } })
    for (const node of nodes) await node.get(1)
    pages.renders.length = 0
    pages.fails = () => true
    offset += 61_000
    const statuses = await besiege(nodes, 2500)
    t.same([...statuses.keys()], [200], 'nobody sees a failure that an older page can hide')
    const gaps = gapsOf(pages)
    for (const [step, gap] of gaps.entries()) t.ok(gap > 500 * 2 ** step - 50, `probe ${step + 2} came after ${gap} ms`)
    t.ok(pages.renders.length <= 3, `${pages.renders.length} probes`)
    t.comment(`4 instances with an old page, ${statuses.get(200)} visitors in 2.5 s: ${pages.renders.length} probes, ${gaps.join(', ')} ms apart`)
    pages.fails = () => false
    pages.version = 2
    await besiege(nodes, 10_000, () => pages.renders.some(({ version }) => version === 2))
    await eventually('all have the new one', async () => (await Promise.all(nodes.map(async node => await node.get(1)))).every(({ page }) => page?.version === 2))
  })

  t.test('somebody wants it new: at most a second between probes', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 4, { pages, port: server.port, redis })
    for (const node of nodes) await node.get(1)
    pages.renders.length = 0
    pages.fails = () => true
    const { epoch } = await nodes[0]!.app.isr.revalidate({ tag: 'p1' })
    await eventually('all have heard', () => nodes.every(node => node.app.isr.health().epoch === epoch))
    const statuses = await besiege(nodes, 3500)
    t.same([...statuses.keys()], [200])
    const gaps = gapsOf(pages)
    t.ok(gaps.every(gap => gap > 450), 'never two at a time')
    t.ok(pages.renders.length >= 3 && pages.renders.length <= 8, `${pages.renders.length} probes`)
    t.comment(`a revalidated page that fails, 4 instances: ${pages.renders.length} probes in 3.5 s, ${gaps.join(', ')} ms apart`)
  })

  t.test('purged: nobody gets the old one, and the failure is shared', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startNodes(t, 4, { pages, port: server.port, redis })
    for (const node of nodes) await node.get(1)
    pages.renders.length = 0
    pages.fails = () => true
    const { epoch } = await nodes[0]!.app.isr.purge({ tag: 'p1' })
    await eventually('all have heard', () => nodes.every(node => node.app.isr.health().epoch === epoch))
    const statuses = await besiege(nodes, 400)
    t.ok([...statuses.keys()].every(status => status >= 500), [...statuses.keys()].join())
    t.equal(pages.renders.length, 1, 'one probe')
  })
})

t.test('a failing page while Redis is frozen: each instance backs off by itself', async (t) => {
  const server = await startRedis(t)
  const pages = new Pages()
  pages.fails = () => true
  const nodes = await startNodes(t, 2, { pages, port: server.port, redis: { commandTimeout: 200 } })
  server.stop()
  await eventually('both know', () => nodes.every(node => !node.isConnected()))
  t.ok([...(await besiege(nodes, 400)).keys()].every(status => status >= 500))
  t.equal(pages.renders.length, 2)
  server.cont()
  await connected(...nodes)
})
