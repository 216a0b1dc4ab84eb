import type { MarkdownIt, StateBlock, StateInline } from 'markdown-it'
import { escapeAttribute, type RelativeLink } from './links.js'
import { useRelativeLinks } from './markdown-links.js'
import { endOfTag } from './tag-scanner.js'

/** A tag with its attributes on lines of their own. */
const MAX_LINES = 50
/** Stands for a tag, or for where a link leads, until all else is escaped. Markdown-it lets no NUL through, be it in a text or as an entity. */
const MARK = '\0'

/** Relative links and images, which are resolved when it is known what else there is. */
export function useLinks (markdown: MarkdownIt): void {
  useRelativeLinks(markdown, (link, env) => mark(env, link))
}

/**
 * Template tags within Markdown: alone on their lines they are blocks,
 * elsewhere inline. They alone are left to the template compiler.
 */
export function useTemplateTags (markdown: MarkdownIt): void {
  markdown.block.ruler.before('fence', 'template_tag', blockTag, { alt: ['paragraph', 'reference', 'blockquote', 'list'] })
  markdown.inline.ruler.before('text', 'template_tag', inlineTag)
  markdown.core.ruler.push('template_tag_lines', state => {
    for (const { map, children } of state.tokens) {
      for (const child of children ?? []) {
        if (child.type === 'template_tag') child.map = map
      }
    }
  })
  markdown.renderer.rules['template_tag'] = (tokens, nth, _options, env) => {
    const token = tokens[nth]
    if (token === undefined) return ''
    return mark(env, { text: token.content, lines: token.map ?? [0, Infinity] }) + (token.block ? '\n' : '')
  }
}

/** A tag, and the lines of its block: from, and up to without; they count from 0. */
export interface Tag { text: string, lines: readonly [number, number] }

export interface RenderedTemplate {
  html: string
  /** Where tags are in it, in order. */
  tags: (Tag & { at: number })[]
  /** Where relative links are in it, in order. */
  links: RelativeLink[]
}

/** Renders so that no text of the author can be read as a tag or a placeholder, wherever in the result it ends up. */
export function renderTemplate (markdown: MarkdownIt, text: string, env: Record<string, unknown>): RenderedTemplate {
  const escaped = markdown.render(text, env).replaceAll('{{', '&#123;&#123;').replaceAll('<%', '&lt;%')
  const marked = markedIn(env)
  const tags: RenderedTemplate['tags'] = []
  const links: RelativeLink[] = []
  let html = ''
  for (const [nth, piece] of escaped.split(MARK).entries()) {
    const found = nth % 2 === 0 ? undefined : marked[Number(piece)]
    if (found === undefined) html += nth % 2 === 0 ? piece : ''
    else if ('href' in found) {
      const href = escapeAttribute(found.href)
      links.push({ ...found, at: html.length, length: href.length })
      html += href
    } else {
      tags.push({ ...found, at: html.length })
      html += found.text
    }
  }
  return { html, tags, links }
}

type Marked = Tag | { href: string, isImage: boolean }

/** What stands for it until all else is escaped. */
function mark (env: unknown, what: Marked): string {
  return `${MARK}${markedIn(env).push(what) - 1}${MARK}`
}

function markedIn (env: unknown): Marked[] {
  const held = env as { marked?: Marked[] }
  held.marked ??= []
  return held.marked
}

function blockTag (state: StateBlock, start: number, end: number, silent: boolean): boolean {
  const begin = (state.bMarks[start] as number) + (state.tShift[start] as number)
  // Indented by four it is code.
  if ((state.sCount[start] as number) - state.blkIndent >= 4 || !state.src.startsWith('<%', begin)) return false
  let last = start + 1
  while (last < end && last - start < MAX_LINES && !state.isEmpty(last) && (state.sCount[last] as number) >= state.blkIndent) last++
  // Without the marks of a quotation or a list that it stands in.
  const text = state.getLines(start, last, state.blkIndent, false).trimStart()
  const length = endOfTag(text, 0)
  if (length === -1) return false
  const content = text.slice(0, length)
  const rest = text.slice(length)
  const lineEnd = rest.indexOf('\n')
  if ((lineEnd === -1 ? rest : rest.slice(0, lineEnd)).trim() !== '') return false
  if (silent) return true

  const next = start + content.split('\n').length
  const token = state.push('template_tag', '', 0)
  token.content = content
  token.block = true
  token.map = [start, next]
  state.line = next
  return true
}

function inlineTag (state: StateInline, silent: boolean): boolean {
  const end = endOfTag(state.src, state.pos)
  if (end === -1 || end > state.posMax) return false
  if (!silent) state.push('template_tag', '', 0).content = state.src.slice(state.pos, end)
  state.pos = end
  return true
}
