import type { LoadOptions } from '../load/load-options.js'

/** On the global object: the command line and the app may have copies of this package of their own. */
const BUILDING = Symbol.for('fastify-isr.building')

type Global = { [BUILDING]?: LoadOptions }

/** Said by the command line, before it loads an app: this process builds, and serves nobody. */
export function declareBuild (app: LoadOptions): void {
  (globalThis as Global)[BUILDING] = app
}

/** How the app was loaded for a build; null in a process that serves. */
export function builtApp (): LoadOptions | null {
  return (globalThis as Global)[BUILDING] ?? null
}

export function isBuildProcess (): boolean {
  return builtApp() !== null
}
