/** The lines of front matter and how far they are read. */
export interface Lines {
  readonly all: readonly string[]
  at: number
  /** Throws, for the line with this index. */
  fail: (message: string, nth: number) => never
}

type Fail = (message: string) => never

const ITEM = /^[ \t]*-(?:[ \t]+|$)/
const INDENT = /^[ \t]*/

/** `true` and `false`, a quoted text, or the text as it stands. */
export function readScalar (text: string, fail: Fail): string | boolean {
  if (text === 'true') return true
  if (text === 'false') return false
  return readText(text, fail)
}

/** As `readScalar`, for items of lists, which are always texts. */
function readText (text: string, fail: Fail): string {
  if (!text.startsWith('"') && !text.startsWith("'")) return text
  const end = endOfQuoted(text, 0)
  if (end === -1) return fail(`a ${text[0]} has no other half: quote the whole value, or nothing of it`)
  if (!isComment(text.slice(end))) return fail(`something follows the closing ${text[0]}: quote the whole value, or nothing of it`)
  return unquote(text.slice(0, end), fail)
}

/** The lines of `- item` that follow, or null. */
export function readList (lines: Lines): string[] | null {
  const items: string[] = []
  for (; lines.at < lines.all.length; lines.at++) {
    const line = lines.all[lines.at] as string
    const dash = ITEM.exec(line)
    if (dash === null) break
    const nth = lines.at
    items.push(readText(line.slice(dash[0].length).trim(), message => lines.fail(message, nth)))
  }
  return items.length === 0 ? null : items
}

/** `[a, "b, c"]` on one line. */
export function readInlineList (text: string, fail: Fail): string[] {
  const items: string[] = []
  let at = 1
  for (;;) {
    at = skipBlanks(text, at)
    // Nothing before the bracket, or a comma behind the last item.
    if (text[at] === ']') break
    if (at >= text.length) return fail("the list has no ']' on its line: lists of several lines have one '- item' each")
    const { item, end } = readInlineItem(text, at, fail)
    items.push(item)
    at = skipBlanks(text, end)
    if (text[at] === ',') at++
    else if (text[at] !== ']') return fail("the list has no ']' on its line: lists of several lines have one '- item' each")
  }
  return isComment(text.slice(at + 1)) ? items : fail("something follows the ']' of the list: quote the value if it is a text")
}

function readInlineItem (text: string, at: number, fail: Fail): { item: string, end: number } {
  if (text[at] === '"' || text[at] === "'") {
    const end = endOfQuoted(text, at)
    return end === -1 ? fail(`a ${text[at]} in the list has no other half`) : { item: unquote(text.slice(at, end), fail), end }
  }
  if (text[at] === '[') return fail('a list within a list is not supported')
  let end = at
  while (end < text.length && text[end] !== ',' && text[end] !== ']') end++
  const item = text.slice(at, end).trim()
  return item === '' ? fail('the list has an empty item') : { item, end }
}

/** The indented lines that follow, without the indentation of the first. `>` joins lines, empty ones divide paragraphs. */
export function readBlock (lines: Lines, joint: '\n' | ' '): string {
  const taken: string[] = []
  let indent = ''
  for (; lines.at < lines.all.length; lines.at++) {
    const line = lines.all[lines.at] as string
    const own = INDENT.exec(line)?.[0] ?? ''
    const isEmpty = own === line
    if (!isEmpty && own === '') break
    if (!isEmpty && indent === '') indent = own
    if (!isEmpty && !own.startsWith(indent)) lines.fail('it is indented less than the first line of its text', lines.at)
    taken.push(isEmpty ? '' : line.slice(indent.length).trimEnd())
  }
  return (joint === '\n' ? taken.join('\n') : fold(taken)).trim()
}

function fold (lines: readonly string[]): string {
  return lines.map((line, nth) => line === '' ? '\n' : (lines[nth - 1] ?? '') === '' ? line : ` ${line}`).join('')
}

/** Behind the closing quote, or -1. */
function endOfQuoted (text: string, at: number): number {
  const quote = text[at]
  for (let end = at + 1; end < text.length; end++) {
    if (quote === '"' && text[end] === '\\') end++
    else if (text[end] === quote && quote === "'" && text[end + 1] === quote) end++
    else if (text[end] === quote) return end + 1
  }
  return -1
}

/** Double quotes have the escapes of JSON; in single ones `''` is one of them. */
function unquote (quoted: string, fail: Fail): string {
  if (quoted.startsWith("'")) return quoted.slice(1, -1).replaceAll("''", "'")
  try {
    return JSON.parse(quoted) as string
  } catch {
    return fail(`${quoted.slice(0, 40)} has an escape that JSON does not have: double the backslash, or use single quotes`)
  }
}

function isComment (rest: string): boolean {
  return /^[ \t]*(?:#|$)/.test(rest)
}

function skipBlanks (text: string, at: number): number {
  while (text[at] === ' ' || text[at] === '\t') at++
  return at
}
