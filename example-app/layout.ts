import type { FastifyReply, FastifyRequest } from 'fastify'
import { modes, type Mode } from './modes.js'

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

export interface Page {
  title: string
  description: string
  lead: HtmlValue
  body: Html
  /** Modules from public/ that this page needs besides the one that fills in its label. */
  scripts?: string[]
  /** Pages that are not in the navigation light up the entry they belong to. */
  section?: string
}

export function sendPage (request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply {
  const { url, config } = request.routeOptions
  const renderedAt = new Date()
  const document = layout(page, config.mode ?? 'dynamic', page.section ?? url ?? '', renderedAt, path => request.server.site.asset(path))
  return reply
    .type('text/html; charset=utf-8')
    // Lets the label tell, without fetching the body, whether there is a newer page than the one on the screen.
    .header('x-rendered-at', renderedAt.toISOString())
    .send(document.toString())
}

const navigation: Array<{ path: string, text: string, mode: Mode }> = [
  { path: '/how-it-works', text: 'How it works', mode: 'prerendered' },
  { path: '/freshness', text: 'Freshness', mode: 'hydrated' },
  { path: '/pulse', text: 'Pulse', mode: 'isr' },
  { path: '/request', text: 'Request', mode: 'dynamic' },
  { path: '/notice', text: 'Notice board', mode: 'prerendered' },
  { path: '/outage', text: 'Outage', mode: 'isr' },
  { path: '/stock', text: 'Stock', mode: 'prerendered' },
  { path: '/tenants/harbour', text: 'Tenants', mode: 'dynamic' },
  { path: '/guides', text: 'Guides', mode: 'prerendered' },
  { path: '/compare', text: 'Compare', mode: 'hydrated' }
]

export function layout (page: Page, mode: Mode, section: string, renderedAt: Date, asset: (path: string) => string): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} · fastify-isr</title>
<meta name="description" content="${page.description}">
<link rel="icon" href="${asset('/static/img/favicon.svg')}" type="image/svg+xml">
<link rel="stylesheet" href="${asset('/static/css/site.css')}">
${['label.js', ...page.scripts ?? []].map(name => html`<script type="module" src="${asset(`/static/js/${name}`)}"></script>
`)}</head>
<body data-mode="${mode}">
<a class="skip" href="#main">Skip to the content</a>
<header class="masthead">
<a class="brand" href="/" ${section === '/' && trusted('aria-current="page"')}>${dial}<span>fastify-isr</span></a>
<nav aria-label="Pages">${links(section)}</nav>
<a class="all-pages" href="#pages">All pages</a>
</header>
<main id="main" tabindex="-1">
<header class="opening">
<h1>${page.title}</h1>
<p class="lead">${page.lead}</p>
</header>
${label(mode, renderedAt)}
<div class="content">
${page.body}
</div>
</main>
<footer id="pages" tabindex="-1">
<nav aria-label="All pages">${links(section)}</nav>
<p>This site is the example app of fastify-isr. Each page wears a label that says how it reached you.</p>
</footer>
</body>
</html>
`
}

function links (section: string): Html {
  return html`<ul>${navigation.map(({ path, text, mode }) => html`
<li><a href="${path}" ${path === section && trusted('aria-current="page"')}>${glyph(mode)}${text}</a></li>`)}
</ul>`
}

function label (mode: Mode, renderedAt: Date): Html {
  const { name, note } = modes[mode]
  return html`<aside class="label" aria-label="How this page reached you" data-label>
<p class="label-mode" data-badge="${mode}">${glyph(mode)}${name}</p>
<p class="label-note">${note}</p>
<p class="gauge" aria-hidden="true">${gauge}</p>
<dl>
<div><dt>Rendered</dt><dd data-rendered>${time(renderedAt)}</dd></div>
<div><dt>State now</dt><dd data-read="state">unknown without JavaScript</dd></div>
<div><dt>Age</dt><dd data-read="age">–</dd></div>
<div><dt>Cache-Status</dt><dd class="wire" data-read="cache-status">–</dd></div>
<div><dt>ETag</dt><dd class="wire" data-read="etag">–</dd></div>
</dl>
<button type="button" data-ask hidden>Ask the server again</button>
<p class="label-news" role="status" data-read="news"></p>
</aside>`
}

const gauge = ['fresh', 'stale', 'stale-if-error', 'live'].map(state => html`<span data-state="${state}"></span>`)

export function time (date: Date): Html {
  const iso = date.toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`
}

/** Wide code and tables scroll inside their own box, which the keyboard must be able to reach. */
export function code (name: string, text: HtmlValue): Html {
  return html`<pre tabindex="0" role="region" aria-label="${name}"><code>${text}</code></pre>`
}

export function table (caption: string, head: HtmlValue[], rows: HtmlValue[][]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption><span>${caption}</span></caption>
<thead><tr>${head.map(cell => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(([first, ...rest]) => html`
<tr><th scope="row">${first}</th>${rest.map(cell => html`<td>${cell}</td>`)}</tr>`)}
</tbody>
</table></div>`
}

// The modes differ in shape as well as in colour: colour alone is lost on many readers.
const shapes: Record<Mode, Html> = {
  prerendered: trusted('<rect x="2" y="2" width="12" height="12"/>'),
  hydrated: trusted('<rect x="2" y="2" width="12" height="12"/><circle class="hollow" cx="8" cy="8" r="3.2"/>'),
  isr: trusted('<path class="line" d="M13.2 6.2A5.6 5.6 0 1 0 13.5 9.4"/><path d="M15.6 2.6v5h-5z"/>'),
  dynamic: trusted('<path d="M8 1.5 15 14H1z"/>')
}

export function glyph (mode: Mode): Html {
  return html`<svg class="glyph" data-mode="${mode}" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">${shapes[mode]}</svg>`
}

const dial = trusted(`<svg class="dial" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true" focusable="false">
<path class="fresh" d="M16 3A13 13 0 0 1 16 29"/><path class="stale" d="M16 29A13 13 0 0 1 3.9 20.8"/><path class="rescue" d="M3.9 20.8A13 13 0 0 1 7.6 6"/><path class="expired" d="M7.6 6A13 13 0 0 1 16 3"/>
<path class="hand" d="M16 16V8.5M16 16l4.6 3.2"/></svg>`)
