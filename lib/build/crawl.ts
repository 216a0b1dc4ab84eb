import { isCanonicalPath } from '../pages/path-pattern.js'

/** What is no content: a link in there leads nowhere. */
const NOT_CONTENT = /<!--[\s\S]*?-->|<(script|style|template|noscript)\b[\s\S]*?<\/\1\s*>/gi
const LINK = /<a\s(?:[^>]*?\s)?href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Paths of the same site that an HTML page links to. Nothing is ever opened: links only lead to renders. */
export function linksOf (html: string, page: string, origin: string): Set<string> {
  const links = new Set<string>()
  for (const [, double, single, bare] of html.replace(NOT_CONTENT, '').matchAll(LINK)) {
    const href = unescape(double ?? single ?? bare ?? '').trim()
    if (!URL.canParse(href, origin + page)) continue
    const url = new URL(href, origin + page)
    if (url.origin === origin && isCanonicalPath(url.pathname)) links.add(url.pathname)
  }
  return links
}

function unescape (text: string): string {
  return text.replace(/&(?:#(\d{1,6})|#x([0-9a-f]{1,6})|(\w+));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole
    const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
