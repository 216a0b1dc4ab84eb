// The pages of cluster-app.ts, which tell whether they are whole.
import { createHash } from 'node:crypto'

/** What a page shows of itself. */
export interface ShownPage {
  key: string
  /** Of the data, as the origin had it when it was asked. */
  version: number
  /** Every render has its own, unless the origin says otherwise. */
  render: string
  /** Who rendered it. */
  instance: string
}

/** Long enough that a write of it can be torn, and that it is compressed. */
const FILLER = 'All happy families are alike. '.repeat(60)

export function showPage (page: ShownPage): string {
  const text = `<!doctype html><title>${page.key}</title>\n<pre>${JSON.stringify(page)}</pre>\n<p>${FILLER}</p>\n`
  return `${text}<!-- ${createHash('sha256').update(text).digest('hex')} -->\n`
}

/** What a body shows, wholly; throws for one that is torn or mixed. */
export function parsePage (body: string): ShownPage {
  const json = /<pre>(.*)<\/pre>/.exec(body)?.[1]
  if (json === undefined) throw new Error(`no page: ${body.slice(0, 200)}`)
  const page = JSON.parse(json) as ShownPage
  if (body !== showPage(page)) throw new Error(`a torn page: ${body.length} bytes, ${body.slice(0, 200)}`)
  return page
}
