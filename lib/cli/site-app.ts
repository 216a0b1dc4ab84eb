import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { declareBuild } from '../build/mode.js'
import { bootApp, closeApp, createApp } from '../load/load-app.js'
import { kSite, type SiteHandle } from '../site/handle.js'
import { readLoadOptions } from './app-flags.js'
import { CliError, hasNoPlace, printError } from './cli-error.js'
import { logManner } from './log.js'
import { guardProcess, leaveToNode } from './process.js'

export interface SiteCommand {
  name: string
  /** Positional arguments: the app file. */
  files: string[]
  flags: Parameters<typeof readLoadOptions>[1]
  appArgs: string[]
  warn (message: string, about?: { isBroken: boolean }): void
  /** Resolves with the exit code; a rejection is code 1: the app is loaded, the work has failed. */
  work (site: SiteHandle): Promise<number>
}

/** Loads the app as a build does, hands its site to the work, and closes it. */
export async function withSite ({ name, files, flags, appArgs, warn, work }: SiteCommand): Promise<number> {
  const hint = `Usage: fastify-isr ${name} <app file> [flags]`
  const [file, ...others] = files
  if (file === undefined) throw new CliError(`${name}: which app? Name the file that exports it`, { hint })
  if (others.length > 0) throw new CliError(`${name}: one app file, please; got ${files.join(', ')}`, { hint })
  const load = readLoadOptions(file, flags, appArgs)
  // What is built or checked here is what visitors get.
  process.env['NODE_ENV'] ??= 'production'
  const finished = guardProcess(printError)
  let app: FastifyInstance | undefined
  let exitCode = 2
  try {
    declareBuild(load)
    const loaded = await createApp({ ...load, ...logManner(load.logLevel, warn) })
    app = loaded.app
    await bootApp(app, load)
    const site = siteOf(app, load.file)
    exitCode = await work(site).catch((error: unknown) => {
      printError(error)
      return 1
    })
  } catch (error) {
    if (hasNoPlace(error)) return leaveToNode(error)
    printError(error)
  }
  const isClosed = app === undefined || await close(app)
  finished({ warn })
  return isClosed || exitCode !== 0 ? exitCode : 2
}

function siteOf (app: FastifyInstance, file: string): SiteHandle {
  const site = (app.server as { [kSite]?: SiteHandle })[kSite]
  if (site !== undefined) return site
  throw new CliError(`${path.basename(file)} does not register fastify-isr/site`, { hint: "Register it behind fastify-isr: 'await app.register(site, { root: … })'." })
}

async function close (app: FastifyInstance): Promise<boolean> {
  try {
    await closeApp(app)
    return true
  } catch (error) {
    printError(error)
    return false
  }
}
