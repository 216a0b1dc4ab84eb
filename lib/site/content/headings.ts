import type { MarkdownIt } from 'markdown-it'

/** A heading, for a table of contents. `level`: 1 to 6. */
export interface Heading { id: string, text: string, level: number }

/** Gives headings ids to link to, and lists them in `env.toc`. */
export function useHeadings (markdown: MarkdownIt): void {
  markdown.core.ruler.push('headings', state => {
    const toc: Heading[] = []
    const ids = new Ids()
    for (const [nth, token] of state.tokens.entries()) {
      if (token.type !== 'heading_open') continue
      const text = (state.tokens[nth + 1]?.children ?? []).filter(({ type }) => type === 'text' || type === 'code_inline').map(({ content }) => content).join('')
      const id = ids.of(text)
      token.attrSet('id', id)
      toc.push({ id, text, level: Number(token.tag.slice(1)) })
    }
    Object.assign(state.env as object, { toc })
  })
}

class Ids {
  readonly #used = new Set<string>()
  /** Where to go on counting. */
  readonly #next = new Map<string, number>()

  of (text: string): string {
    const base = text.normalize('NFC').toLowerCase().replace(/[^\p{L}\p{N}\p{M}]+/gu, '-').replace(/^-|-$/g, '') || 'section'
    let id = base
    let nth = this.#next.get(base) ?? 1
    // A heading may be named like the second of another: "a", "a", "a 1".
    while (this.#used.has(id)) id = `${base}-${nth++}`
    this.#next.set(base, nth)
    this.#used.add(id)
    return id
  }
}
