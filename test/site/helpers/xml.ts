/** An element as the parser below sees it. */
export interface Parsed { name: string, attributes: Record<string, string>, children: Parsed[], text: string }

const TOKEN = /<\?xml[^>]*\?>|<\/([\w:.-]+)>|<([\w:.-]+)((?:\s+[\w:.-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y

/**
 * A strict reader for the XML that feeds are written in, so that a test fails
 * where a real reader would: unknown entities, raw signs, forbidden characters,
 * tags that don't match, anything behind the root.
 */
export function parseXml (xml: string): Parsed {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(xml) || /\p{Cs}/u.test(xml)) throw new Error('a character that XML 1.0 has not')
  const root: Parsed = { name: '', attributes: {}, children: [], text: '' }
  const open = [root]
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < xml.length) {
    const at = TOKEN.lastIndex
    const token = TOKEN.exec(xml)
    if (token === null) throw new Error(`no XML at ${at}: ${xml.slice(at, at + 40)}`)
    const [, closing, opening, attributes = '', empty, text] = token
    const within = open.at(-1) as Parsed
    if (closing !== undefined) {
      if (open.length === 1 || within.name !== closing) throw new Error(`</${closing}> in <${within.name}>`)
      open.pop()
    } else if (opening !== undefined) {
      const parsed: Parsed = { name: opening, attributes: {}, children: [], text: '' }
      for (const [, name, value] of attributes.matchAll(/([\w:.-]+)="([^"]*)"/g)) {
        if (Object.hasOwn(parsed.attributes, name as string)) throw new Error(`${name} twice`)
        // As XML 1.0, 3.3.3 has it.
        parsed.attributes[name as string] = decode((value as string).replace(/[\t\n\r]/g, ' '))
      }
      within.children.push(parsed)
      if (empty === '') open.push(parsed)
    } else if (text !== undefined) {
      if (open.length === 1 && text.trim() !== '') throw new Error('text outside of the root')
      within.text += decode(text)
    }
  }
  const [only, ...more] = root.children
  if (open.length !== 1 || only === undefined || more.length > 0) throw new Error('not one root')
  return only
}

function decode (text: string): string {
  if (/&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-f]+);)|\]\]>/i.test(text)) throw new Error(`a raw sign in ${text}`)
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
}

export function all (parent: Parsed, name: string): Parsed[] {
  return parent.children.filter(child => child.name === name)
}

export function only (parent: Parsed, name: string): Parsed {
  const [found, ...more] = all(parent, name)
  if (found === undefined || more.length > 0) throw new Error(`${all(parent, name).length} <${name}> in <${parent.name}>`)
  return found
}
