import type { MarkdownOptions } from '../../../types/site.js'
import { loadPeer } from '../peer.js'
import { useHeadings, type Heading } from './headings.js'
import { DEFAULT_LANGUAGES, loadHighlight, type Highlight } from './highlight.js'
import type { RelativeLink } from './links.js'
import { renderTemplate, useLinks, useTemplateTags } from './markdown-tags.js'
import { useTables } from './tables.js'
import { tagOrigins } from './tag-origin.js'

export interface RenderedMarkdown {
  /** Text for the template compiler: template tags as they stand, all else escaped so that it can't be one. */
  html: string
  toc: Heading[]
  /** As they were written: what else there is decides where they lead. */
  links: RelativeLink[]
  /** From an offset in `html`, within a tag, to the one in the Markdown. */
  originOf: (offset: number) => number
}

export interface Markdown {
  render (text: string): RenderedMarkdown
}

/**
 * Markdown (CommonMark and tables) by markdown-it. HTML within it is shown, not
 * sent; links with `javascript:` and the like are none.
 *
 * @throws FST_ISR_ERR_SITE_PEER, if markdown-it or highlight.js is not installed
 */
export async function loadMarkdown (options: MarkdownOptions = {}): Promise<Markdown> {
  const { default: MarkdownIt } = await loadPeer('markdown-it', 'Markdown', async () => await import('markdown-it'))
  const highlight = await readHighlight(options)
  const markdown = new MarkdownIt({ html: false, linkify: false, highlight: (code, language) => highlight?.(code, language) ?? '' })
  // Before our own rules: whatever it adds, tags and links are what they are, and all else is escaped.
  options.use?.(markdown as never)
  useTemplateTags(markdown)
  useLinks(markdown)
  useHeadings(markdown)
  useTables(markdown)
  return {
    render (text) {
      const env: { toc?: Heading[] } = {}
      const { html, tags, links } = renderTemplate(markdown, text, env)
      return { html, toc: env.toc ?? [], links, originOf: tagOrigins(text, tags) }
    }
  }
}

async function readHighlight ({ highlight, languages }: MarkdownOptions): Promise<Highlight | null> {
  if (highlight === false) return null
  if (highlight === undefined) return await loadHighlight(languages ?? DEFAULT_LANGUAGES)
  // The mark of tags must not come from elsewhere.
  return (code, language) => highlight(code, language).replaceAll('\0', '\ufffd')
}
