import { codeOf, LoadError } from '../load/load-error.js'
import { painter } from './format.js'

export { codeOf } from '../load/load-error.js'

/** Something the user can put right: shown without a stack; the process ends with 2. */
export class CliError extends LoadError {}

// Frames of Node and of how Fastify loads plugins.
const MACHINERY = /[ (]node:|node_modules[\\/](fastify|avvio|fastq)[\\/]/
const OWN_FOLDER = new URL('.', import.meta.url).href

// Deep enough for a wrapped driver error, and an end to causes that point at each other.
const MAX_CAUSES = 5

/** An error, its causes and what to do about it, on stderr. */
export function printError (error: unknown): void {
  const paint = painter(process.stderr)
  const [headline, ...rest] = describeError(error).split('\n')
  const hint = error instanceof LoadError && error.hint !== undefined ? [error.hint] : []
  process.stderr.write(`${[paint('red', headline!), ...rest, ...hint].join('\n')}\n`)
}

/** An error and its causes as lines for a person. */
export function describeError (error: unknown): string {
  const parts = [describeOne(error)]
  let outer = error
  for (let depth = 0; depth < MAX_CAUSES && outer instanceof Error && outer.cause != null; depth++) {
    const { cause } = outer
    // Fastify wraps an error of avvio in one that says the same.
    const isRepeated = cause instanceof Error && cause.message !== '' && outer.message.includes(cause.message)
    if (!isRepeated) parts.push(`caused by: ${describeOne(cause)}`)
    outer = cause
  }
  return parts.join('\n')
}

function describeOne (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof LoadError) return error.message
  const code = codeOf(error)
  const headline = error.message === '' ? code ?? '' : code === undefined ? error.message : `${error.message} (${code})`
  // Our own errors name the option or route to look at; their stack would only show the plugin.
  if (code?.startsWith('FST_ISR_ERR_')) return headline
  return [`${error.name}: ${headline}`, ...usefulFrames(error)].join('\n')
}

// What stands above the message in the stack of a syntax error says where it is; below, only
// frames of the app and its packages help.
function usefulFrames (error: Error): string[] {
  const lines = (error.stack ?? '').split('\n')
  const frames = lines.filter(line => /^\s+at /.test(line) && !MACHINERY.test(line) && !line.includes(OWN_FOLDER))
  if (!(error instanceof SyntaxError)) return frames
  const place = lines.slice(0, lines.findIndex(line => line.startsWith(error.name)))
  return [...place.filter(line => line.trim() !== ''), ...frames]
}

/** Whether nothing in the error says where in the app it comes from. */
export function hasNoPlace (error: unknown): boolean {
  return error instanceof SyntaxError && usefulFrames(error).length === 0
}
