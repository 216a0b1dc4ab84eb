import { PageInvalid } from '../errors.js'
import { frontMatterError } from './front-matter.js'
import { pageError } from './page-error.js'
import type { FilePage, ReadPage, Redirect } from './page-file.js'
import { canonicalPath } from './urls.js'

/** What had other addresses before: a page, or an item of a collection. */
export interface Moved {
  file: string
  url: string
  redirects: readonly { from: string, line: number }[]
}

/** The file pages by URL, and where redirects lead. It does not change: a change makes another table. */
export class PageTable {
  /** Why some files are no pages: another has their URL. */
  readonly problems: readonly Error[]
  readonly #pages: readonly FilePage[]
  readonly #entries = new Map<string, FilePage | Redirect>()
  /** Path of a redirect → where it ends in this table; null: elsewhere. */
  readonly #ends = new Map<string, string | null>()

  /** `redirects`: path → path or URL, of the app's settings. `moved`: items; a page has its own. */
  constructor (files: Iterable<ReadPage>, redirects: Readonly<Record<string, string>> = {}, moved: Iterable<Moved> = []) {
    const problems: Error[] = []
    const read = [...files].sort((a, b) => a.file < b.file ? -1 : 1)
    this.#pages = this.#addPages(read, problems)
    for (const [from, to] of Object.entries(redirects)) this.#addRedirect(from, to, problems)
    for (const { file, page, redirects } of read) {
      if (page !== null && this.#entries.get(page.url) === page) this.#addRedirects({ file, url: page.url, redirects }, problems)
    }
    for (const item of moved) this.#addRedirects(item, problems)
    this.problems = problems
  }

  /**
   * What a path means, which is looked up in the spelling it came in. A path
   * with a slash at its end leads to the page without.
   */
  find (path: string): FilePage | Redirect | null {
    const found = this.#entries.get(path)
    if (found !== undefined) return found
    const bare = path.endsWith('/') ? path.slice(0, -1) : ''
    const meant = this.#entries.get(bare)
    if (meant === undefined) return null
    return { kind: 'redirect', from: path, to: meant.kind === 'page' ? meant.url : meant.to, status: 301 }
  }

  /** By file. */
  all (): readonly FilePage[] {
    return this.#pages
  }

  redirects (): Redirect[] {
    return [...this.#entries.values()].filter(entry => entry.kind === 'redirect')
  }

  /** Every path that leads somewhere. */
  paths (): Iterable<string> {
    return this.#entries.keys()
  }

  #addPages (files: readonly ReadPage[], problems: Error[]): FilePage[] {
    const pages: FilePage[] = []
    const bySmall = new Map<string, FilePage>()
    for (const { page, file } of files) {
      if (page === null) continue
      const other = bySmall.get(page.url.toLowerCase())
      if (other !== undefined) {
        problems.push(pageError(file, other.url === page.url
          ? `it has the URL ${page.url}, as ${other.file} has: give one of them another 'path:', or remove it; ${other.file} is served`
          : `its URL ${page.url} differs from that of ${other.file} in nothing but case, which many file systems and people do not tell apart: rename one of them; ${other.file} is served`))
        continue
      }
      bySmall.set(page.url.toLowerCase(), page)
      this.#entries.set(page.url, page)
      pages.push(page)
    }
    return pages
  }

  #addRedirects ({ file, url, redirects }: Moved, problems: Error[]): void {
    for (const { from, line } of redirects) {
      const taken = this.#entries.get(from)
      if (taken === undefined && this.#endOf(url) === from) problems.push(frontMatterError(file, line, `'redirect_from' names ${from}, which leads back to itself`))
      else if (taken === undefined) this.#redirect(from, url)
      else problems.push(frontMatterError(file, line, `'redirect_from' names ${from}, which ${taken.kind === 'page' ? `is the page ${taken.file}` : `leads to ${taken.to} already`}`))
    }
  }

  #addRedirect (path: string, to: string, problems: Error[]): void {
    const from = canonicalPath(path)
    const taken = from === null ? undefined : this.#entries.get(from)
    if (from === null) problems.push(new PageInvalid(`redirects['${path}']`, 'this is no path that a visitor can ask for'))
    else if (taken?.kind === 'page') problems.push(new PageInvalid(`redirects['${path}']`, `the page ${taken.file} has this URL, and is served`))
    else if (taken !== undefined) problems.push(new PageInvalid(`redirects['${path}']`, `${from} leads to ${taken.to} already`))
    else if (this.#endOf(to) === from) problems.push(new PageInvalid(`redirects['${path}']`, 'it leads back to itself'))
    else this.#redirect(from, to)
  }

  #redirect (from: string, to: string): void {
    this.#entries.set(from, { kind: 'redirect', from, to, status: 301 })
    this.#ends.set(from, this.#endOf(to))
  }

  /** Where one arrives that goes to a path or URL, as far as redirects of this table lead. */
  #endOf (to: string): string | null {
    const passed: string[] = []
    let end = canonicalPath(to.replace(/[?#][^]*$/, ''))
    for (let next = end; next !== null && this.#ends.has(next); next = this.#ends.get(next) ?? null) {
      passed.push(next)
      end = this.#ends.get(next) ?? null
    }
    // A long row is gone through once.
    for (const path of passed) this.#ends.set(path, end)
    return end
  }
}
