import type { Dimensions } from './index.js'

/** What comes before the root element: a licence in a comment may be long. */
const LONGEST_HEAD = 64 * 1024
const PIXELS: Readonly<Record<string, number>> = { '': 1, px: 1, in: 96, cm: 96 / 2.54, mm: 96 / 25.4, q: 96 / 101.6, pt: 96 / 72, pc: 16 }

export function svgSize (bytes: Buffer): Dimensions | null {
  const attributes = rootAttributes(bytes.toString('utf8', 0, LONGEST_HEAD))
  if (attributes === null) return null
  const [boxWidth, boxHeight] = viewBox(attributes.get('viewBox'))
  const width = toPixels(attributes.get('width'))
  const height = toPixels(attributes.get('height'))
  const ratio = boxWidth / boxHeight
  return rounded(width ?? (height === null ? boxWidth : height * ratio), height ?? (width === null ? boxHeight : width / ratio))
}

/** Of the root element, if that is an <svg>. */
function rootAttributes (text: string): Map<string, string> | null {
  const start = endOfProlog(text)
  const root = /<(?:[\w-]+:)?svg(?=[\s/>])/y
  root.lastIndex = start
  if (!root.test(text)) return null

  const attribute = /\s+([^\s=>/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/y
  attribute.lastIndex = root.lastIndex
  const attributes = new Map<string, string>()
  for (let found = attribute.exec(text); found !== null; found = attribute.exec(text)) {
    attributes.set(found[1] as string, found[2] ?? found[3] ?? '')
  }
  return attributes
}

/** Declarations, comments and the document type, which may hold declarations itself. */
function endOfProlog (text: string): number {
  let at = text.startsWith('\ufeff') ? 1 : 0
  for (;;) {
    at += /^\s*/.exec(text.slice(at, at + 1024))?.[0].length ?? 0
    const end = text.startsWith('<?', at)
      ? after(text, '?>', at)
      : text.startsWith('<!--', at)
        ? after(text, '-->', at + 4)
        : /^<!DOCTYPE/i.test(text.slice(at, at + 9)) ? endOfDoctype(text, at) : at
    if (end === at) return at
    at = end
  }
}

function endOfDoctype (text: string, start: number): number {
  const close = text.indexOf('>', start)
  const open = text.indexOf('[', start)
  if (open === -1 || close < open) return close === -1 ? text.length : close + 1
  return after(text, '>', after(text, ']', open))
}

function after (text: string, end: string, start: number): number {
  const found = text.indexOf(end, start)
  return found === -1 ? text.length : found + end.length
}

/** NaN twice when there is none. */
function viewBox (value = ''): [number, number] {
  const numbers = value.trim().split(/[\s,]+/).map(Number)
  return [numbers[2] ?? NaN, numbers[3] ?? NaN]
}

/** Null for what depends on the page around it: percent, em. */
function toPixels (value = ''): number | null {
  const length = /^\s*\+?(\d*\.?\d+(?:e[+-]?\d+)?)\s*([a-z]*)\s*$/i.exec(value)
  const unit = PIXELS[length?.[2]?.toLowerCase() ?? 'none']
  return length === null || unit === undefined ? null : Number(length[1]) * unit
}

function rounded (width: number, height: number): Dimensions | null {
  if (!(width > 0 && height > 0 && width * height < Infinity)) return null
  return { width: Math.max(1, Math.round(width)), height: Math.max(1, Math.round(height)) }
}
