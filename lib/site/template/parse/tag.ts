import type { Attribute, Attributes } from '../ast.js'
import { readPlaceholders } from './placeholders.js'
import type { Reader } from './reader.js'

/** `<% name … %>`, `<% name … %/>` or `<%/ name %>`; `start` is where it begins. */
export interface Tag {
  kind: 'open' | 'self' | 'close'
  name: string
  attributes: Attributes
  start: number
  end: number
}

const BLANKS = /\s*/y
const END = /%\/?>/y
/** Up to a blank or the end of the tag. */
const WORD = /(?:(?!%\/?>)\S)+/y
const KEY = /([A-Za-z_][\w-]*)\s*=\s*/y

/** Reads the tag at the position of the reader. */
export function readTag (reader: Reader): Tag {
  const start = reader.position
  reader.position += 2
  skipBlanks(reader)
  const tag = reader.text[reader.position] === '/' ? readCloseTag(reader, start) : readOpenTag(reader, start)
  reader.position = tag.end
  return tag
}

function readCloseTag (reader: Reader, start: number): Tag {
  reader.position++
  skipBlanks(reader)
  const name = reader.match(WORD)?.[0] ?? ''
  // Whatever stands behind the name has no meaning.
  const close = findEnd(reader, reader.position + name.length)
  if (close === null) reader.fail('malformed_tag', 'missing closing %>', start, start + 3)
  if (close.text === '%/>') reader.fail('malformed_tag', 'a closing tag cannot be self-closing', start, close.end)
  if (name === '') reader.fail('malformed_tag', 'missing tag name', start, close.end)
  return { kind: 'close', name, attributes: new Map(), start, end: close.end }
}

function findEnd (reader: Reader, from: number): { text: string, end: number } | null {
  const pattern = /%\/?>/g
  pattern.lastIndex = from
  const match = pattern.exec(reader.text)
  return match === null ? null : { text: match[0], end: match.index + match[0].length }
}

function readOpenTag (reader: Reader, start: number): Tag {
  const name = reader.match(WORD)?.[0] ?? ''
  reader.position += name.length
  const attributes = readAttributes(reader, start)
  const [end = ''] = reader.match(END) ?? []
  const stop = reader.position + end.length
  if (name === '') reader.fail('malformed_tag', 'empty tag', start, stop)
  return { kind: end === '%/>' ? 'self' : 'open', name, attributes, start, end: stop }
}

function readAttributes (reader: Reader, start: number): Attributes {
  const attributes = new Map<string, Attribute>()
  /** A value with the end of a tag in it: where its closing quote was probably forgotten. */
  let suspect: { start: number, end: number } | null = null
  for (;;) {
    skipBlanks(reader)
    const at = reader.position
    if (reader.match(END) !== null) return attributes
    const key = reader.match(KEY)
    if (key === null || at >= reader.text.length) {
      if (suspect !== null) reader.fail('malformed_tag', 'unterminated quoted attribute', suspect.start, suspect.end)
      if (at >= reader.text.length) reader.fail('malformed_tag', 'missing closing %> or %/>', start, start + 2)
      reader.fail('malformed_tag', 'invalid attribute syntax: expected name="value"', at, at + (reader.match(WORD)?.[0].length ?? 1))
    }
    const [all, name = ''] = key
    reader.position += all.length
    const value = readValue(reader, name)
    const span = { start: at, end: reader.position }
    const first = attributes.get(name)
    if (first !== undefined) {
      reader.fail('duplicate_attr', `the attribute "${name}" is given twice`, at, at + name.length, reader.related('duplicate_attr', 'first given here', first.span))
    }
    const text = reader.text.slice(value.start, value.end)
    const close = text.search(/%\/?>/)
    if (close >= 0) suspect ??= { start: value.start - 1, end: value.end }
    if (close >= 0 && text.lastIndexOf('<%') > close) reader.fail('malformed_tag', 'unterminated quoted attribute', value.start - 1, value.end)
    if (text.includes('<%')) reader.fail('malformed_tag', 'a tag may not stand in an attribute: its value is text and placeholders', value.start + text.indexOf('<%'), value.end)
    attributes.set(name, { name, value: readPlaceholders(reader, value.start, value.end), span })
  }
}

/** Where the value stands, without its quotes; the reader goes on behind it. */
function readValue (reader: Reader, name: string): { start: number, end: number } {
  const at = reader.position
  const quote = reader.text[at]
  if (quote === '"' || quote === "'") {
    const end = reader.text.indexOf(quote, at + 1)
    if (end < 0) reader.fail('malformed_tag', 'unterminated quoted attribute', at, at + 1)
    reader.position = end + 1
    return { start: at + 1, end }
  }
  const word = reader.match(WORD)?.[0] ?? ''
  if (word === '') reader.fail('malformed_tag', `missing attribute value of "${name}"`, at - 1, at)
  reader.position += word.length
  return { start: at, end: at + word.length }
}

function skipBlanks (reader: Reader): void {
  reader.position += reader.match(BLANKS)?.[0].length ?? 0
}
