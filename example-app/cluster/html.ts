/** Markup that is already safe. Only `html` and `trusted` make it, so a plain string can never pass for one. */
export class Html {
  readonly #text: string

  constructor (text: string) {
    this.#text = text
  }

  toString (): string {
    return this.#text
  }
}

export type HtmlValue = Html | string | number | null | undefined | false | readonly HtmlValue[]

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

export function escape (text: string): string {
  return text.replace(/[&<>"']/g, character => entities[character] ?? '')
}

/** Every value is escaped unless it came out of `html` itself. In attributes, always put quotes around the value. */
export function html (strings: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return new Html(strings.reduce((text, string, index) => text + toMarkup(values[index - 1]) + string))
}

/** For markup written in this repository. Never hand it anything that came over the network. */
export function trusted (text: string): Html {
  return new Html(text)
}

function toMarkup (value: HtmlValue): string {
  if (value instanceof Html) return value.toString()
  if (Array.isArray(value)) return value.map(toMarkup).join('')
  if (value === null || value === undefined || value === false) return ''
  return escape(String(value))
}

/** Wide tables scroll inside their own box, which the keyboard must be able to reach. */
export function table (caption: string, head: HtmlValue[], rows: HtmlValue[][]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption><span>${caption}</span></caption>
<thead><tr>${head.map(cell => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(([first, ...rest]) => html`
<tr><th scope="row">${first}</th>${rest.map(cell => html`<td>${cell}</td>`)}</tr>`)}
</tbody>
</table></div>`
}
