import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { BuildOptions, BuildReport, Isr } from '../../types/index.js'
import { declareBuild } from '../build/mode.js'
import { bootApp, closeApp, createApp, findIsr } from '../load/load-app.js'
import type { LoadOptions } from '../load/load-options.js'
import { LOAD_FLAGS, loadUsage, readLoadOptions } from './app-flags.js'
import { CliError, codeOf, hasNoPlace, printError } from './cli-error.js'
import { parseFlags, splitAtTerminator, wholeNumber } from './flags.js'
import { Interrupts } from './interrupts.js'
import { logManner } from './log.js'
import { guardProcess, keepStdout, leaveToNode } from './process.js'
import { Reporter, type ReportOptions } from './report.js'

export const prerenderUsage = `Usage: fastify-isr prerender <app file> [flags] [-- app options]

Renders the pages of an app's prerender routes, through the app itself, and writes
them to the plugin's output directory.

What to build:
      --path <path>          only this page (repeatable); the others stay
      --route <pattern>      only the pages of this route (repeatable)
      --crawl                follow links to further prerender routes
      --force                rewrite pages whose bytes did not change
      --fail-fast            stop at the first failing page and keep the old build
      --concurrency <n>      pages rendered at the same time
      --workers <n>          render in n worker threads, each with an app of its own

Where and how:
      --dir <dir>            write somewhere else than the plugin's 'dir'
      --base-url <url>       origin of the site, for the sitemap and absolute URLs
      --sitemap              fail without a base URL instead of skipping the sitemap
      --url-style <style>    'directory' (about/index.html) or 'file' (about.html)
      --no-compress          prepare neither br nor gzip
      --brotli <quality>     0 to 11 (default: 11)

Output:
      --json                 print the report as one JSON document on stdout
      --quiet                print failures only

${loadUsage}

Exit codes: 0 all good; 1 a page failed, a --path matched nothing, or the build could not
be written; 2 wrong usage, or the app could not be loaded or closed or has nothing to
prerender; 130 interrupted. What did not end well leaves the old build intact, except that
a failing page without --fail-fast does not stop the others.
`

const FLAGS = {
  ...LOAD_FLAGS,
  path: { type: 'string', multiple: true },
  route: { type: 'string', multiple: true },
  dir: { type: 'string' },
  'base-url': { type: 'string' },
  sitemap: { type: 'boolean' },
  'url-style': { type: 'string' },
  concurrency: { type: 'string' },
  workers: { type: 'string' },
  crawl: { type: 'boolean' },
  force: { type: 'boolean' },
  'fail-fast': { type: 'boolean' },
  'no-compress': { type: 'boolean' },
  brotli: { type: 'string' },
  json: { type: 'boolean' },
  quiet: { type: 'boolean' }
} as const

interface Command {
  load: LoadOptions
  build: BuildOptions
  report: ReportOptions
}

// What a build refuses because of how it was called. All else that it throws is a failed build.
const USAGE_ERRORS = new Set(['FST_ISR_ERR_INVALID_OPTION', 'FST_ISR_ERR_SITEMAP_BASE_URL'])

export async function prerender (args: string[]): Promise<number> {
  const { load, build, report } = readCommand(args)
  const reporter = new Reporter(report, { stdout: report.json ? keepStdout() : process.stdout, stderr: process.stderr })
  const fail = (error: unknown) => {
    reporter.stop()
    printError(error)
  }
  const finished = guardProcess(fail)
  let app: FastifyInstance | undefined
  let exitCode = 2
  try {
    declareBuild(load)
    const loaded = await createApp({ ...load, ...logManner(load.logLevel, message => reporter.collect(message)) })
    app = loaded.app
    await bootApp(app, load)
    const isr = requireIsr(app, load)
    warnAboutDir(isr, build, reporter)
    exitCode = await run(isr, build, reporter, fail)
  } catch (error) {
    if (hasNoPlace(error)) return leaveToNode(error)
    fail(error)
  }
  const isClosed = app === undefined || await close(app, fail)
  finished(reporter)
  return isClosed || exitCode !== 0 ? exitCode : 2
}

async function run (isr: Isr, build: BuildOptions, reporter: Reporter, fail: (error: unknown) => void): Promise<number> {
  const interrupts = new Interrupts(() => reporter.notice('stopping; press Ctrl-C again to end at once'))
  let report: BuildReport
  try {
    report = await interrupts.during(signal =>
      isr.prerender({ ...build, signal, onProgress: progress => reporter.onProgress(progress) }))
  } catch (error) {
    if (interrupts.exitCode !== null) {
      reporter.notice('stopped; the last build is untouched')
      return interrupts.exitCode
    }
    fail(error)
    return USAGE_ERRORS.has(codeOf(error) ?? '') ? 2 : 1
  }
  await reporter.finish(report)
  return report.ok ? 0 : 1
}

function requireIsr (app: FastifyInstance, { file }: LoadOptions): Isr {
  const isr = findIsr(app)
  const name = path.basename(file)
  if (isr === undefined) {
    throw new CliError(`${name} does not register fastify-isr`, {
      hint: "Register it before the routes, on the instance that has them: 'await app.register(isr, { … })'."
    })
  }
  if (isr.routes().length > 0) return isr
  throw new CliError(`${name} has no prerender route`, {
    hint: "Give a GET route 'config: { prerender: true }'. If it has that, write 'await app.register(isr, { … })' before the\n" +
      'routes, or put the routes into plugins: without await the plugin is loaded after them and does not see them.'
  })
}

function warnAboutDir (isr: Isr, { dir }: BuildOptions, reporter: Reporter): void {
  if (dir === undefined || dir === isr.dir) return
  reporter.warn(`--dir: writing to ${dir}, but the running app reads ${isr.dir}`)
}

async function close (app: FastifyInstance, fail: (error: unknown) => void): Promise<boolean> {
  try {
    await closeApp(app)
    return true
  } catch (error) {
    fail(error)
    return false
  }
}

function readCommand (args: string[]): Command {
  const [ownArgs, appArgs] = splitAtTerminator(args)
  const { values, positionals } = parseFlags('prerender', ownArgs, FLAGS)
  const [file, ...others] = positionals
  const hint = 'Usage: fastify-isr prerender <app file> [flags]'
  if (file === undefined) throw new CliError('prerender: which app? Name the file that exports it', { hint })
  if (others.length > 0) throw new CliError(`prerender: one app file, please; got ${positionals.join(', ')}`, { hint })
  const load = readLoadOptions(file, values, appArgs)
  return {
    load,
    build: readBuildOptions(values),
    report: { json: values.json === true, quiet: values.quiet === true, failFast: values['fail-fast'] === true, hasLog: load.logLevel !== undefined }
  }
}

type Values = ReturnType<typeof parseFlags<typeof FLAGS>>['values']

function readBuildOptions (values: Values): BuildOptions {
  const { path: paths, route: routes, dir, concurrency, workers, brotli, crawl, force, sitemap } = values
  return {
    ...paths !== undefined && { paths: paths.map(checkPath) },
    ...routes !== undefined && { routes },
    ...dir !== undefined && { dir: path.resolve(dir) },
    ...values['base-url'] !== undefined && { baseUrl: checkBaseUrl(values['base-url']) },
    ...values['url-style'] !== undefined && { urlStyle: checkUrlStyle(values['url-style']) },
    ...concurrency !== undefined && { concurrency: wholeNumber('--concurrency', concurrency, 1) },
    ...workers !== undefined && { workers: wholeNumber('--workers', workers, 0) },
    ...brotli !== undefined && { brotli: wholeNumber('--brotli', brotli, 0, 11) },
    ...values['no-compress'] === true && { compress: false },
    ...values['fail-fast'] === true && { failFast: true },
    ...crawl === true && { crawl },
    ...force === true && { force },
    ...sitemap === true && { sitemap }
  }
}

function checkPath (value: string): string {
  if (value.startsWith('/')) return value
  throw new CliError(`--path must be the path of a page, beginning with '/', got '${value}'`)
}

function checkBaseUrl (value: string): string {
  const url = URL.canParse(value) ? new URL(value) : null
  if (url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin
  throw new CliError(`--base-url must be an origin such as 'https://example.com', got '${value}'`)
}

function checkUrlStyle (value: string): 'directory' | 'file' {
  if (value === 'directory' || value === 'file') return value
  throw new CliError(`--url-style must be 'directory' or 'file', got '${value}'`)
}
