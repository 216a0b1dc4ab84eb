import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bypass, Encoding, IsrOptions, IsrTier, PolicyDefaults, RedisOptions, RedisTemplate, UrlStyle } from '../types/index.js'
import { InvalidOption } from './errors.js'

/** Options after validation: every default filled in, nothing left to check at run time. */
export interface Settings {
  readonly enabled: boolean
  readonly dir: string
  readonly urlStyle: UrlStyle
  readonly baseUrl: URL
  readonly hasBaseUrl: boolean
  readonly sitemap: boolean
  readonly defaults: Required<Omit<PolicyDefaults, 'cacheControl'>> & Pick<PolicyDefaults, 'cacheControl'>
  readonly memory: { readonly maxBytes: number }
  readonly disk: false | { readonly writeBack: boolean, readonly maxBytes: number }
  readonly render: RenderSettings
  readonly encodings: readonly Encoding[]
  readonly prewarm: boolean
  readonly strictPaths: boolean
  readonly buildId: string | null
  readonly bypass: Bypass | null
  readonly redis: RedisSettings | null
  readonly tier: IsrTier | null
  readonly revalidateEndpoint: { readonly path: string, readonly secrets: readonly string[] } | null
  readonly cacheStatus: boolean
  readonly cdn: { readonly cacheControl: boolean }
  readonly expressLane: { readonly ignoreHooks: boolean } | null
  readonly clock: () => number
}

export interface RenderSettings {
  /** Milliseconds. */
  readonly timeout: number
  readonly concurrency: number
  readonly maxQueue: number
  readonly workers: number
  /** Path of the module that exports the app. */
  readonly app: string | null
  /** MiB. */
  readonly workerMemory: number
}

export interface RedisSettings {
  readonly client: RedisTemplate
  readonly prefix: string
  /** Milliseconds, like the next two. */
  readonly commandTimeout: number
  readonly heartbeat: number
  readonly leaseTtl: number
  /** Seconds. */
  readonly maxAge: number
  readonly secret: string | null
}

const KNOWN: Record<keyof IsrOptions, true> = {
  enabled: true, dir: true, urlStyle: true, baseUrl: true, sitemap: true, defaults: true, memory: true, disk: true, render: true, encodings: true, prewarm: true, strictPaths: true, buildId: true, redis: true, tier: true, bypass: true, revalidateEndpoint: true, cacheStatus: true, cdn: true, expressLane: true, clock: true
}

const MIB = 1024 * 1024
/** Each of them is an app of its own: more is a mistake. */
export const MOST_WORKERS = 64
/** MiB; Node itself needs some. */
const LEAST_HEAP = 16
/** Timers take a longer delay for none. */
const MOST_DELAY = 2 ** 31 - 1

export function readOptions (options: IsrOptions): Settings {
  unknownKeys(options, KNOWN, '')
  const memory = group(options.memory, 'memory', { maxBytes: true })
  const disk = options.disk === false ? false : group(options.disk, 'disk', { writeBack: true, maxBytes: true })
  const render = group(options.render, 'render', { timeout: true, concurrency: true, maxQueue: true, workers: true, app: true, workerMemory: true })
  const cdn = group(options.cdn, 'cdn', { cacheControl: true })
  const defaults = group(options.defaults, 'defaults', { ttl: true, staleWhileRevalidate: true, staleIfError: true, cacheControl: true })

  return Object.freeze({
    enabled: bool(options.enabled, 'enabled', true),
    dir: readDir(options.dir),
    urlStyle: oneOf(options.urlStyle, 'urlStyle', ['directory', 'file'], 'directory'),
    baseUrl: readBaseUrl(options.baseUrl),
    hasBaseUrl: options.baseUrl !== undefined,
    sitemap: bool(options.sitemap, 'sitemap', false),
    defaults: Object.freeze({
      ttl: seconds(defaults.ttl, 'defaults.ttl', Infinity),
      staleWhileRevalidate: seconds(defaults.staleWhileRevalidate, 'defaults.staleWhileRevalidate', Infinity),
      staleIfError: seconds(defaults.staleIfError, 'defaults.staleIfError', Infinity),
      cacheControl: readCacheControl(defaults.cacheControl, 'defaults.cacheControl')
    }),
    memory: Object.freeze({ maxBytes: whole(memory.maxBytes, 'memory.maxBytes', 64 * MIB, 0) }),
    disk: disk === false
      ? false as const
      : Object.freeze({
        writeBack: bool(disk.writeBack, 'disk.writeBack', true),
        maxBytes: whole(disk.maxBytes, 'disk.maxBytes', 1024 * MIB, 0)
      }),
    render: Object.freeze({
      timeout: whole(render.timeout, 'render.timeout', 10_000, 1, MOST_DELAY),
      concurrency: whole(render.concurrency, 'render.concurrency', 4, 1),
      maxQueue: whole(render.maxQueue, 'render.maxQueue', 1000, 0),
      workers: whole(render.workers, 'render.workers', 0, 0, MOST_WORKERS),
      app: readApp(render.app),
      workerMemory: whole(render.workerMemory, 'render.workerMemory', 512, LEAST_HEAP)
    }),
    encodings: readEncodings(options.encodings),
    prewarm: bool(options.prewarm, 'prewarm', true),
    strictPaths: bool(options.strictPaths, 'strictPaths', true),
    buildId: readBuildId(options.buildId),
    redis: readRedis(options.redis),
    tier: readTier(options.tier),
    bypass: readBypass(options.bypass, refuseOption('bypass')),
    revalidateEndpoint: readEndpoint(options.revalidateEndpoint),
    cacheStatus: bool(options.cacheStatus, 'cacheStatus', true),
    cdn: Object.freeze({ cacheControl: bool(cdn.cacheControl, 'cdn.cacheControl', false) }),
    expressLane: readExpressLane(options.expressLane),
    clock: readClock(options.clock)
  })
}

/** How a value looks in an error message: short, never a whole object. */
export function show (value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

export function isSeconds (value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}

/** Reports what a value must be; throws. Lets options and policies share their checks. */
export type Refuse = (wanted: string, got: unknown) => never

function refuseOption (name: string): Refuse {
  return (wanted, got) => { throw new InvalidOption(name, wanted, show(got)) }
}

/** Checks a `bypass`, global or of a route. */
export function readBypass (value: unknown, refuse: Refuse): Bypass | null {
  if (value === undefined) return null
  if (typeof value === 'function') return value as Bypass
  const wanted = '{ cookies?: string[], headers?: string[] } or a function of the request'
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(wanted, value)
  const bypass: { cookies?: string[], headers?: string[] } = {}
  for (const [key, names] of Object.entries(value)) {
    if (key !== 'cookies' && key !== 'headers') return refuse(wanted, key)
    if (!Array.isArray(names) || !names.every(name => typeof name === 'string' && name.length > 0)) return refuse(wanted, names)
    bypass[key] = key === 'headers' ? names.map(name => name.toLowerCase()) : [...names]
  }
  return bypass
}

export function isHeaderValue (value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}

export function unknownKeys (value: object, known: object, prefix: string): void {
  for (const key of Object.keys(value)) {
    // `prefix` and the like are Fastify's own, handed through by register.
    if (prefix === '' && (key === 'prefix' || key === 'logLevel' || key === 'logSerializers')) continue
    if (!Object.hasOwn(known, key)) {
      throw new InvalidOption(prefix + key, `one of ${Object.keys(known).join(', ')}`, 'an unknown name')
    }
  }
}

export function group<T extends object> (value: T | undefined, name: string, known: Record<keyof T, true>): T {
  if (value === undefined) return {} as T
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidOption(name, 'an object', show(value))
  unknownKeys(value, known, `${name}.`)
  return value
}

export function bool (value: unknown, name: string, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw new InvalidOption(name, 'true or false', show(value))
  return value
}

export function whole (value: unknown, name: string, fallback: number, least: number, most = Infinity): number {
  if (value === undefined) return fallback
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw new InvalidOption(name, `a whole number, ${least} ${most === Infinity ? 'or more' : `to ${most}`}`, show(value))
  }
  return value as number
}

export function seconds (value: unknown, name: string, fallback: number): number {
  if (value === undefined) return fallback
  if (!isSeconds(value)) throw new InvalidOption(name, 'a number of seconds, 0 or more (Infinity allowed)', show(value))
  return value
}

export function oneOf<T extends string> (value: unknown, name: string, choices: readonly T[], fallback: T): T {
  if (value === undefined) return fallback
  if (!choices.includes(value as T)) throw new InvalidOption(name, choices.map(choice => `'${choice}'`).join(' or '), show(value))
  return value as T
}

function readDir (value: unknown): string {
  if (value === undefined) return path.join(packageRoot(), '.prerender')
  if (typeof value !== 'string' || value.length === 0 || value.includes('\0')) throw new InvalidOption('dir', 'a path', show(value))
  return path.resolve(packageRoot(), value)
}

function readApp (value: unknown): string | null {
  if (value === undefined) return null
  const wanted = 'a path or file URL of the module that exports the app'
  const isUrl = value instanceof URL || (typeof value === 'string' && value.startsWith('file:') && URL.canParse(value))
  if (isUrl && new URL(value).protocol === 'file:') return fileURLToPath(value)
  if (typeof value !== 'string' || value.length === 0 || value.includes('\0')) throw new InvalidOption('render.app', wanted, show(value))
  return path.resolve(packageRoot(), value)
}

export function readBaseUrl (value: unknown, name = 'baseUrl'): URL {
  if (value === undefined) return new URL('http://localhost')
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw new InvalidOption(name, "an absolute http(s) URL such as 'https://example.com'", show(value))
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw new InvalidOption(name, 'an origin without path, query or credentials', show(value))
  }
  return url
}

function readEncodings (value: unknown): readonly Encoding[] {
  if (value === undefined) return Object.freeze(['br', 'gzip'] as const)
  if (!Array.isArray(value)) throw new InvalidOption('encodings', "an array of 'br' and 'gzip'", show(value))
  for (const encoding of value) {
    if (encoding !== 'br' && encoding !== 'gzip') throw new InvalidOption('encodings', "an array of 'br' and 'gzip'", show(encoding))
  }
  if (new Set(value).size !== value.length) throw new InvalidOption('encodings', 'free of duplicates', show(value.join(', ')))
  return Object.freeze([...value])
}

function readBuildId (value: unknown): string | null {
  if (value === undefined) return null
  // It is a directory name: nothing that could leave the output directory.
  if (typeof value !== 'string' || !isBuildId(value)) {
    throw new InvalidOption('buildId', '1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit', show(value))
  }
  return value
}

export function isBuildId (value: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(value) && !/^(?:marks|manifest\.json)$/i.test(value)
}

/** Shorter ones can be guessed. */
const LEAST_SECRET = 32

function readEndpoint (value: IsrOptions['revalidateEndpoint']): Settings['revalidateEndpoint'] {
  if (value === undefined) return null
  // Whatever stands in the wrong place may be the secret: never shown.
  if (typeof value !== 'object') throw new InvalidOption('revalidateEndpoint', 'an object { path, secret }', 'something else')
  const { path: url, secret } = group(value, 'revalidateEndpoint', { path: true, secret: true })
  if (typeof url !== 'string' || !/^\/[\w./~-]*$/.test(url)) throw new InvalidOption('revalidateEndpoint.path', "a path such as '/internal/revalidate'", 'something else')
  const secrets = Array.isArray(secret) ? secret : [secret]
  const areLong = secrets.length > 0 && secrets.every(isSecret)
  if (!areLong) throw new InvalidOption('revalidateEndpoint.secret', `${LEAST_SECRET} or more visible characters, or an array of such secrets`, 'something else')
  return Object.freeze({ path: url, secrets: Object.freeze([...secrets]) })
}

function readRedis (value: IsrOptions['redis']): RedisSettings | null {
  if (value === undefined) return null
  const wanted = 'a client of ioredis or iovalkey (Redis or Cluster), or { client, prefix, … } with one'
  if (typeof value !== 'object' || value === null) throw new InvalidOption('redis', wanted, show(value))
  const isClient = isRedisClient(value)
  const known: Record<keyof RedisOptions, true> = { client: true, prefix: true, commandTimeout: true, heartbeat: true, leaseTtl: true, maxAge: true, secret: true }
  const options = isClient ? { client: value } : group(value, 'redis', known)
  if (!isRedisClient(options.client)) throw new InvalidOption(isClient ? 'redis' : 'redis.client', wanted, show(options.client))
  const { prefix = 'isr', secret } = options
  // Part of keys and channels; braces would move the slots of a Redis Cluster.
  if (typeof prefix !== 'string' || !/^[\w.:-]{1,64}$/.test(prefix)) throw new InvalidOption('redis.prefix', "1 to 64 letters, digits, '.', ':', '-' and '_'", show(prefix))
  if (secret !== undefined && !isSecret(secret)) throw new InvalidOption('redis.secret', `${LEAST_SECRET} or more visible characters`, 'something else')
  const maxAge = options.maxAge ?? 604_800
  if (!isSeconds(maxAge) || maxAge < 1 || maxAge === Infinity) throw new InvalidOption('redis.maxAge', 'a number of seconds, 1 or more', show(maxAge))
  return Object.freeze({
    client: options.client,
    prefix,
    commandTimeout: whole(options.commandTimeout, 'redis.commandTimeout', 500, 1, MOST_DELAY),
    heartbeat: whole(options.heartbeat, 'redis.heartbeat', 1000, 10, MOST_DELAY),
    leaseTtl: whole(options.leaseTtl, 'redis.leaseTtl', 3000, 100, MOST_DELAY),
    maxAge,
    secret: secret ?? null
  })
}

function isRedisClient (value: unknown): value is RedisTemplate {
  const { duplicate, call, status } = (value ?? {}) as Record<string, unknown>
  return typeof duplicate === 'function' && typeof call === 'function' && typeof status === 'string'
}

function isSecret (value: unknown): value is string {
  return typeof value === 'string' && value.length >= LEAST_SECRET && /^[\x21-\x7e]+$/.test(value)
}

function readTier (value: IsrOptions['tier']): IsrTier | null {
  if (value === undefined) return null
  const { name, get, set, delete: remove } = (value ?? {}) as unknown as Record<string, unknown>
  const isTier = typeof name === 'string' && [get, set, remove].every(method => typeof method === 'function')
  if (!isTier) throw new InvalidOption('tier', 'an object with name, get(), set() and delete()', show(value))
  return value
}

function readCacheControl (value: unknown, name: string): PolicyDefaults['cacheControl'] {
  if (value === undefined || typeof value === 'function' || isHeaderValue(value)) return value as PolicyDefaults['cacheControl']
  throw new InvalidOption(name, 'a header value or a function of the page', show(value))
}

function readExpressLane (value: IsrOptions['expressLane']): Settings['expressLane'] {
  if (value === undefined || value === false) return null
  if (value !== true && (typeof value !== 'object' || value === null)) throw new InvalidOption('expressLane', 'true, false or { ignoreHooks }', show(value))
  const { ignoreHooks } = group(value === true ? {} : value, 'expressLane', { ignoreHooks: true })
  return Object.freeze({ ignoreHooks: bool(ignoreHooks, 'expressLane.ignoreHooks', false) })
}

function readClock (value: unknown): () => number {
  if (value === undefined) return Date.now
  if (typeof value !== 'function') throw new InvalidOption('clock', 'a function that returns milliseconds', show(value))
  return value as () => number
}

/**
 * The nearest package above the module that started the process, so that the
 * output directory does not depend on where a command is typed. Started by a
 * tool (fastify-cli, pm2), the app is the module that the tool was given.
 */
export function packageRoot (): string {
  const [, main, ...args] = process.argv
  const isTool = main === undefined || main.split(path.sep).includes('node_modules')
  const app = isTool ? args.find(arg => /\.[cm]?[jt]s$/.test(arg) && existsSync(arg)) : main
  const start = app === undefined ? process.cwd() : path.dirname(path.resolve(app))
  for (let dir = start; ; dir = path.dirname(dir)) {
    if (existsSync(path.join(dir, 'package.json'))) return dir
    if (dir === path.dirname(dir)) return start
  }
}
