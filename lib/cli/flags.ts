import { parseArgs, type ParseArgsConfig } from 'node:util'
import { CliError } from './cli-error.js'

export type FlagsConfig = NonNullable<ParseArgsConfig['options']>
type Parsed<T extends FlagsConfig> = ReturnType<typeof parseArgs<{ args: string[], options: T, allowPositionals: true }>>

/** node:util's parseArgs whose refusals are one readable line. */
export function parseFlags<T extends FlagsConfig> (command: string, args: string[], options: T): Parsed<T> {
  try {
    return parseArgs<{ args: string[], options: T, allowPositionals: true }>({ args, options, allowPositionals: true })
  } catch (error) {
    // "Unknown option '--x'. To specify a positional …" and its sisters: the first sentence says it all.
    const [sentence] = String((error as Error).message).split(/\. To specify|\n/)
    const [first = '', ...others] = sentence ?? ''
    throw new CliError(`${command}: ${first.toLowerCase()}${others.join('')}`, { hint: `See 'fastify-isr ${command} --help'.` })
  }
}

/** Splits at the first `--`: what stands behind it belongs to the app. */
export function splitAtTerminator (args: string[]): [own: string[], appArgs: string[]] {
  const at = args.indexOf('--')
  return at === -1 ? [args, []] : [args.slice(0, at), args.slice(at + 1)]
}

/**
 * The options of the app, read the way fastify-cli reads them: `--some-key value`,
 * `--some-key=value`, `--flag`; keys in camel case, values as strings, repeated ones as arrays.
 */
export function parseAppOptions (args: string[]): Record<string, unknown> {
  const { tokens } = parseArgs({ args: joinValues(args), strict: false, allowPositionals: true, tokens: true })
  const values = new Map<string, (string | true)[]>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const name = token.name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
    values.set(name, [...values.get(name) ?? [], token.value ?? true])
  }
  return Object.fromEntries(Array.from(values, ([name, all]) => [name, all.length === 1 ? all[0] : all]))
}

// parseArgs takes an unknown `--key value` for a flag and a positional.
function joinValues (args: string[]): string[] {
  const joined: string[] = []
  for (let i = 0; i < args.length; i++) {
    const [arg, next] = [args[i]!, args[i + 1]]
    const takesNext = /^--[^=]+$/.test(arg) && next !== undefined && !next.startsWith('-')
    joined.push(takesNext ? `${arg}=${next}` : arg)
    if (takesNext) i++
  }
  return joined
}

/** The value of a numeric flag. */
export function wholeNumber (flag: string, value: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const number = /^\d+$/.test(value) ? Number(value) : NaN
  if (number >= least && number <= most) return number
  const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `from ${least} to ${most}`
  throw new CliError(`${flag} must be a whole number, ${range}, got '${value}'`)
}
