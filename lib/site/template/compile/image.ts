import type { Attribute, ImageNode } from '../ast.js'
import { ENTITY, decodeEntity } from '../escape.js'
import type { HtmlContext } from '../html/context.js'
import { compileArgument } from './arguments.js'
import { kindOf } from './assets.js'
import { type Code, failAt, run } from './frame.js'
import { argumentText } from './output.js'
import { messageOf } from './reading.js'
import type { Unit } from './unit.js'

export function compileImage (unit: Unit, { attributes, span }: ImageNode, html: HtmlContext): Code {
  const { source } = unit
  if (!html.isMarkup) unit.fail('unsafe_context', `an image may not stand in ${html.open ?? 'this place'}`, span)
  if (html.isSpecial) unit.fail('unsafe_context', 'an image would end the <svg>, <math> or <select> that it stands in', span)
  const missing = ['src', 'alt'].filter(name => !attributes.has(name))
  if (missing.length > 0) unit.fail('missing_attrs', `an image needs ${missing.map(name => `${name}="…"`).join(' and ')}${missing.includes('alt') ? ': alt="" says that it is decoration' : ''}`, span)
  unit.isDynamic = true
  html.feed('<img>')
  for (const attribute of attributes.values()) warnOfEntities(unit, attribute)
  const parts = [...attributes].map(([name, attribute]) => [name, compileArgument(unit, attribute)] as const)
  const path = parts.find(([name]) => name === 'src')?.[1]
  if (typeof path === 'string') unit.dependencies.add(`asset:${argumentText(path)}`)
  return frame => {
    const values = Object.fromEntries(parts.map(([name, code]) => [name, argumentText(run(code, frame))]))
    const { src = '' } = values
    if (typeof path !== 'string') (frame.run.assets ??= new Set()).add(`asset:${src}`)
    try {
      return frame.run.context.image(values)
    } catch (cause) {
      return failAt(frame, source, kindOf(cause, 'unresolved_image_meta'), `the image ${src}: ${messageOf(cause)}`, span, { cause })
    }
  }
}

/** The code of the images gets text and escapes it: an entity that nobody could read for it would be escaped, too. */
function warnOfEntities (unit: Unit, { value }: Attribute): void {
  for (const node of value) {
    if (node.type !== 'text') continue
    for (const [entity] of node.text.matchAll(ENTITY)) {
      if (decodeEntity(entity) === null) unit.warn('unknown_entity', `${entity} is shown as it stands: write the character itself`, node.span)
    }
  }
}
