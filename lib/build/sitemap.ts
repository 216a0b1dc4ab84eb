import path from 'node:path'
import { unlink } from 'node:fs/promises'
import type { SitemapHints } from '../../types/index.js'
import { writeFileAtomically } from '../cache/atomic-file.js'

/** sitemaps.org: at most 50,000 URLs a file, and 50 MB, which 50,000 of our URLs may reach only with very long paths. */
const MAX_URLS = 50_000
const INDEX = 'sitemap.xml'
const MODES = { file: 0o644, folder: 0o755 }

export interface SitemapUrl {
  path: string
  lastmod: string
  hints: SitemapHints
}

/** Names that a build writes by itself. */
export function isSitemapName (file: string): boolean {
  return /^sitemap(?:-\d+)?\.xml$/.test(file)
}

/**
 * Writes `sitemap.xml` alone, or an index of that name and numbered parts, of
 * which memory holds one at a time. Resolves with the number of URLs.
 */
export async function writeSitemap (dir: string, origin: string, urls: AsyncIterable<SitemapUrl> | Iterable<SitemapUrl>): Promise<number> {
  let part: SitemapUrl[] = []
  let parts = 0
  const write = async (name: string, content: string): Promise<void> => { await writeFileAtomically(path.join(dir, name), content, MODES) }
  const writePart = async (): Promise<void> => {
    await write(partName(++parts), urlSet(origin, part))
    part = []
  }
  for await (const url of urls) {
    if (part.length === MAX_URLS) await writePart()
    part.push(url)
  }
  const count = parts * MAX_URLS + part.length
  if (parts === 0) await write(INDEX, urlSet(origin, part))
  else {
    await writePart()
    await write(INDEX, document('sitemapindex', Array.from({ length: parts }, (_, nth) => `  <sitemap><loc>${escapeXml(`${origin}/${partName(nth + 1)}`)}</loc></sitemap>`)))
  }
  // Parts that the last, larger sitemap had.
  while (await unlink(path.join(dir, partName(++parts))).then(() => true, () => false));
  return count
}

function partName (nth: number): string {
  return `sitemap-${nth}.xml`
}

function urlSet (origin: string, urls: readonly SitemapUrl[]): string {
  return document('urlset', urls.map(({ path, lastmod, hints }) => {
    const more = [
      `<lastmod>${hints.lastmod === undefined ? lastmod : new Date(hints.lastmod).toISOString()}</lastmod>`,
      ...(hints.changefreq === undefined ? [] : [`<changefreq>${hints.changefreq}</changefreq>`]),
      ...(hints.priority === undefined ? [] : [`<priority>${hints.priority}</priority>`])
    ]
    return `  <url><loc>${escapeXml(origin + path)}</loc>${more.join('')}</url>`
  }))
}

function document (root: string, lines: string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n${lines.join('\n')}\n</${root}>\n`
}

function escapeXml (text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
}
