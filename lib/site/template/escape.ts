const NEEDS_ESCAPING = /[&<>"']/

/** A value as text, for between tags and for quoted attributes. */
export function escapeText (text: string): string {
  if (!NEEDS_ESCAPING.test(text)) return text
  let escaped = ''
  let last = 0
  for (let at = 0; at < text.length; at++) {
    let entity
    switch (text.charCodeAt(at)) {
      case 38: entity = '&amp;'; break
      case 60: entity = '&lt;'; break
      case 62: entity = '&gt;'; break
      case 34: entity = '&quot;'; break
      case 39: entity = '&#39;'; break
      default: continue
    }
    escaped += text.slice(last, at) + entity
    last = at + 1
  }
  return escaped + text.slice(last)
}

const ENTITIES: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Markup where only text may stand, in an attribute or a `<title>`: the tags are shown, entities stay what they are. */
export function markupAsText (html: string): string {
  return /[<>"']/.test(html) ? html.replace(/[<>"']/g, character => ENTITIES[character] as string) : html
}

/** What the author of a template wrote as text: the same, and an `&` that begins no entity becomes one. */
export function authoredText (text: string): string {
  return markupAsText(text.replace(/&(?!(?:#\d+|#x[\da-f]+|[a-z][a-z\d]*);)/gi, '&amp;'))
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00A0', colon: ':', tab: '\t', newline: '\n', sol: '/' }

/**
 * The text of one entity (`&amp;`, `&#58;`, `&#x3a`), or null for a name that is not known here: the
 * few that values are escaped with, and those that hide a part of a URL.
 */
export function decodeEntity (entity: string): string | null {
  const [, decimal, hex, name] = /^&(?:#(\d+)|#x([\da-f]+)|([a-z][a-z\d]*));?$/i.exec(entity) ?? []
  if (name !== undefined) return NAMED[name.toLowerCase()] ?? null
  const code = decimal !== undefined ? Number(decimal) : hex !== undefined ? parseInt(hex, 16) : NaN
  return code > 0 && code <= 0x10FFFF ? String.fromCodePoint(code) : null
}

export const ENTITY = /&(?:#\d+|#x[\da-f]+|[a-z][a-z\d]*);/gi

/** What the browser makes of text in an attribute; names that are not known here stay as they are. */
export function decodeText (text: string): string {
  return text.includes('&') ? text.replace(ENTITY, entity => decodeEntity(entity) ?? entity) : text
}

const BREAKS_OUT: Readonly<Record<string, string>> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026', '\u2028': '\\u2028', '\u2029': '\\u2029' }

/** JSON that neither ends a script nor begins a comment in it. */
export function escapeJson (json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, character => BREAKS_OUT[character] as string)
}
