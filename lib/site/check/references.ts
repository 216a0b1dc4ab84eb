/** What a page refers to, and what others may refer to in it. */
export interface References {
  /** Values of `href`, `src`, `srcset` and `poster`, each once. */
  readonly links: readonly string[]
  /** Values of `id`, and of `name` of `<a>`. */
  readonly anchors: ReadonlySet<string>
}

const COMMENT = /<!--[\s\S]*?(?:-->|$)/g
/** Their content is no markup. */
const RAW = /(<(script|style|template|textarea|title)\b[^>]*>)[\s\S]*?(?=<\/\2\b|$)/gi
const TAG = /<([a-z][a-z0-9-]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/gi
const ATTRIBUTE = /([^\s"'<>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+))/g
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Reads what our own renders and the handlers of the app have written; no parser for what others send. */
export function referencesOf (html: string): References {
  const links = new Set<string>()
  const anchors = new Set<string>()
  for (const [, element = '', text = ''] of html.replace(COMMENT, '').replace(RAW, '$1').matchAll(TAG)) {
    for (const [, name = '', double, single, bare] of text.matchAll(ATTRIBUTE)) {
      const value = decodeEntities((double ?? single ?? bare ?? '').trim())
      const attribute = name.toLowerCase()
      if (attribute === 'id' || (attribute === 'name' && element.toLowerCase() === 'a')) anchors.add(value)
      else if (attribute === 'href' || attribute === 'src' || attribute === 'poster') links.add(value)
      else if (attribute === 'srcset') for (const candidate of value.split(/,\s+/)) links.add(candidate.trim().split(/\s/)[0] ?? '')
    }
  }
  links.delete('')
  return { links: [...links], anchors }
}

function decodeEntities (text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? all
    const code = decimal === undefined ? parseInt(hex ?? '', 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : all
  })
}
