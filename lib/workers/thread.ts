// The main module of a worker thread: loads the app, then renders what it is told to. It never listens.
import net from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import type { FastifyInstance } from 'fastify'
import { bootApp, closeApp, createApp, findIsr, type LoadManner } from '../load/load-app.js'
import { LoadError } from '../load/load-error.js'
import { MainPort } from './main-port.js'
import type { WorkerSetup } from './messages.js'
import { declareWorker } from './mode.js'
import { registerTsx } from './tsx.js'

const { load, server, logLevel, customLevels } = workerData as WorkerSetup
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
    if (goesElsewhere) return { ...given, level: logLevel }
    return { level: logLevel, customLevels: { ...given.customLevels as object, ...customLevels }, stream: { write: (line: string) => { main.log(line) } } }
  },
  adjust (instance) { if ('level' in instance.log) instance.log.level = logLevel }
}

/**
 * An app whose module listens would end this thread with EADDRINUSE, or whatever it makes of that,
 * after it was said to be ready. Fastify listens when the app is ready: the plugin is there.
 */
function refuseToListen (): void {
  const { listen } = net.Server.prototype
  net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]) {
    if (findIsr({ server: this } as unknown as FastifyInstance) === undefined) return Reflect.apply(listen, this, args) as net.Server
    main.refuse(new LoadError("its module listens on a port: call 'listen' in another module, which imports the app"))
    return this
  }
}

async function start (): Promise<void> {
  declareWorker(main)
  refuseToListen()
  registerTsx(load)
  const loaded = await createApp({ ...load, ...manner })
  app = loaded.app
  await bootApp(loaded.app, load)
  if (!main.isAttached) throw new LoadError('it does not register fastify-isr')
  main.ready()
}

await start().catch((error: unknown) => { main.refuse(error) })
