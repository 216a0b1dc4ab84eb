import type { CollectionItem } from 'fastify-isr/site'

/** What the search finds: a part of a page, with a link to its heading. */
export interface Section {
  page: string
  heading: string
  url: string
  text: string
}

const HEADING = /<h([1-3])\b[^>]*\bid="([^"]*)"[^>]*>([^]*?)<\/h\1>/g
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' }

/** The markup of a page, cut at its headings. It is our own renderer's, so that patterns will do. */
export function sectionsOf ({ html, title = '', url }: CollectionItem): Section[] {
  const markup = String(html)
  const starts = [...markup.matchAll(HEADING)]
  return starts.map((match, nth) => {
    const [whole, level, id = '', heading = ''] = match
    const text = textOf(markup.slice(match.index + whole.length, starts[nth + 1]?.index))
    return { page: title, heading: level === '1' ? '' : textOf(heading), url: level === '1' ? url : `${url}#${textOf(id)}`, text }
  })
}

function textOf (markup: string): string {
  return markup
    // Parts of a line stand together, blocks don't.
    .replace(/<\/?(?:a|b|code|em|span|strong)\b[^>]*>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (all, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? all
      return String.fromCodePoint(hex === undefined ? Number(decimal) : parseInt(hex, 16))
    })
    .replace(/\s+/g, ' ')
    .trim()
}
