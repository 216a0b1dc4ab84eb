import { readFile } from 'node:fs/promises'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import site, { type SiteOptions } from '../../lib/site/index.js'
import { rawGet, start, TestClock, type RawAnswer, type Site, type SiteOptions as StartOptions } from './app.js'

/** What is needed of a test: tap's `t` fits. */
interface Test {
  teardown (fn: () => unknown): void
}

export interface FileSite extends Site {
  readonly root: string
  readonly port: number
  /** Raw, so that no client mends the target. */
  raw (target: string, headers?: string[], method?: string): Promise<RawAnswer>
  write (file: string, text: string): void
  remove (file: string): void
  read (file: string): Promise<string>
}

export interface FileSiteOptions extends StartOptions {
  site?: SiteOptions
  declare?: (app: FastifyInstance) => unknown
}

/** A listening app with real files, and requests over sockets. */
export async function startSite (t: Test, files: Record<string, string>, options: FileSiteOptions = {}): Promise<FileSite> {
  const root = mkdtempSync(path.join(tmpdir(), 'fastify-isr-site-'))
  t.teardown(() => { rmSync(root, { recursive: true, force: true }) })
  // A time of its own for each write: two of one size within the resolution of a file system look alike.
  let time = Date.now() / 1000 - 1000
  const write = (file: string, text: string): void => {
    const full = path.join(root, file)
    mkdirSync(path.dirname(full), { recursive: true })
    writeFileSync(full, text)
    utimesSync(full, ++time, time)
  }
  for (const folder of ['pages', 'partials']) mkdirSync(path.join(root, folder), { recursive: true })
  for (const [file, text] of Object.entries(files)) write(file, text)
  const { clock = new TestClock() } = options
  const started = await start(t, async app => {
    await app.register(site, { ...options.site?.source === undefined && { root }, static: false, clock: clock.read, ...options.site })
    await options.declare?.(app)
  }, { ...options, clock })
  const port = await started.listen()
  return {
    ...started,
    root,
    port,
    raw: async (target, headers, method) => await rawGet(port, target, headers, method),
    write,
    remove: file => { rmSync(path.join(root, file)) },
    read: async file => await readFile(path.join(root, file), 'utf8')
  }
}

/** Asks again and again until it is so. */
export async function eventually (isTrue: () => Promise<boolean>, what = 'what the test waits for'): Promise<void> {
  const startedAt = Date.now()
  while (!await isTrue()) {
    if (Date.now() - startedAt > 5000) throw new Error(`${what} did not happen`)
    await nextTurn()
  }
}
