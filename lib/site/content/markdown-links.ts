import type { MarkdownIt } from 'markdown-it'

/** Has a scheme or a host, or begins at the root, or stays on the page. */
const ELSEWHERE = /^(?:[a-z][a-z\d+.-]*:|\/|#|\?|$)/i

/** Calls for each relative link of a Markdown text; what comes back takes the place of where it leads. */
export function useRelativeLinks (markdown: MarkdownIt, replace: (href: string, env: unknown) => string): void {
  markdown.core.ruler.push('relative_links', state => {
    for (const { children } of state.tokens) {
      for (const token of children ?? []) {
        const href = token.type === 'link_open' ? token.attrGet('href') : null
        if (typeof href === 'string' && !ELSEWHERE.test(href)) token.attrSet('href', replace(href, state.env))
      }
    }
  })
}
