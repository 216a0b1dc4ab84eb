import type { MarkdownIt } from 'markdown-it'

/** Has a scheme or a host, or begins at the root, or stays on the page. */
const ELSEWHERE = /^(?:[a-z][a-z\d+.-]*:|\/|#|\?|$)/i

const ATTRIBUTES: Readonly<Record<string, 'href' | 'src'>> = { link_open: 'href', image: 'src' }

/** Calls for each relative link and image of a Markdown text; what comes back takes the place of where it leads. */
export function useRelativeLinks (markdown: MarkdownIt, replace: (link: { href: string, isImage: boolean }, env: unknown) => string): void {
  markdown.core.ruler.push('relative_links', state => {
    for (const { children } of state.tokens) {
      for (const token of children ?? []) {
        const name = ATTRIBUTES[token.type]
        const href = name === undefined ? null : token.attrGet(name)
        if (name !== undefined && typeof href === 'string' && !ELSEWHERE.test(href)) token.attrSet(name, replace({ href, isImage: name === 'src' }, state.env))
      }
    }
  })
}
