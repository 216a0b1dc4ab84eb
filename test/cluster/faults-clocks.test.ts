import t from 'tap'
import { connected, eventually, Pages, startNode, type ClusterNode } from '../helpers/cluster-nodes.js'
import { PATIENT } from '../helpers/links.js'
import { startRedis } from '../helpers/redis-server.js'

const HOUR = 3_600_000

async function startSkewed (t: Parameters<typeof startNode>[0], pages: Pages, port: number, ttl: number): Promise<ClusterNode[]> {
  const nodes = await Promise.all([['early', -HOUR], ['right', 0], ['late', HOUR]].map(async ([name, offset]) => await startNode(t, {
    pages,
    port,
    name: name as string,
    isr: { clock: () => Date.now() + (offset as number) },
    policy: { ttl },
    redis: { commandTimeout: PATIENT }
  })))
  await connected(...nodes)
  return nodes
}

t.test('clocks differ by an hour between instances', async (t) => {
  t.test('no regeneration ping-pong, no negative Age', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startSkewed(t, pages, server.port, 60)
    for (const [id, first] of nodes.entries()) {
      t.equal((await first.get(id)).page?.instance, first.name)
      for (let round = 0; round < 10; round++) {
        for (const node of nodes) {
          const { headers, page, status, cacheStatus } = await node.get(id)
          t.equal(status, 200)
          t.equal(page?.instance, first.name)
          const age = Number(headers['age'] ?? 0)
          t.ok(age >= 0 && age < 20, `Age: ${String(headers['age'])}`)
          t.notMatch(cacheStatus, /stale/)
        }
      }
      t.equal(pages.rendersOf(id), 1, `rendered by ${first.name} for all`)
    }
  })

  t.test('a page of one second is rendered once a second, by whomever', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startSkewed(t, pages, server.port, 1)
    const startedAt = performance.now()
    while (performance.now() - startedAt < 3500) {
      await Promise.all(nodes.map(async node => await node.get(1)))
      await new Promise(resolve => { setTimeout(resolve, 20) })
    }
    const begun = pages.renders.map(({ beganAt }) => beganAt)
    const gaps = begun.slice(1).map((at, index) => at - begun[index]!)
    t.ok(gaps.every(gap => gap > 900), `${gaps.map(Math.round).join(', ')} ms between renders`)
    t.ok(pages.rendersOf(1) >= 2)
    t.comment(`ttl 1 s, clocks of -1 h, 0, +1 h: ${pages.rendersOf(1)} renders in 3.5 s, ${gaps.map(Math.round).join(', ')} ms between them`)
  })

  t.test('no wrong order: whoever purges, whoever renders', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startSkewed(t, pages, server.port, 60)
    for (const purger of nodes) {
      for (const renderer of nodes) {
        for (const node of nodes) await node.get(1)
        pages.version++
        const { epoch } = await purger.app.isr.purge({ tag: 'p1' })
        await eventually('all have heard', () => nodes.every(node => node.app.isr.health().epoch === epoch))
        t.match(await renderer.get(1), { page: { version: pages.version, instance: renderer.name } })
        for (const node of nodes) t.match(await node.get(1), { page: { version: pages.version } }, `purged by ${purger.name}, rendered by ${renderer.name}, asked of ${node.name}`)
      }
    }
    t.equal(pages.rendersOf(1), 1 + 9)
  })

  t.test('a deadline is the same moment for all', async (t) => {
    const server = await startRedis(t)
    const pages = new Pages()
    const nodes = await startSkewed(t, pages, server.port, 60)
    for (const orderer of nodes) {
      for (const node of nodes) await node.get(orderer.name)
      const { epoch } = await orderer.app.isr.revalidate({ tag: `p${orderer.name}` }, { expire: 600 })
      await eventually('all have heard', () => nodes.every(node => node.app.isr.health().epoch === epoch))
      pages.version++
      for (const node of nodes) {
        const { body } = (await node.app.inject(`/p/${orderer.name}`))
        t.match(body, /<pre>/)
      }
      await eventually('all have the new one', async () => (await Promise.all(nodes.map(async node => await node.get(orderer.name)))).every(({ page }) => page?.version === pages.version))
      t.equal(pages.rendersOf(orderer.name), 2)
    }
  })
})
