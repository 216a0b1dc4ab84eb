import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import t from 'tap'
import { RenderQueue, type Gate } from '../../lib/cache/render-queue.js'
import { makeGate } from '../../lib/pages/gate.js'
import { counted, start, until } from '../helpers/app.js'

const { signal } = new AbortController()

function gateOf (isBehind: () => boolean, mostPause = 60_000): Gate {
  return { isBehind, mostPause }
}

t.test('background renders wait while the event loop is behind, visitors do not', async (t) => {
  let isBehind = true
  const queue = new RenderQueue(2, 10, gateOf(() => isBehind))
  const order: string[] = []
  const background = queue.acquire('/behind', 'background', signal).then(() => { order.push('background') })
  await sleep(60)
  t.same(order, [])
  const release = await queue.acquire('/seen', 'visitor', signal)
  order.push('visitor')
  isBehind = false
  await background
  t.same(order, ['visitor', 'background'])
  t.equal(queue.running, 2)
  release()
})

t.test('a visitor who wants the page that is put off gets it at once', async (t) => {
  const queue = new RenderQueue(1, 10, gateOf(() => true))
  const waiting = queue.acquire('/page', 'background', signal)
  await turn()
  queue.promote('/page')
  await waiting
  t.equal(queue.running, 1)
})

t.test('background renders begin one per turn of the event loop', async (t) => {
  const queue = new RenderQueue(10, 10, gateOf(() => false))
  const running: number[] = []
  for (let i = 0; i < 4; i++) void queue.acquire(`/${i}`, 'background', signal)
  t.equal(queue.running, 1, 'the first one at once')
  while (queue.running < 4) {
    running.push(queue.running)
    await turn()
  }
  t.ok(running.every((count, index) => index === 0 || count - (running[index - 1] ?? 0) <= 1), running.join())
})

t.test('a pause has an end: pages must not grow old without one', async (t) => {
  const queue = new RenderQueue(1, 10, gateOf(() => true, 50))
  const startedAt = performance.now()
  const release = await queue.acquire('/page', 'background', signal)
  t.ok(performance.now() - startedAt >= 49)
  release()
})

t.test('a queue that is closed starts nothing any more', async (t) => {
  const queue = new RenderQueue(1, 10, gateOf(() => true, 50))
  const waiting = queue.acquire('/page', 'background', signal)
  await sleep(5)
  await queue.close()
  await t.rejects(waiting, { code: 'FST_ISR_ERR_CLOSING' })
})

t.test('a render that is put off for longer than it may take fails', async (t) => {
  const queue = new RenderQueue(1, 10, gateOf(() => true))
  await t.rejects(queue.acquire('/page', 'background', AbortSignal.timeout(30)), { name: 'TimeoutError' })
  t.equal(queue.queued, 0)
})

t.test('the event loop is behind when it had nothing left, or when the app says so', async (t) => {
  let idle = 0
  let active = 0
  const utilization = ((now?: EventLoopUtilization, last?: EventLoopUtilization) => {
    const since = { idle: (now?.idle ?? idle) - (last?.idle ?? 0), active: (now?.active ?? active) - (last?.active ?? 0) }
    return { ...since, utilization: since.active / (since.active + since.idle) }
  }) as typeof performance.eventLoopUtilization
  const app: { server: { listening: boolean }, isUnderPressure?: () => boolean } = { server: { listening: true } }
  const renderer = { isElsewhere: false }
  const gate = makeGate(app as never, renderer, 10_000, utilization)
  const after = (moreActive: number, moreIdle: number): boolean => {
    active += moreActive
    idle += moreIdle
    return gate.isBehind()
  }
  t.equal(after(50, 50), false)
  t.equal(after(99, 1), true)
  t.equal(after(1, 0), true, 'too short to say anything')
  t.equal(after(10, 90), false)
  t.equal(after(5000, 0), false, 'too long ago to say anything')
  t.equal(after(99, 1), true)
  renderer.isElsewhere = true
  t.equal(gate.isBehind(), false, 'other threads render')
  renderer.isElsewhere = false
  t.equal(after(10, 90), false)
  app.isUnderPressure = () => true
  t.equal(after(10, 90), true)
  app.server.listening = false
  t.equal(after(99, 1), false, 'there are no visitors')
  t.equal(gate.mostPause, 1000)
  t.equal(makeGate(app as never, renderer, 300, utilization).mostPause, 150)
})

t.test('a refresh of many pages lets visitors in between', async (t) => {
  const order: string[] = []
  const page = counted(async (_nth, request) => {
    order.push(request.url)
    await sleep(20)
    return request.url
  })
  const { app, get } = await start(t, app => { app.get('/:id', { config: { prerender: { onDemand: true } } }, page) }, { isr: { render: { concurrency: 1 } } })
  for (const id of [1, 2, 3, 4]) await get(`/${id}`)
  order.length = 0
  const refreshed = app.isr.refresh({ all: true }, { concurrency: 4 })
  await until(() => order.length > 0)
  await get('/visitor')
  await refreshed
  t.equal(order.length, 5)
  t.ok(order.indexOf('/visitor') < 4, order.join())
})
