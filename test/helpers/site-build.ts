import { createHash } from 'node:crypto'
import { readFileSync, statSync, type Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import isr, { type BuildOptions, type BuildReport, type BuildRow, type IsrOptions, type Manifest, type ManifestPage } from '../../lib/index.js'

/** What is needed of a test: tap's `t` fits. */
interface Test {
  teardown (fn: () => unknown): void
}

export interface Log { level: number, msg: string, err?: { message: string, code?: string } }

export interface OpenOptions {
  isr?: IsrOptions
  fastify?: FastifyServerOptions
}

export interface Opened {
  app: FastifyInstance
  logs: Log[]
  /** Messages of warnings and errors. */
  warnings: () => string[]
  body: (url: string, headers?: Record<string, string>) => Promise<string>
}

export type Declare = (app: FastifyInstance) => unknown

/** A ready app whose pages live in `dir`. */
export async function open (t: Test, dir: string, declare: Declare, options: OpenOptions = {}): Promise<Opened> {
  const logs: Log[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line: string) => { logs.push(JSON.parse(line) as Log) } } }, ...options.fastify })
  t.teardown(() => app.close())
  await app.register(isr, { dir, ...options.isr })
  await declare(app)
  await app.ready()
  return {
    app,
    logs,
    warnings: () => logs.filter(line => line.level >= 40).map(line => line.msg),
    body: async (url, headers = {}) => (await app.inject({ url, headers })).body
  }
}

/** Opens an app, builds once and closes it, as the command line does. */
export async function buildOnce (t: Test, dir: string, declare: Declare, build: BuildOptions = {}, options: OpenOptions = {}): Promise<BuildReport> {
  const { app } = await open(t, dir, declare, options)
  const report = await app.isr.prerender(build)
  await app.close()
  return report
}

export function html (text: string): string {
  return `<!doctype html><title>page</title>${text}`
}

/** Declares a prerender route that answers with HTML. */
export function page (app: FastifyInstance, url: string, body: (params: Record<string, string>) => string, policy: object | true = true): void {
  app.get(url, { config: { prerender: policy } }, async (request, reply) => {
    reply.type('text/html; charset=utf-8')
    return body(request.params as Record<string, string>)
  })
}

export function readManifestOf (dir: string): Manifest {
  return JSON.parse(readFileSync(path.join(dir, '.isr/manifest.json'), 'utf8')) as Manifest
}

export function rowOf (dir: string, key: string): ManifestPage {
  const row = readManifestOf(dir).pages.find(page => page.key === key)
  if (row === undefined) throw new Error(`no row of ${key}`)
  return row
}

export function outcomes (rows: readonly BuildRow[]): Record<string, string> {
  return Object.fromEntries(rows.map(row => [row.key, row.outcome]))
}

async function walk (dir: string): Promise<Dirent[]> {
  return await readdir(dir, { withFileTypes: true, recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

/** Files below a directory, relative to it. */
export async function filesOf (dir: string): Promise<string[]> {
  return (await walk(dir)).filter(entry => !entry.isDirectory()).map(entry => path.relative(dir, path.join(entry.parentPath, entry.name))).sort()
}

/** The readable tree: all but the plugin's own folder. */
export async function exportOf (dir: string): Promise<string[]> {
  return (await filesOf(dir)).filter(file => !file.startsWith('.isr'))
}

/** Every file with its content, so that two moments can be compared. */
export async function snapshot (dir: string): Promise<Record<string, string>> {
  const files = await filesOf(dir)
  return Object.fromEntries(files.map(file => [file, createHash('sha256').update(readFileSync(path.join(dir, file))).digest('hex')]))
}

export function mtimeOf (dir: string, file: string): number {
  return statSync(path.join(dir, file)).mtimeMs
}

/** Asks until it is so; fails loudly instead of hanging. */
export async function eventually (what: string, isSo: () => boolean | Promise<boolean>, within = 5000): Promise<void> {
  const deadline = Date.now() + within
  while (!await isSo()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await sleep(10)
  }
}
