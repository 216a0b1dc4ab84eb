import type { HoleNode } from '../ast.js'
import { escapeText } from '../escape.js'
import type { HtmlContext } from '../html/context.js'
import { type Code, failAt } from './frame.js'
import { messageOf } from './reading.js'
import type { Unit } from './unit.js'

/** The mark stands where a value could, the core escapes what it is replaced with. */
export function compileHole (unit: Unit, { name, span }: HoleNode, html: HtmlContext): Code {
  const { source } = unit
  const kind = unit.ask(span, () => html.place())
  if (kind === 'url' || kind === 'ownPath') unit.fail('unsafe_context', 'a hole may not stand at the head of a URL: what fills it is not checked', span)
  unit.isDynamic = true
  return frame => {
    const { context } = frame.run
    if (context.hole === undefined) return failAt(frame, source, 'hole_unavailable', `there is nothing that fills the hole "${name}" here: holes belong to pages that fastify-isr stores`, span)
    try {
      return escapeText(context.hole(name))
    } catch (cause) {
      return failAt(frame, source, 'hole_unavailable', `the hole "${name}": ${messageOf(cause)}`, span, { cause })
    }
  }
}
