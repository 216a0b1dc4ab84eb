/** On the global object: the command line and the app may have copies of this package of their own. */
const BUILDING = Symbol.for('fastify-isr.building')

type Global = { [BUILDING]?: boolean }

/** Said by the command line, before it loads an app: this process builds, and serves nobody. */
export function declareBuild (): void {
  (globalThis as Global)[BUILDING] = true
}

export function isBuildProcess (): boolean {
  return (globalThis as Global)[BUILDING] === true
}
