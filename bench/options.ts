import { readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'

export const SUITES = ['hit', 'sizes', 'encodings', 'pages', 'peers', 'predecessor', 'small', 'workers', 'build', 'scale'] as const
export type SuiteName = typeof SUITES[number] | 'quick'

export interface Options {
  suites: SuiteName[]
  rounds: number
  seconds: number
  connections: number
  /** Seconds of the one long round at 100 connections; 0 for none. */
  long: number
  /** Seconds of each page of the suite `small`. */
  small: number
  /** Seconds to wait for an idle machine before a round. */
  patience: number
  /** How often a noisy round is tried. */
  tries: number
  /** Minutes that both may cost in a run. */
  spare: number
  /** Names of candidates, or null for all. */
  only: string[] | null
  install: boolean
  /** Of the runner and all that it starts. */
  nice: number
  json: boolean
  /** A file for the JSON, written anew whenever a table is complete. */
  out: string | null
  /** The same for tables in Markdown. */
  markdown: string | null
}

export class UsageError extends Error {}

const QUICK = { rounds: '2', seconds: '1', long: '0', patience: '1', tries: '1' }
const USUAL = { rounds: '5', seconds: '2', long: '30', patience: '8', tries: '2' }

export function candidateNames (): string[] {
  return readdirSync(new URL('./candidates/', import.meta.url))
    .filter(file => file.endsWith('.js'))
    .map(file => file.slice(0, -3))
}

function toSuites (positionals: string[]): SuiteName[] {
  const known: readonly string[] = [...SUITES, 'quick']
  const unknown = positionals.find(name => !known.includes(name))
  if (unknown !== undefined) throw new UsageError(`there are the suites ${known.join(', ')}, not ${unknown}`)
  return positionals.length === 0 ? [...SUITES] : positionals as SuiteName[]
}

function toNumber (name: string, text: string, least: number, isWhole = false): number {
  const number = Number(text)
  if (text !== '' && number >= least && (!isWhole || Number.isInteger(number))) return number
  throw new UsageError(`--${name} must be a ${isWhole ? 'whole ' : ''}number of at least ${least}, got ${text}`)
}

function toOnly (text: string | undefined): string[] | null {
  if (text === undefined) return null
  const names = text.split(',')
  const unknown = names.find(name => !candidateNames().includes(name))
  if (unknown === undefined) return names
  throw new UsageError(`--only knows ${candidateNames().join(', ')}, not ${unknown}`)
}

export function parseOptions (args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      connections: { type: 'string', default: '64' },
      long: { type: 'string' },
      small: { type: 'string', default: '30' },
      patience: { type: 'string' },
      tries: { type: 'string' },
      spare: { type: 'string', default: '4' },
      only: { type: 'string' },
      nice: { type: 'string', default: '0' },
      'no-install': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      out: { type: 'string' },
      markdown: { type: 'string' }
    }
  })
  const usual = positionals.includes('quick') ? QUICK : USUAL
  const nice = Number(values.nice)
  if (!Number.isInteger(nice) || nice < -20 || nice > 19) throw new UsageError(`--nice must be a whole number from -20 to 19, got ${values.nice}`)
  return {
    suites: toSuites(positionals),
    rounds: toNumber('rounds', values.rounds ?? usual.rounds, 1, true),
    seconds: toNumber('seconds', values.seconds ?? usual.seconds, 0.1),
    connections: toNumber('connections', values.connections, 1, true),
    long: toNumber('long', values.long ?? usual.long, 0),
    small: toNumber('small', values.small, 1),
    patience: toNumber('patience', values.patience ?? usual.patience, 0),
    tries: toNumber('tries', values.tries ?? usual.tries, 1, true),
    spare: toNumber('spare', values.spare, 0),
    only: toOnly(values.only),
    install: !values['no-install'],
    nice,
    json: values.json,
    out: values.out ?? null,
    markdown: values.markdown ?? null
  }
}
