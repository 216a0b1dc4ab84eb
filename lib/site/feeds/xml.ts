/** An element: its name, its attributes, what it holds. Undefined attributes and null children are left out. */
export interface XmlElement {
  name: string
  attributes: Readonly<Record<string, string | undefined>>
  children: readonly (XmlElement | string | null)[]
}

export function element (name: string, attributes: XmlElement['attributes'] = {}, ...children: XmlElement['children']): XmlElement {
  return { name, attributes, children }
}

/** A document. Elements that hold elements stand on lines of their own; texts stay as they are. */
export function xmlDocument (root: XmlElement): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${write(root, '')}\n`
}

function write ({ name, attributes, children }: XmlElement, indent: string): string {
  const head = `${indent}<${name}${Object.entries(attributes).map(([key, value]) => value === undefined ? '' : ` ${key}="${escapeAttribute(value)}"`).join('')}`
  const held = children.filter(child => child !== null)
  if (held.length === 0) return `${head}/>`
  if (held.some(child => typeof child === 'string')) return `${head}>${held.map(child => typeof child === 'string' ? escapeXml(child) : write(child, '')).join('')}</${name}>`
  return `${head}>\n${held.map(child => write(child as XmlElement, `${indent}  `)).join('\n')}\n${indent}</${name}>`
}

/** Half of a surrogate pair. */
const LONE = /\p{Cs}/gu

/**
 * Text for XML 1.0, in Unicode's composed form. What no document may hold, not
 * even as a reference, is left out: control characters, noncharacters; halves
 * of a pair become U+FFFD.
 */
export function escapeXml (text: string): string {
  return text.replace(LONE, '\ufffd').normalize('NFC')
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '')
    // The blanks among them would be read as another blank in an attribute, or as another end of line.
    .replace(/[&<>"'\t\r]/g, char => `&#${char.charCodeAt(0)};`)
}

/** An end of line would be read as a blank. */
function escapeAttribute (text: string): string {
  return escapeXml(text).replaceAll('\n', '&#10;')
}
