import path from 'node:path'
import type { TargetItem } from '../../types/index.js'
import type { Action } from '../ops/endpoint.js'
import { readTargets } from '../pages/targets.js'
import { CliError, printError } from './cli-error.js'
import { parseFlags } from './flags.js'
import { count, painter } from './format.js'
import { Refused, type OrderTaker } from './order-answer.js'
import { EndpointOrders } from './order-endpoint.js'
import { FileOrders } from './order-files.js'
import { reportAnswer } from './order-report.js'
import { sitemapPaths } from './sitemap-paths.js'

const TARGETS_USAGE = `Which pages (repeatable):
      --path <path>        this page in all its variants; with a query, that one
      --prefix <path>      this path and everything below it
      --tag <tag>          everything with this tag
      --route <pattern>    the pages of this route
      --all                every page`

const URL_USAGE = '      --url <url>          the revalidate endpoint of a running app; its secret is read\n                           from the environment variable ISR_SECRET'
const DIR_USAGE = "      --dir <dir>          or the files: the plugin's output directory"
const JSON_USAGE = 'Output:\n      --json               print the answer as one JSON document on stdout'
const EXIT_USAGE = 'Exit codes: 0 done; 1 the app refused, could not make the order durable, or a page failed;\n2 wrong usage, wrong secret, or the app can not be reached.'

export const ORDER_USAGES: Record<Action, string> = {
  revalidate: `Usage: fastify-isr revalidate <pages> --url <url> | --dir <dir>

Makes pages stale: visitors get the old page once more while it is rendered again.

${TARGETS_USAGE}

Where:
${URL_USAGE}
${DIR_USAGE}; a running app follows within seconds

${JSON_USAGE}

${EXIT_USAGE}
`,
  purge: `Usage: fastify-isr purge <pages> --url <url> | --dir <dir>

Removes pages: the old ones are never served again.

${TARGETS_USAGE}

Where:
${URL_USAGE}
${DIR_USAGE}; a running app follows within seconds

${JSON_USAGE}

${EXIT_USAGE}
`,
  refresh: `Usage: fastify-isr refresh <pages> --url <url>

Renders pages now, in the running app, the most used first.

${TARGETS_USAGE}
      --sitemap <sitemap>  what a sitemap lists: a file, or a path of the app such as /sitemap.xml

Where:
${URL_USAGE}

${JSON_USAGE}

${EXIT_USAGE}
`,
  inspect: `Usage: fastify-isr inspect --path <path> --url <url> | --dir <dir>

Tells what is stored for a path, and why.

      --path <path>        (repeatable)

Where:
${URL_USAGE}
${DIR_USAGE}, as they are on disk

${JSON_USAGE}

${EXIT_USAGE}
`
}

const WHERE_FLAGS = {
  path: { type: 'string', multiple: true },
  url: { type: 'string' },
  dir: { type: 'string' },
  json: { type: 'boolean' }
} as const

const ORDER_FLAGS = {
  ...WHERE_FLAGS,
  prefix: { type: 'string', multiple: true },
  tag: { type: 'string', multiple: true },
  route: { type: 'string', multiple: true },
  all: { type: 'boolean' }
} as const

const FLAGS = {
  revalidate: ORDER_FLAGS,
  purge: ORDER_FLAGS,
  refresh: { ...ORDER_FLAGS, sitemap: { type: 'string', multiple: true } },
  inspect: WHERE_FLAGS
} as const

/** Of any of these commands; each knows some of them. */
interface Values {
  path?: string[]
  prefix?: string[]
  tag?: string[]
  route?: string[]
  all?: boolean
  sitemap?: string[]
  url?: string
  dir?: string
  json?: boolean
}

/** The command of an action; resolves with its exit code. */
export function orderCommand (action: Action): (args: string[]) => Promise<number> {
  return async (args) => {
    // The reader of a pipe may leave early; that is no failure of the order.
    process.stdout.on('error', () => {})
    const { values, positionals } = parseFlags(action, args, FLAGS[action]) as { values: Values, positionals: string[] }
    const hint = `See 'fastify-isr ${action} --help'.`
    if (positionals.length > 0) throw new CliError(`${action}: unexpected argument '${positionals[0]}'; name pages by flags`, { hint })
    const url = readPlace(action, values)
    const targets = [...readItems(action, values), ...await readSitemaps(values.sitemap ?? [], url)]
    if (targets.length === 0) throw new CliError(`${action}: which pages?`, { hint })
    const taker = await openTaker(values, url)
    try {
      const answer = await taker.give(action, targets)
      return reportAnswer(answer, { json: values.json === true, degradedMeans: url === null ? 'the marks are not on disk: nobody will hear of this order' : 'the app could not make the order durable: it holds in that process, until it ends' })
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      printError(error)
      return 1
    }
  }
}

/** Null for files. */
function readPlace (action: Action, { url, dir }: Values): URL | null {
  const hint = `See 'fastify-isr ${action} --help'.`
  if ((url === undefined) === (dir === undefined)) throw new CliError(`${action}: where? Give ${action === 'refresh' ? '--url' : 'either --url or --dir'}`, { hint })
  if (action === 'refresh' && dir !== undefined) throw new CliError('refresh: rendering needs the running app, not only its files', { hint: "Use --url, or 'fastify-isr prerender' to build." })
  if (url === undefined) return null
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.pathname !== '/') return parsed
  throw new CliError("--url must be the whole address of the endpoint, such as 'https://example.com/internal/revalidate'")
}

function readItems (action: Action, { path = [], prefix = [], tag = [], route = [], all = false }: Values): TargetItem[] {
  const items: TargetItem[] = [
    ...path.map(path => ({ path })),
    ...prefix.map(prefix => ({ prefix })),
    ...tag.map(tag => ({ tag })),
    ...route.map(route => ({ route })),
    ...all ? [{ all } as const] : []
  ]
  // A mistake is told before anything is sent.
  for (const item of items) {
    // What an odd spelling of a path comes to is something to inspect.
    if (action !== 'inspect') readTargets([item])
    else if ('path' in item && !item.path.startsWith('/')) throw new CliError(`--path must be the path of a page, beginning with '/', got '${item.path}'`)
  }
  return items
}

async function readSitemaps (sources: string[], app: URL | null): Promise<TargetItem[]> {
  if (app === null) return []
  const items: TargetItem[] = []
  for (const source of sources) {
    const { paths, skipped } = await sitemapPaths(source, app)
    if (skipped > 0) warn(`${source}: ${count(skipped, 'URL')} can be no page and ${skipped === 1 ? 'is' : 'are'} left out`)
    for (const path of paths) items.push({ path })
  }
  return items
}

async function openTaker ({ dir }: Values, url: URL | null): Promise<OrderTaker> {
  if (url === null) return await FileOrders.open(path.resolve(dir ?? ''), warn)
  const secret = process.env['ISR_SECRET'] ?? ''
  if (secret === '') throw new CliError('the environment variable ISR_SECRET is not set: it holds the secret of the endpoint')
  return new EndpointOrders(url, secret)
}

function warn (message: string): void {
  process.stderr.write(`${painter(process.stderr)('yellow', message)}\n`)
}
