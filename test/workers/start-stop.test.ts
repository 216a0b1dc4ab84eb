import path from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import isr, { type IsrOptions } from '../../lib/index.js'
import { makeGate, until } from '../helpers/app.js'
import { runCommand } from '../helpers/command.js'
import { lastingPort } from '../helpers/guarded.js'
import { startWorkers, appFile, type Line } from '../helpers/workers.js'

function workersOpen (): number {
  return process.getActiveResourcesInfo().filter(name => name === 'MessagePort' || name === 'Worker').length
}

t.test('a close leaves no thread, whatever they do', async (t) => {
  const before = workersOpen()
  const idle = await startWorkers(t, { render: { workers: 2 } })
  await idle.get('/where')
  await idle.app.close()
  t.equal(workersOpen(), before, 'idle')

  const loading = await startWorkers(t, { render: { workers: 2 } })
  await loading.app.close()
  t.equal(workersOpen(), before, 'while they load the app')

  const rendering = await startWorkers(t)
  await rendering.get('/where')
  const slow = rendering.get('/slow/300')
  await until(() => rendering.app.isr.stats().renders.started === 2)
  await rendering.app.close()
  t.equal((await slow).body, 'worker', 'what is under way comes to its end')
  t.equal(workersOpen(), before, 'while they render')

  const hanging = await startWorkers(t, { render: { timeout: 2500 } })
  await hanging.warm()
  const { started } = hanging.app.isr.stats().renders
  const hang = hanging.get('/hang')
  await until(() => hanging.app.isr.stats().renders.started > started)
  await hanging.app.close()
  t.equal((await hang).statusCode, 504)
  t.equal(workersOpen(), before, 'while one hangs')
})

t.test('the app in a worker is closed as the app is', async (t) => {
  const { app, get, logs } = await startWorkers(t)
  await get('/where')
  await app.close()
  t.ok(logs.some(line => line.msg === 'closed' && line.worker === true))
})

t.test('an app that can not be loaded twice: the reason is said once, and pages are rendered here', async (t) => {
  process.env.REFUSING_PORT = String(await lastingPort())
  const { default: refusingApp, release } = await import('../helpers/refusing-app.js')
  t.teardown(release)
  const logs: Line[] = []
  const logger = { level: 'info', stream: { write: (line: string) => { logs.push(JSON.parse(line) as Line) } } }
  const app: FastifyInstance = Fastify({ logger })
  t.teardown(() => app.close())
  await app.register(refusingApp)
  t.equal((await app.inject('/where')).body, 'main')
  const warnings = logs.filter(line => line.level >= 40)
  t.equal(warnings.length, 1)
  t.match(warnings[0], { code: 'FST_ISR_ERR_WORKER_LOAD', msg: /EADDRINUSE/ })
})

const refusals: [what: string, render: NonNullable<IsrOptions['render']>, pattern: RegExp][] = [
  ['a module that is not there', { app: '/nowhere/app.js' }, /there is no \/nowhere\/app\.js/],
  ['a module that is no app', { app: appFile('engine.js') }, /nothing as its default export/],
  ['an app without the plugin', { app: appFile('plain-app.js') }, /does not register fastify-isr/]
]
for (const [what, render, pattern] of refusals) {
  t.test(`${what}: pages are rendered here`, async (t) => {
    const logs: Line[] = []
    const logger = { level: 'info', stream: { write: (line: string) => { logs.push(JSON.parse(line) as Line) } } }
    const app: FastifyInstance = Fastify({ logger })
    t.teardown(() => app.close())
    await app.register(isr, { disk: false, render: { workers: 1, ...render } })
    app.get('/page', { config: { prerender: true } }, async () => 'page')
    t.equal((await app.inject('/page')).body, 'page')
    t.match(logs.find(line => line.level >= 40)?.msg, pattern)
  })
}

t.test('a route that the module does not declare is rendered here', async (t) => {
  const logs: Line[] = []
  const logger = { level: 'info', stream: { write: (line: string) => { logs.push(JSON.parse(line) as Line) } } }
  const app: FastifyInstance = Fastify({ logger })
  t.teardown(() => app.close())
  await app.register(isr, { disk: false, render: { workers: 1, app: appFile('workers-app.js'), timeout: 60_000 } })
  app.get('/only-here', { config: { prerender: true } }, async () => 'here')
  app.get('/where', { config: { prerender: true } }, async () => 'here')
  t.equal((await app.inject('/only-here')).body, 'here')
  t.equal((await app.inject('/where')).body, 'worker')
  t.equal(logs.filter(line => line.level >= 40 && line.msg.includes('/only-here')).length, 1)
})

t.test('workers without an app are refused', async (t) => {
  await t.rejects(async () => { await Fastify().register(isr, { render: { workers: 1 } }) }, { code: 'FST_ISR_ERR_WORKERS_APP' })
  const app: FastifyInstance = Fastify()
  t.teardown(() => app.close())
  await app.register(isr, { disk: false })
  app.get('/page', { config: { prerender: true } }, async () => 'page')
  await app.ready()
  await t.rejects(app.isr.prerender({ workers: 1, dir: t.testdir() }), { code: 'FST_ISR_ERR_WORKERS_APP' })
  for (const [render, name] of [[{ workers: -1 }, 'render.workers'], [{ workers: 1000 }, 'render.workers'], [{ app: '' }, 'render.app'], [{ workerMemory: 1 }, 'render.workerMemory']] as const) {
    await t.rejects(async () => { await Fastify().register(isr, { render }) }, { code: 'FST_ISR_ERR_INVALID_OPTION', message: new RegExp(name) })
  }
})

t.test('hits are answered while a page computes', async (t) => {
  const { get } = await startWorkers(t)
  await get('/where')
  const order: string[] = []
  const ended = makeGate()
  const cpu = get('/cpu/700').then((answer) => {
    order.push(`page of ${answer.body}`)
    ended.open()
  })
  for (let hit = 0; hit < 5; hit++) {
    t.equal((await get('/where')).headers['cache-status'], 'fastify-isr; hit; ttl=10')
    order.push('hit')
    await new Promise(resolve => setImmediate(resolve))
  }
  await ended.opened
  await cpu
  t.same(order, ['hit', 'hit', 'hit', 'hit', 'hit', 'page of worker'])
})

t.test('a process that does not close its app can end', async (t) => {
  const dir = t.testdir({
    'main.mjs': `
      import Fastify from ${JSON.stringify(import.meta.resolve('fastify'))}
      import plugin from ${JSON.stringify(new URL('../helpers/workers-app.js', import.meta.url).href)}
      const app = Fastify()
      await app.register(plugin, { isr: { render: { timeout: 60000 } } })
      console.log((await app.inject('/where')).body)`
  })
  const { code, stdout } = await runCommand(process.execPath, [path.join(dir, 'main.mjs')], dir)
  t.equal(code, 0)
  t.equal(stdout.trim(), 'worker')
})
