import type { MainPort } from './main-port.js'

/** On the global object of the thread: the app may have a copy of this package of its own. */
const MAIN = Symbol.for('fastify-isr.main')

type Global = { [MAIN]?: MainPort }

/** Said in a worker thread before it loads the app: the plugin renders for another thread, and serves nobody. */
export function declareWorker (main: MainPort): void {
  (globalThis as Global)[MAIN] = main
}

/** The way to the main thread; null in the main thread itself. */
export function mainPort (): MainPort | null {
  return (globalThis as Global)[MAIN] ?? null
}
