import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { decode } from '../../lib/cache/codec.js'
import isr, { type IsrOptions } from '../../lib/index.js'
import { makeGate, until } from '../helpers/app.js'
import { runCommand } from '../helpers/command.js'
import { lastingPort } from '../helpers/guarded.js'
import { readManifestOf } from '../helpers/site-build.js'
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
  const warnings = (): Line[] => logs.filter(line => line.level >= 40)
  // A visitor does not wait for as long as a busy machine may take to find out.
  await until(() => warnings().length > 0)
  t.match(warnings(), [{ code: 'FST_ISR_ERR_WORKER_LOAD', msg: /EADDRINUSE/ }])
  t.equal(warnings().length, 1)
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
    await until(() => logs.some(line => line.level >= 40))
    t.match(logs.find(line => line.level >= 40)?.msg, pattern)
  })
}

/** The module of an app with the plugin in one worker, and its file. */
function writeApp (t: { testdir (files: Record<string, string>): string }, declare: (register: string) => string): string {
  const dir = t.testdir({
    'app.mjs': `
      import { isMainThread } from 'node:worker_threads'
      import Fastify from ${JSON.stringify(import.meta.resolve('fastify'))}
      import isr from ${JSON.stringify(new URL('../../lib/index.js', import.meta.url).href)}
      ${declare(`
        await app.register(isr, { disk: false, render: { workers: 1, app: import.meta.url, timeout: 60000 } })
        app.get('/where/:id', { config: { prerender: { paths: [{ id: 1 }], onDemand: true } } }, async () => isMainThread ? 'main' : 'worker')
        app.get('/exit', { config: { prerender: true } }, async () => { if (!isMainThread) process.exit(3) })`)}`
  })
  return path.join(dir, 'app.mjs')
}

interface Loaded { app: FastifyInstance, logs: Line[] }

async function load (t: { teardown (fn: () => unknown): void }, file: string): Promise<Loaded> {
  const logs: Line[] = []
  const { default: plugin } = await import(file) as { default: (app: FastifyInstance) => Promise<void> }
  const app: FastifyInstance = Fastify({ logger: { level: 'warn', customLevels: { audit: 45 }, stream: { write: (line: string) => { logs.push(JSON.parse(line) as Line) } } } })
  t.teardown(() => app.close())
  await app.register(plugin)
  return { app, logs }
}

for (const [how, listen] of [
  ['hears of it', 'app.listen({ port }, (error) => { if (error) process.exit(1) })'],
  ['does not', 'app.listen({ port })']
] as const) {
  t.test(`an app whose module listens on a port, and ${how}: pages are rendered here`, async (t) => {
    const port = await lastingPort()
    const file = writeApp(t, register => `const logs = []
      const app = Fastify({ logger: { level: 'warn', stream: { write: line => { logs.push(JSON.parse(line)) } } } })
      ${register}
      const port = ${port}
      ${listen}
      export { app, logs }`)
    const { app, logs } = await import(file) as Loaded
    t.teardown(() => app.close())
    await app.ready()
    for (let id = 0; id < 3; id++) t.equal((await app.inject(`/where/${id}`)).body, 'main')
    const warnings = logs.filter(line => line.level >= 40)
    t.equal(warnings.length, 1)
    t.match(warnings[0], { code: 'FST_ISR_ERR_WORKER_LOAD', msg: /listens on a port/ })
  })
}

t.test('an app that can not be loaded again when a worker has ended: pages are rendered here until it can', async (t) => {
  const file = writeApp(t, register => `
    import { existsSync } from 'node:fs'
    if (!isMainThread && existsSync(new URL('gone', import.meta.url))) throw new Error('the database is down')
    export default async function (app) { ${register} }`)
  const gone = path.join(path.dirname(file), 'gone')
  const { app, logs } = await load(t, file)
  const where = async (id: number): Promise<string> => (await app.inject(`/where/${id}`)).body
  t.equal(await where(0), 'worker')
  writeFileSync(gone, '')
  t.match((await app.inject('/exit')).json(), { code: 'FST_ISR_ERR_WORKER_DIED' })
  t.equal(await where(1), 'main', 'whoever waited for the next thread is not left waiting')
  t.equal(logs.filter(line => line.code === 'FST_ISR_ERR_WORKER_LOAD' && line.msg.includes('the database is down')).length, 1)
  rmSync(gone)
  // A request that is injected, and rendered here, is over before any timer has its turn.
  for (let id = 2; await where(id) === 'main'; id++) await nextTurn()
  t.pass('a worker renders again')
})

t.test('a build waits until the app is loaded, however long a render may take', async (t) => {
  const file = writeApp(t, register => `
    if (!isMainThread) await new Promise(resolve => { setTimeout(resolve, 500) })
    export default async function (app) { ${register.replace('workers: 1', 'workers: 0').replace('60000', '300')} }`)
  const { app } = await load(t, file)
  await app.ready()
  const isr = (app.server as unknown as Record<symbol, FastifyInstance['isr']>)[Symbol.for('fastify-isr')]
  const dir = path.join(path.dirname(file), 'build')
  const report = await isr?.prerender({ dir, routes: ['/where/:id'], workers: 1, brotli: 1 })
  t.equal(report?.ok, true)
  const row = readManifestOf(dir).pages[0]
  t.equal(decode(readFileSync(path.join(dir, row?.file ?? '')), { key: '/where/1', buildId: report?.buildId ?? '' }).bodies[0]?.bytes.toString(), 'worker')
})

t.test('a level of its own that the log of the app has is there in a worker', async (t) => {
  const file = writeApp(t, register => `export default async function (app) {
    ${register}
    app.get('/audit', { config: { prerender: true } }, async (request) => {
      request.log.audit({ who: 1 }, 'audited')
      return isMainThread ? 'main' : 'worker'
    })
  }`)
  const { app, logs } = await load(t, file)
  t.equal((await app.inject('/audit')).body, 'worker')
  t.match(logs, [{ level: 45, msg: 'audited', who: 1, worker: true }])
})

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
