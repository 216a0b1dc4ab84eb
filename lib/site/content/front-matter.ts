import { FrontMatterInvalid } from '../errors.js'
import { readBlock, readInlineList, readList, readScalar, type Lines } from './front-matter-values.js'

export type FrontMatterValue = string | boolean | string[]

export interface ParsedFrontMatter {
  /** Has no prototype, so no name of a key means anything but itself. */
  data: Record<string, FrontMatterValue>
  /** Where the text behind it begins, in characters. */
  bodyOffset: number
  /** The line of the file that each key stands on, from 1. */
  lines: Record<string, number>
}

const FENCE = /^---[ \t]*$/
/** `---js`, `---json`: other readers run or parse what follows. */
const NAMED_FENCE = /^---[ \t]*([A-Za-z][\w+-]*)[ \t]*$/
const KEY = /^([A-Za-z_][\w-]*):(?:[ \t]+|$)/
const BLANK = /^[ \t]*(?:#.*)?$/

/**
 * Reads `key: value` lines between two lines of `---` at the beginning of a
 * text. A value is a text up to the end of its line, colons and `#` included;
 * `true` and `false` are booleans; `"…"` and `'…'` quote; `[a, b]` and lines of
 * `- item` are lists; `|` and `>` begin indented texts. Nothing else has a
 * meaning, and nothing is ever run. Without a second fence, unless a key follows
 * the first, there is no front matter and all is body.
 *
 * @throws FST_ISR_ERR_SITE_FRONT_MATTER, with `file` and `line`
 */
export function parseFrontMatter (text: string, file: string): ParsedFrontMatter {
  const none = (bodyOffset: number): ParsedFrontMatter => ({ data: Object.create(null), bodyOffset, lines: Object.create(null) })
  const start = text.charCodeAt(0) === 0xfeff ? 1 : 0
  if (!text.startsWith('---', start)) return none(start)
  const first = lineAt(text, start)
  const named = NAMED_FENCE.exec(first.line)
  if (named !== null) throw frontMatterError(file, 1, `it is marked as '${shorten(named[1] as string)}', and only 'key: value' lines are read, nothing is run: let the fence be '---' alone`)
  if (!FENCE.test(first.line)) return none(start)

  const lines: string[] = []
  for (let at = first.next; at < text.length;) {
    const { line, next } = lineAt(text, at)
    if (FENCE.test(line)) return { ...readLines(lines, file), bodyOffset: next }
    lines.push(line)
    at = next
  }
  // A ruler of Markdown has an empty line behind it.
  if (KEY.test(lines[0] ?? '')) throw frontMatterError(file, 1, "it has no end: a line of '---' is missing behind the last key")
  return none(start)
}

/** An error that names the line; `file` and `line` can be asked for. */
export function frontMatterError (file: string, line: number, message: string): Error & { file: string, line: number } {
  return Object.assign(new FrontMatterInvalid(file, line, message), { file, line })
}

/** For messages: one line of bounded length. */
export function shorten (text: string): string {
  const cut = text.length > 40 ? `${text.slice(0, 40)}…` : text
  return JSON.stringify(cut).slice(1, -1)
}

/** LF or CRLF ends a line. */
function lineAt (text: string, at: number): { line: string, next: number } {
  const found = text.indexOf('\n', at)
  const end = found === -1 ? text.length : found
  const line = text.slice(at, text[end - 1] === '\r' && end > at ? end - 1 : end)
  return { line, next: found === -1 ? text.length : found + 1 }
}

function readLines (all: readonly string[], file: string): Omit<ParsedFrontMatter, 'bodyOffset'> {
  const data: Record<string, FrontMatterValue> = Object.create(null)
  const lineOf: Record<string, number> = Object.create(null)
  const lines: Lines = {
    all,
    at: 0,
    // The first is the fence.
    fail: (message, nth) => { throw frontMatterError(file, nth + 2, message) }
  }
  while (lines.at < all.length) {
    const nth = lines.at++
    const line = all[nth] as string
    if (BLANK.test(line)) continue
    const [head, key] = KEY.exec(line) ?? lines.fail(explain(line), nth)
    if (key === '__proto__') lines.fail("'__proto__' can't be a key", nth)
    if (Object.hasOwn(data, key as string)) lines.fail(`the key '${shorten(key as string)}' is given twice, first on line ${lineOf[key as string]}`, nth)
    data[key as string] = readValue(line.slice(head.length).trim(), lines, nth)
    lineOf[key as string] = nth + 2
  }
  return { data, lines: lineOf }
}

function readValue (rest: string, lines: Lines, nth: number): FrontMatterValue {
  if (rest === '') return readList(lines) ?? ''
  if (/^[|>][+-]?$/.test(rest)) return readBlock(lines, rest.startsWith('|') ? '\n' : ' ')
  if (rest.startsWith('[')) return readInlineList(rest, message => lines.fail(message, nth))
  return readScalar(rest, message => lines.fail(message, nth))
}

function explain (line: string): string {
  if (/^[ \t]/.test(line)) return `'${shorten(line.trim())}' is indented, and keys within keys are not supported: use a key of its own, such as 'author_name'`
  if (/^[A-Za-z_][\w-]*:/.test(line)) return `'${shorten(line)}' needs a blank behind the colon`
  return `expected 'key: value', got '${shorten(line)}'`
}
