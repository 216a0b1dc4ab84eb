import { html, type Html } from './layout.js'
import { segmentsOf, type Windows } from './shared/freshness.js'

/** The windows of a page as a band. The geometry is in attributes and percentages: no style attribute, any width. */
export function timeline (windows: Windows, age: number): Html {
  const segments = segmentsOf(windows)
  const end = segments.at(-1)?.to ?? 1
  const percent = (seconds: number) => `${(seconds / end * 100).toFixed(2)}%`

  return html`<figure class="timeline">
<svg width="100%" height="64" role="img" aria-label="${segments.map(({ state, from, to }) => state === 'expired' ? `expired from ${from} seconds` : `${state} from ${from} to ${to} seconds`).join(', ')}">
${segments.map(({ state, from, to }) => html`<rect class="${state}" x="${percent(from)}" width="${percent(to - from)}" y="20" height="28"/>
`)}<g class="marker"><line x1="${percent(age)}" x2="${percent(age)}" y1="6" y2="62"/><circle cx="${percent(age)}" cy="8" r="7"/></g>
</svg>
<figcaption><ul class="legend">${segments.map(({ state, from, to }) => html`
<li data-state="${state}">${state} <span data-range="${state}">${state === 'expired' ? `${from} s →` : `${from}–${to} s`}</span></li>`)}
</ul></figcaption>
</figure>`
}
