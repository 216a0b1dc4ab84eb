import type { MarkdownIt, Token } from 'markdown-it'

const STYLE = /^text-align:(left|center|right)$/

/**
 * Tables as they may stand in any page: columns are aligned by an attribute,
 * for a style, as markdown-it writes it, is refused by a
 * Content-Security-Policy without `unsafe-inline`; a head without words is no
 * head of anything, which screen readers would read out.
 */
export function useTables (markdown: MarkdownIt): void {
  markdown.core.ruler.push('tables', ({ tokens }) => {
    for (const [nth, token] of tokens.entries()) {
      const { type } = token
      if (type === 'th_open' || type === 'td_open') align(token)
      if (type === 'th_open' && tokens[nth + 1]?.content === '') token.tag = 'td'
      if (type === 'th_close' && tokens[nth - 1]?.content === '') token.tag = 'td'
    }
  })
}

function align (cell: Token): void {
  const [, side] = STYLE.exec(String(cell.attrGet('style') ?? '')) ?? []
  if (side === undefined) return
  cell.attrs = (cell.attrs ?? []).filter(([name]) => name !== 'style')
  cell.attrSet('align', side)
}
