import type { MarkdownIt } from 'markdown-it'

const STYLE = /^text-align:(left|center|right)$/

/** Alignment of columns as an attribute: a style, as markdown-it writes it, is refused by a Content-Security-Policy without `unsafe-inline`. */
export function useTableAlignment (markdown: MarkdownIt): void {
  markdown.core.ruler.push('table_alignment', state => {
    for (const token of state.tokens) {
      if (token.type !== 'th_open' && token.type !== 'td_open') continue
      const [, align] = STYLE.exec(String(token.attrGet('style') ?? '')) ?? []
      if (align === undefined) continue
      token.attrs = (token.attrs ?? []).filter(([name]) => name !== 'style')
      token.attrSet('align', align)
    }
  })
}
