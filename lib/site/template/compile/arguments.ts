import type { Attribute, AttributeNode, SlotNode, ValueNode } from '../ast.js'
import { authoredText, escapeText, markupAsText } from '../escape.js'
import { toMarkup } from '../values.js'
import { assetReader } from './assets.js'
import { type Argument, type Code, type Frame, concatenate, failAt, isConstant } from './frame.js'
import { argumentMarkup, toArgument } from './output.js'
import { messageOf, valueReader } from './reading.js'
import type { Unit } from './unit.js'

/** What the frame has for `{{@name}}`. */
export function attributeReader (unit: Unit, node: AttributeNode, isSpecial: boolean): (frame: Frame) => Argument {
  const index = unit.expect(unit.attributes, node, isSpecial)
  return frame => frame.attributes[index] ?? ''
}

/** Markup of what the frame has for `{{name}}`, or of the front matter. */
export function slotReader (unit: Unit, node: SlotNode, isSpecial: boolean): (frame: Frame) => string {
  const { source } = unit
  const { name, span } = node
  const index = unit.expect(unit.slots, node, isSpecial)
  return frame => {
    const slot = frame.slots[index]
    if (slot !== undefined) return slot
    const { frontMatter } = frame.run
    if (!Object.hasOwn(frontMatter, name)) return ''
    try {
      return toMarkup(frontMatter[name])
    } catch (cause) {
      return failAt(frame, source, 'unprintable_value', `"${name}" of the front matter: ${messageOf(cause)}`, span, { cause })
    }
  }
}

/** Writes a value, and says where it stands if that fails. */
export function printValue<T extends Argument> ({ source }: Unit, { path, span }: ValueNode, frame: Frame, write: (value: unknown) => T, value: unknown): T {
  try {
    return write(value)
  } catch (cause) {
    return failAt(frame, source, 'unprintable_value', `"${path.join('.')}": ${messageOf(cause)}`, span, { cause })
  }
}

/** The value of an attribute of a tag. One that is a single placeholder stays what it is. */
export function compileArgument (unit: Unit, { value }: Attribute): Code<Argument> {
  const parts = value.map(node => compilePart(unit, node))
  const [first = '', ...rest] = parts
  if (rest.length === 0) return first
  return concatenate(parts.map((part): Code => isConstant(part) ? toPart(part) : frame => toPart(part(frame))))
}

function compilePart (unit: Unit, node: Attribute['value'][number]): Code<Argument> {
  switch (node.type) {
    case 'text': return authoredText(node.text)
    case 'asset': {
      const read = assetReader(unit, node)
      return frame => escapeText(read(frame))
    }
    case 'slot': {
      const read = slotReader(unit, node, false)
      return frame => markupAsText(read(frame))
    }
    case 'attribute': return attributeReader(unit, node, false)
    case 'value': {
      unit.isDynamic = true
      const read = valueReader(unit, node)
      return frame => printValue(unit, node, frame, toArgument, read(frame))
    }
  }
}

function toPart (argument: Argument): string {
  return markupAsText(argumentMarkup(argument))
}
