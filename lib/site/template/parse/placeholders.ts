import type { Placeholder, TextNode } from '../ast.js'
import type { Reader } from './reader.js'

const PLACEHOLDER = /\{\{(?:\+(?<asset>[^{}]*)|=(?<value>[^{}]*)|@(?<attribute>[\w-]+)(?<attributeOptional>\?)?|(?<slot>[a-z_]+)(?<slotOptional>\?)?)\}\}/g
/** What somebody may have taken for a placeholder. */
const ALMOST = /\{\{(?:\s*@?[\w-]+\??\s*|[=+@][^{}]*)\}\}/g
const SEGMENT = /^[\w$-]+$/

/** The text and the placeholders from `start` up to `end`. */
export function readPlaceholders (reader: Reader, start: number, end: number): Array<TextNode | Placeholder> {
  const nodes: Array<TextNode | Placeholder> = []
  const text = reader.text.slice(start, end)
  let last = 0
  const addText = (to: number): void => {
    if (to === last) return
    const span = { start: start + last, end: start + to }
    const node: TextNode = { type: 'text', text: text.slice(last, to), span }
    warnOfAlmost(reader, node)
    nodes.push(node)
  }
  for (const match of text.matchAll(PLACEHOLDER)) {
    const span = { start: start + match.index, end: start + match.index + match[0].length }
    const placeholder = toPlaceholder(reader, match, span)
    if (placeholder === null) continue
    addText(match.index)
    nodes.push(placeholder)
    last = match.index + match[0].length
  }
  addText(text.length)
  return nodes
}

function toPlaceholder (reader: Reader, { groups = {} }: RegExpMatchArray, span: { start: number, end: number }): Placeholder | null {
  const { asset, value, attribute, attributeOptional, slot, slotOptional } = groups
  if (asset !== undefined) return { type: 'asset', path: readAsset(reader, asset, span), span }
  if (value !== undefined) return { type: 'value', ...readValue(reader, value, span), span }
  if (!reader.isPartial) return null
  if (attribute !== undefined) return { type: 'attribute', name: attribute, isOptional: attributeOptional !== undefined, span }
  return { type: 'slot', name: slot as string, isOptional: slotOptional !== undefined, span }
}

function readAsset (reader: Reader, text: string, { start, end }: { start: number, end: number }): string {
  const path = text.trim().replace(/^(["'])(.*)\1$/s, '$2')
  if (!/^[^\s<>"'`\\]+$/.test(path)) reader.fail('malformed_value', 'expected {{+ /static/path}}', start, end)
  return path
}

function readValue (reader: Reader, text: string, { start, end }: { start: number, end: number }): { path: string[], isOptional: boolean, filters: string[] } {
  const [path = '', ...filters] = text.split('|').map(part => part.trim())
  const odd = filters.find(filter => !/^[a-z_]\w*$/i.test(filter))
  if (odd !== undefined) reader.fail('malformed_value', `"${odd}" is no name of a filter: they take no arguments`, start, end)
  return { ...readPath(reader, path, start, end), filters }
}

/** `a.b.c`, with a `?` behind it if there may be none. */
export function readPath (reader: Reader, text: string, start: number, end: number): { path: string[], isOptional: boolean } {
  const isOptional = text.endsWith('?')
  const path = (isOptional ? text.slice(0, -1) : text).split('.')
  if (!/^[A-Za-z_$]/.test(text) || !path.every(segment => SEGMENT.test(segment))) {
    reader.fail('malformed_value', `"${text}" is no path: only names with dots between them are, like post.title; everything else is for code`, start, end)
  }
  if (path.includes('__proto__')) reader.fail('malformed_value', 'a path must not contain __proto__', start, end)
  return { path, isOptional }
}

function warnOfAlmost (reader: Reader, { text, span }: TextNode): void {
  for (const { 0: almost, index } of text.matchAll(ALMOST)) {
    // On pages, names in braces are text by right.
    if (!reader.isPartial && !/^\{\{[=+]/.test(almost)) continue
    reader.warn('looks_like_placeholder', `${almost} looks like a placeholder but is text: slots are {{name}}, of small letters and "_" alone, attributes {{@name}}, both without blanks`,
      { start: span.start + index, end: span.start + index + almost.length })
  }
}
