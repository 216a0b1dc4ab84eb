// The main module of a worker thread: loads the app, then renders what it is told to. It never listens.
import { parentPort, workerData } from 'node:worker_threads'
import type { FastifyInstance } from 'fastify'
import { bootApp, closeApp, createApp, type LoadManner } from '../load/load-app.js'
import { LoadError } from '../load/load-error.js'
import { MainPort } from './main-port.js'
import type { WorkerSetup } from './messages.js'
import { declareWorker } from './mode.js'

const { load, server, logLevel } = workerData as WorkerSetup
if (parentPort === null) throw new Error('this module is the main module of a worker thread')

let app: FastifyInstance | null = null

const main = new MainPort(parentPort, async () => {
  if (app !== null) await closeApp(app).catch((error: unknown) => { console.error(error) })
  process.exit()
})

/** The app logs through the logger of the main thread, unless its module has one of its own. */
const manner: LoadManner = {
  server,
  loggerFor (own) {
    if (own === false) return false
    const given = typeof own === 'object' && own !== null ? own as Record<string, unknown> : {}
    const goesElsewhere = ['transport', 'file', 'stream'].some(name => given[name] !== undefined)
    return goesElsewhere ? { ...given, level: logLevel } : { level: logLevel, stream: { write: (line: string) => { main.log(line) } } }
  },
  adjust (instance) { if ('level' in instance.log) instance.log.level = logLevel }
}

async function start (): Promise<void> {
  declareWorker(main)
  const loaded = await createApp({ ...load, ...manner })
  app = loaded.app
  await bootApp(loaded.app, load)
  if (!main.isAttached) throw new LoadError('it does not register fastify-isr')
  main.ready()
}

await start().catch((error: unknown) => { main.refuse(error) })
