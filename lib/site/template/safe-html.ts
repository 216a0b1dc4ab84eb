/**
 * Markup that code vouches for, of a Markdown renderer for example: where markup may stand it is
 * written as it is, elsewhere as text. A template can't make one.
 */
export class SafeHtml {
  readonly html: string

  constructor (html: string) {
    this.html = html
  }

  toString (): string {
    return this.html
  }
}
