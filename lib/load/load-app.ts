import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { FastifyInstance, FastifyPluginAsync, FastifyServerOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { Isr } from '../../types/index.js'
import { show } from '../options.js'
import { importFile, importModule, requireModule } from './import-module.js'
import { codeOf, LoadError } from './load-error.js'
import type { LoadOptions } from './load-options.js'

/** An instance is thenable, so it travels in an object: an async function would wait for it. */
export interface LoadedApp { app: FastifyInstance }

/** What becomes of the app's log, and of its server. */
export interface LoadManner {
  /** The `logger` of an instance that is made for the app; gets the one that its module exports. */
  loggerFor (own: unknown): unknown
  /** An instance that brings its own logger along. */
  adjust (app: FastifyInstance): void
  /** Options of that server, before those of the module. */
  server?: Readonly<Record<string, unknown>>
}

/** Fastify's own, too (milliseconds). */
export const DEFAULT_PLUGIN_TIMEOUT = 10_000
// What an app may take altogether, in multiples of what one plugin may take. Fastify's own limit
// does not see a top-level await, nor an instance made with another limit.
const HARD_BOUND = 3
const CLOSE_BOUND = 5000
const RAISE_TIMEOUT = 'Raise --plugin-timeout if it only needs longer; 0 waits for ever.'
const HANDLE = Symbol.for('fastify-isr')

/**
 * Imports the app and makes it an instance, not yet ready. It is the way of fastify-cli: the
 * module's plugin on an instance of the app's own Fastify; an exported instance is taken as it is.
 */
export async function createApp (options: LoadOptions & LoadManner): Promise<LoadedApp> {
  if (!existsSync(options.file)) throw new LoadError(`there is no ${options.file}`)
  nameThePackage(options.file)
  const module = await within(hardBound(options), importApp(options), () =>
    new LoadError(`${path.basename(options.file)} is still being imported after ${hardBound(options)} ms: does it await something that never comes?`, { hint: RAISE_TIMEOUT }))
  const { exported, serverOptions } = readModule(module)
  if (isInstance(exported)) {
    options.adjust(exported)
    return { app: exported }
  }
  if (typeof exported !== 'function') throw notAnApp(options.file, exported)
  return { app: registerApp(exported as FastifyPluginAsync, serverOptions, options) }
}

/** Makes the app ready, within bounds. */
export async function bootApp (app: FastifyInstance, options: LoadOptions): Promise<void> {
  // A promise of its own, because the instance that `ready()` resolves with is thenable itself.
  const ready = new Promise<void>((resolve, reject) => { app.ready(error => { error ? reject(error) : resolve() }) })
  await within(hardBound(options), ready, () =>
    new LoadError(`the app is not ready after ${hardBound(options)} ms: a plugin or an onReady hook never ends`, { hint: RAISE_TIMEOUT }))
}

export async function closeApp (app: FastifyInstance): Promise<void> {
  await within(CLOSE_BOUND, app.close(), () =>
    new LoadError(`the app did not close within ${CLOSE_BOUND / 1000} s: an onClose or preClose hook never ends`))
}

/** The app's plugin is encapsulated, so `app.isr` is not on the instance; all share one server. */
export function findIsr (app: FastifyInstance): Isr | undefined {
  return (app.server as { [HANDLE]?: Isr })[HANDLE]
}

/** Milliseconds that importing and booting may take together; 0 is no limit. */
export function loadBound (options: LoadOptions): number {
  return 2 * hardBound(options)
}

function hardBound ({ pluginTimeout = DEFAULT_PLUGIN_TIMEOUT }: LoadOptions): number {
  return pluginTimeout * HARD_BOUND
}

// The plugin takes its output directory from the package of the module that started the process,
// and that is us, or a worker thread. Not the app's own file: a module that listens if it is the main one would listen.
function nameThePackage (file: string): void {
  process.argv[1] = nearestPackage(path.dirname(file)) ?? file
}

function nearestPackage (start: string): string | null {
  for (let dir = start; ; dir = path.dirname(dir)) {
    const file = path.join(dir, 'package.json')
    if (existsSync(file)) return file
    if (dir === path.dirname(dir)) return null
  }
}

async function importApp (options: LoadOptions): Promise<Record<string, unknown>> {
  for (const name of options.require) requireModule(name)
  // One after the other, and before the app: a loader such as tsx works for what is imported later.
  for (const name of options.import) await importModule(name)
  try {
    return await importFile(options.file)
  } catch (error) {
    if (codeOf(error) !== 'ERR_UNKNOWN_FILE_EXTENSION' || options.import.length > 0) throw error
    throw new LoadError((error as Error).message, { hint: "An app in TypeScript needs a loader: 'npm install -D tsx', then --import tsx." })
  }
}

function readModule (module: Record<string, unknown>): { exported: unknown, serverOptions: Record<string, unknown> } {
  const outer = module['default'] ?? module['app']
  // `module.exports = { default, options }`, as TypeScript writes it for CommonJS.
  const exported = isObject(outer) && !isInstance(outer) && 'default' in outer ? outer['default'] : outer
  const candidates = [module['options'], (outer as { options?: unknown } | undefined)?.options]
  // On an instance, `options` is the method that declares an OPTIONS route.
  return { exported, serverOptions: candidates.find(isObject) ?? {} }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isInstance (value: unknown): value is FastifyInstance {
  return isObject(value) && typeof value['inject'] === 'function' && typeof value['ready'] === 'function'
}

function notAnApp (file: string, exported: unknown): LoadError {
  const got = exported === undefined ? 'nothing' : show(exported)
  return new LoadError(`${path.basename(file)} has ${got} as its default export`, {
    hint: "It must export a plugin, 'export default async function (app, opts) { … }', or a Fastify instance."
  })
}

function registerApp (plugin: FastifyPluginAsync, exported: Record<string, unknown>, options: LoadOptions & LoadManner): FastifyInstance {
  const fromModule = options.useOptions ? exported : {}
  const server = {
    ...options.server,
    ...fromModule,
    ...fromModule['loggerInstance'] === undefined && { logger: options.loggerFor(fromModule['logger']) },
    pluginTimeout: options.pluginTimeout ?? fromModule['pluginTimeout'] ?? DEFAULT_PLUGIN_TIMEOUT
  } as FastifyServerOptions
  const app = requireFastify(options.file)(server)
  if (fromModule['loggerInstance'] !== undefined) options.adjust(app)
  const settings = {
    ...fromModule,
    ...options.appOptions,
    ...options.prefix !== undefined && { prefix: options.prefix }
  }
  // Not awaited: whatever it throws comes out of ready().
  app.register('skipOverride' in settings && settings.skipOverride ? fp(plugin) : plugin, settings)
  return app
}

type Fastify = (options: FastifyServerOptions) => FastifyInstance

function requireFastify (file: string): Fastify {
  for (const from of [file, path.join(process.cwd(), 'noop.js')]) {
    const require = createRequire(from)
    const found = tryResolve(require, 'fastify')
    if (found !== null) return require(found) as Fastify
  }
  throw new LoadError(`fastify is not installed where ${path.basename(file)} could find it`, { hint: "Install it with 'npm install fastify'." })
}

function tryResolve (require: NodeJS.Require, name: string): string | null {
  try {
    return require.resolve(name)
  } catch {
    return null
  }
}

/** `ms` 0 is no limit. The timer keeps the process alive: waiting for nothing at all must end in the error as well. */
async function within<T> (ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  if (ms === 0) return promise
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => reject(late()), ms) })
  try {
    return await Promise.race([promise, expired])
  } finally {
    clearTimeout(timer)
  }
}
