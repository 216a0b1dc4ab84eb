import { CliError } from './cli-error.js'
import type { Output } from './format.js'
import type { Reporter } from './report.js'

// For what an app closes a moment after its close() has resolved.
const GRACE = 1000

/**
 * Keeps stdout for one document: whatever the app prints goes to stderr. Pino looks for a replaced
 * `write` and then uses it; only a log transport in a thread of its own could still get through.
 */
export function keepStdout (): Output {
  const { stdout, stderr } = process
  const write = stdout.write.bind(stdout)
  stdout.write = stderr.write.bind(stderr) as typeof stdout.write
  return { write: (text, done) => write(text, done) }
}

/**
 * Sees to it that the process ends, with the right exit code, whatever the app does. The function
 * returned says that the work is over.
 */
export function guardProcess (fail: (error: unknown) => void): (reporter: Pick<Reporter, 'warn'>) => void {
  // Until the work has ended well, every other end is a failure.
  process.exitCode = 2
  // The reader of a pipe may leave early; that is no failure of the build.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  process.on('uncaughtException', error => {
    fail(error)
    process.exit(2)
  })
  const onIdle = () => fail(new CliError('the build never ended: a page waits for something that can no longer happen'))
  process.once('beforeExit', onIdle)
  return (reporter) => {
    process.removeListener('beforeExit', onIdle)
    // Fires only if something else keeps the process alive.
    setTimeout(() => {
      reporter.warn(`the app left something open (${openResources()}); the process is ended all the same`)
      process.exit()
    }, GRACE).unref()
  }
}

function openResources (): string {
  // The standard streams are always among them.
  const names = process.getActiveResourcesInfo().filter(name => name !== 'PipeWrap' && name !== 'TTYWrap')
  return [...new Set(names)].join(', ')
}

/**
 * Ends the process with an error that is nobody's to catch: of a syntax error in an ES module only
 * Node's own report of an uncaught error says in which file and line it is.
 */
export function leaveToNode (error: unknown): Promise<never> {
  process.removeAllListeners('uncaughtException')
  process.once('exit', () => { process.exitCode = 2 })
  setImmediate(() => { throw error })
  return new Promise(() => {})
}
