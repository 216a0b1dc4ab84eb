/** From `start` up to, and without, `end`: offsets into the text of the file. */
export interface Span { start: number, end: number }

export interface Place { line: number, column: number, frame: string }

/** Lines of a frame before the one that is meant, and after it. */
const BEFORE = 2
const AFTER = 1
/** Of a line, in a frame: some have all of a page in one. */
const WIDTH = 120

/** The file that a template was made from, Markdown for example, and where in it a place of the template is. */
export interface Origin {
  text: string
  offsetOf: (offset: number) => number
}

/** The text of one template file, which knows where in it something stands. */
export class SourceText {
  readonly name: string
  readonly text: string
  /** Where the template begins: front matter and a byte order mark are no part of it. */
  readonly start: number

  /** What messages are to show in place of the text. */
  readonly origin: Origin | null
  /** Of what messages show, once there is a message: a template may have many. */
  #lines: { lines: string[], starts: number[] } | null = null

  constructor (name: string, text: string, bodyOffset: number, origin: Origin | null = null) {
    this.origin = origin
    this.name = name
    this.text = text
    this.start = bodyOffset > 0 ? bodyOffset : text.startsWith('\uFEFF') ? 1 : 0
  }

  slice ({ start, end }: Span): string {
    return this.text.slice(start, end)
  }

  /** Lines and columns count from 1, the columns in UTF-16 units. */
  locate (span: Span): Place {
    this.#lines ??= toLines(this.origin?.text ?? this.text)
    const { lines, starts } = this.#lines
    const start = this.origin?.offsetOf(span.start) ?? span.start
    let index = 0
    for (let last = starts.length - 1; index < last;) {
      const middle = Math.ceil((index + last) / 2)
      if ((starts[middle] ?? 0) <= start) index = middle
      else last = middle - 1
    }
    const column = start - (starts[index] ?? 0)
    return { line: index + 1, column: column + 1, frame: drawFrame(lines, index, column, span.end - span.start) }
  }
}

function toLines (text: string): { lines: string[], starts: number[] } {
  const lines = text.split('\n')
  let next = 0
  return { lines, starts: lines.map(line => (next += line.length + 1) - line.length - 1) }
}

function lineAt (lines: string[], index: number): string {
  return lines[index] ?? ''
}

function drawFrame (lines: string[], index: number, column: number, length: number): string {
  const last = Math.min(lines.length - 1, index + AFTER)
  const gutter = String(last + 1).length
  // A long line is shown around the place; the others from the same column on.
  const from = column > WIDTH - 20 ? column - 40 : 0
  const rows: string[] = []
  for (let at = Math.max(0, index - BEFORE); at <= last; at++) {
    const line = lineAt(lines, at).replace(/\r$/, '')
    const mark = at === index ? '>' : ' '
    rows.push(`${mark} ${String(at + 1).padStart(gutter)} | ${line.slice(from, from + WIDTH)}`.trimEnd())
    if (at !== index) continue
    // Tabs stay tabs, so that the caret stands below the place however wide they are shown.
    const indent = line.slice(from, column).replace(/[^\t]/g, ' ')
    const carets = Math.max(1, Math.min(length, line.length - column, WIDTH - (column - from)))
    rows.push(`  ${' '.repeat(gutter)} | ${indent}${'^'.repeat(carets)}`)
  }
  return rows.join('\n')
}
