import { FeedInvalid } from '../errors.js'
import { absoluteUrls, timestamp, type Absolute } from './absolute.js'
import { element, xmlDocument, type XmlElement } from './xml.js'

export interface AtomOptions {
  baseUrl: string | URL
  title: string
  /** Path of the feed itself. @defaultValue '/feed.xml' */
  path?: string
  /** Path of what the feed is of. @defaultValue '/' */
  home?: string
  subtitle?: string
  /** Of entries that name none. @defaultValue the title */
  author?: string
  /** Language of the feed, such as `en`. */
  language?: string
  /** The newest so many. @defaultValue 20 */
  limit?: number
}

/** What a feed shows of an item; items of collections are such. */
export interface AtomEntry {
  /** Path within the site; in absolute form also the entry's id. */
  readonly url: string
  readonly title?: string
  /** Day of publication. An item without is left out: an entry has to say when it was last changed. */
  readonly date?: Date
  readonly updated?: Date
  /** Plain text. */
  readonly summary?: unknown
  /** HTML. */
  readonly content?: string
  readonly author?: unknown
  readonly tags?: readonly string[]
}

/**
 * An Atom feed (RFC 4287). The same entries make the same bytes: it is as new
 * as its newest entry.
 */
export function atomXml (entries: Iterable<AtomEntry>, options: AtomOptions): string {
  const { baseUrl, title, path = '/feed.xml', home = '/', subtitle, author = title, language, limit = 20 } = options
  if (typeof title !== 'string' || title.trim() === '') throw new FeedInvalid('title', 'must be a text')
  if (!Number.isSafeInteger(limit) || limit < 1) throw new FeedInvalid('limit', `must be a whole number, 1 or more, got ${limit}`)
  const absolute = absoluteUrls(baseUrl)
  const self = absolute(path, 'path')
  const newest = [...entries].flatMap(entry => {
    const published = timestamp(entry.date)
    return published === null ? [] : [{ entry, published, updated: timestamp(entry.updated) ?? published }]
  }).sort((a, b) => a.published < b.published ? 1 : a.published > b.published ? -1 : a.entry.url < b.entry.url ? -1 : 1).slice(0, limit)
  const updated = newest.map(({ updated }) => updated).reduce((a, b) => a > b ? a : b, '1970-01-01T00:00:00.000Z')
  return xmlDocument(element('feed', { xmlns: 'http://www.w3.org/2005/Atom', 'xml:lang': language },
    element('id', {}, self),
    element('title', {}, title),
    subtitle === undefined ? null : element('subtitle', {}, subtitle),
    element('updated', {}, updated),
    element('author', {}, element('name', {}, author)),
    element('link', { rel: 'self', type: 'application/atom+xml', href: self }),
    element('link', { rel: 'alternate', type: 'text/html', href: absolute(home, 'home') }),
    ...newest.map(({ entry, published, updated }) => atomEntry(entry, published, updated, absolute))
  ))
}

function atomEntry ({ url, title, summary, content, author, tags = [] }: AtomEntry, published: string, updated: string, absolute: Absolute): XmlElement {
  const address = absolute(url, 'url')
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
  return element('entry', {},
    element('id', {}, address),
    // Must not be missing; the address says more than an empty one.
    element('title', {}, isText(title) ? title : url),
    element('published', {}, published),
    element('updated', {}, updated),
    isText(author) ? element('author', {}, element('name', {}, author)) : null,
    element('link', { rel: 'alternate', type: 'text/html', href: address }),
    ...tags.map(tag => element('category', { term: tag })),
    isText(summary) ? element('summary', {}, summary) : null,
    isText(content) ? element('content', { type: 'html' }, content) : null
  )
}
