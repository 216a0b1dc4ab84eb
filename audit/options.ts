import { parseArgs } from 'node:util'

export const CHECKS = ['lighthouse', 'axe'] as const
export type Check = typeof CHECKS[number]

export interface Options {
  checks: readonly Check[]
  /** Paths, for all checks; null: what the site suggests. */
  pages: string[] | null
  /** Of a server that runs already; null: the example is built and started. */
  url: string | null
}

export class UsageError extends Error {}

export const USAGE = `npm run audit -- [--only lighthouse|axe] [--pages /,/blog] [--url http://127.0.0.1:3000]

Builds the example site, starts it as production does, and looks at it in Chromium: Lighthouse at
home, a post and a page of the docs, axe at every page that is linked, in light and in dark. Ends with 1 below
100 for accessibility, best practices and SEO, below 95 for performance, and for any violation.

  --only    one of the two
  --pages   these paths and no others, for both
  --url     of a server that runs already, instead of the example`

export function parseOptions (args: string[]): Options {
  const { only, pages, url } = parse(args)
  const checks = CHECKS.filter(check => only === undefined || check === only)
  if (checks.length === 0) throw new UsageError(`--only wants ${CHECKS.join(' or ')}, got ${only ?? ''}`)
  return { checks, pages: pages === undefined ? null : toPaths(pages), url: url === undefined ? null : toOrigin(url) }
}

function parse (args: string[]): { only?: string | undefined, pages?: string | undefined, url?: string | undefined } {
  try {
    return parseArgs({ args, options: { only: { type: 'string' }, pages: { type: 'string' }, url: { type: 'string' } } }).values
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}

function toPaths (text: string): string[] {
  const paths = text.split(',')
  const wrong = paths.find(path => !/^\/(?!\/)/.test(path))
  if (wrong !== undefined) throw new UsageError(`--pages wants paths such as /,/blog, got '${wrong}'`)
  return paths
}

function toOrigin (text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw new UsageError(`--url wants an origin such as http://127.0.0.1:3000, got '${text}'`)
  return new URL(text).origin
}
