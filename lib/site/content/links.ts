import path from 'node:path/posix'
import type { MarkdownOptions } from '../../../types/site.js'
import type { TemplateFile } from '../template/index.js'

/** A relative link or image of a Markdown text, in the template that was made of it. */
export interface RelativeLink {
  /** As written, percent-encoded where it must be: `../about.md#team`. */
  href: string
  /** Files that are no texts are published from the folder of assets alone, so only the app knows where it is. */
  isImage: boolean
  /** Where it stands in the template, escaped as an attribute. */
  at: number
  length: number
}

/** A relative link, and where it leads. */
export interface ResolvedLink {
  href: string
  url: string
  /** An image of which nobody has said where it is: it is told as a problem. */
  isLost: boolean
}

/** `urls`: file → the URL that it is shown at. A link to something else is for the app to say, or stays as it is. */
export class LinkResolver {
  readonly #urls: ReadonlyMap<string, string>
  readonly #link: NonNullable<MarkdownOptions['link']>

  constructor (urls: ReadonlyMap<string, string>, link: MarkdownOptions['link']) {
    this.#urls = urls
    this.#link = link ?? (() => undefined)
  }

  /** @throws what the app's own function throws */
  resolve (file: string, { href, isImage }: Pick<RelativeLink, 'href' | 'isImage'>): ResolvedLink {
    const end = href.search(/[?#]/)
    const bare = end === -1 ? href : href.slice(0, end)
    const url = this.#urls.get(path.join(path.dirname(file), decode(bare)))
    if (url !== undefined) return { href, url: url + href.slice(bare.length), isLost: false }
    const given = this.#link(href, file)
    return { href, url: given ?? href, isLost: isImage && given === undefined }
  }
}

/** The template with its links as resolved, which are as many. */
export function withLinks (template: TemplateFile, links: readonly RelativeLink[], resolved: readonly ResolvedLink[]): TemplateFile {
  if (links.length === 0) return template
  const { text, origin } = template
  /** Where what stands behind a link begins, in the new text and in the old one. */
  const shifts: { now: number, before: number }[] = []
  let linked = ''
  let from = 0
  for (const [nth, { at, length }] of links.entries()) {
    linked += text.slice(from, at) + escapeAttribute(resolved[nth]?.url ?? '')
    from = at + length
    shifts.push({ now: linked.length, before: from })
  }
  linked += text.slice(from)
  if (origin === undefined) return { ...template, text: linked }
  const offsetOf = (offset: number): number => {
    const last = shifts.findLast(({ now }) => now <= offset)
    return origin.offsetOf(last === undefined ? offset : offset - last.now + last.before)
  }
  return { ...template, text: linked, origin: { text: origin.text, offsetOf } }
}

/** As an attribute in double quotes, and so that no template tag or placeholder begins in it. */
export function escapeAttribute (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('{', '&#123;')
}

function decode (text: string): string {
  try {
    return decodeURIComponent(text).normalize('NFC')
  } catch {
    return text
  }
}
