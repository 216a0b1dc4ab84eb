// The results of a run as a text to be read, plain or in Markdown.
import { align, linesOf } from './report.js'
import type { SuiteResult } from './suite.js'
import { verdictLines } from './targets.js'
import type { Verdict } from './verdict.js'

type Format = 'plain' | 'markdown'

const TABLE: Record<Format, (lines: string[][]) => string> = { plain: align, markdown: toMarkdown }

function toMarkdown ([head = [], ...rows]: string[][]): string {
  const row = (cells: string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [row(head), row(head.map((_, column) => column === 0 ? '---' : '--:')), ...rows.map(row)].join('\n')
}

export function formatResult ({ suite, tables, figures, texts, missing }: SuiteResult, format: Format = 'plain'): string {
  return [
    `## ${suite}`,
    ...tables.map(({ title, reference, rows }) =>
      `${title}${rows.some(({ ratios }) => ratios !== null) ? `; × is to ${reference}` : ''}\n\n${TABLE[format](linesOf(rows))}`),
    ...figures.map(({ title, lines }) => `${title}\n\n${TABLE[format](lines)}`),
    ...texts,
    ...missing.map(({ name, reason }) => `${name} is left out: ${reason}`)
  ].join('\n\n')
}

export function formatVerdicts (verdicts: Verdict[], format: Format = 'plain'): string {
  return verdicts.length === 0 ? '' : `\n## targets\n\n${TABLE[format](verdictLines(verdicts))}`
}

/** All of it. */
export function formatReport (results: SuiteResult[], verdicts: Verdict[], notes: string[], format: Format): string {
  return [...results.map(result => formatResult(result, format)), formatVerdicts(verdicts, format), notes.map(note => `- ${note}`).join('\n')].join('\n\n')
}
