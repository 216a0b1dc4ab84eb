import path from 'node:path'
import { unlink } from 'node:fs/promises'
import type { SitemapHints } from '../../types/index.js'
import { writeFileAtomically } from '../cache/atomic-file.js'

/** sitemaps.org: at most 50,000 URLs a file, and 50 MB, which 50,000 of our URLs may reach only with very long paths. */
const MAX_URLS = 50_000
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

/** File name → content: `sitemap.xml` alone, or an index of that name and numbered parts. */
export function sitemapFiles (origin: string, urls: readonly SitemapUrl[]): Map<string, string> {
  if (urls.length <= MAX_URLS) return new Map([['sitemap.xml', urlSet(origin, urls)]])
  const files = new Map<string, string>()
  for (let start = 0; start < urls.length; start += MAX_URLS) {
    files.set(`sitemap-${start / MAX_URLS + 1}.xml`, urlSet(origin, urls.slice(start, start + MAX_URLS)))
  }
  const parts = [...files.keys()].map(name => `  <sitemap><loc>${escapeXml(`${origin}/${name}`)}</loc></sitemap>`)
  files.set('sitemap.xml', document('sitemapindex', parts))
  return files
}

export async function writeSitemap (dir: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [name, content] of files) await writeFileAtomically(path.join(dir, name), content, MODES)
  // Parts that the last, larger sitemap had.
  for (let part = files.size; ; part++) {
    if (files.has(`sitemap-${part}.xml`)) continue
    const isRemoved = await unlink(path.join(dir, `sitemap-${part}.xml`)).then(() => true, () => false)
    if (!isRemoved) return
  }
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
