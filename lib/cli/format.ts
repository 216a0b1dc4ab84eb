import { styleText } from 'node:util'

/** The part of a stream that a report needs. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  hasColors? (): boolean
  write (text: string, done?: () => void): unknown
}

type Style = Parameters<typeof styleText>[0]
export type Paint = (style: Style, text: string) => string

/** Colours for a terminal that has them; NO_COLOR and FORCE_COLOR decide otherwise. */
export function painter (stream: Output): Paint {
  const forced = process.env['FORCE_COLOR']
  const wanted = forced === undefined || forced === '' ? stream.isTTY === true && stream.hasColors?.() === true : forced !== '0' && forced !== 'false'
  // Newer versions of Node look at stdout unless they are told not to; this may be stderr.
  return (style, text) => wanted ? styleText(style, text, { validateStream: false }) : text
}

export function formatBytes (bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  const units = ['kB', 'MB', 'GB']
  let value = bytes / 1000
  let unit = 0
  // 999.95 would be shown as 1000.0.
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value.toFixed(1)} ${units[unit]}`
}

export function formatDuration (ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

export function count (n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`
}

/** One line without control characters: paths and messages come from the app, and a terminal obeys them. */
export function printable (text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\s+/g, ' ').replace(/[\x00-\x1f\x7f-\x9f]/g, '').trim()
}

/** The beginning and the end of a long text: of paths, both tell something. */
export function shorten (text: string, width: number): string {
  if (text.length <= width) return text
  const tail = Math.floor((width - 1) / 3)
  return `${text.slice(0, width - 1 - tail)}…${tail === 0 ? '' : text.slice(-tail)}`
}

export interface Column { title: string, align: 'left' | 'right' }

/** Aligned columns below their titles. `style` gets each line with the index of its row, -1 for the titles. */
export function formatTable (columns: Column[], rows: string[][], style: (line: string, row: number) => string): string[] {
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map(row => row[at]!.length)))
  const line = (cells: string[]) => cells
    .map((cell, at) => columns[at]!.align === 'left' ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))
    .join('  ')
    .trimEnd()
  return [line(columns.map(({ title }) => title)), ...rows.map(line)].map((text, at) => style(text, at - 1))
}
