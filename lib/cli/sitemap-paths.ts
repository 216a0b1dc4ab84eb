import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { readTargets } from '../pages/targets.js'
import { CliError } from './cli-error.js'
import { ask } from './order-endpoint.js'

/** What one sitemap may have (sitemaps.org). */
const MAX_URLS = 50_000
const MAX_BYTES = 50 * 1024 * 1024

/**
 * The paths that a sitemap lists, in its order. `source` is a file, or a path
 * of the app. Origins don't count: a public sitemap is good for an internal
 * address.
 */
export async function sitemapPaths (source: string, app: URL): Promise<{ paths: string[], skipped: number }> {
  const xml = existsSync(source) ? await readLocal(source) : await download(source, app)
  if (/<sitemapindex[\s>]/.test(xml)) throw new CliError(`--sitemap: ${source} is an index of sitemaps`, { hint: 'Name its parts one at a time.' })
  const locations = Array.from(xml.matchAll(/<loc>\s*(?:<!\[CDATA\[)?([^<]*?)(?:\]\]>)?\s*<\/loc>/g), ([, text = '']) => unescapeXml(text.trim()))
  if (locations.length === 0) throw new CliError(`--sitemap: ${source} lists nothing`)
  if (locations.length > MAX_URLS) throw new CliError(`--sitemap: ${source} lists ${locations.length} URLs; the most is ${MAX_URLS}`)
  const paths = locations.map(pathOf).filter(path => path !== null)
  return { paths: [...new Set(paths)], skipped: locations.length - paths.length }
}

async function readLocal (file: string): Promise<string> {
  const facts = await stat(file)
  if (!facts.isFile() || facts.size > MAX_BYTES) throw new CliError(`--sitemap: ${file} is no file, or larger than 50 MB`)
  return await readFile(file, 'utf8')
}

async function download (source: string, app: URL): Promise<string> {
  const url = source.startsWith('/') && URL.canParse(source, app.href) ? new URL(source, app) : null
  if (url === null || url.origin !== app.origin) throw new CliError(`--sitemap: there is no file ${source}`, { hint: "Or name a path of the app, such as '/sitemap.xml'." })
  const { status, text } = await ask(url, { maxBytes: MAX_BYTES })
  if (status !== 200) throw new CliError(`--sitemap: ${url.href} answered ${status}`)
  return text
}

/** Null for what can be no page. */
function pathOf (location: string): string | null {
  if (!URL.canParse(location)) return null
  const { pathname, search } = new URL(location)
  try {
    readTargets({ path: pathname + search })
    return pathname + search
  } catch {
    return null
  }
}

const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescapeXml (text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w+));/gi, (all, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED[name] ?? all
    const code = decimal === undefined ? parseInt(hex ?? '', 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : all
  })
}
