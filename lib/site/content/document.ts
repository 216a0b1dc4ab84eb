import type { FrontMatter, SourceText } from '../../../types/site.js'
import type { TemplateFile } from '../template/index.js'
import { parseFrontMatter } from './front-matter.js'
import type { Heading } from './headings.js'
import type { RelativeLink } from './links.js'
import type { Markdown } from './markdown.js'

/** A file with front matter and a body, in HTML or Markdown. */
export interface Document {
  /** Path within the site; also the name of its template. */
  file: string
  hash: string
  /** As it stands in the file; Markdown without a title is called by its first heading. */
  frontMatter: Readonly<Record<string, unknown>>
  /** Lines of the keys. */
  lines: Readonly<Record<string, number>>
  template: TemplateFile
  toc: readonly Heading[]
  /** Of its template. */
  links: readonly RelativeLink[]
}

export type ParseFrontMatter = (text: string, file: string) => FrontMatter & { lines?: Record<string, number> }

/** Whether a file is a document, by its name. */
export function isDocument (path: string): boolean {
  return /\.(?:html|md)$/.test(path)
}

export function isMarkdown (path: string): boolean {
  return path.endsWith('.md')
}

/** Without the ending of a document. */
export function stem (path: string): string {
  return path.replace(/\.(?:html|md)$/, '')
}

/** @throws FST_ISR_ERR_SITE_FRONT_MATTER, or what a parser of the app's own throws */
export function readDocument ({ path: file, text, hash }: SourceText, { parse = parseFrontMatter, markdown }: { parse?: ParseFrontMatter | undefined, markdown: Markdown | null }): Document {
  const { data, bodyOffset, lines = {} } = parse(text, file)
  const read = { file, hash, frontMatter: data, lines }
  if (markdown === null) return { ...read, template: { name: file, text, bodyOffset }, toc: [], links: [] }
  const { html, toc, links, originOf } = markdown.render(text.slice(bodyOffset))
  const heading = toc.find(({ level }) => level === 1)
  return {
    ...read,
    frontMatter: heading === undefined || Object.hasOwn(data, 'title') ? data : { ...data, title: heading.text },
    template: { name: file, text: html, origin: { text, offsetOf: offset => bodyOffset + originOf(offset) } },
    toc,
    links
  }
}

/**
 * The template with its body given to a partial, as what stands between its
 * tags. What is wrong with these is wrong with `line` of the file.
 */
export function withLayout (template: TemplateFile, layout: string, line: number): TemplateFile {
  const { name, text, bodyOffset = 0, origin = { text, offsetOf: (offset: number) => offset + bodyOffset } } = template
  const open = `<% ${layout} %>`
  const body = text.slice(bodyOffset)
  const named = offsetOfLine(origin.text, line)
  return {
    name,
    text: `${open}${body}<%/ ${layout} %>`,
    origin: {
      text: origin.text,
      offsetOf (offset) {
        const within = offset - open.length
        return within < 0 || within > body.length ? named : origin.offsetOf(within)
      }
    }
  }
}

function offsetOfLine (text: string, line: number): number {
  let offset = 0
  for (let nth = 1; nth < line; nth++) offset = text.indexOf('\n', offset) + 1
  return offset
}
