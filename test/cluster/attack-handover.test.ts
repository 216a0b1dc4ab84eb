// What waits to be carried on (orders on disk, pages of a build, visitors) is not left behind.
import fs from 'node:fs/promises'
import path from 'node:path'
import t from 'tap'
import { Seeder } from '../../lib/build/seed.js'
import type { Cache } from '../../lib/cache/cache.js'
import type { Mark } from '../../lib/cluster/coordinator.js'
import type { Link, Script } from '../../lib/cluster/link.js'
import { MarkLog } from '../../lib/cluster/mark-log.js'
import { pageMessage } from '../../lib/cluster/messages.js'
import { RedisLeases } from '../../lib/cluster/redis-leases.js'
import type { Rendered } from '../../lib/pages/render.js'
import type { PageView } from '../../lib/pages/view.js'
import { connected, Pages, startNode } from '../helpers/cluster-nodes.js'
import { makeGate } from '../helpers/engine.js'
import { eventually } from '../helpers/links.js'
import { newPages } from '../helpers/long-manifest.js'
import { startRedis } from '../helpers/redis-server.js'

const markOf = (tag: string): Mark => ({ kind: 'hard', tag, epoch: 1, deadline: 0 })
const fail = (_operation: string, error: Error): never => { throw error }

t.test('an order that is written while earlier ones are not accepted stays', async t => {
  const dir = t.testdir()
  const reader = new MarkLog(dir, () => true, fail)
  const writer = new MarkLog(dir, () => true, fail)
  await writer.append([markOf('first')])
  for (let tries = 0; tries < 3; tries++) {
    await reader.handOver(async () => {
      await writer.append([markOf(`during ${tries}`)])
      return false
    })
  }
  const there = new Set<string>()
  await new MarkLog(dir, () => true, fail).handOver(async marks => {
    for (const { tag } of marks) there.add(tag)
    return true
  })
  t.same([...there].sort(), ['during 0', 'during 1', 'during 2', 'first'])
  t.same(await fs.readdir(dir), [])
})

t.test('thousands of orders that were given to a disk reach everybody', async t => {
  const redis = await startRedis(t)
  const dir = t.testdir()
  const marks = path.join(dir, '.isr', 'marks')
  const log = new MarkLog(marks, () => true, fail)
  await log.append(Array.from({ length: 2600 }, (_, index) => markOf(`t${index}`)))
  const a = await startNode(t, { pages: new Pages(), port: redis.port, isr: { dir, disk: {} } })
  await eventually('they are in Redis', async () => await redis.command('zcard', '{isr}:marks') === 2600)
  await eventually('they are there only', async () => (await fs.readdir(marks)).length === 0)
  const b = await startNode(t, { pages: new Pages(), port: redis.port })
  await connected(a, b)
  t.equal(b.app.isr.health().epoch, a.app.isr.health().epoch)
  t.ok(Number(a.app.isr.health().epoch) > 3, 'not all in one, which would hold up everybody else')
})

t.test('a build that comes while another one is put into Redis follows it', async t => {
  const seeded: string[] = []
  const gate = makeGate()
  const cache = {
    buildId: 'b1',
    isShared: true,
    async seed (key: string) {
      await gate.opened
      seeded.push(`${cache.buildId} ${key}`)
    }
  }
  const seeder = new Seeder({
    cache: cache as unknown as Cache<PageView, Rendered>,
    claim: async () => ({ release: async () => {} }),
    isClosing: () => false
  })
  seeder.add('b1', newPages(['/a']))
  await eventually('it has begun', () => true)
  cache.buildId = 'b2'
  seeder.add('b2', newPages(['/b', '/c']))
  gate.open()
  await seeder.close()
  t.ok(seeded.includes('b2 /b') && seeded.includes('b2 /c'), seeded.join())
})

t.test('pages that could not be put there yet are not forgotten for those of a partial build', async t => {
  const seeded: string[] = []
  const cache = { buildId: 'b1', isShared: false, async seed (key: string) { seeded.push(key) } }
  const seeder = new Seeder({
    cache: cache as unknown as Cache<PageView, Rendered>,
    claim: async () => ({ release: async () => {} }),
    isClosing: () => false
  })
  seeder.add('b1', newPages(['/a', '/b']))
  await seeder.close()
  seeder.add('b1', newPages(['/a', '/b'], [1]))
  await seeder.close()
  cache.isShared = true
  seeder.run()
  await seeder.close()
  t.same(seeded.sort(), ['/a', '/b'])
})

t.test('an end that is heard of while it is asked again is not missed, either', async t => {
  const replies: unknown[] = [['elsewhere', 3000], ['elsewhere', 3000], ['granted', '1', '0']]
  const link: Link = {
    isUp: true,
    commands: 0,
    keyPrefix: '',
    async start () {},
    async run (_script: Script) {
      leases.wake('b1', '/a')
      return replies.shift() ?? 0
    },
    async runBuffer () { return null },
    resubscribe () {},
    async close () {}
  }
  const leases = new RedisLeases({ link, prefix: 'isr', channel: 'c', source: 's', leaseTtl: 60_000, now: () => ({ epoch: 1, incarnation: 'i' }), onIncarnation: async () => true, onEpoch: () => {} })
  const turn = await leases.turn({ key: '/a', buildId: 'b1', known: null, marked: { epoch: 0 }, isForced: false })
  t.equal(turn.kind, 'granted')
  if (turn.kind === 'granted') await turn.lease?.release({ kind: 'nothing' })
})

t.test('a tag that Redis could not give back as it was is refused', async t => {
  const redis = await startRedis(t)
  const a = await startNode(t, { pages: new Pages(), port: redis.port })
  for (const tag of ['\ud800', 'a\udfff|']) await t.rejects(a.app.isr.purge({ tag }), { code: 'FST_ISR_ERR_INVALID_TARGET' })
  const odd = ['a|b||h|', '"\\', '😀', "'; redis.call('FLUSHALL') --", 'é'.repeat(128), '\u2028', '{"e":1}', '%d %s']
  await a.app.isr.purge(odd.map(tag => ({ tag })))
  const message = pageMessage({ type: 'ended', incarnation: 'i', source: 's', buildId: 'b', key: 'x'.repeat(5000) })
  t.equal(message, null)
  const b = await startNode(t, { pages: new Pages(), port: redis.port })
  await connected(b)
  const marks = await redis.command('zrange', '{isr}:marks', 0, -1) as string[]
  t.same(marks.sort(), odd.map(tag => `h||${tag}`).sort())
})
