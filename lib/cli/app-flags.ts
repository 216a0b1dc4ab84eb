import { existsSync } from 'node:fs'
import path from 'node:path'
import type { LoadOptions } from '../load/load-options.js'
import { parseAppOptions, wholeNumber } from './flags.js'

/** The flags that say how an app is loaded: the letters and meanings of `fastify start`. */
export const LOAD_FLAGS = {
  options: { type: 'boolean', short: 'o' },
  require: { type: 'string', short: 'r', multiple: true },
  import: { type: 'string', short: 'i', multiple: true },
  prefix: { type: 'string', short: 'x' },
  'plugin-timeout': { type: 'string', short: 'T' },
  'log-level': { type: 'string', short: 'l' }
} as const

export const loadUsage = `Loading the app, as 'fastify start' does:
  -i, --import <module>      import it first, such as tsx for an app in TypeScript (repeatable)
  -r, --require <module>     require it first (repeatable)
  -o, --options              use the exported 'options' of the app
  -x, --prefix <path>        prefix of the app's routes
  -T, --plugin-timeout <ms>  for each plugin to load (default: 10000)
  -l, --log-level <level>    show the app's log, on stderr, from this level
      -- <options>           options of the app's plugin: -- --name value`

type LoadFlags = { [name in keyof typeof LOAD_FLAGS]?: string | boolean | string[] | undefined }

export function readLoadOptions (file: string, flags: LoadFlags, appArgs: string[]): LoadOptions {
  // fastify-cli takes these from the environment as well, and an app must load alike in both.
  loadEnvFile()
  const env = process.env
  const timeout = flags['plugin-timeout'] ?? env['FASTIFY_PLUGIN_TIMEOUT']
  return {
    file: path.resolve(file),
    useOptions: flags.options === true || env['FASTIFY_OPTIONS'] === 'true',
    require: list(flags.require ?? env['FASTIFY_REQUIRE']),
    import: list(flags.import ?? env['FASTIFY_IMPORT']),
    prefix: text(flags.prefix ?? env['FASTIFY_PREFIX']),
    pluginTimeout: timeout === undefined ? undefined : wholeNumber('--plugin-timeout', String(timeout), 0),
    logLevel: text(flags['log-level'] ?? env['FASTIFY_LOG_LEVEL']),
    appOptions: parseAppOptions(appArgs)
  }
}

function list (value: string | boolean | string[] | undefined): string[] {
  if (Array.isArray(value)) return value.filter(item => item !== '')
  return typeof value === 'string' && value !== '' ? [value] : []
}

function text (value: string | boolean | string[] | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function loadEnvFile (): void {
  if (existsSync('.env')) process.loadEnvFile('.env')
}
